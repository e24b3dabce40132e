"""Calling the command line tool: compile a model, run it on arrays."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
Arrays = dict[str, np.ndarray]


class ToolError(Exception):
    """The tool is missing or refused; the message is what it said."""


def binary() -> Path:
    """build/release/bin/intaglio, or what DEV_TOOL names."""
    path = Path(os.environ.get("DEV_TOOL", ROOT / "build" / "release" / "bin" / "intaglio"))
    if not os.access(path, os.X_OK):
        raise ToolError(f"{path} does not exist: build it with ./dev build")
    return path


def call(arguments: list[str]) -> dict[str, Any]:
    """Runs the tool with --json and returns what it printed. Raises ToolError with its message."""
    command = [str(binary()), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = done.stderr.strip() or "no message"
        raise ToolError(f"'intaglio {arguments[0]}' ended with exit code {done.returncode}:\n{message}")
    return json.loads(done.stdout)


def compile_model(model: Path, plan: Path, options: list[str] | None = None) -> dict[str, Any]:
    """`intaglio compile`; the report it prints (intaglio.compile/1)."""
    plan.parent.mkdir(parents=True, exist_ok=True)
    return call(["compile", str(model), "-o", str(plan), *(options or [])])


def run_model(model: Path, inputs: Arrays, threads: int = 1) -> Arrays:
    """`intaglio run` on arrays; the outputs by name."""
    with tempfile.TemporaryDirectory() as temporary:
        arguments = ["run", str(model), "--threads", str(threads)]
        for name, value in inputs.items():
            path = Path(temporary) / f"{name}.npy"
            np.save(path, value)
            arguments += ["--input", f"{name}={path}"]
        output = Path(temporary) / "outputs.npz"
        call([*arguments, "--output", str(output)])
        with np.load(output) as archive:
            return {name: archive[name] for name in archive.files}
