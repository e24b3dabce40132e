#!/usr/bin/env python3
# ruff: noqa: I001
"""all-MiniLM-L6-v2 exported to `.pt2` and to ONNX: the same sentence embeddings from both, beside PyTorch's own."""

from __future__ import annotations

import sys

import shared  # noqa: F401 (first: it extends the import path)
import numpy as np
from catalogue import SPECS
from generate import generate
from messages import SENTENCES
from packages import fetch
from shared import PLANS, encode, guarded, heading, load_tokenizer
from text_table import shorten, terminal_table
from tool import Arrays, compile_model, run_model

LONGEST = 256
FILES = {".pt2": "minilm.training.pt2", "ONNX": "minilm.op20.onnx"}
MOST_DIFFERENCE = 1e-4


def _embeddings(hidden: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean over the tokens that are there, scaled to length 1, as the model's authors do."""
    weights = mask[:, :, None].astype(np.float32)
    means = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def _with_torch(inputs: Arrays) -> np.ndarray:
    import build_model
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    module = build_model.build(SPECS["minilm"], fetch("minilm-source"))
    with torch.inference_mode():
        outputs = module(**{name: torch.from_numpy(value) for name, value in inputs.items()})
    return outputs.last_hidden_state.numpy()


def _nearest(embeddings: np.ndarray) -> list[tuple[int, float]]:
    likeness = embeddings @ embeddings.T
    np.fill_diagonal(likeness, -2.0)
    return [(int(row.argmax()), float(row.max())) for row in likeness]


def _print_pairs(by_engine: dict[str, np.ndarray]) -> None:
    nearest = {engine: _nearest(embeddings) for engine, embeddings in by_engine.items()}
    rows = []
    for place, sentence in enumerate(SENTENCES):
        partner = nearest["PyTorch"][place][0]
        cells = [shorten(sentence, 40), shorten(SENTENCES[partner], 40)]
        for engine in by_engine:
            other, likeness = nearest[engine][place]
            cells.append(f"{likeness:.4f}" if other == partner else f"-> {other + 1}")
        rows.append(cells)
    header = ["sentence", "nearest", *by_engine]
    print(terminal_table(header, rows, "ll" + "r" * len(by_engine)))


def main() -> int:
    heading("Export")
    folder = generate("minilm")
    tokenizer = load_tokenizer(fetch("minilm-source") / "tokenizer.json", LONGEST)
    inputs = encode(tokenizer, SENTENCES)
    mask = inputs["attention_mask"]

    hidden = {}
    for label, file in FILES.items():
        plan = PLANS / f"{file}.plan"
        compile_model(folder / file, plan)
        print(f"  {file} -> {plan.name} ({plan.stat().st_size / 1e6:.1f} MB)")
        hidden[f"Intaglio {label}"] = run_model(plan, inputs)["last_hidden_state"]
    hidden["PyTorch"] = _with_torch(inputs)
    embedded = {engine: _embeddings(value, mask) for engine, value in hidden.items()}

    heading(f"Nearest of {len(SENTENCES)} sentences, by cosine")
    _print_pairs(embedded)

    heading("Differences from PyTorch")
    rows, worst = [], 0.0
    for engine in (name for name in embedded if name != "PyTorch"):
        off = float(np.abs(embedded[engine] - embedded["PyTorch"]).max())
        lengths = (embedded[engine] * embedded["PyTorch"]).sum(axis=1)
        rows.append([engine, f"{off:.2e}", f"{float(lengths.min()):.7f}"])
        worst = max(worst, off)
    print(terminal_table(["engine", "largest difference of a component", "smallest cosine"], rows, "lrr"))
    if not worst < MOST_DIFFERENCE:
        print(f"\nerror: embeddings differ by more than {MOST_DIFFERENCE}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
