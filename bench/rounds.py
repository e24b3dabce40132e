"""Engines that take turns: the measuring loop, and the figures made of it."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np
from tool import Arrays
from worker import Worker

WARMUP_ROUNDS = 2
# How long one engine computes before the next has its turn, and the pause in between, in which the idle threads of the
# engine that just ran stop spinning.
TURN_SECONDS = 0.25
PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Budget:
    """How long to measure: rounds, and the limits of iterations per turn."""

    rounds: int = 12
    most_iterations: int = 200


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def latency_summary(nanoseconds: list[int]) -> dict[str, float]:
    """min, p50, p90, p99, mean in milliseconds."""
    ordered = sorted(value / 1e6 for value in nanoseconds)
    return {
        "min": ordered[0],
        "p50": statistics.median(ordered),
        "p90": _percentile(ordered, 0.90),
        "p99": _percentile(ordered, 0.99),
        "mean": statistics.fmean(ordered),
    }


def measure(workers: list[Worker], inputs: Arrays, budget: Budget) -> dict[str, list[int]]:
    """Latencies in nanoseconds per engine. The first run of an engine may compile; it and the warm-up do not count."""
    turns: dict[str, int] = {}
    for worker in workers:
        worker.load(inputs)
        worker.run(1)
        once = statistics.median(worker.run(3)) / 1e9
        turns[worker.engine] = max(1, min(budget.most_iterations, int(TURN_SECONDS / max(once, 1e-6))))
    latencies: dict[str, list[int]] = {worker.engine: [] for worker in workers}
    for number in range(WARMUP_ROUNDS + budget.rounds):
        first = number % len(workers)
        for worker in workers[first:] + workers[:first]:
            time.sleep(PAUSE_SECONDS)
            taken = worker.run(turns[worker.engine])
            if number >= WARMUP_ROUNDS:
                latencies[worker.engine] += taken
    return latencies


def error_figures(actual: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    """Largest absolute difference, RMSE, relative L2 error and cosine, all in float64."""
    left, right = actual.astype(np.float64).ravel(), exact.astype(np.float64).ravel()
    off = left - right
    scale = float(np.linalg.norm(right))
    lengths = float(np.linalg.norm(left)) * scale
    return {
        "max_abs": float(np.abs(off).max(initial=0.0)),
        "rmse": float(np.sqrt(np.mean(off * off))) if off.size else 0.0,
        "rel_l2": float(np.linalg.norm(off)) / scale if scale else 0.0,
        "cosine": float(left @ right) / lengths if lengths else 1.0,
    }
