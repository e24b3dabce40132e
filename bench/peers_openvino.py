"""OpenVINO's side of peers.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import openvino

Arrays = dict[str, np.ndarray]


class OpenVino:
    """An .onnx file or an OpenVINO IR. Compiled for each shape (its fastest form), or once for all shapes."""

    def __init__(self, model: str, threads: int, dtype: str, dynamic: bool) -> None:
        self.version = openvino.__version__.split("-")[0]
        started = time.perf_counter()
        self._core = openvino.Core()
        # What NNCF leaves in float is computed in bf16, its fastest form.
        precision = {"f32": "f32", "bf16": "bf16", "int8": "bf16"}[dtype]
        self._options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(threads),
            "INFERENCE_PRECISION_HINT": precision,
            "ENABLE_CPU_PINNING": "NO",  # the process has its CPUs already
        }
        self._model = self._core.read_model(model)
        self.input_names = [port.get_any_name() for port in self._model.inputs]
        self._output_names = [port.get_any_name() for port in self._model.outputs]
        self._compiled = self._compile(self._model) if dynamic else None
        self.load_ms = (time.perf_counter() - started) * 1e3
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._request: Any = None
        self._dynamic = dynamic

    def _compile(self, model: Any) -> Any:
        return self._core.compile_model(model, "CPU", self._options)

    def prepare(self, inputs: Arrays) -> Callable[[], Any]:
        """A function that runs the model on `inputs`."""
        shapes = {name: value.shape for name, value in inputs.items()}
        if not self._dynamic and shapes != self._shapes:
            self._request = self._compiled = None
            model = self._model.clone()
            model.reshape({name: list(shape) for name, shape in shapes.items()})
            self._compiled = self._compile(model)
        if self._request is None:
            self._request = self._compiled.create_infer_request()
        self._shapes = shapes
        for name, value in inputs.items():
            self._request.set_tensor(name, openvino.Tensor(np.ascontiguousarray(value)))
        request = self._request

        def run() -> Any:
            request.infer()
            return request

        return run

    def as_arrays(self, raw: Any) -> Arrays:
        """The outputs by name."""
        found = {name: raw.get_tensor(name).data for name in self._output_names}
        return {name: np.array(value, np.float32) for name, value in found.items()}
