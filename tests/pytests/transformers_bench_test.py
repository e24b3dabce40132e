"""The driver of the transformer benchmark, on a model of two layers beside ONNX Runtime; its verdicts and tables."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import small_models
from harness import ToolCase, main

import common  # isort: skip (bench/, found through harness)
import engines  # isort: skip
import memory  # isort: skip
import transformers_run  # isort: skip
import transformers_tables  # isort: skip
import verdicts  # isort: skip
from rounds import Budget  # isort: skip

SHAPES = ((3, small_models.WIDTH), (5, small_models.WIDTH))
CHOICE = transformers_run.Choice(
    ("mlp",), {1: SHAPES}, ("f32",), ("onnxruntime f32",), Budget(rounds=2, most_iterations=3, turn_seconds=0.01)
)


def _cases(model: engines.Subject, shapes: list[tuple[int, int]]) -> list[common.Case]:
    cases = []
    for shape in shapes:
        x = np.random.default_rng(shape[0]).standard_normal(shape).astype(np.float32)
        cases.append(common.Case(model.name, {"x": list(shape)}, {"x": x}, {"y": small_models.mlp_answer(x)}))
    return cases


class Driver(ToolCase):
    """Contests, their failures, and going on after a stop."""

    def setUp(self) -> None:
        super().setUp()
        path = small_models.save(small_models.mlp(), self.folder / "mlp.onnx")
        self.subject = engines.Subject("mlp", path, path, ("x",), "key")
        self.state = self.folder / "state.jsonl"
        for patch in (
            mock.patch.object(common, "PLANS", self.folder),
            mock.patch.object(engines, "PLANS", self.folder),
            mock.patch.dict(os.environ, {"DEV_TOOL": str(self.tool)}),
        ):
            patch.start()
            self.addCleanup(patch.stop)

    def execute(
        self, state: Path | None = None, subject: engines.Subject | None = None, cases: Any = _cases
    ) -> transformers_run.Run:
        run = transformers_run.Run(CHOICE, lambda _: subject or self.subject, cases, transformers_run.State(state))
        run.execute()
        return run

    def test_rows_of_both_engines_at_every_shape(self) -> None:
        run = self.execute()
        self.assertEqual(run.failures, [])
        rows = run.results()
        self.assertEqual([(r["engine"], r["shapes"]["x"][0]) for r in rows],
                         [("intaglio", 3), ("onnxruntime", 3), ("intaglio", 5), ("onnxruntime", 5)])  # fmt: skip
        for row in rows:
            self.assertEqual((row["model"], row["dtype"], row["contest"], row["threads"]), ("mlp", "f32", "f32", 1))
            self.assertGreater(row["latency_ms"]["p50"], 0)
            self.assertLessEqual(row["latency_ms"]["min"], row["latency_ms"]["p90"])
            self.assertGreater(row["iterations"], 0)
            self.assertGreater(row["error"]["cosine"], 0.999999)
        self.assertAlmostEqual(rows[0]["ratio_to_best_peer"], verdicts.p50(rows[0]) / verdicts.p50(rows[1]))

    def test_a_second_start_goes_on(self) -> None:
        first = self.execute(self.state).results()
        lines = self.state.read_text().splitlines()
        self.assertEqual(len(lines), 2)
        # Stopped while the second cell was being written.
        self.state.write_text(lines[0] + "\n" + lines[1][:40] + "\n")
        second = self.execute(self.state).results()
        self.assertEqual(second[:2], first[:2])
        self.assertEqual(len(second), 4)
        with mock.patch.dict(os.environ, {"DEV_TOOL": "/nowhere"}):  # nothing is left to do
            self.assertEqual(self.execute(self.state).results(), second)

    def test_a_peer_that_fails_is_told_and_left_out(self) -> None:
        run = self.execute(subject=replace(self.subject, onnx=self.folder / "missing.onnx"))
        self.assertEqual([row["engine"] for row in run.results()], ["intaglio", "intaglio"])
        self.assertEqual(len(run.failures), 1)
        self.assertIn("onnxruntime f32 on mlp", run.failures[0])

    def test_wrong_answers_are_not_timed(self) -> None:
        def wrong(model: engines.Subject, shapes: list[tuple[int, int]]) -> list[common.Case]:
            found = _cases(model, shapes)
            return [replace(case, exact={"y": case.exact["y"] + 1}) for case in found if case.exact is not None]

        run = self.execute(self.state, cases=wrong)
        self.assertEqual(run.results(), [])
        self.assertFalse(self.state.exists())
        self.assertEqual(len([line for line in run.failures if "wrong answers" in line]), 4)


def _row(contest: str, engine: str, dtype: str, tokens: int, latency: float, threads: int = 1) -> dict[str, Any]:
    return {
        "model": "bert-base", "engine": engine, "dtype": dtype, "threads": threads, "contest": contest,
        "shapes": {"input_ids": [1, tokens]}, "latency_ms": {"p50": latency},
        "error": {"max_abs": 1e-3, "rel_l2": 1e-4, "cosine": 1.0},
    }  # fmt: skip


ROWS = [
    _row("bf16", "intaglio", "bf16", 32, 10.0),
    _row("bf16", "intaglio", "f32", 32, 30.0),
    _row("bf16", "openvino", "bf16", 32, 20.0),
    _row("bf16", "inductor", "bf16", 32, 25.0),
    _row("bf16", "intaglio", "bf16", 128, 40.0),
    _row("bf16", "intaglio", "f32", 128, 36.0),
    _row("bf16", "openvino", "bf16", 128, 50.0),
    _row("bf16", "intaglio", "bf16", 128, 25.0, 2),
    _row("bf16", "intaglio", "f32", 128, 30.0, 2),
    _row("bf16", "openvino", "bf16", 128, 50.0, 2),
]


class Memory(ToolCase):
    """The figures of memory.py, without running anything."""

    def test_lengths(self) -> None:
        found = memory.lengths(72, 512)
        self.assertEqual((len(set(found)), min(found), max(found)), (72, 1, 512))
        self.assertEqual(found, memory.lengths(72, 512))

    def test_what_is_missed(self) -> None:
        row = {"engine": "intaglio", "dtype": "int8", "load_ms": 2.0, "first_run_ms": 70.0, "run_ms": 45.0,
               "rss_mb": {"128 tokens": 180.0, "72 lengths": 215.0}, "allowed_mb": 210}  # fmt: skip
        lines = memory._missed([row, {**row, "engine": "openvino"}], [])
        self.assertEqual(len(lines), 2, lines)
        self.assertIn("215 MB resident", lines[0])
        self.assertIn("load and first run 72.0 ms", lines[1])


class Verdicts(ToolCase):
    """Ratios of speed from rows made by hand."""

    def test_the_best_peer(self) -> None:
        first = verdicts.cells(ROWS)[0]
        self.assertEqual(first.best_peer(), ("openvino bf16", 20.0))
        self.assertEqual(first.over_peer("bf16"), 2.0)

    def test_summaries(self) -> None:
        found = {line.what: line for line in verdicts.summaries(ROWS)}
        self.assertAlmostEqual(found["bf16 over the best peer"].mean, (2.0 * 1.25 * 2.0) ** (1 / 3))
        self.assertEqual(found["bf16 over the best peer"].worst, 1.25)
        self.assertAlmostEqual(found["bf16 over our f32"].worst, 0.9)
        self.assertAlmostEqual(found["two threads over one"].worst, 1.6)

    def test_what_is_missed(self) -> None:
        lines = verdicts.missed(ROWS)
        self.assertEqual(len(lines), 4, lines)
        expected = ("1.25x", "geometric mean", "slower than our f32: 0.90x", "1.60x one")
        for words, line in zip(expected, lines, strict=True):
            self.assertIn(words, line)

    def test_tables(self) -> None:
        text = transformers_tables.transformers({"results": ROWS, "failures": ["a peer: why"]})
        row = "| 1 x 32 | 1 | 10.00 | 20.00 | 25.00 | openvino bf16 | 2.00 |"
        for words in (row, "two threads over one", "a peer: why"):
            self.assertIn(words, text)
        json.dumps(verdicts.summary(ROWS))


if __name__ == "__main__":
    main()
