#!/usr/bin/env python3
"""The real int8 classifier beside ONNX Runtime, one thread."""

from __future__ import annotations

import sys

import numpy as np
from common import OURS, Case, compare, cpus_for, generate, guarded, options, plan_of
from results import save
from rounds import Budget
from text_table import terminal_table
from worker import intaglio_worker, peer_worker

SHAPES = ((1, 16), (1, 32), (1, 128), (1, 256), (8, 32))
MOST_RATIO = 1.5


def _case(batch: int, sequence: int) -> Case:
    random = np.random.default_rng(batch * 1000 + sequence)
    ids = random.integers(1000, 30000, size=(batch, sequence), dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    return Case("classifier", {name: [batch, sequence] for name in inputs}, inputs)


def main() -> int:
    arguments = options(__doc__).parse_args()
    model, cpus = generate("classifier") / "model_quantized.onnx", cpus_for(1)
    plan = plan_of("classifier", model)
    results, rows = [], []
    theirs = peer_worker("onnxruntime", str(model), 1, cpus, dtype="i8")
    with intaglio_worker(plan, 1, cpus, "i8") as ours, theirs as peer:
        for batch, sequence in SHAPES:
            pair = compare([ours, peer], _case(batch, sequence), 1, Budget(rounds=arguments.rounds))
            results += pair
            mine, other = pair
            rows.append(
                [
                    f"{batch} x {sequence}",
                    f"{mine['latency_ms']['p50']:.2f}",
                    f"{other['latency_ms']['p50']:.2f}",
                    f"{mine['ratio_to_best_peer']:.2f}",
                    f"{mine['error']['max_abs']:.1e}",
                ]
            )
    print(terminal_table(["batch x tokens", OURS, "onnxruntime", "ratio", "largest difference"], rows, "lrrrr"))
    print("  milliseconds (p50), int8, one thread; the difference is that of the logits from ONNX Runtime's")
    save("classifier-i8", results)
    missed = [result for result in results if result["engine"] == OURS and result["ratio_to_best_peer"] > MOST_RATIO]
    for result in missed:
        print(f"  not met: {result['shapes']['input_ids']}: {result['ratio_to_best_peer']:.2f}x, at most {MOST_RATIO}")
    return 5 if missed and arguments.check else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
