#!/usr/bin/env python3
"""Prepared linears beside oneDNN's, PyTorch's and ONNX Runtime's.

Runs build/release/bin/gemm_bench (bench/gemm/, everything in one process), then single linears of the frameworks in
turns with ours, one worker process each (gemm_peers.py). The complete run is kept as results/gemm.json (schema
intaglio.gemm/1). Further options go to gemm_bench.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import results
from text_table import terminal_table
from tool import ROOT, ToolError
from worker import HERE, Worker

PROGRAM = ROOT / "build" / "release" / "bin" / "gemm_bench"
# What the project promises: at least this share of the register-only peak for f32 on AVX-512.
LEAST_SHARE = 75.0
PROMISED = ((1024, 1024, 1024), (512, 3072, 768))
# Prepared int8 linears over packing and summing columns in each call, mean of four models and seven lengths.
LEAST_STATEFUL = 1.5

LINEARS = ((768, 768), (3072, 768), (768, 3072))  # N x K of BERT-base
SINGLE = [(m, n, k) for m in (8, 128, 512) for n, k in LINEARS]
DYNAMIC = [(m, n, k) for m in (8, 32, 128, 512) for n, k in LINEARS]
QUICK = [(128, 3072, 768)]
DYNAMIC_EPILOGUE = "quantised from f32, zero point, scales, bias, f32"
# Types and epilogue of ours (bench/gemm/scenarios.cc), the engine and its form, the shapes.
CONTESTS = (
    ("f32xf32", "bias", "torch", "_linear_pointwise f32", SINGLE),
    ("bf16xbf16", "bias", "torch", "_linear_pointwise bf16", SINGLE),
    ("bf16xbf16", "bias, gelu_erf", "torch", "_linear_pointwise bf16 gelu", SINGLE),
    ("u8xs8", "zero point, scales, bias, f32", "torch", "qlinear_pointwise u8", SINGLE),
    # Theirs ends with the sums in i32; ours scales them as well.
    ("s8xs8", "scales, bias, f32", "torch", "_int_mm", SINGLE),
    ("u8xs8", DYNAMIC_EPILOGUE, "torch", "quantize_dynamic", DYNAMIC),
    ("u8xs8", DYNAMIC_EPILOGUE, "onnxruntime", "DynamicQuantizeLinear + MatMulInteger", DYNAMIC),
)
# Relative to the root mean square of the result: codes of 8 bits, bf16.
MOST_ERROR = {"quantize_dynamic": 0.1, "DynamicQuantizeLinear + MatMulInteger": 0.1}
MOST_ERROR_OTHERS = 0.03

ROUNDS, QUICK_ROUNDS = 7, 3
TURN_SECONDS = 0.02


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}


def _run_program(options: list[str]) -> tuple[dict[str, Any] | None, int]:
    """What gemm_bench wrote, and its exit code; its text goes to the terminal."""
    if not os.access(PROGRAM, os.X_OK):
        sys.exit(f"{PROGRAM} does not exist: run this through ./dev bench gemm")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gemm.json"
        done = subprocess.run([str(PROGRAM), *options, "--json", str(path)], env=_environment(), check=False)
        text = path.read_text() if path.exists() else ""
        return (json.loads(text) if text else None), done.returncode


def _latency(worker: Worker, iterations: int) -> float:
    return statistics.median(worker.request(cmd="run", iterations=iterations)["latency_ns"])


def _duel(ours: Worker, theirs: Worker, rounds: int) -> tuple[float, float]:
    """Median microseconds of both; they take turns, and the first turn alternates."""
    turns = {}
    for worker in (ours, theirs):
        _latency(worker, 2)
        turns[worker] = max(1, min(1000, int(TURN_SECONDS * 1e9 / max(_latency(worker, 3), 1))))
    times: dict[Worker, list[float]] = {ours: [], theirs: []}
    for number in range(rounds):
        for worker in (ours, theirs) if number % 2 == 0 else (theirs, ours):
            times[worker].append(_latency(worker, turns[worker]))
    return statistics.median(times[ours]) / 1e3, statistics.median(times[theirs]) / 1e3


def _framework_row(
    ours: Worker, theirs: Worker, contest: tuple[Any, ...], shape: tuple[int, ...], rounds: int
) -> dict[str, Any]:
    types, epilogue, engine, form, _ = contest
    m, n, k = shape
    mine = ours.request(cmd="load", types=types, epilogue=epilogue, m=m, n=n, k=k)
    error = theirs.request(cmd="load", form=form, m=m, n=n, k=k)["error"]
    if error > MOST_ERROR.get(form, MOST_ERROR_OTHERS):
        raise ToolError(f"{engine} {form} {m}x{n}x{k}: the answer is off by {error:.2g}")
    own_us, peer_us = _duel(ours, theirs, rounds)
    return {
        "m": m, "n": n, "k": k, "types": types, "epilogue": epilogue, "threads": 1, "engine": engine, "form": form,
        "version": theirs.ready["version"], "microseconds": round(peer_us, 2), "own_microseconds": round(own_us, 2),
        "ratio": round(peer_us / own_us, 3), "error": error, "own_error": mine["error"],
    }  # fmt: skip


def _frameworks(quick: bool) -> list[dict[str, Any]]:
    cpus = sorted(os.sched_getaffinity(0))[:1]
    environment = {"OMP_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
    rows = []
    with Worker([str(PROGRAM), "--worker"], cpus) as ours:
        for engine in ("torch", "onnxruntime"):
            command = [sys.executable, str(HERE / "gemm_peers.py"), "--engine", engine]
            with Worker(command, cpus, environment) as theirs:
                for contest in (c for c in CONTESTS if c[2] == engine):
                    for shape in QUICK if quick else contest[4]:
                        rows.append(_framework_row(ours, theirs, contest, shape, QUICK_ROUNDS if quick else ROUNDS))
    return rows


def _framework_table(rows: list[dict[str, Any]]) -> str:
    header = ["types", "peer", "M x N x K", "ours us", "theirs us", "theirs / ours"]
    table = [
        [row["types"], f"{row['engine']} {row['form']}", f"{row['m']}x{row['n']}x{row['k']}",
         f"{row['own_microseconds']:.1f}", f"{row['microseconds']:.1f}", f"{row['ratio']:.2f}"]
        for row in rows
    ]  # fmt: skip
    return terminal_table(header, table, "lllrrr")


def _missed(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"{row['types']} {row['isa']} {row['m']}x{row['n']}x{row['k']}: {row['percent_of_peak']} % of the peak, "
        f"at least {LEAST_SHARE:.0f}"
        for row in rows
        if row["engine"] == "intaglio" and row["types"] == "f32xf32" and row["isa"] == "avx512"
        and row["cache"] == "hot" and row["threads"] == 1
        and (row["m"], row["n"], row["k"]) in PROMISED and row["percent_of_peak"] < LEAST_SHARE
    ]  # fmt: skip


def _missed_stateful(stateful: dict[str, Any] | None) -> list[str]:
    if stateful is None or stateful["mean"] >= LEAST_STATEFUL:
        return []
    return [f"prepared linears over packing in each call: {stateful['mean']}x in the mean, at least {LEAST_STATEFUL}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], add_help=False, allow_abbrev=False)
    parser.add_argument("--help", "-h", action="store_true", help="this text, and the options of gemm_bench")
    parser.add_argument("--quick", action="store_true", help="a minute instead of the complete run; nothing is kept")
    parser.add_argument("--no-frameworks", action="store_true", help="without PyTorch and ONNX Runtime")
    parser.add_argument("--json", metavar="FILE", help="write the results there")
    arguments, further = parser.parse_known_args()
    if arguments.help:
        print(parser.format_help() + "\nFurther options go to gemm_bench:\n", flush=True)
        return subprocess.run([str(PROGRAM), "--help"], check=False).returncode
    measured, code = _run_program([*further, *(["--quick"] if arguments.quick else [])])
    if measured is None:
        return code
    content = {**measured, "environment": {**results.environment(), **measured.get("environment", {})}}
    if "rows" in measured:  # not with --stateful alone
        if not further:
            stateful, failed = _run_program(["--stateful", *(["--rounds", "3"] if arguments.quick else [])])
            content["stateful"] = stateful["stateful"] if stateful else None
            code = code or failed
        content["frameworks"] = [] if arguments.no_frameworks else _frameworks(arguments.quick)
    if content.get("frameworks"):
        print("\nSingle linears of frameworks in processes of their own, one thread, the call from Python included")
        print(_framework_table(content["frameworks"]))
    if arguments.json:
        results.write_file(Path(arguments.json), content)
    elif not arguments.quick and not further:
        results.write("gemm", content)
    missed = _missed(content.get("rows", [])) + _missed_stateful(content.get("stateful"))
    for line in missed:
        print(f"  missed: {line}")
    return code or (1 if missed else 0)


if __name__ == "__main__":
    sys.exit(main())
