"""Transformer models through the tool: ONNX and `.pt2`, every case against float64, with PyTorch eager as the measure.

The rule for float32: RMSE at most twice PyTorch eager's own plus 1e-5, and a cosine of at least 0.999999.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pytests"))

import numpy as np  # noqa: E402
from cachedir import MODELS  # noqa: E402
from catalogue import GROUPS, SPECS, means_something_else  # noqa: E402
from harness import Arrays, ToolCase, main  # noqa: E402
from rounds import error_figures  # noqa: E402

LEAST_COSINE = 0.999999
OWN_FACTOR, OWN_SLACK = 2.0, 1e-5
MASKED_DIFFERENCE = 5e-5


def _load(case: Path, names: list[str]) -> Arrays:
    return {name: np.load(case / f"{name}.npy") for name in names}


class Models(ToolCase):
    """One test per model file is added below."""

    def check_case(self, answer: Arrays, case: Path, outputs: list[str]) -> None:
        """Judges the outputs of one case."""
        with np.load(case / "expected.npz") as eager, np.load(case / "expected64.npz") as exact:
            for name in outputs:
                ours = error_figures(answer[name], exact[name])
                own = error_figures(eager[name], exact[name])
                self.assertEqual(answer[name].shape, exact[name].shape)
                self.assertLessEqual(ours["rmse"], OWN_FACTOR * own["rmse"] + OWN_SLACK, f"{case.name}: {name}")
                self.assertGreaterEqual(ours["cosine"], LEAST_COSINE, f"{case.name}: {name}")

    def check_masked_onnx(self, model: Path, case: Path, inputs: list[str], answer: Arrays) -> None:
        """A query that sees nothing means something else in older ONNX files (README.md): ONNX Runtime judges."""
        import onnxruntime

        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        for name, expected in zip(names, session.run(names, _load(case, inputs)), strict=True):
            off = float(np.abs(answer[name] - expected).max())
            self.assertLess(off, MASKED_DIFFERENCE, f"{case.name}: {name}")

    def check_file(self, model: str, form: str) -> None:
        """Compiles `form` of `model` and runs every case on the plan."""
        folder = MODELS / model
        if not (folder / form).exists():
            self.skipTest(f"{folder / form} is missing: tests/models/generate.py makes it")
        summary = json.loads((folder / "model.json").read_text())
        plan = self.compile_model(folder / form)
        for name in summary["cases"]:
            with self.subTest(case=name):
                case = folder / "cases" / name
                answer = self.run_model(plan, _load(case, summary["inputs"]), "--threads", 1)
                self.assertEqual(sorted(answer), sorted(summary["outputs"]))
                if means_something_else(SPECS[model], form, name):
                    self.check_masked_onnx(folder / form, case, summary["inputs"], answer)
                else:
                    self.check_case(answer, case, summary["outputs"])

    def test_same_bits_for_two_threads_and_without_a_plan(self) -> None:
        folder = MODELS / "bert-2"
        model = folder / "bert-2.training.pt2"
        if not model.exists():
            self.skipTest(f"{model} is missing: tests/models/generate.py makes it")
        inputs = _load(folder / "cases" / "b3_s32", ["input_ids", "attention_mask"])
        direct = self.run_model(model, inputs, "--threads", 1)
        plan = self.compile_model(model)
        for threads in (1, 2):
            self.same_bits(direct, self.run_model(plan, inputs, "--threads", threads))

    def test_a_dim_outside_its_range(self) -> None:
        folder = MODELS / "bert-2"
        model = folder / "bert-2.training.pt2"
        if not model.exists():
            self.skipTest(f"{model} is missing: tests/models/generate.py makes it")
        self.refuse(4, ["512", "513"], "run", model, "--shape", "input_ids=1x513", "--shape", "attention_mask=1x513")

    def test_inputs_that_disagree(self) -> None:
        folder = MODELS / "bert-2"
        model = folder / "bert-2.training.pt2"
        if not model.exists():
            self.skipTest(f"{model} is missing: tests/models/generate.py makes it")
        words = ["attention_mask"]
        self.refuse(2, words, "run", model, "--shape", "input_ids=1x7", "--shape", "attention_mask=1x8")

    def test_compiling_holds_a_weight_once(self) -> None:
        """Packed, or on the way there in another form: never the model's file besides."""
        folder = MODELS / "llama-wide-2"
        largest = 2048 * 5632 * 4 / 1e6  # MB
        for form in ("llama-wide-2.training.pt2", "llama-wide-2.op20.onnx"):
            model = folder / form
            if not model.exists():
                self.skipTest(f"{model} is missing: tests/models/generate.py makes it")
            for wanted in ((), ("--dtype", "bf16"), ("--quantize", "dynamic")):
                plan = self.folder / "peak.plan"
                self.succeed("compile", model, "-o", plan, *wanted)  # fills the page cache
                peak = self.peak_mb("compile", model, "-o", plan, *wanted)
                # The largest source weight, its parts that become one (q, k, v), and the process itself.
                most = plan.stat().st_size / 1e6 + 3 * largest + 40
                self.assertLess(peak, most, f"{form} {wanted}")

    def test_truncated_archives(self) -> None:
        source = MODELS / "minilm" / "minilm.training.pt2"
        if not source.exists():
            self.skipTest(f"{source} is missing: tests/models/generate.py makes it")
        whole = source.read_bytes()
        path = self.folder / "cut.pt2"
        for part in (0.001, 0.3, 0.9, 0.9999):
            path.write_bytes(whole[: int(len(whole) * part)])
            self.refuse(3, ["cut.pt2"], "inspect", path)


# What a layer of each structure becomes, and one step before and after all layers where it says so.
GPT2_LAYER = ["layer_norm", "linear", "attention_packed", "linear", "layer_norm", "linear", "linear"]
# Attention and feed-forward read the same norm; both sums are in the epilogues of the last two.
GPTJ_LAYER = ["layer_norm", "linear", "rotary", "attention_packed", "linear", "linear", "linear"]
LLAMA_LAYER = [*("rms_norm", "linear", "rotary", "attention_packed", "linear"), *("rms_norm", "linear", "linear", "linear")]
LAYERS = {"gpt2-2": GPT2_LAYER, "gptj-narrow-2": GPTJ_LAYER, "llama-narrow-2": LLAMA_LAYER}
LAYERS |= {"gpt2-2-nomask": GPT2_LAYER, "llama-narrow-2-nomask": LLAMA_LAYER, "llama-narrow-2-eager": LLAMA_LAYER}


# Tables of rotary and positions, once for all layers.
MOST_OTHERS = 7


class Layers(ToolCase):
    """The steps of decoders: one test per model file is added below."""

    def check_steps(self, model: str, form: str) -> None:
        """Both layers are exactly the steps that the structure needs; then norm and logits."""
        path = MODELS / model / form
        if not path.exists():
            self.skipTest(f"{path} is missing: tests/models/generate.py makes it")
        report = json.loads(self.succeed("explain", "--json", path).stdout)
        ops = [step["op"] for step in report["steps"]]
        layer = LAYERS[model]
        # Tables of rotary are made between the first steps of the first layer, once for all. No masks: attention is
        # causal by itself, and padding a row of bools.
        once = {"gather", "gather_elements", "slice", "iota", "cast", "expand", "mul", "cos", "sin", "add", "full"}
        kept = [op for op in ops if op not in once]
        self.assertEqual(kept, [*layer, *layer, layer[0], "linear"])
        self.assertLessEqual(len(ops) - len(kept), MOST_OTHERS, ops)
        self.assertEqual(report["near_misses"], [])


class Classifier(ToolCase):
    """The real int8 classifier, against the ONNX reference evaluator, with ONNX Runtime as the measure.

    An activation next to a rounding border lands on either int8 step, depending on the last bit of the float before
    it, and moves a logit by up to a few tenths (they range over about -10 to 10). So: half of the inputs must agree
    to float rounding, and none may be further from the reference than twice ONNX Runtime's worst.
    """

    # Short, because the reference evaluator is slow.
    SHAPES = ((1, 1), (1, 7), (1, 16), (1, 24), (1, 32), (2, 9), (1, 48))
    MEDIAN = 1e-3
    FACTOR = 2.0

    def inputs(self) -> list[Arrays]:
        """Seeded ids; with several rows the later ones are padded."""
        random = np.random.default_rng(11)
        made = []
        for batch, sequence in self.SHAPES * 2:
            ids = random.integers(1000, 30000, size=(batch, sequence), dtype=np.int64)
            mask = np.ones_like(ids)
            mask[batch // 2 + 1 :, sequence // 2 + 1 :] = 0
            made.append({"input_ids": ids * mask, "attention_mask": mask})
        return made

    def test_logits(self) -> None:
        import onnx
        import onnxruntime
        from onnx.reference import ReferenceEvaluator

        path = MODELS / "classifier" / "model_quantized.onnx"
        if not path.exists():
            self.skipTest(f"{path} is missing: tests/models/generate.py fetches it")
        plan = self.compile_model(path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        model = onnx.load(path)
        # The evaluator has DequantizeLinear from opset 19 on; the definitions used here are the same.
        model.opset_import[0].version = 19
        reference = ReferenceEvaluator(model)
        ours, theirs = [], []
        for inputs in self.inputs():
            exact = reference.run(["logits"], inputs)[0]
            answer = self.run_model(plan, inputs, "--threads", 1)["logits"]
            self.assertEqual((answer.shape, answer.dtype), (exact.shape, exact.dtype))
            ours.append(float(np.abs(answer - exact).max()))
            theirs.append(float(np.abs(session.run(["logits"], inputs)[0] - exact).max()))
        print(f"largest {max(ours):.2e}, median {np.median(ours):.2e}; ONNX Runtime: largest {max(theirs):.2e}")
        self.assertLessEqual(float(np.median(ours)), self.MEDIAN)
        self.assertLessEqual(max(ours), self.FACTOR * max(theirs))


def _add_tests() -> None:
    for model in GROUPS["test"]:
        for suffix in SPECS[model].forms:
            form = f"{model}.{suffix}"
            name = "test_" + form.replace("-", "_").replace(".", "_")
            setattr(Models, name, lambda self, model=model, form=form: self.check_file(model, form))


def _add_layer_tests() -> None:
    for model in LAYERS:
        for suffix in SPECS[model].forms:
            form = f"{model}.{suffix}"
            name = "test_" + form.replace("-", "_").replace(".", "_")
            setattr(Layers, name, lambda self, model=model, form=form: self.check_steps(model, form))


_add_tests()
_add_layer_tests()

if __name__ == "__main__":
    main()
