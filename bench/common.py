"""What the benchmark scripts share: paths, cases, options, the comparison of engines on one case."""

from __future__ import annotations

import argparse
import json
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
# Answers of a float32 engine that are further than this from float64 mean that something else was measured.
MOST_ERROR = 1e-3


@dataclass(frozen=True)
class Case:
    """Inputs of a model, and the float64 answers where there are any."""

    model: str
    shapes: dict[str, list[int]]
    inputs: Arrays
    exact: Arrays | None = None


def stored_case(model: str, name: str) -> Case:
    """A case of tests/models, with its float64 answers."""
    folder = generate(model)
    summary = json.loads((folder / "model.json").read_text())
    where = folder / "cases" / name
    inputs = {key: np.load(where / f"{key}.npy") for key in summary["inputs"]}
    with np.load(where / "expected64.npz") as archive:
        exact = {key: archive[key] for key in archive.files}
    return Case(model, {key: list(value.shape) for key, value in inputs.items()}, inputs, exact)


def plan_of(model: str, file: Path) -> Path:
    """A fresh plan of `file`."""
    plan = PLANS / f"{model}.plan"
    compile_model(file, plan)
    return plan


def cpus_for(threads: int) -> list[int]:
    """The last CPUs of those allowed; the driver waits while a worker computes."""
    allowed = sorted(os.sched_getaffinity(0))
    if threads > len(allowed):
        raise ToolError(f"{threads} threads wanted, {len(allowed)} CPUs allowed")
    return allowed[-threads:]


def compare(workers: list[Worker], case: Case, threads: int, budget: Budget, dtype: str) -> list[dict[str, Any]]:
    """Times all workers on `case`, taking turns; one result per engine. Ours must be the first."""
    latencies = measure(workers, case.inputs, budget)
    answers = {worker.engine: worker.outputs() for worker in workers}
    # Outputs that every engine names alike; ONNX and PyTorch agree on the names.
    output = next(iter(answers[workers[0].engine]))
    reference = (case.exact or answers[workers[-1].engine])[output]
    results = []
    best_peer = min(latency_summary(latencies[worker.engine])["p50"] for worker in workers[1:])
    for worker in workers:
        summary = latency_summary(latencies[worker.engine])
        error = error_figures(answers[worker.engine][output], reference)
        if case.exact is not None and error["max_abs"] > MOST_ERROR:
            raise ToolError(f"{worker.engine} on {case.model} {case.shapes}: wrong answers, {error}")
        results.append(
            {
                "model": case.model,
                "engine": worker.engine,
                "version": worker.ready.get("version", ""),
                "dtype": dtype,
                "threads": threads,
                "shapes": case.shapes,
                "compile_ms": worker.ready.get("compile_ms"),
                "load_ms": worker.ready.get("load_ms"),
                "latency_ms": summary,
                "throughput": next(iter(case.shapes.values()))[0] / summary["p50"] * 1e3,
                "iterations": len(latencies[worker.engine]),
                "peak_rss_mb": worker.request(cmd="memory")["peak_rss_mb"],
                "ratio_to_best_peer": summary["p50"] / best_peer,
                "error": error,
            }
        )
    return results


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that all benchmark scripts have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=12, help="rounds in which every engine has its turn")
    parser.add_argument("--check", action="store_true", help="exit with 5 when a figure to hold is not met")
    return parser


def guarded(main: Callable[[], int]) -> int:
    """Runs `main`; errors that a user can do something about come without a traceback."""
    try:
        return main()
    except (FetchError, ToolError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3 if isinstance(error, FetchError) else 1
