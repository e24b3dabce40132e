"""Where generated and fetched models live, and how to tell whether they are up to date."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = Path(os.environ.get("DEV_MODELS", REPOSITORY / ".cache" / "models"))
STAMP = "stamp.json"


def say(message: str) -> None:
    """Progress goes to stderr, so that stdout stays usable for results."""
    print(message, file=sys.stderr, flush=True)


def key_of(sources: list[Path], packages: list[str], extra: str) -> str:
    """A hash of everything that decides the bytes of a model folder."""
    digest = hashlib.sha256(extra.encode())
    for source in sources:
        digest.update(source.read_bytes())
    for package in packages:
        digest.update(f"{package}={metadata.version(package)}".encode())
    return digest.hexdigest()


def is_current(name: str, key: str) -> bool:
    """Whether the folder of `name` was finished with this key."""
    stamp = MODELS / name / STAMP
    if not stamp.is_file():
        return False
    return json.loads(stamp.read_text()).get("key") == key


@contextmanager
def fresh_folder(name: str, key: str) -> Iterator[Path]:
    """A folder that appears under its name only when the block ends without an error."""
    MODELS.mkdir(parents=True, exist_ok=True)
    building = MODELS / f".{name}.{os.getpid()}"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        yield building
        (building / STAMP).write_text(json.dumps({"key": key}) + "\n")
        shutil.rmtree(MODELS / name, ignore_errors=True)
        building.rename(MODELS / name)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def write_index() -> None:
    """INDEX.txt: every model file and case folder, one per line, for people who look around."""
    lines: list[str] = []
    for folder in sorted(p for p in MODELS.iterdir() if p.is_dir() and not p.name.startswith(".")):
        lines.append(f"{folder}")
        for file in sorted(folder.rglob("*")):
            if file.suffix in {".onnx", ".pt2"}:
                lines.append(f"    {file.relative_to(folder)}  {file.stat().st_size / 1e6:.1f} MB")
        cases = sorted(p.name for p in (folder / "cases").glob("*") if p.is_dir())
        if cases:
            lines.append(f"    cases/: {' '.join(cases)}")
    (MODELS / "INDEX.txt").write_text("\n".join(lines) + "\n")
