"""Requests that make no sense: variables, shapes, token counts, ids, masks, NaN. An error that says what, or an answer
that is defined; never a crash and never exit code 1, which means a bug.
"""

from __future__ import annotations

import resource

import numpy as np
import small_models
from harness import Arrays, ToolCase, main

from cachedir import MODELS  # isort: skip: the harness knows the folder

FORMS = ((), ("--dtype", "bf16"), ("--quantize", "dynamic"), ("--dtype", "bf16", "--quantize", "dynamic"))
NONSENSE = ("x", "-1", "1025", "9" * 30, "2.5", "0x2", "avx2,avx512", "AVX2", "avx2 ", "\n", "%s%n", "a" * 100_000, "\u00e9")
VARIABLES = ("INTAGLIO_MAX_ISA", "INTAGLIO_THREADS", "INTAGLIO_VERIFY", "INTAGLIO_LOG")

# Shapes that no machine holds, and the exit codes that may say so: a bad size, or a dim outside its declared range.
TOO_LARGE = (
    "2147483648x2147483648",
    "4294967296x4294967296",
    "3037000500x3037000500",
    "9223372036854775807x1",
    "1x9223372036854775807",
    "0x9223372036854775807",
    "1000000000000x1",
    "100000000x4",
)


class Variables(ToolCase):
    """The environment."""

    def test_nonsense_is_refused_by_name(self) -> None:
        model = small_models.save(small_models.mlp(), self.folder / "mlp.onnx")
        for variable in VARIABLES:
            for value in NONSENSE:
                with self.subTest(variable=variable, value=value[:20]):
                    self.refuse(2, [variable, "hint:"], "run", model, env={variable: value})

    def test_set_but_empty_is_unset(self) -> None:
        model = small_models.save(small_models.mlp(), self.folder / "mlp.onnx")
        for variable in (*VARIABLES, "INTAGLIO_PYTHON"):
            self.succeed("run", model, env={variable: ""})

    def test_unknown_names(self) -> None:
        for name in ("INTAGLIO_", "INTAGLIO_X", "INTAGLIO_MAX_ISA_"):
            self.refuse(2, [name, "unknown environment variable"], "doctor", env={name: "1"})


class NotFinite(ToolCase):
    """NaN and infinities in the input of two layers."""

    def setUp(self) -> None:
        super().setUp()
        self.model = small_models.save(small_models.mlp(), self.folder / "mlp.onnx")
        self.x = np.random.default_rng(2).standard_normal((7, small_models.WIDTH)).astype(np.float32)

    def answer(self, value: float, *options: object) -> np.ndarray:
        x = self.x.copy()
        x[3, 5] = value
        return self.run_model(self.model, {"x": x}, *options)["y"]

    def check_others(self, got: np.ndarray, clean: np.ndarray) -> None:
        """Rows other than the fourth are as they were, bit for bit."""
        for row in (0, 1, 2, 4, 5, 6):
            self.assertEqual(got[row].tobytes(), clean[row].tobytes(), f"row {row}")

    def test_floats_pass_it_on(self) -> None:
        for options in FORMS[:2]:
            clean = self.answer(0.0, *options)
            for value in (np.nan, np.inf, -np.inf):
                got = self.answer(value, *options)
                self.check_others(got, clean)
                self.assertFalse(np.isfinite(got[3]).all(), f"{options} {value}")

    def test_by_token_a_nan_counts_as_0(self) -> None:
        for options in FORMS[2:]:
            clean = self.answer(0.0, *options)
            self.assertEqual(self.answer(np.nan, *options).tobytes(), clean.tobytes())

    def test_by_token_an_infinity_stays_in_its_row(self) -> None:
        for options in FORMS[2:]:
            clean = self.answer(0.0, *options)
            for value in (np.inf, -np.inf):
                self.check_others(self.answer(value, *options), clean)

    def test_by_tensor(self) -> None:
        options = ("--quantize", "dynamic", "--activations", "tensor")
        clean = self.answer(0.0, *options)
        got = self.answer(np.nan, *options)  # no extreme; its own code is 0, as ONNX's saturation makes it
        self.check_others(got, clean)
        self.assertTrue(np.isfinite(got).all())
        for value in (np.inf, -np.inf):
            first = self.answer(value, *options)
            self.assertEqual(first.shape, clean.shape)
            self.assertEqual(first.tobytes(), self.answer(value, *options, "--threads", 1).tobytes())

    def test_the_largest_floats(self) -> None:
        self.x[:] = np.finfo(np.float32).max
        for options in FORMS:
            self.assertEqual(self.answer(-1.0, *options).shape, self.x.shape)


class Transformers(ToolCase):
    """One case per model and form is added below."""

    def ask(self, plan: object, ids: np.ndarray, mask: np.ndarray | None = None) -> Arrays:
        held = np.ones(ids.shape, np.int64) if mask is None else mask
        return self.run_model(plan, {"input_ids": ids, "attention_mask": held})

    def refuse_ids(self, code: int, words: list[str], plan: object, ids: np.ndarray) -> None:
        for name, value in (("input_ids", ids), ("attention_mask", np.ones(ids.shape, np.int64))):
            np.save(self.folder / f"{name}.npy", value)
        given = [f"--input={name}={self.folder / name}.npy" for name in ("input_ids", "attention_mask")]
        self.refuse(code, words, "run", plan, *given)

    def check_model(self, model: str, file: str, last_id: int, options: tuple[str, ...]) -> None:
        if not (MODELS / model / file).exists():
            self.skipTest(f"{MODELS / model / file} is missing: tests/models/generate.py makes it")
        plan = self.compile_model(MODELS / model / file, *options)
        self.check_shapes(plan)
        self.check_ids(plan, last_id)
        self.check_masks(plan)

    def check_shapes(self, plan: object) -> None:
        for shape in TOO_LARGE:
            with self.subTest(shape=shape):
                done = self.call("run", plan, "--shape", f"input_ids={shape}")
                self.assertIn(done.returncode, (2, 4), done.stderr)
                self.assertRegex(done.stderr, "input '|value '|these shapes need")
        with self.subTest(shape="more tokens than positions"):
            # A range that the model declares, or an index that its table of 1024 does not have.
            done = self.call("run", plan, "--shape", "input_ids=1x1025")
            self.assertIn(done.returncode, (2, 4), done.stderr)
            self.assertRegex(done.stderr, "input_ids.*1025|node '.*index is out of range")
        empty = self.ask(plan, np.zeros((0, 4), np.int64))
        self.assertTrue(all(value.shape[0] == 0 for value in empty.values()))
        # Without tokens BERT's first one does not exist.
        done = self.call("run", plan, "--shape", "input_ids=2x0")
        self.assertIn(done.returncode, (0, 2, 4), done.stderr)
        if done.returncode != 0:
            self.assertIn("node '", done.stderr)
        # What is not memory but only refused is no bug of the tool.
        small = lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))  # noqa: E731
        refused = self.call("run", plan, "--shape", "input_ids=2000x512", before=small)
        self.assertEqual(refused.returncode, 4, refused.stderr)
        self.assertIn("these shapes need", refused.stderr)

    def check_ids(self, plan: object, last_id: int) -> None:
        for wrong in (last_id + 1, 10**9, 2**63 - 1, -(2**63), -last_id - 2):
            with self.subTest(id=wrong):
                self.refuse_ids(2, ["node '", "index is out of range"], plan, np.array([[5, wrong, 3]], np.int64))
        ids = np.array([[5, last_id, 3]], np.int64)
        self.same_bits(self.ask(plan, ids), self.ask(plan, np.where(ids == last_id, -1, ids)))  # counts from the end

    def check_masks(self, plan: object) -> None:
        """Values of a masked text, and that its neighbour does not see them."""
        ids = np.array([[5, 6, 7, 8], [9, 10, 11, 12]], np.int64)
        kept = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], np.int64)
        clean = self.ask(plan, ids, kept)
        for first in ([0, 0, 0, 0], [0, 0, 1, 1], [2**62, -7, 0, 0]):
            with self.subTest(mask=first):
                got = self.ask(plan, ids, np.array([first, kept[1]], np.int64))
                for name, value in got.items():
                    self.assertEqual(value[1].tobytes(), clean[name][1].tobytes(), name)
                    self.assertFalse(np.isnan(value.astype(np.float64)).any(), name)


def _add_tests() -> None:
    for model, last_id in (("bert-2", 30521), ("gpt2-2", 1999)):
        for file in (f"{model}.op20.onnx", f"{model}.inference.pt2"):
            for options in FORMS:
                name = f"test_{file}_{'_'.join(options) or 'f32'}".replace(".", "_").replace("-", "")

                def test(
                    self: Transformers,
                    model: str = model,
                    file: str = file,
                    last_id: int = last_id,
                    options: tuple[str, ...] = options,
                ) -> None:
                    self.check_model(model, file, last_id, options)

                setattr(Transformers, name, test)


_add_tests()

if __name__ == "__main__":
    main()
