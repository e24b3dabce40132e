#!/usr/bin/env python3
"""Accuracy against float64 of generated model files in every precision, beside PyTorch eager and ONNX Runtime."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import OURS, generate, guarded, options, plan_of
from eager import FORMS, eager_error, load_case, shortfall
from peers import OnnxRuntime
from results import save
from rounds import error_figures
from text_table import terminal_table
from worker import intaglio_worker

from catalogue import ALL_MASKED  # isort: skip (found through common)

MODELS = ("bert-base", "bert-large", "roberta-base", "distilbert-base", "minilm")
FILES = ("op20.onnx", "training.pt2")


def _onnxruntime_error(path: Path, cases: list[tuple[Path, list[str]]], outputs: list[str]) -> dict[str, float] | None:
    """ONNX Runtime's own error on an .onnx file; None for other files."""
    if path.suffix != ".onnx":
        return None
    engine = OnnxRuntime(str(path), 2)
    figures = []
    for case, names in cases:
        answers = engine.as_arrays(engine.prepare({key: np.load(case / f"{key}.npy") for key in names})())
        with np.load(case / "expected64.npz") as exact:
            figures += [error_figures(answers[output], exact[output]) for output in outputs]
    return _worst(figures)


def _worst(figures: list[dict[str, float]]) -> dict[str, float]:
    worst = {name: max(item[name] for item in figures) for name in ("max_abs", "rmse", "rel_l2")}
    return {**worst, "cosine": min(item["cosine"] for item in figures)}


def _judge(model: str, form: str, dtype: str, folder: Path) -> dict[str, Any]:
    summary = json.loads((folder / "model.json").read_text())
    # Where every position is masked, ONNX files mean something else than PyTorch (tests/models/README.md).
    names = [name for name in summary["cases"] if name != ALL_MASKED or not form.endswith(".onnx")]
    ours, own, good = [], [], True
    plan = plan_of(f"{model}.{form}.{dtype.replace(' ', '-')}", folder / f"{model}.{form}", FORMS[dtype])
    with intaglio_worker(plan, 2, [0, 1]) as worker:
        for name in names:
            worker.load(load_case(model, name, summary["inputs"]))
            worker.run(1)
            answers = worker.outputs()
            with np.load(folder / "cases" / name / "expected64.npz") as exact:
                for output in summary["outputs"]:
                    ours.append(error_figures(answers[output], exact[output]))
                    own.append(eager_error(model, name, output, dtype, exact[output]))
                    good = good and not shortfall(model, name, output, dtype, answers, exact[output])
    cases = [(folder / "cases" / name, summary["inputs"]) for name in names]
    peer = _onnxruntime_error(folder / f"{model}.{form}", cases, summary["outputs"]) if dtype == "f32" else None
    return {
        "model": model,
        "form": form,
        "engine": OURS,
        "dtype": dtype,
        "cases": len(names),
        "error": _worst(ours),
        "error_eager": _worst(own),
        "error_onnxruntime": peer,
        "held": good,
    }


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    arguments = parser.parse_args()
    results, rows = [], []
    for model in arguments.models:
        folder = generate(model)
        # A model comes out of both files with the same error, but for order; lower precision is measured on one.
        for form, dtype in [*((form, "f32") for form in FILES), *((FILES[1], each) for each in FORMS if each != "f32")]:
            result = _judge(model, form, dtype, folder)
            results.append(result)
            mine, torch = result["error"], result["error_eager"]
            peer = result["error_onnxruntime"]
            off = [f"{mine['rmse']:.1e}", f"{torch['rmse']:.1e}", f"{peer['rmse']:.1e}" if peer else ""]
            off += [f"{mine['max_abs']:.1e}", f"{torch['max_abs']:.1e}"]
            rows.append([model, form, dtype, *off, f"{mine['cosine']:.9f}", "yes" if result["held"] else "NO"])
    header = ["model", "file", "dtype", "RMSE", "eager's", "ORT's", "largest", "eager's", "cosine", "held"]
    print(terminal_table(header, rows, "lllrrrrrrl"))
    print("  against float64; the worst of all cases and outputs; eager's int8 is quantize_dynamic")
    save("accuracy", results)
    return 5 if arguments.check and not all(result["held"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
