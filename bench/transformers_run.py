"""The contests of the transformer benchmark: which are to be run, compiling beforehand, running, and going on later."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import OURS, Case, checked_error, cpus_for, first_answer, timed
from engines import OWN_ENGINES, OWN_OF_CONTEST, PEERS, Engine, Subject, plan
from rounds import Budget
from tool import ROOT, ToolError
from worker import Worker

COMPILED = ROOT / ".cache" / "peers" / "compiled.json"
CONTESTS = tuple(OWN_OF_CONTEST)
Shape = tuple[int, int]  # batch, tokens
CasesOf = Callable[[Subject, list[Shape]], list[Case]]


@dataclass(frozen=True)
class Choice:
    """What is measured. `shapes`: by number of threads."""

    models: tuple[str, ...]
    shapes: dict[int, tuple[Shape, ...]]
    contests: tuple[str, ...] = CONTESTS
    peers: tuple[str, ...] = tuple(peer.label for peer in PEERS)
    budget: Budget = field(default_factory=Budget)

    def peers_of(self, contest: str) -> list[Engine]:
        return [peer for peer in PEERS if peer.contest == contest and peer.label in self.peers]


def own_dtypes(contest: str) -> list[str]:
    """Ours that the contest is about; the others of OWN_OF_CONTEST are guests."""
    return [dtype for dtype in OWN_OF_CONTEST[contest] if OWN_ENGINES[dtype].contest == contest]


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def reason(error: ToolError) -> str:
    """The last line of what a worker or the tool left behind, without its hint."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "hint:" not in line]
    return lines[-1] if lines else "no reason"


class State:
    """Finished cells, a line of JSON each. Without a path nothing is kept."""

    def __init__(self, path: Path | None, stamp: dict[str, Any] | None = None) -> None:
        self._path, self._stamp = path, stamp or {}  # the stamp, date and commit, goes into each cell
        self.cells: dict[str, dict[str, Any]] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                with contextlib.suppress(ValueError):  # a line that was being written when the run was stopped
                    cell = json.loads(line)
                    self.cells[cell["cell"]] = cell

    def add(self, cell: dict[str, Any]) -> None:
        """Keeps a cell at once."""
        cell = {**cell, **self._stamp}
        self.cells[cell["cell"]] = cell
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "a") as file:
                file.write(json.dumps(cell) + "\n")


class Run:
    """Runs all of `choice`: per model, number of threads and contest the engines live through all shapes."""

    def __init__(self, choice: Choice, subject_of: Callable[[str], Subject], cases_of: CasesOf, state: State) -> None:
        self._choice, self._subject_of, self._cases_of, self._state = choice, subject_of, cases_of, state
        self.failures: list[str] = []
        self._unplanned: set[tuple[str, str]] = set()  # (model, dtype) of ours that could not be compiled

    def results(self) -> list[dict[str, Any]]:
        """All rows, in the order of the choice."""
        return [row for key in self._keys() if key in self._state.cells for row in self._state.cells[key]["results"]]

    def _keys(self) -> list[str]:
        choice = self._choice
        return [
            self._key(model, threads, contest, shape)
            for model in choice.models
            for threads, shapes in choice.shapes.items()
            for contest in choice.contests
            for shape in shapes
        ]

    @staticmethod
    def _key(model: str, threads: int, contest: str, shape: Shape) -> str:
        return f"{model} {contest} t{threads} b{shape[0]} s{shape[1]}"

    def _fail(self, text: str) -> None:
        say(f"failed: {text}")
        self.failures.append(text)

    def execute(self) -> None:
        """Everything that is not finished yet. Failures of single engines do not stop it."""
        for name in self._choice.models:
            if all(key in self._state.cells for key in self._keys() if key.startswith(f"{name} ")):
                continue
            model = self._subject_of(name)
            self._make_plans(model)
            for threads, shapes in self._choice.shapes.items():
                cases = dict(zip(shapes, self._cases_of(model, list(shapes)), strict=True))
                for contest in self._choice.contests:
                    self._run_contest(model, threads, contest, cases)

    def _make_plans(self, model: Subject) -> None:
        for dtype in dict.fromkeys(dtype for contest in self._choice.contests for dtype in OWN_OF_CONTEST[contest]):
            try:
                plan(model, dtype)
            except ToolError as error:
                self._unplanned.add((model.name, dtype))
                self._fail(f"{OURS} {dtype} on {model.name}: {reason(error)}")

    def _engines(self, model: Subject, contest: str) -> list[Engine]:
        ours = [OWN_ENGINES[dtype] for dtype in OWN_OF_CONTEST[contest] if (model.name, dtype) not in self._unplanned]
        return [*ours, *(p for p in self._choice.peers_of(contest) if model.torch is not None or not p.needs_torch)]

    def _run_contest(self, model: Subject, threads: int, contest: str, cases: dict[Shape, Case]) -> None:
        todo = [s for s in cases if self._key(model.name, threads, contest, s) not in self._state.cells]
        if not todo or all((model.name, dtype) in self._unplanned for dtype in own_dtypes(contest)):
            return
        with contextlib.ExitStack() as stack:
            workers = []
            for engine in self._engines(model, contest):
                try:
                    workers.append(stack.enter_context(engine.start(model, threads, cpus_for(threads))))
                except ToolError as error:
                    self._fail(f"{engine.label} on {model.name}: {reason(error)}")
            for shape in todo:
                self._run_cell(workers, self._key(model.name, threads, contest, shape), contest, cases[shape], threads)

    def _run_cell(self, workers: list[Worker], key: str, contest: str, case: Case, threads: int) -> None:
        say(f"{key} …")
        started = time.monotonic()
        able, errors, failures = [], {}, []
        for worker in workers:
            try:
                errors[worker.label] = checked_error(worker, case, first_answer(worker, case))
                able.append(worker)
            except ToolError as error:
                failures.append(f"{worker.label} in {key}: {reason(error)}")
                self._fail(failures[-1])
        if not any(worker.engine == OURS for worker in able):
            return
        try:
            rows = timed(able, case, threads, self._choice.budget, errors)
        except ToolError as error:
            self._fail(f"{key}: {reason(error)}")
            return
        rows = [{**row, "contest": contest} for row in rows]
        seconds = round(time.monotonic() - started, 1)
        self._state.add({"cell": key, "results": rows, "failures": failures, "seconds": seconds})


def compile_peers(choice: Choice, subject_of: Callable[[str], Subject]) -> list[str]:
    """Lets the peers that compile for each shape do so, into their caches, unless it is known to be done; and makes the
    quantised files. Returns what failed."""
    done = set(json.loads(COMPILED.read_text())) if COMPILED.exists() else set()
    failures = []
    for name in choice.models:
        model = subject_of(name)
        for threads, shapes in choice.shapes.items():
            for engine in (peer for contest in choice.contests for peer in choice.peers_of(contest)):
                keys = {shape: f"{engine.label} {name} {model.key[:12]} t{threads} {shape}" for shape in shapes}
                todo = [shape for shape, key in keys.items() if key not in done]
                try:
                    if todo:
                        _compile(engine, model, threads, todo)
                    done |= {keys[shape] for shape in todo}
                except ToolError as error:
                    failures.append(f"{engine.label} on {name}, {threads} thread(s): {reason(error)}")
                    say(f"failed: {failures[-1]}")
                COMPILED.parent.mkdir(parents=True, exist_ok=True)
                COMPILED.write_text(json.dumps(sorted(done), indent=1) + "\n")
    return failures


def _compile(engine: Engine, model: Subject, threads: int, shapes: list[Shape]) -> None:
    from cases import make_inputs

    started = time.monotonic()
    with engine.start(model, threads, cpus_for(threads)) as worker:
        for shape in shapes if engine.compiles else ():
            worker.load(make_inputs(model, *shape))
            worker.run(1)
            say(f"compiled: {engine.label}, {model.name} {shape[0]} x {shape[1]}, {time.monotonic() - started:.0f} s")
