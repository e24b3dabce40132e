"""PyTorch's side of peers.py: eager, Inductor, quantize_dynamic, torchao."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "models"))

import build_model  # noqa: E402
from catalogue import SPECS  # noqa: E402
from packages import fetch  # noqa: E402

Arrays = dict[str, np.ndarray]
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f64": torch.float64}


def _as_it_is(module: torch.nn.Module) -> torch.nn.Module:
    return module


def _quantize_dynamic(module: torch.nn.Module) -> torch.nn.Module:
    """PyTorch's own dynamic int8 in eager mode: activations per tensor in 7 bits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(module, {torch.nn.Linear}, torch.qint8)


def _da8w8(module: torch.nn.Module) -> torch.nn.Module:
    """torchao: activations per token and weights per channel in int8, both symmetric."""
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    quantize_(module, Int8DynamicActivationInt8WeightConfig())
    return module


# What is done to the module, whether Inductor compiles it, and whether it looks for the fastest product of every size.
KINDS: dict[str, tuple[Callable[[torch.nn.Module], torch.nn.Module], bool, bool]] = {
    "eager": (_as_it_is, False, False),
    "inductor": (_as_it_is, True, False),
    "inductor-max": (_as_it_is, True, True),
    "quantize-dynamic": (_quantize_dynamic, False, False),
    "torchao": (_da8w8, True, True),
}


class Torch:
    """A model of the catalogue. Inductor freezes weights and compiles for each shape (static: its fastest form)."""

    def __init__(self, model: str, threads: int, kind: str, dtype: str) -> None:
        started = time.perf_counter()
        torch.set_num_threads(threads)
        self.version = torch.__version__
        spec = SPECS[model]
        module = build_model.build(spec, fetch("minilm-source") if spec.real_weights else None)
        module.requires_grad_(False)
        change, self._compiled, most = KINDS[kind]
        self._module = change(module.to(DTYPES[dtype]))
        self.input_names = ["input_ids", "attention_mask"] if spec.with_mask else ["input_ids"]
        self._shapes: list[tuple[int, ...]] = []
        if self._compiled:
            from torch._inductor import config

            config.freezing = True
            config.max_autotune = most
            self._module = torch.compile(self._module, dynamic=False)
        self.load_ms = (time.perf_counter() - started) * 1e3  # building the module, since there is no file

    def prepare(self, inputs: Arrays) -> Callable[[], Any]:
        """A function that runs the model on `inputs`."""
        tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
        shapes = [value.shape for value in inputs.values()]
        if self._compiled and shapes != self._shapes:
            torch._dynamo.reset()  # each compiled shape has packed weights of its own
        self._shapes = shapes

        def run() -> Any:
            with torch.no_grad():
                return self._module(**tensors)

        return run

    def as_arrays(self, raw: Any) -> Arrays:
        """The outputs that are tensors, by name."""
        tensors = {name: value for name, value in raw.items() if isinstance(value, torch.Tensor)}
        wide = {name: value if value.dtype == torch.float64 else value.float() for name, value in tensors.items()}
        return {name: value.numpy() for name, value in wide.items()}
