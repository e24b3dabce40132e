#!/usr/bin/env python3
"""Checks generated models without Intaglio: ONNX files through ONNX Runtime, `.pt2` files through PyTorch,
against the stored expectations. `verify.py bert-2 …` (all generated models when none is named)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
import transformers.modeling_outputs  # noqa: E402, F401  (registers the output types that archives name)
from cachedir import MODELS  # noqa: E402
from catalogue import SPECS, means_something_else  # noqa: E402

TOLERANCE = 2e-4
Runner = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def _onnx_runner(path: Path) -> Runner:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(None, inputs), strict=True))


def _pt2_runner(path: Path) -> Runner:
    module = torch.export.load(str(path)).module()

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            outputs = module(**{name: torch.from_numpy(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return run


def verify(folder: Path) -> bool:
    """Prints one line per file: the largest difference from float64 over all cases, beside eager float32's own."""
    good = True
    summary = json.loads((folder / "model.json").read_text())
    for form in summary["forms"]:
        path = folder / form
        run = _onnx_runner(path) if path.suffix == ".onnx" else _pt2_runner(path)
        worst = own = 0.0
        cases = summary["cases"]
        cases = [case for case in cases if not means_something_else(SPECS[folder.name], form, case)]
        if form.startswith("llama") and form.endswith("op23.onnx"):
            # ONNX Runtime does not broadcast the caches of RotaryEmbedding.
            cases = [case for case in cases if case.startswith("b1_")]
        for case in cases:
            where = folder / "cases" / case
            inputs = {name: np.load(where / f"{name}.npy") for name in summary["inputs"]}
            with np.load(where / "expected64.npz") as exact, np.load(where / "expected.npz") as eager:
                answers = run(inputs)
                for name in summary["outputs"]:
                    worst = max(worst, float(np.abs(answers[name] - exact[name]).max()))
                    own = max(own, float(np.abs(eager[name] - exact[name]).max()))
        good = good and worst < TOLERANCE
        print(f"{form:32} worst |error| {worst:.2e}  (eager float32: {own:.2e}) {'ok' if worst < TOLERANCE else 'BAD'}")
    return good


def main() -> int:
    names = sys.argv[1:] or sorted(path.parent.name for path in MODELS.glob("*/model.json"))
    return 0 if all([verify(MODELS / name) for name in names]) else 1


if __name__ == "__main__":
    sys.exit(main())
