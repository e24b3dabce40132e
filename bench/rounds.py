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


# A run that takes longer is timed once before the rounds, a round that takes longer needs one warm-up only.
LONG_SECONDS = 1.0
LEAST_ROUNDS = 3


@dataclass(frozen=True)
class Budget:
    """How long to measure: rounds, iterations per turn, and seconds, which may lower the rounds down to three."""

    rounds: int = 12
    most_iterations: int = 200
    turn_seconds: float = TURN_SECONDS
    seconds: float = float("inf")


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


def _iterations(worker: Worker, budget: Budget) -> tuple[int, float]:
    """Iterations of a turn, and how long it will take."""
    once = worker.run(1)[0] / 1e9
    if once < LONG_SECONDS:
        once = statistics.median(worker.run(3)) / 1e9
    count = max(1, min(budget.most_iterations, int(budget.turn_seconds / max(once, 1e-6))))
    return count, count * once


def measure(workers: list[Worker], inputs: Arrays, budget: Budget) -> dict[str, list[int]]:
    """Latencies in nanoseconds per label. The first run of an engine may compile; it and the warm-up do not count."""
    turns: dict[str, int] = {}
    seconds = 0.0
    for worker in workers:
        worker.load(inputs)
        worker.run(1)
        turns[worker.label], taken = _iterations(worker, budget)
        seconds += taken
    rounds = max(min(LEAST_ROUNDS, budget.rounds), int(min(budget.rounds, budget.seconds / max(seconds, 1e-6))))
    warmup = min(budget.rounds, WARMUP_ROUNDS if seconds < len(workers) * LONG_SECONDS else 1)
    latencies: dict[str, list[int]] = {worker.label: [] for worker in workers}
    for number in range(warmup + rounds):
        first = number % len(workers)
        for worker in workers[first:] + workers[:first]:
            time.sleep(PAUSE_SECONDS)
            times = worker.run(turns[worker.label])
            if number >= warmup:
                latencies[worker.label] += times
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
