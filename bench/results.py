"""Results as files: schema intaglio.bench/1, with date and machine."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from tool import ROOT, ToolError, call

FOLDER = ROOT / "bench" / "results"
SCHEMA = "intaglio.bench/1"
LONG_TABLE = 50
PACKAGES = ("onnxruntime", "openvino", "nncf", "torch", "torchao", "transformers", "numpy")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _isa() -> Any:
    try:
        return call(["doctor"]).get("isa", [])
    except (ToolError, ValueError):
        return []


def environment() -> dict[str, Any]:
    """The machine, the date, the versions."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _processor(),
        "isa": _isa(),
        "threads": len(os.sched_getaffinity(0)),
        "commit": _commit(),
        "versions": versions,
    }


def _text(content: dict[str, Any]) -> str:
    """JSON with a line for each row of a flat or long table, so that long tables stay short files."""
    parts = []
    for key, value in content.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value) and _flat(value):
            rows = ",\n  ".join(json.dumps(row) for row in value)
            parts.append(f" {json.dumps(key)}: [\n  {rows}\n ]")
        else:
            parts.append(f" {json.dumps(key)}: " + json.dumps(value, indent=1).replace("\n", "\n "))
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _flat(rows: list[dict[str, Any]]) -> bool:
    return len(rows) > LONG_TABLE or not any(isinstance(value, dict | list) for row in rows for value in row.values())


def write_file(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file and says so."""
    path.write_text(_text(content))
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    print(f"  written: {shown}", file=sys.stderr)


def write(name: str, content: dict[str, Any]) -> Path:
    """Writes results/<name>.json and says so."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    write_file(path, content)
    return path


def save(name: str, results: list[dict[str, Any]], extra: dict[str, Any] | None = None) -> Path:
    """Writes results of this room's schema."""
    return write(name, {"schema": SCHEMA, "environment": environment(), "results": results, **(extra or {})})


def load(name: str) -> dict[str, Any] | None:
    """The latest results of this name, or None."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None
