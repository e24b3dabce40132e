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
from transformers_tables import transformers

PAGE = ROOT / "docs" / "benchmarks.md"
OURS = "intaglio"
TITLES = {
    "transformers": "Transformers in f32, bf16 and int8",
    "transformers-full": "Transformers, every length, batch, model and peer",
    "classifier-i8": "The int8 classifier (MiniLM), one thread",
    "memory": "Memory and start, BERT-base, one thread",
    "shapes": "New shapes, BERT-base",
    "accuracy": "Accuracy against float64",
    "sentences": "Real sentences: what bf16 and int8 keep of f32",
    "gemm": "Prepared linears",
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
    rows = content["results"]
    table = []
    for row in rows:
        times = [f"{row[name]:.1f}" for name in ("load_ms", "first_run_ms", "run_ms")]
        resident = [f"{value:.0f}" for value in row["rss_mb"].values()]
        table.append([row["engine"], row["dtype"], *times, *resident, str(row.get("allowed_mb", ""))])
    header = ["engine", "dtype", "load ms", "first run ms", "run ms"]
    header += [*(f"MB at {name}" for name in rows[0]["rss_mb"]), "allowed MB"]
    figures = ("weights_mb", "arena_mb", "peak_rss_mb", "allowed_mb")
    peaks = [[str(peak["tokens"]), *(f"{peak[name]:.0f}" for name in figures)] for peak in content["peaks"]]
    parts = [
        "Resident memory of one process (ours: on a plan) after a run of 128 tokens, then one of 512, then one of each "
        "of 72 lengths up to 512; load without the import of a framework; first run and run: 128 tokens.",
        markdown_table(header, table, "llrrrrrrr"),
        "Peak of `intaglio run` on the plan in f32:",
        markdown_table(["tokens", "weights MB", "arena MB", "peak MB", "allowed MB"], peaks, "rrrrr"),
    ]
    return "\n\n".join(parts)


def _shapes(content: dict[str, Any]) -> str:
    table = []
    for row in content["results"]:
        times = [f"{row['bind_us'][name]:.0f}" for name in ("p50", "p90", "max")]
        times += [f"{row['bind_after_run_us'][name]:.0f}" for name in ("p50", "p90", "max")]
        memory = [f"{value:.1f}" for value in (row["largest_rss_mb"], min(row["rss_mb"]), max(row["rss_mb"]))]
        table.append([row["dtype"], *times, *memory, str(row["allocations_of_runs"])])
    header = ["dtype", "bind us, median", "p90", "max", "after a run, median", "p90", "max"]
    header += ["MB at the largest shape", "least", "most", "allocations of runs"]
    first = content["results"][0]
    note = (
        f"Context::prepare of a new shape, batch 1 to {first['most_batch']} and 1 to {first['most_tokens']} tokens, each "
        f"of these {first['bind_us']['shapes']} shapes once, for {first['threads']} threads; \"after a run\": when the "
        "caches are full of the weights that a run has just read. Then resident memory of the process: after the largest "
        f"shape was run, and the least and most after each thousand of {first['shapes']} random shapes, all of them bound "
        f"and {first['runs']} run. Allocations: calls of malloc, new and mmap by any thread during all of these runs."
    )
    return note + "\n\n" + markdown_table(header, table, "lrrrrrrrrrr")


def _accuracy(content: dict[str, Any]) -> str:
    table = []
    for result in content["results"]:
        mine, torch = result["error"], result["error_eager"]
        peer = result["error_onnxruntime"]
        off = [f"{mine['rmse']:.1e}", f"{torch['rmse']:.1e}", f"{peer['rmse']:.1e}" if peer else ""]
        off += [f"{mine['max_abs']:.1e}", f"{torch['max_abs']:.1e}"]
        table.append([result["model"], result["form"], result["dtype"], *off, f"{mine['cosine']:.9f}"])
    header = [
        "model",
        "file",
        "dtype",
        "RMSE",
        "PyTorch eager's",
        "ONNX Runtime's",
        "largest error",
        "PyTorch eager's",
        "cosine",
    ]
    note = "The worst of all cases and outputs. PyTorch eager in int8 is quantize_dynamic."
    return markdown_table(header, table, "lllrrrrrr") + "\n\n" + note


def _sentences(content: dict[str, Any]) -> str:
    names = ("spearman", "cosine", "least_cosine", "top1_agreement", "top1_right")
    table = [
        [row["engine"], row["dtype"], *(f"{row[name]:.5f}" for name in names), f"{row['largest_difference']:.1e}"]
        for row in content["results"]
    ]
    header = ["engine", "dtype", "Spearman", "mean cosine", "least cosine", "same choice", "right choice"]
    pairs = content["results"][0]["pairs"]
    note = (
        f"all-MiniLM-L6-v2 on {pairs} pairs of WordNet's definitions and examples, against our f32: Spearman's "
        "correlation of the likeness of pairs; cosine between embeddings of a sentence; which of ten sentences is "
        "likest to another, as f32 chooses, and whether it is the one that belongs to it."
    )
    return note + "\n\n" + markdown_table([*header, "largest difference of likeness"], table, "llrrrrrr")


def _shape(row: dict[str, Any]) -> str:
    return f"{row['m']}x{row['n']}x{row['k']}"


def _gemm_ratios(content: dict[str, Any]) -> str:
    table = [
        [row["types"], row["epilogue"], str(row["shapes"]), f"{row['geomean']:.2f}", str(row["behind"]),
         f"{row['worst']:.2f}", row["worst_shape"]]
        for row in content["summary"]["ratios"]
    ]  # fmt: skip
    header = ["types", "with", "shapes", "ours / peer", "behind", "worst", "at"]
    return markdown_table(header, table, "llrrrrl")


def _gemm_held(content: dict[str, Any]) -> str:
    rows = [
        row for row in content["rows"]
        if row["held"] and row["engine"] == OURS and row["threads"] == 1 and row["cache"] == "hot"
    ]  # fmt: skip
    shapes = list(dict.fromkeys(_shape(row) for row in rows))
    shares: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in rows:
        place = shares.setdefault((row["types"], row["epilogue"], row["isa"]), {})
        place[_shape(row)] = f"{row['percent_of_peak']:.0f}"
    table = [[*kind, *(place.get(shape, "") for shape in shapes)] for kind, place in shares.items()]
    return markdown_table(["types", "with", "ISA", *shapes], table, "lll" + "r" * len(shapes))


def _gemm_cold(content: dict[str, Any]) -> str:
    cells: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
    for row in content["rows"]:
        if row["cache"] == "cold" and row["m"] <= 8:
            cells.setdefault((row["types"], row["epilogue"], _shape(row)), {})[row["engine"]] = row
    table = []
    for (types, epilogue, shape), engines in cells.items():
        ours, peer = engines[OURS], engines.get("onednn")
        read = f"{ours['read_gbps']:.1f}"
        theirs = [f"{peer['weights_gbps']:.1f}", f"{ours['gops'] / peer['gops']:.2f}"] if peer else ["", ""]
        table.append([types, epilogue, shape, f"{ours['weights_gbps']:.1f}", read, *theirs])
    header = ["types", "with", "M x N x K", "weights GB/s", "memory GB/s", "peer GB/s", "ours / peer"]
    return markdown_table(header, table, "lllrrrr")


def _gemm_scaling(content: dict[str, Any]) -> str:
    table = [
        [row["types"], row["epilogue"], row["engine"], str(row["threads"]), str(row["shapes"]), f"{row['geomean']:.2f}",
         f"{row['worst']:.2f}", row["worst_shape"]]
        for row in content["summary"]["scaling"]
    ]  # fmt: skip
    header = ["types", "with", "engine", "threads", "shapes", "over one thread", "worst", "at"]
    return markdown_table(header, table, "lllrrrrl")


def _gemm_frameworks(content: dict[str, Any]) -> str:
    table = [
        [row["types"], row["epilogue"], f"{row['engine']} {row['version']} {row['form']}", _shape(row),
         f"{row['own_microseconds']:.0f}", f"{row['microseconds']:.0f}", f"{row['ratio']:.2f}"]
        for row in content["frameworks"]
    ]  # fmt: skip
    header = ["types", "with", "peer", "M x N x K", "ours us", "theirs us", "theirs / ours"]
    return markdown_table(header, table, "llllrrr")


def _gemm_stateful(content: dict[str, Any]) -> str:
    stateful = content.get("stateful")
    if not stateful:
        return ""
    models = list(dict.fromkeys(row["model"] for row in stateful["rows"]))
    speed = {(row["tokens"], row["model"]): f"{row['speed_up']:.2f}" for row in stateful["rows"]}
    tokens = list(dict.fromkeys(row["tokens"] for row in stateful["rows"]))
    table = [[str(count), *(speed[count, model] for model in models)] for count in tokens]
    text = (
        "Prepared int8 linears of one layer (rows quantised from f32) over the same kernels with weights packed and "
        f"columns summed in each call: mean {stateful['mean']:.2f}, geometric mean {stateful['geomean']:.2f}."
    )
    return text + "\n\n" + markdown_table(["tokens", *models], table, "r" * (1 + len(models)))


def _gemm(content: dict[str, Any]) -> str:
    peaks = ", ".join(f"{name} {value}" for name, value in content["peaks"].items())
    binding = ", ".join(
        f"{engine} {times['median']} us (longest {times['longest']})"
        for engine, times in content["summary"]["bind_us"].items()
    )
    peer = content["environment"]["peer"] or "no peer"
    parts = [
        f"Rate over that of {peer}: one thread, hot weights, all of bench/shapes. Behind: the shapes below 0.98.",
        _gemm_ratios(content),
        "Percent of the register-only peak on the held shapes, per level of instructions:",
        _gemm_held(content),
        "Weights from memory, M up to 8, one thread: packed weights read per second beside the bandwidth measured.",
        _gemm_cold(content),
        "Several threads over one, products of 100 MFLOP and more:",
        _gemm_scaling(content),
        f"Binding a new (M, threads), median: {binding}.",
        _gemm_stateful(content),
        "Single linears of frameworks, the call from Python included:",
        _gemm_frameworks(content),
        f"Peaks of the same run in GOPS, memory in GB/s: {peaks}.",
    ]
    return "\n\n".join(part for part in parts if part)


MAKERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "transformers": transformers,
    "transformers-full": transformers,
    "classifier-i8": _latencies,
    "memory": _memory,
    "shapes": _shapes,
    "accuracy": _accuracy,
    "sentences": _sentences,
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
