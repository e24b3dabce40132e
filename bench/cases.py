"""Inputs of the transformer benchmark, without padding, and what PyTorch answers in float64, kept on disk."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from common import Case
from engines import Subject
from tool import ROOT, Arrays
from worker import peer_worker

REFERENCES = ROOT / ".cache" / "references"
LEAST_TOKEN = 1000
INPUT_PREFIX = "input:"


def make_inputs(model: Subject, batch: int, tokens: int) -> Arrays:
    """Seeded token ids; masks are ones."""
    generator = np.random.default_rng([batch, tokens])
    ids = generator.integers(LEAST_TOKEN, model.vocabulary, (batch, tokens), dtype=np.int64)
    return {name: ids if name == "input_ids" else np.ones_like(ids) for name in model.inputs}


def _stored(path: Path, inputs: Arrays) -> Arrays | None:
    """The answers in `path`, if it is there and holds those to these inputs."""
    if not path.exists():
        return None
    with np.load(path) as archive:
        held = {name: archive[name] for name in archive.files}
    asked = {name.removeprefix(INPUT_PREFIX): held.pop(name) for name in list(held) if name.startswith(INPUT_PREFIX)}
    same = asked.keys() == inputs.keys() and all(np.array_equal(asked[name], inputs[name]) for name in inputs)
    return held if same else None


def _store(path: Path, inputs: Arrays, answers: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_suffix(".tmp.npz")
    np.savez(building, **answers, **{INPUT_PREFIX + name: value for name, value in inputs.items()})
    building.rename(path)


def bench_cases(model: Subject, shapes: list[tuple[int, int]]) -> list[Case]:
    """A case for each (batch, tokens). Missing answers are computed, all by one process."""
    folder = REFERENCES / f"{model.name}-{model.key[:12]}"
    inputs = {shape: make_inputs(model, *shape) for shape in shapes}
    paths = {shape: folder / f"b{shape[0]}_s{shape[1]}.npz" for shape in shapes}
    answers = {shape: _stored(paths[shape], inputs[shape]) for shape in shapes}
    missing = [shape for shape, found in answers.items() if found is None]
    if missing:
        cpus = sorted(os.sched_getaffinity(0))
        with peer_worker("eager", str(model.torch), len(cpus), cpus, ["--dtype", "f64"], "f64") as worker:
            for shape in missing:
                print(f"  {model.name}: {shape[0]} x {shape[1]} in float64 …", file=sys.stderr)
                worker.load(inputs[shape])
                worker.run(1)
                name, value = next(iter(worker.outputs().items()))
                answers[shape] = {name: value}
                _store(paths[shape], inputs[shape], {name: value})
    cases = []
    for shape in shapes:
        dims = {name: list(value.shape) for name, value in inputs[shape].items()}
        cases.append(Case(model.name, dims, inputs[shape], answers[shape]))
    return cases
