"""Models in bf16 and int8 through the tool: distance from float64, and the same bits for any number of threads.

The rules: bf16 has at most three times the RMSE of PyTorch eager's own bf16 and a cosine of at least 0.999; int8 has a
cosine of at least 0.99. With `--activations tensor` a scale for all tokens is what the user asked for: it must be no
further away than PyTorch's quantize_dynamic, which quantises so too. Real sentences in int8 and bf16 keep the order in
which f32 has pairs of them.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pytests"))

import numpy as np  # noqa: E402
from cachedir import MODELS  # noqa: E402
from catalogue import ALL_MASKED, SPECS  # noqa: E402
from harness import Arrays, ToolCase, main  # noqa: E402
from rounds import error_figures  # noqa: E402
from sentences import compare, embed, held, load_texts  # noqa: E402
from worker import Worker  # noqa: E402

BF16_FACTOR, BF16_COSINE, INT8_COSINE = 3.0, 0.999, 0.99
BF16, INT8 = ("--dtype", "bf16"), ("--quantize", "dynamic")
BY_TENSOR = (*INT8, "--activations", "tensor")
FORMS: dict[str, tuple[str, ...]] = {
    "f32": (),
    "bf16": BF16,
    "int8": INT8,
    "int8, rest bf16": (*INT8, *BF16),
    "int8 by tensor": BY_TENSOR,
}
THREADS = (1, 2, 3, 4)
# Lengths and batches of which one thread's share is nothing, uneven, or a part of a row block.
BITS_CASES = ("b1_s1", "b1_s7", "b1_s128", "b3_s7", "b3_s32")
PAIRS_EACH = 120


def _load(case: Path, names: list[str]) -> Arrays:
    return {name: np.load(case / f"{name}.npy") for name in names}


@functools.cache
def _eager(model: str, quantised: bool) -> dict[str, Arrays]:
    """PyTorch eager's answers by case: in bf16, or of quantize_dynamic."""
    import build_model
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    spec = SPECS[model]
    folder = MODELS / model
    summary = json.loads((folder / "model.json").read_text())
    module = build_model.build(spec, MODELS / "minilm-source" if spec.real_weights else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that quantize_dynamic is old
        linears = {torch.nn.Linear}
        module = torch.ao.quantization.quantize_dynamic(module, linears) if quantised else module.to(torch.bfloat16)
    answers = {}
    for name in summary["cases"]:
        stored = _load(folder / "cases" / name, summary["inputs"])
        inputs = {key: torch.from_numpy(value) for key, value in stored.items()}
        with torch.inference_mode():
            outputs = module(**inputs)
        answers[name] = {key: getattr(outputs, key).float().numpy() for key in summary["outputs"]}
    return answers


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

    def check_file(self, model: str, form: str, options: tuple[str, ...]) -> None:
        """All cases against float64."""
        path = self.need(model, form)
        folder = MODELS / model
        summary = json.loads((folder / "model.json").read_text())
        # Where every position is masked, ONNX files mean something else (README.md).
        names = [name for name in summary["cases"] if name != ALL_MASKED or not form.endswith(".onnx")]
        cases = {name: _load(folder / "cases" / name, summary["inputs"]) for name in names}
        answers = self.answers(self.compile_model(path, *options), 1, cases)
        for name in names:
            with np.load(folder / "cases" / name / "expected64.npz") as exact:
                for output in summary["outputs"]:
                    with self.subTest(case=name, output=output):
                        own = error_figures(answers[name][output], exact[output])
                        if options == BY_TENSOR:
                            eager = error_figures(_eager(model, True)[name][output], exact[output])
                            self.assertLessEqual(own["rmse"], eager["rmse"])
                        elif options == BF16:
                            eager = error_figures(_eager(model, False)[name][output], exact[output])
                            self.assertLessEqual(own["rmse"], BF16_FACTOR * eager["rmse"])
                            self.assertGreaterEqual(own["cosine"], BF16_COSINE)
                        else:
                            self.assertGreaterEqual(own["cosine"], INT8_COSINE)

    def check_bits(self, model: str, options: tuple[str, ...]) -> None:
        """One to four threads, several lengths and batches: the same bits."""
        path = self.need(model, "training.pt2")
        folder = MODELS / model
        names = json.loads((folder / "model.json").read_text())["inputs"]
        cases = {name: _load(folder / "cases" / name, names) for name in BITS_CASES}
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
            self.assertTrue(held(dtype, figures, exact), f"{dtype}: {figures}")


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
            for dtype, options in FORMS.items():
                if dtype != "f32":
                    add(f"{model}_{form}_{dtype}", "check_file", model, form, options)
        for dtype, options in FORMS.items():
            add(f"bits_{model}_{dtype}", "check_bits", model, options)


_add_tests()

if __name__ == "__main__":
    main()
