#!/usr/bin/env python3
"""A worker process for one peer engine; speaks the protocol of bench/README.md.

peers.py --engine onnxruntime --model model.onnx --threads 1
peers.py --engine openvino --model model.onnx|model.xml --dtype bf16 --threads 1
peers.py --engine eager|inductor|… --model bert-base --dtype bf16 --threads 1   (a name of tests/models/catalogue.py)
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
Prepared = Callable[[], Any]

TORCH_KINDS = ("eager", "inductor", "inductor-max", "quantize-dynamic", "torchao")
NUMPY_SHORT = {"float32": "f32", "float64": "f64", "float16": "f16", "int64": "i64", "int32": "i32", "bool": "bool"}


class OnnxRuntime:
    """ONNX Runtime, all graph optimisations, sequential execution."""

    def __init__(self, model: str, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.version = onnxruntime.__version__
        started = time.perf_counter()
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.load_ms = (time.perf_counter() - started) * 1e3
        self.input_names = [value.name for value in self._session.get_inputs()]
        self._output_names = [value.name for value in self._session.get_outputs()]

    def prepare(self, inputs: Arrays) -> Prepared:
        return lambda: self._session.run(None, inputs)

    def as_arrays(self, raw: Any) -> Arrays:
        return dict(zip(self._output_names, raw, strict=True))


class BadRequestError(Exception):
    """A request that cannot be served."""


class Server:
    """The loop over requests."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._prepared: Prepared | None = None
        self._latest: Any = None

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        files = request.get("inputs", {})
        if sorted(files) != sorted(self._engine.input_names):
            raise BadRequestError(f"inputs {sorted(files)}, the model has {sorted(self._engine.input_names)}")
        inputs = {name: np.load(path) for name, path in files.items()}
        self._prepared, self._latest = self._engine.prepare(inputs), None
        return {"shapes": {name: list(value.shape) for name, value in inputs.items()}}

    def _run(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._prepared is None:
            raise BadRequestError("run before load")
        latencies = []
        for _ in range(int(request.get("iterations", 1))):
            started = time.perf_counter_ns()
            self._latest = self._prepared()
            latencies.append(time.perf_counter_ns() - started)
        return {"iterations": len(latencies), "latency_ns": latencies}

    def _outputs(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._latest is None:
            raise BadRequestError("outputs before run")
        arrays = self._engine.as_arrays(self._latest)
        np.savez(request["path"], **arrays)
        told = {n: {"dtype": NUMPY_SHORT[v.dtype.name], "shape": list(v.shape)} for n, v in arrays.items()}
        return {"path": request["path"], "outputs": told}

    def _memory(self, _: dict[str, Any]) -> dict[str, Any]:
        status = Path("/proc/self/status").read_text()
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.endswith(" kB")}
        return {"peak_rss_mb": kilobytes["VmHWM"] * 1024 / 1e6, "rss_mb": kilobytes["VmRSS"] * 1024 / 1e6}

    def serve(self, requests: Any, answers: Any) -> None:
        """Answers every line of `requests` with one line on `answers`."""
        commands = {"load": self._load, "run": self._run, "outputs": self._outputs, "memory": self._memory}
        for line in requests:
            try:
                request = json.loads(line)
                if not isinstance(request, dict):
                    raise BadRequestError("a request is a JSON object")
                if request.get("cmd") == "quit":
                    break
                if request.get("cmd") not in commands:
                    raise BadRequestError(f"unknown cmd {request.get('cmd')!r}")
                answer = {"ok": True, **commands[request["cmd"]](request)}
            except (BadRequestError, ValueError, OSError, KeyError) as error:
                answer = {"ok": False, "error": {"code": "bad_input", "message": str(error), "hint": ""}}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
        answers.write(json.dumps({"ok": True, "event": "bye"}) + "\n")
        answers.flush()


def _engine(arguments: argparse.Namespace) -> Any:
    """The frameworks are imported here: `intaglio bench --against` installs this file alone."""
    if arguments.engine == "onnxruntime":
        return OnnxRuntime(arguments.model, arguments.threads)
    if arguments.engine == "openvino":
        from peers_openvino import OpenVino

        return OpenVino(arguments.model, arguments.threads, arguments.dtype, arguments.dynamic)
    from peers_torch import Torch

    return Torch(arguments.model, arguments.threads, arguments.engine, arguments.dtype)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", required=True, choices=["onnxruntime", "openvino", *TORCH_KINDS])
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16", "f64", "int8"], help="of the floats")
    parser.add_argument("--dynamic", action="store_true", help="OpenVINO: compile once for all shapes")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    # Whatever an engine prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine = _engine(arguments)
    ready = {
        "ok": True,
        "event": "ready",
        "engine": arguments.engine,
        "version": engine.version,
        "model": arguments.model,
        "threads": arguments.threads,
        "dtype": arguments.dtype,
        "compile_ms": 0.0,
        "load_ms": engine.load_ms,  # without the import of the framework
        "inputs": [{"name": name} for name in engine.input_names],
    }
    answers.write(json.dumps(ready) + "\n")
    answers.flush()
    Server(engine).serve(sys.stdin, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
