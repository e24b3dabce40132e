#!/usr/bin/env python3
"""Transformers in float32 beside their peers: BERT-base at 8, 32, 128 and 512 tokens on one thread, 128 on two."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from common import OURS, compare, cpus_for, generate, guarded, options, plan_of, stored_case
from results import save
from rounds import Budget
from text_table import terminal_table
from worker import Worker, intaglio_worker, peer_worker

TOKENS = (8, 32, 128, 512)
PEERS = ("onnxruntime", "inductor", "eager")
# The figures to hold: against the best peer of the same run, and two threads against one.
MOST_RATIO = 1.25
LEAST_SPEEDUP = 1.6


def _workers(stack: contextlib.ExitStack, model: str, form: str, threads: int, peers: list[str]) -> list[Worker]:
    folder, cpus = generate(model), cpus_for(threads)
    plan = plan_of(model, folder / f"{model}.{form}")
    workers = [stack.enter_context(intaglio_worker(plan, threads, cpus))]
    for peer in peers:
        named = str(folder / f"{model}.op20.onnx") if peer == "onnxruntime" else model
        workers.append(stack.enter_context(peer_worker(peer, named, threads, cpus)))
    return workers


def _measure(model: str, form: str, threads: int, tokens: list[int], peers: list[str], rounds: int) -> list[Any]:
    results = []
    with contextlib.ExitStack() as stack:
        workers = _workers(stack, model, form, threads, peers)
        for length in tokens:
            print(f"  {model}, {length} tokens, {threads} thread(s) …", file=sys.stderr)
            case = stored_case(model, f"b1_s{length}")
            results += compare(workers, case, threads, Budget(rounds=rounds), "f32")
    return results


def _row(results: list[dict[str, Any]], peers: list[str]) -> list[str]:
    by_engine = {result["engine"]: result for result in results}
    ours = by_engine[OURS]
    latencies = [f"{by_engine[engine]['latency_ms']['p50']:.1f}" for engine in (OURS, *peers)]
    shape = ours["shapes"]["input_ids"]
    return [ours["model"], str(shape[1]), str(ours["threads"]), *latencies, f"{ours['ratio_to_best_peer']:.2f}"]


def _print(results: list[dict[str, Any]], peers: list[str]) -> None:
    size = 1 + len(peers)
    rows = [_row(results[start : start + size], peers) for start in range(0, len(results), size)]
    header = ["model", "tokens", "threads", OURS, *peers, "ratio to best"]
    print(terminal_table(header, rows, "lrr" + "r" * (len(peers) + 2)))
    print("  milliseconds (p50), batch 1, float32; a ratio below 1 means that Intaglio is faster")


def _missed(results: list[dict[str, Any]]) -> list[str]:
    ours = [result for result in results if result["engine"] == OURS]
    missed = []
    for result in (item for item in ours if item["threads"] == 1 and item["ratio_to_best_peer"] > MOST_RATIO):
        tokens = result["shapes"]["input_ids"][1]
        missed.append(f"{tokens} tokens: {result['ratio_to_best_peer']:.2f}x the best peer, at most {MOST_RATIO}")
    at_128 = {r["threads"]: r["latency_ms"]["p50"] for r in ours if r["shapes"]["input_ids"][1] == 128}
    if 2 in at_128 and 1 in at_128 and at_128[1] / at_128[2] < LEAST_SPEEDUP:
        missed.append(f"two threads: {at_128[1] / at_128[2]:.2f}x one thread, at least {LEAST_SPEEDUP}")
    return missed


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--model", default="bert-base")
    parser.add_argument("--form", default="training.pt2", help="which file of the model is compiled")
    parser.add_argument("--tokens", type=int, nargs="+", default=list(TOKENS))
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    parser.add_argument("--one-thread", action="store_true", help="leave the two-thread run out")
    arguments = parser.parse_args()
    results = _measure(arguments.model, arguments.form, 1, arguments.tokens, arguments.peers, arguments.rounds)
    if not arguments.one_thread:
        results += _measure(arguments.model, arguments.form, 2, [128], arguments.peers, arguments.rounds)
    _print(results, arguments.peers)
    save(f"{arguments.model}-f32", results)
    missed = _missed(results)
    for line in missed:
        print(f"  not met: {line}")
    return 5 if missed and arguments.check else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
