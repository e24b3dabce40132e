"""--dtype, --quantize, --activations and --keep-float: answers, plans, reports, bad usage."""

from __future__ import annotations

import numpy as np
import small_models
from harness import ToolCase, main

# Options, the dtype and the quantisation that reports name, and how far an answer may be off (of its largest value):
# two roundings to 8 bits of mantissa, or of 127 steps, in each of three layers.
FORMS = (
    ((), "f32", "none", 1e-5),
    (("--dtype", "bf16"), "bf16", "none", 0.03),
    (("--quantize", "dynamic"), "f32", "dynamic, activations by token", 0.03),
    (("--quantize", "dynamic", "--activations", "tensor"), "f32", "dynamic, activations by tensor", 0.05),
    (("--dtype", "bf16", "--quantize", "dynamic"), "bf16", "dynamic, activations by token", 0.05),
)


class Precision(ToolCase):
    """The arithmetic of a model."""

    def setUp(self) -> None:
        super().setUp()
        self.model = small_models.save(small_models.mlp(), self.folder / "mlp.onnx")
        self.x = np.random.default_rng(1).standard_normal((5, small_models.WIDTH)).astype(np.float32)

    def test_answers(self) -> None:
        want = small_models.mlp_answer(self.x)
        for options, _, _, allowed in FORMS:
            got = self.run_model(self.model, {"x": self.x}, *options)["y"]
            self.assertLess(np.abs(got - want).max(), allowed * np.abs(want).max(), options)

    def test_a_plan_gives_the_same_bits_and_says_what_it_is(self) -> None:
        for options, dtype, quantize, _ in FORMS:
            plan = self.folder / "m.plan"
            report = self.report("intaglio.compile/1", "compile", self.model, "-o", plan, *options)
            self.assertEqual((report["dtype"], report["quantize"]), (dtype, quantize))
            direct = self.run_model(self.model, {"x": self.x}, *options)
            self.same_bits(direct, self.run_model(plan, {"x": self.x}))

    def test_threads_do_not_matter(self) -> None:
        for options, _, _, _ in FORMS:
            one = self.run_model(self.model, {"x": self.x}, *options, "--threads", 1)
            for threads in (2, 3):
                self.same_bits(one, self.run_model(self.model, {"x": self.x}, *options, "--threads", threads))

    def test_rules_are_printed(self) -> None:
        shown = self.succeed("compile", self.model, "-o", "m.plan", "--quantize", "dynamic", "--keep-float", "first,last")
        self.assertIn("first linear (--keep-float first)", shown.stdout)
        self.assertIn("last linear (--keep-float last)", shown.stdout)

    def test_bad_usage(self) -> None:
        self.refuse(2, ["fp16", "--dtype", "bf16"], "run", self.model, "--dtype", "fp16")
        self.refuse(2, ["f16", "--dtype", "bf16"], "run", self.model, "--dtype", "f16")
        self.refuse(2, ["dynamc", "dynamic"], "run", self.model, "--quantize", "dynamc")
        self.refuse(2, ["middle", "first"], "run", self.model, "--quantize", "dynamic", "--keep-float", "middle")
        self.refuse(2, ["--keep-float", "--quantize"], "run", self.model, "--keep-float", "last")
        self.refuse(2, ["--activations", "--quantize"], "run", self.model, "--activations", "token")
        self.refuse(2, ["row", "token"], "run", self.model, "--quantize", "dynamic", "--activations", "row")

    def test_a_plan_is_decided(self) -> None:
        plan = self.compile_model(self.model)
        for option in (("--dtype", "bf16"), ("--quantize", "dynamic")):
            self.refuse(2, ["is a plan", option[0]], "run", plan, *option)


if __name__ == "__main__":
    main()
