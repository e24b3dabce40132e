#!/usr/bin/env python3
"""Writes the tables of docs/benchmarks.md from results/*.json, between `<!-- table: name -->` and `<!-- end -->`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import results
from text_table import markdown_table
from tool import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
OURS = "intaglio"
TITLES = {
    "bert-base-f32": "BERT-base, float32, batch 1",
    "classifier-i8": "The int8 classifier (MiniLM), one thread",
    "memory": "Memory and start, BERT-base float32, one thread",
    "accuracy": "Accuracy against float64",
    "gemm": "Prepared linears against the register-only peak, one thread",
}


def _machine(content: dict[str, Any]) -> str:
    about = content["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return f"{about['date']}, {about['cpu']}, {about['threads']} CPUs, commit {about['commit']}; {versions}."


def _latencies(content: dict[str, Any]) -> str:
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for result in content["results"]:
        batch, tokens = result["shapes"]["input_ids"]
        rows.setdefault((f"{batch} x {tokens}", result["threads"]), {})[result["engine"]] = result
    engines = list(next(iter(rows.values())))
    table = []
    for (shape, threads), by_engine in rows.items():
        times = [f"{by_engine[engine]['latency_ms']['p50']:.2f}" for engine in engines]
        ours = by_engine[OURS]
        off = f"{ours['error']['max_abs']:.1e}"
        table.append([shape, str(threads), *times, f"{ours['ratio_to_best_peer']:.2f}", off])
    header = ["batch x tokens", "threads", *engines, "ratio to best peer", "largest error"]
    return markdown_table(header, table, "lr" + "r" * (len(engines) + 2))


def _memory(content: dict[str, Any]) -> str:
    table = []
    for result in content["results"]:
        figures = [f"{result[name]:.0f}" for name in ("weights_mb", "arena_mb", "peak_rss_mb", "allowed_mb")]
        table.append([str(result["shapes"]["input_ids"][1]), *figures, f"{result['load_ms']:.1f}"])
    header = ["tokens", "weights MB", "arena MB", "peak of `run` MB", "allowed MB", "load of the plan ms"]
    return markdown_table(header, table, "rrrrrr")


def _accuracy(content: dict[str, Any]) -> str:
    table = []
    for result in content["results"]:
        mine, torch = result["error"], result["error_eager"]
        peer = result["error_onnxruntime"]
        off = [f"{mine['rmse']:.1e}", f"{torch['rmse']:.1e}", f"{peer['rmse']:.1e}" if peer else ""]
        off += [f"{mine['max_abs']:.1e}", f"{torch['max_abs']:.1e}"]
        table.append([result["model"], result["form"], *off, f"{mine['cosine']:.9f}"])
    header = [
        "model",
        "file",
        "RMSE",
        "PyTorch eager's",
        "ONNX Runtime's",
        "largest error",
        "PyTorch eager's",
        "cosine",
    ]
    return markdown_table(header, table, "llrrrrrr")


def _gemm(content: dict[str, Any]) -> str:
    table = []
    for row in content["rows"]:
        shape = f"{row['m']}x{row['n']}x{row['k']}"
        figures = [f"{row['gops']:.1f}", f"{row['percent_of_peak']:.0f}", f"{row['weights_gbps']:.1f}"]
        table.append([row["types"], row["isa"], shape, row["cache"], *figures])
    header = ["types", "ISA", "M x N x K", "weights", "GOPS", "% of peak", "weights GB/s"]
    peaks = ", ".join(f"{name} {value} GOPS" for name, value in content["peaks"].items())
    return markdown_table(header, table, "llllrrr") + f"\n\nPeaks, registers only, in the same run: {peaks}."


MAKERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "bert-base-f32": _latencies,
    "classifier-i8": _latencies,
    "memory": _memory,
    "accuracy": _accuracy,
    "gemm": _gemm,
}


def _empty_page() -> str:
    parts = ["# Benchmarks\n", "Made by `./dev bench`: medians in milliseconds, engines taking turns in one run.\n"]
    parts += [f"## {title}\n\n<!-- table: {name} -->\n<!-- end -->\n" for name, title in TITLES.items()]
    return "\n".join(parts)


def main() -> int:
    page = PAGE.read_text() if PAGE.exists() else _empty_page()
    for name, maker in MAKERS.items():
        content = results.load(name)
        place = re.compile(rf"<!-- table: {re.escape(name)} -->\n.*?<!-- end -->", re.DOTALL)
        if content is None:
            print(f"no results for '{name}' yet")
            continue
        if not place.search(page):
            print(f"{PAGE.relative_to(ROOT)} has no place for '{name}'", file=sys.stderr)
            return 1
        text = f"<!-- table: {name} -->\n{maker(content)}\n\n{_machine(content)}\n<!-- end -->"
        page = place.sub(lambda _, text=text: text, page)
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page)
    print(f"{PAGE.relative_to(ROOT)} is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
