"""Plans: the same bytes every time, the same answers as the model, damage found, nothing partial left behind."""

from __future__ import annotations

import random
import resource
import signal

import numpy as np
import small_models
from harness import ToolCase, main

SHAPE = ("--shape", f"x=2x{small_models.WIDTH}")
VERIFY = {"INTAGLIO_VERIFY": "1"}


class Plans(ToolCase):
    """A small model compiled."""

    def setUp(self) -> None:
        super().setUp()
        self.model = small_models.save(small_models.mlp(), self.folder / "mlp.onnx")
        self.plan = self.compile_model(self.model)
        self.whole = self.plan.read_bytes()
        self.weights_place = self._place_of_weights()

    def _place_of_weights(self) -> int:
        """A place in the file that holds a packed weight: its bytes are those of an element of w1."""
        element = small_models.weights()["w1"][0, 0].tobytes()
        place = self.whole.find(element)
        self.assertGreater(place, 0, "the plan does not hold the weights as they are")
        return place

    def test_compile_reports(self) -> None:
        report = self.report("intaglio.compile/1", "compile", self.model, "-o", self.folder / "second.plan")
        self.assertEqual(report["schema"], "intaglio.compile/1")

    def test_same_answers_as_the_model(self) -> None:
        for batch in (0, 1, 6, 40):
            x = np.random.default_rng(batch).standard_normal((batch, small_models.WIDTH)).astype(np.float32)
            self.same_bits(self.run_model(self.model, {"x": x}), self.run_model(self.plan, {"x": x}))

    def test_compiling_twice_gives_the_same_bytes(self) -> None:
        again = self.folder / "again.plan"
        self.succeed("compile", self.model, "-o", again)
        self.assertEqual(again.read_bytes(), self.whole)

    def test_plan_is_independent_of_its_model(self) -> None:
        self.model.unlink()
        self.succeed("run", self.plan, *SHAPE)

    def test_verify_accepts_a_good_plan(self) -> None:
        self.succeed("inspect", self.plan, "--verify")
        self.succeed("run", self.plan, *SHAPE, env=VERIFY)

    def test_another_version(self) -> None:
        # The header begins with a magic, then the version.
        for place in range(8, 12):
            damaged = bytearray(self.whole)
            damaged[place] ^= 0x40
            self.plan.write_bytes(damaged)
            self.refuse(3, [self.plan.name], "run", self.plan, *SHAPE)

    def test_flipped_bytes_outside_the_weights_are_found_at_every_load(self) -> None:
        for seed in range(40):
            place = random.Random(seed).randrange(min(self.weights_place, 400))
            damaged = bytearray(self.whole)
            damaged[place] ^= 1 << (seed % 8)
            self.plan.write_bytes(damaged)
            self.refuse(3, [self.plan.name], "run", self.plan, *SHAPE)

    def test_flipped_byte_in_the_weights_is_found_under_verification(self) -> None:
        damaged = bytearray(self.whole)
        damaged[self.weights_place + 1] ^= 0x10
        self.plan.write_bytes(damaged)
        self.succeed("run", self.plan, *SHAPE)
        self.refuse(3, [self.plan.name], "run", self.plan, *SHAPE, env=VERIFY)
        self.refuse(3, [self.plan.name], "inspect", self.plan, "--verify")

    def test_truncations(self) -> None:
        lengths = [0, 1, 7, 16, 63, 64, 200, len(self.whole) // 2, len(self.whole) - 1]
        for length in lengths + random.Random(2).sample(range(len(self.whole)), 20):
            self.plan.write_bytes(self.whole[:length])
            self.refuse(3, [self.plan.name], "run", self.plan, *SHAPE)

    def test_no_space(self) -> None:
        target = self.folder / "target"
        target.mkdir()

        def small_files_only() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        done = self.call("compile", self.model, "-o", target / "mlp.plan", before=small_files_only)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("mlp.plan", done.stderr)
        self.assertEqual(list(target.iterdir()), [], "a partial plan was left behind")

    def test_a_failed_compile_keeps_the_old_plan(self) -> None:
        bad = small_models.save(small_models.unknown_ops(), self.folder / "strange.onnx")
        self.refuse(4, ["Frobnicate"], "compile", bad, "-o", self.plan)
        self.assertEqual(self.plan.read_bytes(), self.whole)

    def test_folder_that_does_not_exist(self) -> None:
        self.refuse(3, ["nowhere"], "compile", self.model, "-o", self.folder / "nowhere" / "mlp.plan")


if __name__ == "__main__":
    main()
