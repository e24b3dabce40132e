"""What the benchmark scripts share: paths, cases, options, the comparison of engines on one case."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rounds import Budget, error_figures, latency_summary, measure
from tool import ROOT, Arrays, ToolError, compile_model
from worker import Worker

sys.path.insert(0, str(ROOT / "tests" / "models"))

from generate import generate  # noqa: E402
from packages import FetchError  # noqa: E402

PLANS = ROOT / ".cache" / "plans"
OURS = "intaglio"
# Answers further off float64 than this mean that something else was measured: the largest difference of float32
# engines, the least cosine of others. How good they are is shown here, not judged.
MOST_ERROR = 1e-3
LEAST_COSINE = {"bf16": 0.99, "int8": 0.95}


@dataclass(frozen=True)
class Case:
    """Inputs of a model, and the float64 answers where there are any."""

    model: str
    shapes: dict[str, list[int]]
    inputs: Arrays
    exact: Arrays | None = None


def plan_of(name: str, file: Path, compile_options: list[str] | None = None) -> Path:
    """A fresh plan of `file`."""
    plan = PLANS / f"{name}.plan"
    compile_model(file, plan, compile_options)
    return plan


def cpus_for(threads: int) -> list[int]:
    """The last CPUs of those allowed; the driver waits while a worker computes."""
    allowed = sorted(os.sched_getaffinity(0))
    if threads > len(allowed):
        raise ToolError(f"{threads} threads wanted, {len(allowed)} CPUs allowed")
    return allowed[-threads:]


def first_answer(worker: Worker, case: Case) -> np.ndarray:
    """Loads the inputs, runs once (which may compile): the first output."""
    worker.load(case.inputs)
    worker.run(1)
    return next(iter(worker.outputs().values()))


def checked_error(worker: Worker, case: Case, answer: np.ndarray) -> dict[str, float]:
    """How far `answer` is off the float64 one; ToolError if that is too much for the worker's dtype."""
    assert case.exact is not None
    error = error_figures(answer, next(iter(case.exact.values())))
    least = LEAST_COSINE.get(worker.dtype.split("+")[0])
    wrong = error["max_abs"] > MOST_ERROR if least is None else error["cosine"] < least
    if wrong or not np.isfinite(answer).all():
        raise ToolError(f"{worker.label} on {case.model} {case.shapes}: wrong answers, {error}")
    return error


def compare(workers: list[Worker], case: Case, threads: int, budget: Budget) -> list[dict[str, Any]]:
    """Times all workers on `case`, taking turns; one result per engine. Without float64 answers the last engine's are
    what the others are compared with."""
    answers = {worker.label: first_answer(worker, case) for worker in workers}
    if case.exact is not None:
        errors = {worker.label: checked_error(worker, case, answers[worker.label]) for worker in workers}
    else:
        errors = {label: error_figures(answer, answers[workers[-1].label]) for label, answer in answers.items()}
    return timed(workers, case, threads, budget, errors)


def timed(
    workers: list[Worker], case: Case, threads: int, budget: Budget, errors: dict[str, dict[str, float]]
) -> list[dict[str, Any]]:
    """One result (schema intaglio.bench/1) per worker, from interleaved rounds. `errors` by label."""
    latencies = measure(workers, case.inputs, budget)
    summaries = {label: latency_summary(times) for label, times in latencies.items()}
    best_peer = min((summaries[worker.label]["p50"] for worker in workers if worker.engine != OURS), default=None)
    results = []
    for worker in workers:
        summary = summaries[worker.label]
        results.append(
            {
                "model": case.model,
                "engine": worker.engine,
                "version": worker.ready.get("version", ""),
                "dtype": worker.dtype,
                "threads": threads,
                "shapes": case.shapes,
                "compile_ms": worker.ready.get("compile_ms"),
                "load_ms": worker.ready.get("load_ms"),
                "latency_ms": summary,
                "throughput": next(iter(case.shapes.values()))[0] / summary["p50"] * 1e3,
                "iterations": len(latencies[worker.label]),
                "peak_rss_mb": worker.request(cmd="memory")["peak_rss_mb"],
                "ratio_to_best_peer": summary["p50"] / best_peer if best_peer else None,
                "error": errors[worker.label],
            }
        )
    return results


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that all benchmark scripts have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=12, help="rounds in which every engine has its turn")
    parser.add_argument("--check", action="store_true", help="exit with 5 when a figure to hold is not met")
    return parser


def told(missed: list[str], failures: list[str], check: bool) -> int:
    """Prints what fell short of the figures to hold, and what failed; the exit code."""
    for line in missed:
        print(f"  not met: {line}")
    for line in failures:
        print(f"  failed: {line}")
    return 5 if missed and check else 1 if failures else 0


def guarded(main: Callable[[], int]) -> int:
    """Runs `main`; errors that a user can do something about come without a traceback."""
    try:
        return main()
    except (FetchError, ToolError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3 if isinstance(error, FetchError) else 1
