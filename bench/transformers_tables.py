"""The tables of the transformer benchmark for docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

import verdicts
from common import OURS
from text_table import markdown_table

CONTEST_NAMES = {"f32": "float32", "bf16": "bfloat16", "int8": "int8 (`+bf16`: the rest in bf16)"}


def _summary(rows: list[verdicts.Row]) -> str:
    table = [[s.what, str(s.cells), f"{s.mean:.2f}", f"{s.worst:.2f}", s.at] for s in verdicts.summaries(rows)]
    return markdown_table(["speed of", "cells", "geometric mean", "worst", "at"], table, "lrrrl")


def _errors(rows: list[verdicts.Row]) -> str:
    worst: dict[str, dict[str, float]] = {}
    for row in rows:
        held = worst.setdefault(f"{row['engine']} {row['dtype']}", {"max_abs": 0.0, "rel_l2": 0.0, "cosine": 1.0})
        for name in ("max_abs", "rel_l2"):
            held[name] = max(held[name], row["error"][name])
        held["cosine"] = min(held["cosine"], row["error"]["cosine"])
    table = [
        [label, f"{off['max_abs']:.1e}", f"{off['rel_l2']:.1e}", f"{off['cosine']:.6f}"] for label, off in worst.items()
    ]
    return markdown_table(["engine", "largest error", "relative L2", "cosine"], table, "lrrr")


def _scaling(rows: list[verdicts.Row]) -> str:
    table = [
        [cell.model, f"{cell.batch} x {cell.tokens}", label, f"{ratio:.2f}"]
        for ratio, cell, label in verdicts.over_threads(verdicts.cells(rows))
    ]
    return markdown_table(["model", "batch x tokens", "engine", "two threads over one"], table, "lllr") if table else ""


def transformers(content: dict[str, Any]) -> str:
    """All of a results file."""
    rows = content["results"]
    parts = [
        "Ratios are of speed: above 1 ours, or the dtype named first, is faster. Every dtype has a contest of its own, "
        f"in which the engines take turns; bf16 meets {OURS}'s f32 there, int8 its bf16.",
        _summary(rows),
    ]
    for (model, contest), group in verdicts.by_model_and_contest(rows).items():
        parts += [f"{model}, {CONTEST_NAMES[contest]}, milliseconds:", markdown_table(*verdicts.contest_table(group))]
    parts += [_scaling(rows), "Off the float64 answers, the worst of all cells:", _errors(rows)]
    missing = content.get("failures", [])
    if missing:
        parts.append("Left out:\n\n" + "\n".join(f"* {line}" for line in missing))
    return "\n\n".join(part for part in parts if part)
