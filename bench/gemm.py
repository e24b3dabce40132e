#!/usr/bin/env python3
"""Prepared linears beside the register-only peak of the same run: f32 and 8-bit, one thread, per ISA level.

Runs build/release/bin/ops_bench (src/ops/linear_bench.cc), which measures the peak right before each shape in the same
process, and takes medians over repetitions. Writes results/gemm.json (schema intaglio.gemm/1).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from typing import Any

import results
from text_table import terminal_table
from tool import ROOT

SCHEMA = "intaglio.gemm/1"
# M x N x K of the figures to hold, and the BERT-base linears.
SHAPES = ("1024x1024x1024", "512x3072x768", "128x768x768", "128x3072x768", "128x768x3072", "8x3072x768")
HELD = ("1024x1024x1024", "512x3072x768")
LEAST_SHARE = 0.75


def _measure(repetitions: int) -> list[dict[str, Any]]:
    program = ROOT / "build" / "release" / "bin" / "ops_bench"
    if not os.access(program, os.X_OK):
        sys.exit(f"{program} does not exist: run this through ./dev bench gemm")
    shapes = "|".join(SHAPES)
    command = [
        str(program),
        f"--benchmark_filter=linear_(f32|u8i8)/[a-z0-9_]+/({shapes})/(hot|cold)$",
        f"--benchmark_repetitions={repetitions}",
        "--benchmark_enable_random_interleaving=true",
        "--benchmark_min_time=0.1",
        "--benchmark_format=json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [run for run in json.loads(done.stdout)["benchmarks"] if run["run_type"] == "iteration"]


def _rows(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        grouped.setdefault(run["run_name"], []).append(run)
    rows = []
    for name, group in grouped.items():
        kind, isa, shape, cache = name.split("/")[:4]
        m, n, k = (int(size) for size in shape.split("x"))
        gops = statistics.median(run["GOPS"] for run in group)
        share = statistics.median(run["share"] for run in group)
        types = "f32xf32" if kind == "linear_f32" else "u8xs8"
        rows.append({
            "m": m, "n": n, "k": k, "types": types, "epilogue": "bias" if types == "f32xf32" else "scales, zero point, bias",
            "isa": isa, "threads": 1, "cache": cache, "engine": "intaglio", "kernel": group[0]["label"],
            "gops": round(gops, 2), "percent_of_peak": round(100 * share, 1),
            "weights_gbps": round(statistics.median(run["weights_GBps"] for run in group), 2), "repetitions": len(group),
        })  # fmt: skip
    return sorted(rows, key=_order)


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    """By types, ISA, then the list of shapes; hot before cold."""
    shape = f"{row['m']}x{row['n']}x{row['k']}"
    return row["types"], row["isa"], SHAPES.index(shape), row["cache"] == "cold"


def _peaks(rows: list[dict[str, Any]]) -> dict[str, float]:
    peaks: dict[str, list[float]] = {}
    for row in rows:
        peaks.setdefault(f"{row['types']} {row['isa']}", []).append(100 * row["gops"] / row["percent_of_peak"])
    return {name: round(statistics.median(values), 1) for name, values in peaks.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7)
    arguments = parser.parse_args()
    rows = _rows(_measure(arguments.repetitions))
    content = {"schema": SCHEMA, "environment": results.environment(), "peaks": _peaks(rows), "rows": rows}
    results.write("gemm", content)
    header = ["types", "isa", "M x N x K", "weights", "GOPS", "% of peak", "weights GB/s"]
    table = [
        [row["types"], row["isa"], f"{row['m']}x{row['n']}x{row['k']}", row["cache"], f"{row['gops']:.1f}",
         f"{row['percent_of_peak']:.0f}", f"{row['weights_gbps']:.1f}"]
        for row in rows
    ]  # fmt: skip
    print(terminal_table(header, table, "llllrrr"))
    missed = [
        f"{row['types']} {row['isa']} {row['m']}x{row['n']}x{row['k']}: {row['percent_of_peak']} % of the peak, at least {100 * LEAST_SHARE:.0f}"
        for row in rows
        if row["types"] == "f32xf32" and row["isa"] == "avx512" and row["cache"] == "hot"
        and f"{row['m']}x{row['n']}x{row['k']}" in HELD and row["percent_of_peak"] < 100 * LEAST_SHARE
    ]  # fmt: skip
    for line in missed:
        print(f"  missed: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
