"""What bf16 and int8 must keep of float64, beside PyTorch eager in the same precision on stored cases of a model."""

from __future__ import annotations

import functools
import json
import warnings

import numpy as np
from rounds import error_figures
from tool import Arrays

from cachedir import MODELS  # isort: skip (tests/models is in the path by now)
from catalogue import SPECS  # isort: skip

# Ours: what results call it, and the options of `intaglio compile`.
FORMS: dict[str, list[str]] = {
    "f32": [],
    "bf16": ["--dtype", "bf16"],
    "int8": ["--quantize", "dynamic"],
    "int8, rest bf16": ["--quantize", "dynamic", "--dtype", "bf16"],
    "int8 by tensor": ["--quantize", "dynamic", "--activations", "tensor"],
}
# What PyTorch's side is.
EAGER = {"f32": "f32", "bf16": "bf16"}
QUANTISED = "quantize_dynamic"
# RMSE at most factor * eager's own + slack, cosine at least. One scale for all tokens is what the user of "by tensor"
# asked for: it must be no further away than PyTorch's quantize_dynamic, which quantises so too.
RMSE_FACTOR = {"f32": (2.0, 1e-5), "bf16": (3.0, 0.0), "int8 by tensor": (1.0, 0.0)}
COSINE = {"f32": 0.999999, "bf16": 0.999, "int8": 0.99, "int8, rest bf16": 0.99}


def load_case(model: str, case: str, names: list[str]) -> Arrays:
    """The inputs of a stored case."""
    return {name: np.load(MODELS / model / "cases" / case / f"{name}.npy") for name in names}


@functools.cache
def eager_answers(model: str, kind: str) -> dict[str, Arrays]:
    """By case. `kind`: f32, bf16, or quantize_dynamic (int8 weights, activations by tensor in 7 bits)."""
    summary = json.loads((MODELS / model / "model.json").read_text())
    if kind == "f32":
        stored = {}
        for case in summary["cases"]:
            with np.load(MODELS / model / "cases" / case / "expected.npz") as archive:
                stored[case] = {key: archive[key] for key in summary["outputs"]}
        return stored
    import build_model
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    spec = SPECS[model]
    module = build_model.build(spec, MODELS / "minilm-source" if spec.real_weights else None)
    if kind == "bf16":
        module = module.to(torch.bfloat16)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is old
            module = torch.ao.quantization.quantize_dynamic(module, {torch.nn.Linear})
    answers = {}
    for case in summary["cases"]:
        inputs = {key: torch.from_numpy(value) for key, value in load_case(model, case, summary["inputs"]).items()}
        with torch.inference_mode():
            outputs = module(**inputs)
        answers[case] = {key: getattr(outputs, key).float().numpy() for key in summary["outputs"]}
    return answers


def eager_error(model: str, case: str, output: str, dtype: str, exact: np.ndarray) -> dict[str, float]:
    """PyTorch's own error where ours has this dtype."""
    return error_figures(eager_answers(model, EAGER.get(dtype, QUANTISED))[case][output], exact)


def shortfall(model: str, case: str, output: str, dtype: str, answers: Arrays, exact: np.ndarray) -> str:
    """What an answer of ours fails to keep; empty if nothing."""
    own = error_figures(answers[output], exact)
    if own["cosine"] < COSINE.get(dtype, 0.0):
        return f"cosine {own['cosine']}, wanted {COSINE[dtype]}"
    if dtype not in RMSE_FACTOR:
        return ""
    factor, slack = RMSE_FACTOR[dtype]
    limit = factor * eager_error(model, case, output, dtype, exact)["rmse"] + slack
    return "" if own["rmse"] <= limit else f"RMSE {own['rmse']}, allowed {limit}"
