#!/usr/bin/env python3
"""Real sentences through all-MiniLM-L6-v2: how well bf16 and int8 keep what f32 says of the likeness of 1,000 pairs."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import cpus_for, generate, guarded, options
from eager import COSINE, FORMS
from results import save
from sentence_pairs import Pair, make_pairs, read_entries
from text_table import terminal_table
from tool import ROOT, Arrays, compile_model
from worker import intaglio_worker

from packages import fetch  # isort: skip (found through common)

EACH = 200
BATCH = 32
LONGEST = 128
REFERENCE = "f32"
LEAST_SPEARMAN, LEAST_TOP1, LEAST_PART = 0.995, 0.98, 0.99
CANDIDATES = 10
COLUMNS = {
    "spearman": "Spearman",
    "cosine": "mean cosine",
    "least_cosine": "least cosine",
    "top1_agreement": "same choice",
    "top1_right": "right choice",
}


@dataclass(frozen=True)
class Texts:
    """The sentences of all pairs, each once, as the tokenizer has them."""

    pairs: list[Pair]
    sentences: list[str]
    ids: list[list[int]]

    def left_right(self) -> tuple[list[int], list[int]]:
        """The places of the sentences of every pair."""
        place = {sentence: number for number, sentence in enumerate(self.sentences)}
        return [place[pair.left] for pair in self.pairs], [place[pair.right] for pair in self.pairs]


def load_texts(each: int = EACH) -> Texts:
    """Fetches the sentences and the tokenizer if they are not there yet."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(fetch("minilm-source") / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=LONGEST)
    pairs = make_pairs(read_entries(fetch("wordnet") / "data.noun"), each)
    sentences = sorted({text for pair in pairs for text in (pair.left, pair.right)})
    return Texts(pairs, sentences, [encoding.ids for encoding in tokenizer.encode_batch(sentences)])


def batches(ids: Sequence[list[int]]) -> Iterator[tuple[list[int], Arrays]]:
    """Sentences of like length together, padded on the right: their places, and the inputs."""
    order = sorted(range(len(ids)), key=lambda number: len(ids[number]))
    for first in range(0, len(order), BATCH):
        places = order[first : first + BATCH]
        width = max(len(ids[place]) for place in places)
        tokens = np.zeros((len(places), width), dtype=np.int64)
        mask = np.zeros_like(tokens)
        for row, place in enumerate(places):
            tokens[row, : len(ids[place])] = ids[place]
            mask[row, : len(ids[place])] = 1
        yield places, {"input_ids": tokens, "attention_mask": mask}


def embed(run: Callable[[Arrays], np.ndarray], texts: Texts) -> np.ndarray:
    """Means over the tokens that are there, scaled to length 1, as the model's authors do: [sentences, width]."""
    rows: dict[int, np.ndarray] = {}
    for places, inputs in batches(texts.ids):
        weights = inputs["attention_mask"][:, :, None].astype(np.float64)
        means = (run(inputs).astype(np.float64) * weights).sum(axis=1) / weights.sum(axis=1)
        rows.update(zip(places, means / np.linalg.norm(means, axis=1, keepdims=True), strict=True))
    return np.stack([rows[place] for place in range(len(texts.sentences))])


def ranks(values: np.ndarray) -> np.ndarray:
    """Places in ascending order; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2.0)[place]


def spearman(left: np.ndarray, right: np.ndarray) -> float:
    """Correlation of ranks."""
    return float(np.corrcoef(ranks(left), ranks(right))[0, 1])


def choices(embeddings: np.ndarray, texts: Texts) -> np.ndarray:
    """Which of ten sentences is likest to the left one of a pair: its partner (0), or those of the nine pairs of the
    same kind that follow. One answer per pair that is not random."""
    left, right = texts.left_right()
    answers = []
    for kind in sorted({pair.kind for pair in texts.pairs} - {"random"}):
        places = [number for number, pair in enumerate(texts.pairs) if pair.kind == kind]
        for at, number in enumerate(places):
            others = [places[(at + step) % len(places)] for step in range(CANDIDATES)]
            answers.append(int((embeddings[[right[other] for other in others]] @ embeddings[left[number]]).argmax()))
    return np.array(answers)


def compare(embeddings: np.ndarray, reference: np.ndarray, texts: Texts) -> dict[str, float]:
    """How near embeddings are to those of the reference, and whether they order pairs and choose alike."""
    left, right = texts.left_right()
    own, theirs = ((each[left] * each[right]).sum(axis=1) for each in (embeddings, reference))
    cosines = (embeddings * reference).sum(axis=1)
    chosen, wanted = choices(embeddings, texts), choices(reference, texts)
    return {
        "spearman": spearman(own, theirs),
        "cosine": float(cosines.mean()),
        "least_cosine": float(cosines.min()),
        "top1_agreement": float((chosen == wanted).mean()),
        "top1_right": float((chosen == 0).mean()),
        "largest_difference": float(np.abs(own - theirs).max()),
    }


def with_intaglio(model: Path, plan: Path, compiling: list[str], texts: Texts) -> np.ndarray:
    """Our embeddings: `model` compiled to `plan` with these options."""
    compile_model(model, plan, compiling)
    with intaglio_worker(plan, 1, cpus_for(1)) as worker:

        def run(inputs: Arrays) -> np.ndarray:
            worker.load(inputs)
            worker.run(1)
            return worker.outputs()["last_hidden_state"]

        return embed(run, texts)


def _torch_forms() -> dict[str, Callable[[Arrays], np.ndarray]]:
    import build_model
    import torch
    from catalogue import SPECS
    from transformers.utils import logging

    logging.disable_progress_bar()
    module = build_model.build(SPECS["minilm"], fetch("minilm-source"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = torch.ao.quantization.quantize_dynamic(module, {torch.nn.Linear}, torch.qint8)

    def runner(which: Any) -> Callable[[Arrays], np.ndarray]:
        def run(inputs: Arrays) -> np.ndarray:
            with torch.inference_mode():
                named = {name: torch.from_numpy(value) for name, value in inputs.items()}
                return which(**named).last_hidden_state.float().numpy()

        return run

    halved = build_model.build(SPECS["minilm"], fetch("minilm-source")).to(torch.bfloat16)
    return {"f32": runner(module), "bf16": runner(halved), "quantize_dynamic": runner(quantised)}


def held(dtype: str, figures: dict[str, float], reference: dict[str, float]) -> bool:
    """Does one of ours keep what it must?"""
    return (
        figures["spearman"] >= LEAST_SPEARMAN
        and figures["cosine"] >= COSINE[dtype]
        and figures["top1_agreement"] >= LEAST_TOP1
        and figures["top1_right"] >= LEAST_PART * reference["top1_right"]
    )


def main() -> int:
    arguments = options(__doc__).parse_args()
    texts = load_texts()
    model = generate("minilm") / "minilm.training.pt2"
    plans = ROOT / ".cache" / "plans"
    ours = {
        dtype: with_intaglio(model, plans / f"minilm.{number}.plan", compiling, texts)
        for number, (dtype, compiling) in enumerate(FORMS.items())
    }
    found: list[tuple[str, str, np.ndarray]] = [("intaglio", dtype, each) for dtype, each in ours.items()]
    found += [("torch eager", name, embed(run, texts)) for name, run in _torch_forms().items()]
    results, rows = [], []
    exact = compare(ours[REFERENCE], ours[REFERENCE], texts)
    for engine, dtype, embeddings in found:
        figures = compare(embeddings, ours[REFERENCE], texts)
        judged = engine == "intaglio" and dtype != REFERENCE and dtype in COSINE
        keeps = held(dtype, figures, exact) if judged else None
        results.append({"engine": engine, "dtype": dtype, "pairs": len(texts.pairs), **figures, "held": keeps})
        shown = [f"{figures[name]:.5f}" for name in COLUMNS]
        word = "" if keeps is None else "yes" if keeps else "NO"
        rows.append([engine, dtype, *shown, f"{figures['largest_difference']:.1e}", word])
    header = ["engine", "dtype", *COLUMNS.values(), "largest difference", "held"]
    print(terminal_table(header, rows, "ll" + "r" * len(COLUMNS) + "rl"))
    print(f"  against our f32; {len(texts.pairs)} pairs of {len(texts.sentences)} sentences")
    save("sentences", results)
    return 5 if arguments.check and not all(result["held"] in {None, True} for result in results) else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
