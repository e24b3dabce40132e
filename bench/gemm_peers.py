#!/usr/bin/env python3
"""A worker process with single linears of PyTorch or ONNX Runtime; answers lines of JSON (README.md, gemm's workers).

gemm_peers.py --engine torch|onnxruntime
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Run = Callable[[], Any]
SEED = 1


class BadRequestError(Exception):
    """A request that cannot be served."""


class Case:
    """Random operands of one product, and what it should be."""

    def __init__(self, m: int, n: int, k: int) -> None:
        random = np.random.default_rng(SEED)
        self.m, self.n, self.k = m, n, k
        self.x = random.uniform(-1, 1, (m, k)).astype(np.float32)
        self.w = (random.uniform(-1, 1, (n, k)) / 16).astype(np.float32)
        self.bias = random.uniform(-1, 1, n).astype(np.float32)
        self.w_codes = random.integers(-127, 128, (n, k)).astype(np.int8)
        self.w_scale = (random.uniform(0.5, 1.5, n) / 127 / np.sqrt(k)).astype(np.float32)
        self.x_u8 = random.integers(0, 256, (m, k)).astype(np.uint8)
        self.x_s8 = random.integers(-128, 128, (m, k)).astype(np.int8)

    def floats(self) -> np.ndarray:
        """x times w in double, with bias."""
        return self.x.astype(np.float64) @ self.w.T.astype(np.float64) + self.bias

    def dequantised(self) -> np.ndarray:
        """The codes of the weight as numbers."""
        return self.w_codes.astype(np.float64) * self.w_scale[:, None]


def _gelu(z: np.ndarray) -> np.ndarray:
    from math import erf, sqrt

    return 0.5 * z * (1 + np.vectorize(erf)(z / sqrt(2)))


class Torch:
    """Single linears of PyTorch, on the oneDNN that it holds, FBGEMM and its own integer product."""

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        self._torch = torch
        self.version = torch.__version__
        self.forms = {
            "_linear_pointwise f32": lambda c: self._pointwise(c, torch.float32, "none"),
            "_linear_pointwise bf16": lambda c: self._pointwise(c, torch.bfloat16, "none"),
            "_linear_pointwise bf16 gelu": lambda c: self._pointwise(c, torch.bfloat16, "gelu"),
            "qlinear_pointwise u8": self._quantised,
            "_int_mm": self._int_mm,
            "quantize_dynamic": self._dynamic,
        }

    def _pointwise(self, case: Case, dtype: Any, post: str) -> tuple[Run, np.ndarray]:
        torch = self._torch
        x, w, bias = (torch.from_numpy(value).to(dtype) for value in (case.x, case.w, case.bias))
        packed = torch.ops.mkldnn._reorder_linear_weight(w, case.m)
        call = torch.ops.mkldnn._linear_pointwise
        algorithm = "none" if post == "gelu" else ""
        doubles = [value.to(torch.float64).numpy() for value in (x, w, bias)]
        exact = doubles[0] @ doubles[1].T + doubles[2]
        return lambda: call(x, packed, bias, post, [], algorithm), _gelu(exact) if post == "gelu" else exact

    def _quantised(self, case: Case) -> tuple[Run, np.ndarray]:
        torch = self._torch
        x, bias = torch.from_numpy(case.x_u8), torch.from_numpy(case.bias)
        scales, zeros = torch.from_numpy(case.w_scale), torch.zeros(case.n, dtype=torch.int64)
        packed = torch.ops.onednn.qlinear_prepack(torch.from_numpy(case.w_codes), list(x.shape))
        call = torch.ops.onednn.qlinear_pointwise.default
        x_scale, zero = 0.01, 121
        arguments = (x, x_scale, zero, packed, scales, zeros, bias, 1.0, 0, torch.float32, "none", [], "")
        exact = (case.x_u8.astype(np.float64) - zero) * x_scale @ case.dequantised().T + case.bias
        return lambda: call(*arguments), exact

    def _int_mm(self, case: Case) -> tuple[Run, np.ndarray]:
        torch = self._torch
        x, w = torch.from_numpy(case.x_s8), torch.from_numpy(case.w_codes).t()
        exact = case.x_s8.astype(np.float64) @ case.w_codes.T.astype(np.float64)
        return lambda: torch._int_mm(x, w), exact

    def _dynamic(self, case: Case) -> tuple[Run, np.ndarray]:
        torch = self._torch
        linear = torch.nn.Linear(case.k, case.n)
        linear.weight.copy_(torch.from_numpy(case.w))
        linear.bias.copy_(torch.from_numpy(case.bias))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(linear), {torch.nn.Linear}, torch.qint8)
        x = torch.from_numpy(case.x)
        return lambda: module(x), case.floats()

    def as_array(self, raw: Any) -> np.ndarray:
        return raw.to(self._torch.float64).numpy()


class OnnxRuntime:
    """DynamicQuantizeLinear, MatMulInteger, Cast, Mul, Add: the chain that its optimiser fuses."""

    def __init__(self) -> None:
        import onnxruntime

        self._runtime = onnxruntime
        self.version = onnxruntime.__version__
        self.forms = {"DynamicQuantizeLinear + MatMulInteger": self._dynamic}

    def _dynamic(self, case: Case) -> tuple[Run, np.ndarray]:
        from onnx import TensorProto, helper, numpy_helper

        nodes = [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["codes", "x_scale", "x_zero"]),
            helper.make_node("MatMulInteger", ["codes", "w", "x_zero", "w_zero"], ["sums"]),
            helper.make_node("Cast", ["sums"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["x_scale", "w_scale"], ["scale"]),
            helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
            helper.make_node("Add", ["scaled", "bias"], ["y"]),
        ]
        constants = {
            "w": np.ascontiguousarray(case.w_codes.T),
            "w_zero": np.zeros(case.n, np.int8),
            "w_scale": case.w_scale,
            "bias": case.bias,
        }
        graph = helper.make_graph(
            nodes,
            "linear",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [case.m, case.k])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [case.m, case.n])],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = self._runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        inputs = {"x": case.x}
        exact = case.x.astype(np.float64) @ case.dequantised().T + case.bias
        return lambda: session.run(["y"], inputs)[0], exact

    def as_array(self, raw: Any) -> np.ndarray:
        return raw.astype(np.float64)


class Server:
    """The loop over requests."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._run: Run | None = None

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        form = request.get("form")
        if form not in self._engine.forms:
            raise BadRequestError(f"no form {form!r}, there are {sorted(self._engine.forms)}")
        self._run = None
        run, exact = self._engine.forms[form](Case(int(request["m"]), int(request["n"]), int(request["k"])))
        off = np.abs(self._engine.as_array(run()) - exact).max()
        self._run = run
        return {"error": float(off / np.sqrt(np.mean(exact * exact)))}

    def _time(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._run is None:
            raise BadRequestError("run before load")
        latencies = []
        for _ in range(int(request.get("iterations", 1))):
            started = time.perf_counter_ns()
            self._run()
            latencies.append(time.perf_counter_ns() - started)
        return {"iterations": len(latencies), "latency_ns": latencies}

    def serve(self, requests: Any, answers: Any) -> None:
        """Answers every line of `requests` with one line on `answers`."""
        commands = {"load": self._load, "run": self._time}
        for line in requests:
            try:
                request = json.loads(line)
                if request.get("cmd") == "quit":
                    break
                answer = {"ok": True, **commands[request["cmd"]](request)}
            except Exception as error:  # noqa: BLE001 (an engine raises what it likes; the driver decides)
                message = f"{type(error).__name__}: {error}".splitlines()[0]
                answer = {"ok": False, "error": {"code": "bad_input", "message": message, "hint": ""}}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
        answers.write(json.dumps({"ok": True, "event": "bye"}) + "\n")
        answers.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", required=True, choices=["torch", "onnxruntime"])
    arguments = parser.parse_args()
    # Whatever an engine prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine: Any = Torch() if arguments.engine == "torch" else OnnxRuntime()
    ready = {"ok": True, "event": "ready", "engine": arguments.engine, "version": engine.version}
    answers.write(json.dumps(ready) + "\n")
    answers.flush()
    Server(engine).serve(sys.stdin, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
