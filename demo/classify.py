#!/usr/bin/env python3
# ruff: noqa: I001
"""A real int8 model at work: tells prompt injections from harmless messages, beside ONNX Runtime."""

from __future__ import annotations

import json
import math
import os
import sys

import shared  # noqa: F401 (first: it extends the import path)
import numpy as np
import onnxruntime
from messages import HARMLESS, INJECTIONS
from packages import fetch
from rounds import Budget, latency_summary, measure
from shared import PLANS, encode, guarded, heading, load_tokenizer
from text_table import shorten, terminal_table
from tool import Arrays, compile_model, run_model
from worker import intaglio_worker, peer_worker

MODEL = "model_quantized.onnx"
LONGEST = 256
BATCH = 8
# Verdicts may differ only where the score is next to the threshold: the two engines round int8 steps differently.
SAME_SCORE = 0.05

# ONNX Runtime as people use it, and with its graph optimisations off.
Sessions = tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession]


def _batches(tokenizer: shared.Tokenizer, texts: list[str]) -> list[tuple[list[int], Arrays]]:
    """Messages of similar length together, so that little is padded; with the places they came from."""
    order = sorted(range(len(texts)), key=lambda place: len(tokenizer.encode(texts[place]).ids))
    chunks = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    return [(chunk, encode(tokenizer, [texts[place] for place in chunk])) for chunk in chunks]


def _score(logit: float, temperature: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit / temperature))


def _print_verdicts(texts: list[str], truth: list[bool], ours: list[float], theirs: list[float], limit: float) -> None:
    rows = []
    for text, attack, mine, other in zip(texts, truth, ours, theirs, strict=True):
        verdict = "injection" if mine >= limit else "harmless"
        right = "" if (mine >= limit) == attack else "missed" if attack else "false alarm"
        rows.append([verdict, f"{mine:.3f}", f"{other:.3f}", right, shorten(text, 72)])
    print(terminal_table(["verdict", "score", "ORT", "", "message"], rows, "lrrll"))
    correct = sum((mine >= limit) == attack for mine, attack in zip(ours, truth, strict=True))
    print(f"\n  {correct} of {len(texts)} judged as their author meant them (threshold {limit})")


def _session(model: shared.Path, level: onnxruntime.GraphOptimizationLevel) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _one_by_one(plan: shared.Path, sessions: Sessions, encoded: list[Arrays]) -> tuple[float, float]:
    """Every message alone through processes that stay: the largest difference of a logit from ONNX Runtime's, and of
    ONNX Runtime's own without its graph optimisations."""
    ours, its_own = 0.0, 0.0
    with intaglio_worker(plan, 1, sorted(os.sched_getaffinity(0))) as worker:
        for inputs in encoded:
            worker.load(inputs)
            worker.run(1)
            other, plain = (session.run(["logits"], inputs)[0] for session in sessions)
            ours = max(ours, float(np.abs(worker.outputs()["logits"] - other).max()))
            its_own = max(its_own, float(np.abs(plain - other).max()))
    return ours, its_own


def _latencies(plan: shared.Path, model: shared.Path, cases: dict[str, Arrays]) -> None:
    cpus = sorted(os.sched_getaffinity(0))[-1:]
    rows = []
    with intaglio_worker(plan, 1, cpus) as ours, peer_worker("onnxruntime", str(model), 1, cpus) as peer:
        for label, inputs in cases.items():
            taken = measure([ours, peer], inputs, Budget(rounds=8))
            mine, other = (latency_summary(taken[worker.label]) for worker in (ours, peer))
            ratio = f"{mine['p50'] / other['p50']:.2f}"
            rows.append(
                [label, f"{mine['p50']:.2f}", f"{mine['p90']:.2f}", f"{other['p50']:.2f}", f"{other['p90']:.2f}", ratio]
            )
    header = ["input", "Intaglio p50", "p90", "ONNX Runtime p50", "p90", "ratio"]
    print(terminal_table(header, rows, "lrrrrr"))
    print("\n  milliseconds, one thread, both engines taking turns in one run; ratio below 1: Intaglio is faster")


def main() -> int:
    folder = fetch("classifier")
    model, plan = folder / MODEL, PLANS / "classifier.plan"
    settings = json.loads((folder / "classifier_config.json").read_text())["calibration"]
    temperature, limit = settings["temperatureT"], settings["highRiskThreshold"]
    tokenizer = load_tokenizer(folder / "tokenizer.json", LONGEST)

    heading("Compile")
    compile_model(model, plan)
    print(f"  {model.name} ({model.stat().st_size / 1e6:.1f} MB) -> {plan.name} ({plan.stat().st_size / 1e6:.1f} MB)")

    texts = [*INJECTIONS, *HARMLESS]
    truth = [True] * len(INJECTIONS) + [False] * len(HARMLESS)
    levels = onnxruntime.GraphOptimizationLevel
    session, plain = _session(model, levels.ORT_ENABLE_ALL), _session(model, levels.ORT_DISABLE_ALL)
    ours, theirs, largest = [0.0] * len(texts), [0.0] * len(texts), 0.0
    for places, inputs in _batches(tokenizer, texts):
        mine = run_model(plan, inputs)["logits"]
        other = session.run(["logits"], inputs)[0]
        largest = max(largest, float(np.abs(mine - other).max()))
        for row, place in enumerate(places):
            ours[place] = _score(float(mine[row, 0]), temperature)
            theirs[place] = _score(float(other[row, 0]), temperature)

    heading(f"Verdicts on {len(texts)} messages, in padded batches of {BATCH}")
    _print_verdicts(texts, truth, ours, theirs, limit)
    alone, its_own = _one_by_one(plan, (session, plain), [encode(tokenizer, [text]) for text in texts])
    print("  largest difference of a logit from ONNX Runtime on the same inputs:")
    print(f"    in batches {largest:.2e}, one message at a time {alone:.2e}")
    print(f"    ONNX Runtime from itself without graph optimisations, one at a time: {its_own:.2e} (roundings to int8 flip)")

    heading("Latency")
    one = encode(tokenizer, [texts[2]])
    cases = {f"1 message, {one['input_ids'].shape[1]} tokens": one}
    many = encode(tokenizer, texts)
    cases[f"{len(texts)} messages, padded to {many['input_ids'].shape[1]}"] = many
    long = encode(tokenizer, [" ".join(texts)])
    cases[f"1 long text, {long['input_ids'].shape[1]} tokens"] = long
    _latencies(plan, model, cases)

    apart = [
        (a, b) for a, b in zip(ours, theirs, strict=True) if (a >= limit) != (b >= limit) and abs(a - b) > SAME_SCORE
    ]
    if apart:
        print(f"\nerror: {len(apart)} verdicts differ from ONNX Runtime's", file=sys.stderr)
    return 1 if apart else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
