#!/usr/bin/env python3
"""Memory and start: peak memory of `run` on a plan of BERT-base, and the time to load the plan from the page cache."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import OURS, cpus_for, generate, guarded, options, plan_of
from results import save
from text_table import terminal_table
from tool import ToolError, binary
from worker import intaglio_worker

MODEL = "bert-base"
TOKENS = (8, 128, 512)
LOADS = 7
# The figures to hold: peak <= weights x 1.1 + arena + 40 MB, and a load below 20 ms.
FACTOR, SLACK_MB, MOST_LOAD_MS = 1.1, 40.0, 20.0


def _peak_mb(plan: Path, inputs: list[str]) -> float:
    with tempfile.TemporaryDirectory() as temporary:
        command = [str(binary()), "run", str(plan), "--threads", "1", "--output", f"{temporary}/out.npz", *inputs]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            message = process.stderr.read().decode() if process.stderr else ""
            raise ToolError(f"'{' '.join(command)}' failed: {message}")
        return usage.ru_maxrss * 1024 / 1e6


def _load_ms(plan: Path) -> float:
    plan.read_bytes()  # into the page cache
    times = []
    for _ in range(LOADS):
        with intaglio_worker(plan, 1, cpus_for(1)) as worker:
            times.append(float(worker.ready["load_ms"]))
    return statistics.median(times)


def _arena_mb(plan: Path, inputs: dict[str, np.ndarray]) -> float:
    with intaglio_worker(plan, 1, cpus_for(1)) as worker:
        worker.load(inputs)
        worker.run(1)
        return float(worker.request(cmd="memory")["arena_mb"])


def _result(plan: Path, folder: Path, weights_mb: float, tokens: int, load_ms: float) -> dict[str, Any]:
    case = folder / "cases" / f"b1_s{tokens}"
    names = json.loads((folder / "model.json").read_text())["inputs"]
    inputs = {name: np.load(case / f"{name}.npy") for name in names}
    arguments = [part for name in names for part in ("--input", f"{name}={case / f'{name}.npy'}")]
    arena = _arena_mb(plan, inputs)
    return {
        "model": MODEL,
        "engine": OURS,
        "dtype": "f32",
        "threads": 1,
        "shapes": {name: list(value.shape) for name, value in inputs.items()},
        "load_ms": load_ms,
        "peak_rss_mb": _peak_mb(plan, arguments),
        "weights_mb": weights_mb,
        "arena_mb": arena,
        "allowed_mb": weights_mb * FACTOR + arena + SLACK_MB,
    }


def main() -> int:
    arguments = options(__doc__).parse_args()
    folder = generate(MODEL)
    plan = plan_of(MODEL, folder / f"{MODEL}.training.pt2")
    weights_mb = json.loads((folder / "model.json").read_text())["parameters"] * 4 / 1e6
    load_ms = _load_ms(plan)
    results = [_result(plan, folder, weights_mb, tokens, load_ms) for tokens in TOKENS]
    rows = []
    for result in results:
        figures = [f"{result[name]:.0f}" for name in ("weights_mb", "arena_mb", "peak_rss_mb", "allowed_mb")]
        rows.append([str(result["shapes"]["input_ids"][1]), *figures])
    print(terminal_table(["tokens", "weights MB", "arena MB", "peak MB", "allowed MB"], rows, "rrrrr"))
    print(f"  load of the plan ({plan.stat().st_size / 1e6:.0f} MB) from the page cache: {load_ms:.1f} ms")
    save("memory", results)
    missed = [f"peak at {r['shapes']['input_ids'][1]}" for r in results if r["peak_rss_mb"] > r["allowed_mb"]]
    missed += [f"load {load_ms:.1f} ms, at most {MOST_LOAD_MS}"] if load_ms > MOST_LOAD_MS else []
    for line in missed:
        print(f"  not met: {line}")
    return 5 if missed and arguments.check else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
