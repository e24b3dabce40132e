"""Inputs of the transformer benchmark, without padding, and what PyTorch answers in float64, kept on disk."""

from __future__ import annotations

import os
import sys

import numpy as np
from common import Case
from engines import Subject
from tool import ROOT
from worker import peer_worker

REFERENCES = ROOT / ".cache" / "references"
LEAST_TOKEN, MOST_TOKEN = 1000, 30000


def make_inputs(model: Subject, batch: int, tokens: int) -> dict[str, np.ndarray]:
    """Seeded token ids; masks are ones."""
    ids = np.random.default_rng([batch, tokens]).integers(LEAST_TOKEN, MOST_TOKEN, (batch, tokens), dtype=np.int64)
    return {name: ids if name == "input_ids" else np.ones_like(ids) for name in model.inputs}


def bench_cases(model: Subject, shapes: list[tuple[int, int]]) -> list[Case]:
    """A case for each (batch, tokens). Missing answers are computed, all by one process."""
    folder = REFERENCES / f"{model.name}-{model.key[:12]}"
    missing = [shape for shape in shapes if not (folder / f"b{shape[0]}_s{shape[1]}.npz").exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        cpus = sorted(os.sched_getaffinity(0))
        with peer_worker("eager", str(model.torch), len(cpus), cpus, ["--dtype", "f64"], "f64") as worker:
            for batch, tokens in missing:
                print(f"  {model.name}: {batch} x {tokens} in float64 …", file=sys.stderr)
                worker.load(make_inputs(model, batch, tokens))
                worker.run(1)
                name, value = next(iter(worker.outputs().items()))
                path = folder / f"b{batch}_s{tokens}.npz"
                np.savez(path.with_suffix(".tmp.npz"), **{name: value})
                path.with_suffix(".tmp.npz").rename(path)
    return [_case(model, batch, tokens) for batch, tokens in shapes]


def _case(model: Subject, batch: int, tokens: int) -> Case:
    inputs = make_inputs(model, batch, tokens)
    with np.load(REFERENCES / f"{model.name}-{model.key[:12]}" / f"b{batch}_s{tokens}.npz") as archive:
        exact = {name: archive[name] for name in archive.files}
    return Case(model.name, {name: list(value.shape) for name, value in inputs.items()}, inputs, exact)
