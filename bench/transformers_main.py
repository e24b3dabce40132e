#!/usr/bin/env python3
"""Transformers in f32, bf16 and int8 beside their peers, interleaved in the same run.

A quarter of an hour: BERT-base, 8, 32, 128 and 512 tokens, one thread, and 128 tokens on two, beside the peers that
were best before. Compilation by the peers comes first, is kept in .cache and does not count.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import results
import verdicts
from cases import bench_cases
from common import guarded, told
from engines import PEERS, subject
from rounds import Budget
from tool import ROOT
from transformers_run import COMPILED, CONTESTS, Choice, Run, State, compile_peers, say
from worker import INDUCTOR_CACHE

from catalogue import SPECS  # isort: skip (found through common)

MODELS = ("bert-base", "bert-large", "roberta-base", "distilbert-base")
DECODERS = ("gpt2-2", "gptj-2", "llama-wide-2")
TOKENS = (8, 16, 32, 64, 128, 256, 512)
FULL_STATE = ROOT / ".cache" / "bench" / "transformers-full.jsonl"
USUAL = tuple(peer.label for peer in PEERS if peer.usual)
QUICK_PEERS = ("onnxruntime f32", "openvino bf16", "onnxruntime int8")


def _usual() -> Choice:
    return Choice(("bert-base",), {1: ((1, 8), (1, 32), (1, 128), (1, 512)), 2: ((1, 128),)}, peers=USUAL)


def _full() -> Choice:
    shapes = tuple((batch, tokens) for batch in (1, 8) for tokens in TOKENS)
    models = (*MODELS, *(name for name in DECODERS if name in SPECS))
    return Choice(models, {1: shapes, 2: shapes}, budget=Budget(seconds=90))


def _quick() -> Choice:
    budget = Budget(rounds=3, turn_seconds=0.1)
    return Choice(("bert-base",), {1: ((1, 8), (1, 32))}, peers=QUICK_PEERS, budget=budget)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--full", action="store_true", help="everything, many hours; started again, it goes on")
    which.add_argument("--quick", action="store_true", help="a minute, three peers; nothing is kept")
    parser.add_argument("--fresh", action="store_true", help="forget what is finished: cells of --full, or compiled code")
    parser.add_argument("--prepare", action="store_true", help="only compile, into the caches")
    parser.add_argument("--models", nargs="+", metavar="NAME", help=f"{', '.join(MODELS)}; all of tests/models")
    parser.add_argument("--tokens", nargs="+", type=int)
    parser.add_argument("--batches", nargs="+", type=int)
    parser.add_argument("--threads", nargs="+", type=int)
    parser.add_argument("--contests", nargs="+", choices=CONTESTS, help="dtypes")
    parser.add_argument("--peers", nargs="*", metavar="LABEL", help=f"of: {', '.join(peer.label for peer in PEERS)}")
    parser.add_argument("--rounds", type=int, help="rounds in which every engine has its turn")
    parser.add_argument("--json", metavar="FILE", help="write the results there instead of bench/results")
    parser.add_argument("--check", action="store_true", help="exit with 5 when a figure to hold is not met")
    return parser.parse_args()


def _narrowed(choice: Choice, arguments: argparse.Namespace) -> Choice:
    """`choice` with what the options say in its place."""
    shapes = choice.shapes
    if arguments.tokens or arguments.batches or arguments.threads:
        old = [shape for found in shapes.values() for shape in found]
        batches = arguments.batches or sorted({batch for batch, _ in old})
        tokens = arguments.tokens or sorted({length for _, length in old})
        chosen = tuple((batch, length) for batch in batches for length in tokens)
        shapes = {threads: chosen for threads in arguments.threads or shapes}
    budget = choice.budget
    if arguments.rounds:
        budget = replace(budget, rounds=arguments.rounds)
    return Choice(
        tuple(arguments.models or choice.models),
        shapes,
        tuple(arguments.contests or choice.contests),
        choice.peers if arguments.peers is None else tuple(arguments.peers),
        budget,
    )


def _keep(arguments: argparse.Namespace, narrowed: bool, rows: list[dict[str, Any]], failures: list[str]) -> None:
    content = {
        "schema": results.SCHEMA,
        "environment": results.environment(),
        "summary": verdicts.summary(rows),
        "failures": failures,
        "results": rows,
    }
    if arguments.json:
        results.write_file(Path(arguments.json), content)
    elif arguments.full:
        results.write("transformers-full", content)
    elif not arguments.quick and not narrowed:
        results.write("transformers", content)


def _state(arguments: argparse.Namespace) -> State:
    """What is finished already: of --full alone."""
    path = FULL_STATE if arguments.full and not arguments.prepare else None
    if path is not None and arguments.fresh:
        path.unlink(missing_ok=True)
    about = results.environment()
    state = State(path, {"date": about["date"], "commit": about["commit"]})
    if state.cells:
        commits = ", ".join(sorted({cell["commit"] for cell in state.cells.values()}))
        say(f"{len(state.cells)} cells are finished already, of {commits} ({path}; --fresh forgets them)")
    return state


def main() -> int:
    arguments = _arguments()
    start = _full() if arguments.full else _quick() if arguments.quick else _usual()
    choice = _narrowed(start, arguments)
    unknown = sorted(set(choice.peers) - {peer.label for peer in PEERS})
    if unknown:
        print(f"error: unknown peers: {', '.join(unknown)} (--help lists them)", file=sys.stderr)
        return 2
    if arguments.prepare and arguments.fresh:
        shutil.rmtree(INDUCTOR_CACHE, ignore_errors=True)
        COMPILED.unlink(missing_ok=True)
    state = _state(arguments)
    failures = []
    for name in choice.models:
        one = replace(choice, models=(name,))
        failures += compile_peers(one, subject)
        if not arguments.prepare:
            run = Run(one, subject, bench_cases, state)
            run.execute()
            failures += run.failures
    if arguments.prepare:
        return 1 if failures else 0
    narrowed = replace(choice, budget=start.budget) != start
    # Of --full, all that earlier starts have finished as well.
    rows = Run(start if arguments.full else choice, subject, bench_cases, state).results()
    print(verdicts.report(rows))
    _keep(arguments, narrowed, rows, failures)
    return told(verdicts.missed(rows), failures, arguments.check)


if __name__ == "__main__":
    sys.exit(guarded(main))
