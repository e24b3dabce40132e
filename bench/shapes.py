#!/usr/bin/env python3
"""New shapes of BERT-base: time to bind them, resident memory over 10,000 random ones, allocations of runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from common import OURS, guarded, options, told
from engines import plan, subject
from results import save
from text_table import terminal_table
from tool import ToolError, binary

MODEL = "bert-base"
DTYPES = ("f32", "bf16", "int8")
SHAPES, RUNS = 10_000, 100
# The figures to hold. Median of the time to bind a new shape:
MOST_BIND_US = 50.0
# Resident after each thousand shapes, over that of the largest shape: room for the bindings that a context keeps.
MOST_GROWTH_MB = 2.0

Result = dict[str, Any]


def _measure(dtype: str, file: Path, runs: int) -> Result:
    threads = len(os.sched_getaffinity(0))
    command = [str(binary().parent / "binding_bench"), str(file), "--threads", str(threads)]
    command += ["--shapes", str(SHAPES), "--runs", str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(f"'{' '.join(command)}' failed: {done.stderr.strip()}")
    return {"model": MODEL, "engine": OURS, "dtype": dtype, **json.loads(done.stdout)}


def _print(results: list[Result]) -> None:
    rows = []
    for result in results:
        again, cold = result["bind_us"], result["bind_after_run_us"]
        times = [f"{again[name]:.0f}" for name in ("p50", "p90", "max")] + [f"{cold[name]:.0f}" for name in ("p50", "p90")]
        memory = [f"{result['largest_rss_mb']:.1f}", f"{max(result['rss_mb']):.1f}"]
        rows.append([result["dtype"], *times, *memory, str(result["allocations_of_runs"])])
    header = ["dtype", "bind us p50", "p90", "max", "after a run p50", "p90", "MB at the largest", "most MB", "allocations"]
    print(terminal_table(header, rows, "lrrrrrrrr"))
    print(f"  {SHAPES} random shapes bound, {results[0]['runs']} of them run\n")


def _missed(results: list[Result]) -> list[str]:
    lines = []
    for result in results:
        if result["bind_us"]["p50"] > MOST_BIND_US:
            lines.append(f"{result['dtype']}: {result['bind_us']['p50']:.1f} us to bind, at most {MOST_BIND_US:.0f}")
        grown = max(result["rss_mb"]) - result["largest_rss_mb"]
        if grown > MOST_GROWTH_MB:
            lines.append(f"{result['dtype']}: {grown:.1f} MB more than at the largest shape, at most {MOST_GROWTH_MB}")
        if result["allocations_of_runs"] != 0:
            lines.append(f"{result['dtype']}: {result['allocations_of_runs']} allocations in runs of bound shapes")
    return lines


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="shapes that are run; others than 100 are not kept")
    arguments = parser.parse_args()
    model = subject(MODEL)
    results = []
    for dtype in DTYPES:
        print(f"  {dtype} …", file=sys.stderr)
        results.append(_measure(dtype, plan(model, dtype), arguments.runs))
    _print(results)
    if arguments.runs == RUNS:
        save("shapes", results)
    return told(_missed(results), [], arguments.check)


if __name__ == "__main__":
    sys.exit(guarded(main))
