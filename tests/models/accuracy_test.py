"""Models in bf16 and int8 through the tool: distance from float64, and the same bits for any number of threads.

The rules are bench/eager.py's. Real sentences in int8 and bf16 keep the order in which f32 has pairs of them.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pytests"))

import numpy as np  # noqa: E402
from cachedir import MODELS  # noqa: E402
from catalogue import ALL_MASKED  # noqa: E402
from harness import Arrays, ToolCase, main  # noqa: E402
from eager import COSINE, FORMS, load_case, shortfall  # noqa: E402
from sentences import LEAST_PART, LEAST_SPEARMAN, compare, embed, load_texts  # noqa: E402
from worker import Worker  # noqa: E402

THREADS = (1, 2, 3, 4)
# Lengths and batches of which one thread's share is nothing, uneven, or a part of a row block.
BITS_CASES = ("b1_s1", "b1_s7", "b1_s128", "b3_s7", "b3_s32")
PAIRS_EACH = 120


class Precision(ToolCase):
    """One test per model file and rule is added below."""

    def need(self, model: str, form: str) -> Path:
        """The model file, or a skip."""
        path = MODELS / model / f"{model}.{form}"
        if not path.exists():
            self.skipTest(f"{path} is missing: tests/models/generate.py makes it")
        return path

    def worker(self, plan: Path, threads: int) -> Worker:
        """The tool as a worker."""
        command = [str(self.tool), "bench", str(plan), "--worker", "--threads", str(threads)]
        return Worker(command, sorted(os.sched_getaffinity(0)))

    def answers(self, plan: Path, threads: int, cases: dict[str, Arrays]) -> dict[str, Arrays]:
        """Outputs by case, all from one process."""
        out = {}
        with self.worker(plan, threads) as worker:
            for name, inputs in cases.items():
                worker.load(inputs)
                worker.run(1)
                out[name] = worker.outputs()
        return out

    def check_file(self, model: str, form: str, dtype: str) -> None:
        """All cases against float64."""
        path = self.need(model, form)
        folder = MODELS / model
        summary = json.loads((folder / "model.json").read_text())
        # Where every position is masked, ONNX files mean something else (README.md).
        names = [name for name in summary["cases"] if name != ALL_MASKED or not form.endswith(".onnx")]
        cases = {name: load_case(model, name, summary["inputs"]) for name in names}
        answers = self.answers(self.compile_model(path, *FORMS[dtype]), 1, cases)
        for name in names:
            with np.load(folder / "cases" / name / "expected64.npz") as exact:
                for output in summary["outputs"]:
                    with self.subTest(case=name, output=output):
                        self.assertEqual(shortfall(model, name, output, dtype, answers[name], exact[output]), "")

    def check_bits(self, model: str, options: list[str]) -> None:
        """One to four threads, several lengths and batches: the same bits."""
        path = self.need(model, "training.pt2")
        folder = MODELS / model
        names = json.loads((folder / "model.json").read_text())["inputs"]
        cases = {name: load_case(model, name, names) for name in BITS_CASES}
        plan = self.compile_model(path, *options)
        first = self.answers(plan, THREADS[0], cases)
        for threads in THREADS[1:]:
            for name, answer in self.answers(plan, threads, cases).items():
                with self.subTest(case=name, threads=threads):
                    self.same_bits(first[name], answer)

    def test_sentences(self) -> None:
        """Real sentences: pairs keep their order (Spearman 0.995), and most choices."""
        path = self.need("minilm", "training.pt2")
        if not (MODELS / "wordnet" / "data.noun").exists():
            self.skipTest("the sentences are missing: tests/models/generate.py wordnet fetches them")
        texts = load_texts(PAIRS_EACH)
        self.assertGreaterEqual(len(texts.pairs), 500)
        embedded = {}
        for dtype, options in FORMS.items():
            plan = self.compile_model(path, *options)
            with self.worker(plan, 1) as worker:
                embedded[dtype] = embed(functools.partial(_run, worker), texts)
        exact = compare(embedded["f32"], embedded["f32"], texts)
        self.assertAlmostEqual(exact["spearman"], 1)
        # Something is there to be kept: pairs that belong together are likelier than random ones.
        self.assertGreater(exact["top1_right"], 0.5)
        for dtype in ("bf16", "int8", "int8, rest bf16"):
            figures = compare(embedded[dtype], embedded["f32"], texts)
            self.assertGreaterEqual(figures["spearman"], LEAST_SPEARMAN, dtype)
            self.assertGreaterEqual(figures["cosine"], COSINE[dtype], dtype)
            # Whether the choices are the same hangs on a few near ties: bench/sentences.py holds it on more of them.
            self.assertGreaterEqual(figures["top1_right"], LEAST_PART * exact["top1_right"], dtype)


def _run(worker: Worker, inputs: Arrays) -> np.ndarray:
    worker.load(inputs)
    worker.run(1)
    return worker.outputs()["last_hidden_state"]


def _add_tests() -> None:
    def add(name: str, check: str, *arguments: object) -> None:
        plain = "".join(c if c.isalnum() else "_" for c in name)
        setattr(Precision, f"test_{plain}", lambda case: getattr(case, check)(*arguments))

    for model in ("bert-2", "minilm"):
        for form in ("training.pt2", "op20.onnx"):
            for dtype in FORMS:
                if dtype != "f32":  # models_test.py
                    add(f"{model}_{form}_{dtype}", "check_file", model, form, dtype)
        for dtype, options in FORMS.items():
            add(f"bits_{model}_{dtype}", "check_bits", model, options)


_add_tests()

if __name__ == "__main__":
    main()
