#!/usr/bin/env python3
"""Runs a corpus written by make_corpus.py through the command line tool and prints the result per ONNX op.

    run.py --corpus FOLDER [--binary build/release/bin/intaglio] [--accept]

A case passes when every output is right. The ops that are *claimed* are those of the front end's own table
(src/frontend/onnx/ops.inc). A case that the tool refuses with exit code 4 (the model cannot be run: unsupported op,
dtype or form) counts as refused, with the reason in the report. Anything else - a wrong answer, a crash, another exit
code - fails; so does a claimed op of which no case passes, and a case listed in `must_pass.txt` that no longer passes.
`--accept` rewrites that list from this run. Wrong answers with a reason in `deviations.txt` are printed with it, and
count as failures again once they pass, so that the list stays true. Where a case feeds an operand that
decides shapes or axes as a graph input and the tool refuses it, its variant with constant operands is run instead.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from compare import difference

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MUST_PASS = HERE / "must_pass.txt"
DEVIATIONS = HERE / "deviations.txt"
TABLE = ROOT / "src" / "frontend" / "onnx" / "ops.inc"
TABLE_ROW = re.compile(r'^INTAGLIO_ONNX_OP\("[^"]*",\s*"(\w+)"', re.MULTILINE)
EXIT_UNSUPPORTED = 4
TIMEOUT_SECONDS = 60

PASSED, CONSTANT, REFUSED, FAILED, DEVIATES = "passed", "constant", "refused", "failed", "deviates"


@dataclass(frozen=True)
class Outcome:
    """What became of one case; `detail` is the reason when it did not pass."""

    case: str
    op: str
    state: str
    detail: str = ""


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:200] if lines else "no message"


def _run_model(binary: Path, case: dict[str, Any], folder: Path, model: str, inputs: list[dict[str, Any]]) -> Outcome:
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary) / "out.npz"
        command = [str(binary), "run", str(folder / model), "--threads", "1", "--output", str(output)]
        for entry in inputs:
            command += ["--input", f"{entry['name']}={folder / entry['file']}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            return Outcome(case["name"], case["op"], FAILED, f"no answer within {TIMEOUT_SECONDS} s")
        if done.returncode == EXIT_UNSUPPORTED:
            reason = _first_line(done.stderr).replace(f"{folder}/", "")
            return Outcome(case["name"], case["op"], REFUSED, reason)
        if done.returncode != 0:
            return Outcome(case["name"], case["op"], FAILED, f"exit {done.returncode}: {_first_line(done.stderr)}")
        with np.load(output) as archive:
            answers = {name: archive[name] for name in archive.files}
    for entry in case["outputs"]:
        if entry["name"] not in answers:
            return Outcome(case["name"], case["op"], FAILED, f"output '{entry['name']}' is missing")
        expected = np.load(folder / entry["file"])
        wrong = difference(answers[entry["name"]], expected, entry["dtype"], case["rtol"], case["atol"])
        if wrong:
            return Outcome(case["name"], case["op"], FAILED, f"{entry['name']}: {wrong}")
    return Outcome(case["name"], case["op"], PASSED)


def run_case(binary: Path, corpus: Path, case: dict[str, Any]) -> Outcome:
    """The case as it is; if refused and there is one, its variant with constant operands."""
    folder = corpus / case["name"]
    outcome = _run_model(binary, case, folder, case["model"], case["inputs"])
    if outcome.state != REFUSED or "constant_model" not in case:
        return outcome
    left = [entry for entry in case["inputs"] if entry["name"] not in case["shape_operands"]]
    second = _run_model(binary, case, folder, case["constant_model"], left)
    if second.state == PASSED:
        return Outcome(case["name"], case["op"], CONSTANT)
    return second


def _with_deviations(outcomes: list[Outcome]) -> list[Outcome]:
    lines = [line for line in DEVIATIONS.read_text().splitlines() if line and not line.startswith("#")]
    reasons = dict(line.split(" ", 1) for line in lines)
    judged = []
    for outcome in outcomes:
        if outcome.case not in reasons or outcome.state == REFUSED:
            judged.append(outcome)
        elif outcome.state == FAILED:
            judged.append(Outcome(outcome.case, outcome.op, DEVIATES, reasons[outcome.case]))
        else:
            judged.append(Outcome(outcome.case, outcome.op, FAILED, "passes now: take it out of deviations.txt"))
    return judged


def claimed_ops() -> set[str]:
    """The op types of the front end's table."""
    ops = set(TABLE_ROW.findall(TABLE.read_text()))
    if not ops:
        raise SystemExit(f"no op found in {TABLE}")
    return ops


def _by_op(outcomes: list[Outcome]) -> dict[str, collections.Counter[str]]:
    states: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for outcome in outcomes:
        states[outcome.op][outcome.state] += 1
    return states


def _without_a_pass(outcomes: list[Outcome], claimed: set[str], ops: list[str]) -> list[str]:
    states = _by_op(outcomes)
    wanted = claimed & set(ops) if ops else claimed
    return sorted(op for op in wanted if states[op][PASSED] + states[op][CONSTANT] == 0)


def _print_table(outcomes: list[Outcome], claimed: set[str], verbose: bool) -> None:
    by_op = _by_op(outcomes)
    print(f"{'op':28} {'passed':>7} {'constant*':>10} {'refused':>8} {'failed':>7}")
    for op in sorted(claimed & set(by_op)):
        states = by_op[op]
        print(f"{op:28} {states[PASSED]:7} {states[CONSTANT]:10} {states[REFUSED]:8} {states[FAILED]:7}")
    print("* passed with the operands that decide shapes or axes as initialisers")
    refused = sorted(set(by_op) - claimed)
    print(f"\nops that are not claimed ({len(refused)}): {', '.join(refused) or 'none'}")
    partial = [outcome for outcome in outcomes if outcome.state == REFUSED and outcome.op in claimed]
    if partial:
        print(f"\ncases of claimed ops that the tool refuses ({len(partial)}):")
        reasons: dict[str, list[str]] = collections.defaultdict(list)
        for outcome in partial:
            reasons[f"{outcome.op}: {outcome.detail}"].append(outcome.case)
        for reason, cases in sorted(reasons.items()):
            shown = cases if verbose else cases[:3]
            print(f"  {reason}  [{len(cases)}: {', '.join(shown)}{', …' if len(shown) < len(cases) else ''}]")


def _regressions(outcomes: list[Outcome]) -> list[Outcome]:
    if not MUST_PASS.exists():
        return []
    required = {line for line in MUST_PASS.read_text().split() if not line.startswith("#")}
    return [item for item in outcomes if item.case in required and item.state == REFUSED]


def _accept(outcomes: list[Outcome]) -> None:
    names = sorted(outcome.case for outcome in outcomes if outcome.state in (PASSED, CONSTANT))
    MUST_PASS.write_text("\n".join(names) + "\n")
    print(f"\n{MUST_PASS.name}: {len(names)} cases")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder written by make_corpus.py")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "bin" / "intaglio")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--accept", action="store_true", help="rewrite must_pass.txt")
    parser.add_argument("--verbose", action="store_true", help="name every refused case")
    parser.add_argument("ops", nargs="*", help="only these op types")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    if not arguments.binary.is_file():
        print(f"{arguments.binary} does not exist; build it first: ./dev build", file=sys.stderr)
        return 2
    cases = json.loads((arguments.corpus / "cases.json").read_text())["cases"]
    if arguments.ops:
        cases = [case for case in cases if case["op"] in arguments.ops]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        outcomes = list(pool.map(lambda case: run_case(arguments.binary, arguments.corpus, case), cases))
    outcomes = _with_deviations(outcomes)
    claimed = claimed_ops()
    _print_table(outcomes, claimed, arguments.verbose)
    counts = collections.Counter(outcome.state for outcome in outcomes)
    good = counts[PASSED] + counts[CONSTANT]
    others = ", ".join(f"{counts[state]} {state}" for state in (REFUSED, DEVIATES, FAILED))
    print(f"\n{len(cases)} cases: {good} passed, {others}")
    for outcome in (item for item in outcomes if item.state == DEVIATES):
        print(f"DEVIATES {outcome.case} ({outcome.op}): {outcome.detail}")
    bad = [outcome for outcome in outcomes if outcome.state == FAILED]
    for outcome in bad:
        print(f"FAILED {outcome.case} ({outcome.op}): {outcome.detail}")
    empty = _without_a_pass(outcomes, claimed, arguments.ops)
    for op in empty:
        print(f"CLAIMED {op}: the front end lists it, but none of its cases passes")
    if arguments.accept:
        _accept(outcomes)
        return 1 if bad or empty else 0
    lost = _regressions(outcomes)
    for outcome in lost:
        print(f"LOST {outcome.case} ({outcome.op}) passed before, now refused: {outcome.detail}")
    return 1 if bad or lost or empty else 0


if __name__ == "__main__":
    sys.exit(main())
