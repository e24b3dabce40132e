#!/usr/bin/env python3
"""Memory and start of BERT-base on one thread: what is resident after many lengths, load of a plan and first run,
beside ONNX Runtime and OpenVINO; peak memory of `run` on a plan."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cases import make_inputs
from common import OURS, cpus_for, guarded, options, told
from engines import OWN_ENGINES, PEERS, Engine, Subject, plan, subject
from results import save
from text_table import terminal_table
from tool import ToolError, binary
from transformers_run import reason
from worker import Worker

MODEL = "bert-base"
FIRST_TOKENS, MOST_TOKENS = 128, 512
LENGTHS = 72
STARTS, RUNS = 7, 5
# The figures to hold. Resident after all lengths, in MB:
MOST_RESIDENT = {"f32": 470, "bf16": 300, "int8": 210, "int8+bf16": 210}
# Load of a plan: below 20 ms; with the first run: one run more.
MOST_LOAD_MS = 20.0
# Peak of `run` in f32: weights x 1.1 + arena + 40 MB.
PEAK_TOKENS, FACTOR, SLACK_MB = (8, 128, 512), 1.1, 40.0


def lengths(count: int, most: int) -> list[int]:
    """`count` different lengths from 1 to `most`, shuffled the same way every time."""
    found = [1 + (most - 1) * number // (count - 1) for number in range(count)]
    random.Random(1).shuffle(found)
    return found


def _resident(worker: Worker, model: Subject, tokens: list[int]) -> float:
    for length in tokens:
        worker.load(make_inputs(model, 1, length))
        worker.run(1)
    return float(worker.request(cmd="memory")["rss_mb"])


def _start(worker: Worker, model: Subject) -> tuple[float, float, float]:
    """Milliseconds of load, first run and a later run."""
    worker.load(make_inputs(model, 1, FIRST_TOKENS))
    first = worker.run(1)[0] / 1e6
    return float(worker.ready["load_ms"]), first, statistics.median(worker.run(RUNS)) / 1e6


def _result(engine: Engine, model: Subject, counts: int) -> dict[str, Any]:
    """One engine: its start in a fresh process (ours: the median of several), then its memory."""
    starts = []
    for _ in range(STARTS - 1 if engine.name == OURS else 0):
        with engine.start(model, 1, cpus_for(1)) as worker:
            starts.append(_start(worker, model))
    with engine.start(model, 1, cpus_for(1)) as worker:
        starts.append(_start(worker, model))
        resident = {
            f"{FIRST_TOKENS} tokens": _resident(worker, model, []),
            f"{MOST_TOKENS} tokens": _resident(worker, model, [MOST_TOKENS]),
            f"{counts} lengths": _resident(worker, model, lengths(counts, MOST_TOKENS)),
        }
        memory = worker.request(cmd="memory")
    load, first, later = (statistics.median(column) for column in zip(*starts, strict=True))
    return {
        "model": MODEL,
        "engine": engine.name,
        "version": worker.ready.get("version", ""),
        "dtype": engine.dtype,
        "threads": 1,
        "load_ms": load,
        "first_run_ms": first,
        "run_ms": later,
        "rss_mb": resident,
        "peak_rss_mb": memory["peak_rss_mb"],
        **({"allowed_mb": MOST_RESIDENT[engine.dtype]} if engine.name == OURS else {}),
    }


def _residents(model: Subject, engines: list[Engine], counts: int) -> tuple[list[dict[str, Any]], list[str]]:
    results, failures = [], []
    for engine in engines:
        print(f"  {engine.label} …", file=sys.stderr)
        try:
            if engine.name == OURS:
                plan(model, engine.dtype)
            results.append(_result(engine, model, counts))
        except ToolError as error:
            failures.append(f"{engine.label}: {reason(error)}")
    return results, failures


def _peak_mb(file: Path, inputs: dict[str, np.ndarray]) -> float:
    with tempfile.TemporaryDirectory() as temporary:
        command = [str(binary()), "run", str(file), "--threads", "1", "--output", f"{temporary}/out.npz"]
        for name, value in inputs.items():
            np.save(f"{temporary}/{name}.npy", value)
            command += ["--input", f"{name}={temporary}/{name}.npy"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            message = process.stderr.read().decode() if process.stderr else ""
            raise ToolError(f"'{' '.join(command)}' failed: {message}")
        return usage.ru_maxrss * 1024 / 1e6


def _peaks(model: Subject) -> list[dict[str, Any]]:
    engine, results = OWN_ENGINES["f32"], []
    file = plan(model, "f32")
    for tokens in PEAK_TOKENS:
        inputs = make_inputs(model, 1, tokens)
        with engine.start(model, 1, cpus_for(1)) as worker:
            worker.load(inputs)
            worker.run(1)
            memory = worker.request(cmd="memory")
        results.append(
            {
                "tokens": tokens,
                "weights_mb": memory["weights_mb"],
                "arena_mb": memory["arena_mb"],
                "peak_rss_mb": _peak_mb(file, inputs),
                "allowed_mb": memory["weights_mb"] * FACTOR + memory["arena_mb"] + SLACK_MB,
            }
        )
    return results


def _print(results: list[dict[str, Any]], peaks: list[dict[str, Any]]) -> None:
    rows = []
    for result in results:
        times = [f"{result[name]:.1f}" for name in ("load_ms", "first_run_ms", "run_ms")]
        memory = [f"{value:.0f}" for value in result["rss_mb"].values()]
        rows.append([result["engine"], result["dtype"], *times, *memory, str(result.get("allowed_mb", ""))])
    header = ["engine", "dtype", "load ms", "first run", "run", *(f"MB at {name}" for name in results[0]["rss_mb"])]
    print(terminal_table([*header, "allowed MB"], rows, "llrrrrrrr"))
    print(f"  first run and run: {FIRST_TOKENS} tokens; MB: resident in the process\n")
    figures = ("weights_mb", "arena_mb", "peak_rss_mb", "allowed_mb")
    rows = [[str(peak["tokens"]), *(f"{peak[name]:.0f}" for name in figures)] for peak in peaks]
    print(terminal_table(["tokens", "weights MB", "arena MB", "peak of run MB", "allowed MB"], rows, "rrrrr"))


def _missed(results: list[dict[str, Any]], peaks: list[dict[str, Any]]) -> list[str]:
    lines = [f"peak of run at {peak['tokens']} tokens" for peak in peaks if peak["peak_rss_mb"] > peak["allowed_mb"]]
    for result in (item for item in results if item["engine"] == OURS):
        resident = list(result["rss_mb"].values())[-1]
        if resident > result["allowed_mb"]:
            lines.append(f"{result['dtype']}: {resident:.0f} MB resident, at most {result['allowed_mb']}")
        if result["load_ms"] > MOST_LOAD_MS:
            lines.append(f"{result['dtype']}: load {result['load_ms']:.1f} ms, at most {MOST_LOAD_MS}")
        until = result["load_ms"] + result["first_run_ms"]
        if until > MOST_LOAD_MS + result["run_ms"]:
            lines.append(f"{result['dtype']}: load and first run {until:.1f} ms, at most one run + {MOST_LOAD_MS}")
    return lines


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--lengths", type=int, default=LENGTHS, help="different lengths; others than 72 are not kept")
    parser.add_argument("--no-peers", action="store_true", help="ours alone; nothing is kept")
    arguments = parser.parse_args()
    model = subject(MODEL)
    # OpenVINO would otherwise be compiled anew for each length.
    peers = [replace(peer, dynamic=True) for peer in PEERS if peer.name in ("onnxruntime", "openvino")]
    peers = [] if arguments.no_peers else peers
    results, failures = _residents(model, [*OWN_ENGINES.values(), *peers], arguments.lengths)
    peaks = _peaks(model)
    _print(results, peaks)
    if arguments.lengths == LENGTHS and not arguments.no_peers:
        save("memory", results, {"peaks": peaks, "failures": failures})
    return told(_missed(results, peaks), failures, arguments.check)


if __name__ == "__main__":
    sys.exit(guarded(main))
