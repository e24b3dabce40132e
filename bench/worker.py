"""The driver's side of the worker protocol (bench/README.md): one living process per engine and model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tool import Arrays, ToolError, binary

HERE = Path(__file__).resolve().parent
INDUCTOR_CACHE = HERE.parent / ".cache" / "inductor"


class Worker:
    """An engine that answers requests. Use as a context manager; not for several threads at once."""

    def __init__(
        self, command: list[str], cpus: list[int], environment: dict[str, str] | None = None, dtype: str | None = None
    ) -> None:
        self.command = command
        self._folder = tempfile.TemporaryDirectory()
        self._log = open(Path(self._folder.name) / "stderr", "w+")  # noqa: SIM115 (lives as long as the worker)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **(environment or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )
        try:
            self.ready = self._answer()
        except ToolError:
            self.close()
            raise
        self.engine: str = self.ready["engine"]
        # Engines of one contest are told apart by their labels.
        self.dtype: str = dtype or self.ready.get("dtype", "f32")
        self.label = f"{self.engine} {self.dtype}"

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer = json.loads(line) if line.strip() else None
        if answer is None or not answer.get("ok"):
            self._log.seek(0)
            reason = answer["error"]["message"] if answer else self._log.read().strip()[-800:]
            raise ToolError(f"worker '{' '.join(self.command)}': {reason or 'ended without a word'}")
        return answer

    def request(self, **request: Any) -> dict[str, Any]:
        """Sends one request and returns its answer; ToolError when the worker refuses or is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ToolError(f"worker '{' '.join(self.command)}' is gone") from None
        return self._answer()

    def load(self, inputs: Arrays) -> None:
        """Makes `inputs` the inputs of the following runs."""
        paths = {}
        for name, value in inputs.items():
            paths[name] = str(Path(self._folder.name) / f"{name}.npy")
            np.save(paths[name], value)
        self.request(cmd="load", inputs=paths)

    def run(self, iterations: int) -> list[int]:
        """Latencies in nanoseconds."""
        return self.request(cmd="run", iterations=iterations)["latency_ns"]

    def outputs(self) -> Arrays:
        """The outputs of the latest iteration."""
        path = str(Path(self._folder.name) / "outputs.npz")
        self.request(cmd="outputs", path=path)
        with np.load(path) as archive:
            return {name: archive[name] for name in archive.files}

    def close(self) -> None:
        """Ends the process."""
        if self._process.poll() is None:
            try:
                self.request(cmd="quit")
                self._process.wait(timeout=20)
            except (ToolError, subprocess.TimeoutExpired, OSError):
                self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._log.close()
        self._folder.cleanup()


def intaglio_worker(model: Path, threads: int, cpus: list[int], dtype: str | None = None) -> Worker:
    """Ours, on a model file or a plan. `dtype`: what results call it."""
    return Worker([str(binary()), "bench", str(model), "--worker", "--threads", str(threads)], cpus, dtype=dtype)


def peer_environment(threads: int) -> dict[str, str]:
    """Variables for a peer's process. Threads that wait do not spin beyond the pause between turns, nobody sends
    telemetry, and what Inductor compiled is kept: per number of threads, because its code depends on it."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "KMP_BLOCKTIME": "0",
        "ORT_DISABLE_TELEMETRY": "1",
        "NNCF_CI": "1",
        "CI": "true",
        "HF_HUB_OFFLINE": "1",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "TORCHINDUCTOR_CACHE_DIR": str(INDUCTOR_CACHE / f"threads-{threads}"),
    }


def peer_worker(
    engine: str, model: str, threads: int, cpus: list[int], options: list[str] | None = None, dtype: str | None = None
) -> Worker:
    """A peer of peers.py: `model` is a file for onnxruntime and openvino, a name of the catalogue for the torch
    engines; `options` go to peers.py, `dtype` is what results call it."""
    command = [sys.executable, str(HERE / "peers.py"), "--engine", engine, "--model", model, "--threads", str(threads)]
    return Worker([*command, *(options or [])], cpus, peer_environment(threads), dtype)
