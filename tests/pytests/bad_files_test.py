"""Model files that are broken, unsupported or reach out of their folder: a message, an exit code, never a crash."""

from __future__ import annotations

import random

import small_models
from harness import ToolCase, main

SHAPE = ("--shape", f"x=2x{small_models.WIDTH}")


class BadOnnx(ToolCase):
    """`.onnx` files."""

    def saved(self, model: object, name: str = "bad.onnx") -> object:
        """Writes the model."""
        return small_models.save(model, self.folder / name)

    def test_missing(self) -> None:
        self.refuse(3, ["nothing.onnx"], "run", self.folder / "nothing.onnx", *SHAPE)

    def test_a_folder(self) -> None:
        self.refuse(3, [str(self.folder)], "run", self.folder, *SHAPE)

    def test_empty(self) -> None:
        (self.folder / "empty.onnx").write_bytes(b"")
        self.refuse(3, ["empty.onnx"], "run", self.folder / "empty.onnx", *SHAPE)

    def test_noise(self) -> None:
        path = self.folder / "noise.onnx"
        for seed in range(20):
            path.write_bytes(random.Random(seed).randbytes(200))
            self.refuse(3, ["noise.onnx"], "run", path, *SHAPE)

    def test_unknown_ops_are_all_listed_with_their_nodes(self) -> None:
        words = ["Frobnicate", "Defenestrate", "strange_one", "strange_two", "strange_three"]
        self.refuse(4, words, "run", self.saved(small_models.unknown_ops()), *SHAPE)

    def test_cycle(self) -> None:
        self.refuse(3, ["bad.onnx"], "run", self.saved(small_models.cycle()), *SHAPE)

    def test_dangling(self) -> None:
        self.refuse(3, ["bad.onnx", "nowhere"], "run", self.saved(small_models.dangling()), *SHAPE)

    def test_weight_that_is_too_short(self) -> None:
        self.refuse(3, ["bad.onnx", "w1"], "run", self.saved(small_models.short_initializer()), *SHAPE)

    def test_weight_whose_size_overflows(self) -> None:
        self.refuse(3, ["bad.onnx", "w1"], "run", self.saved(small_models.huge_initializer()), *SHAPE)

    def test_weight_with_a_negative_dim(self) -> None:
        self.refuse(3, ["bad.onnx", "w1"], "run", self.saved(small_models.negative_initializer()), *SHAPE)

    def test_truncations_never_crash(self) -> None:
        whole = small_models.mlp().SerializeToString()
        path = self.folder / "cut.onnx"
        for length in random.Random(1).sample(range(len(whole)), 40):
            path.write_bytes(whole[:length])
            code = self.call("inspect", path).returncode
            self.assertIn(code, (2, 3, 4), f"cut to {length} bytes")

    def test_flipped_bytes_never_crash(self) -> None:
        whole = small_models.mlp().SerializeToString()
        graph = len(whole) - sum(value.nbytes for value in small_models.weights().values())
        path = self.folder / "flipped.onnx"
        for seed in range(60):
            damaged = bytearray(whole)
            # Half of the flips strike the last bytes, where inputs and outputs are declared.
            place = random.Random(seed).randrange(len(whole) - graph if seed % 2 else 0, len(whole))
            damaged[place] ^= 1 << (seed % 8)
            path.write_bytes(damaged)
            code = self.call("run", path, *SHAPE).returncode
            self.assertIn(code, (0, 2, 3, 4), f"bit {seed % 8} of byte {place}")


class ExternalData(ToolCase):
    """Weights beside the model: inside its folder, and nowhere else."""

    def test_inside_the_folder(self) -> None:
        small_models.save_external(self.folder / "m.onnx", "weights.bin", self.folder / "weights.bin")
        self.succeed("run", self.folder / "m.onnx", *SHAPE)

    def test_missing(self) -> None:
        small_models.save_external(self.folder / "m.onnx", "weights.bin")
        self.refuse(3, ["weights.bin"], "run", self.folder / "m.onnx", *SHAPE)

    def test_too_short(self) -> None:
        small_models.save_external(self.folder / "m.onnx", "weights.bin", self.folder / "weights.bin")
        (self.folder / "weights.bin").write_bytes(b"\0" * 16)
        self.refuse(3, ["weights.bin"], "run", self.folder / "m.onnx", *SHAPE)

    def test_upwards(self) -> None:
        inner = self.folder / "inner"
        inner.mkdir()
        small_models.save_external(inner / "m.onnx", "../weights.bin", self.folder / "weights.bin")
        self.refuse(3, ["../weights.bin"], "run", inner / "m.onnx", *SHAPE)

    def test_absolute(self) -> None:
        target = self.folder / "weights.bin"
        inner = self.folder / "inner"
        inner.mkdir()
        small_models.save_external(inner / "m.onnx", str(target), target)
        self.refuse(3, [str(target)], "run", inner / "m.onnx", *SHAPE)

    def test_symlink_that_leaves_the_folder(self) -> None:
        inner = self.folder / "inner"
        inner.mkdir()
        small_models.save_external(inner / "m.onnx", "link.bin", self.folder / "weights.bin")
        (inner / "link.bin").symlink_to(self.folder / "weights.bin")
        self.refuse(3, ["link.bin"], "run", inner / "m.onnx", *SHAPE)


class BadPt2(ToolCase):
    """`.pt2` archives that are none."""

    def test_not_a_zip(self) -> None:
        (self.folder / "m.pt2").write_bytes(b"PK\x03\x04 and then nothing of use" * 20)
        self.refuse(3, ["m.pt2"], "run", self.folder / "m.pt2")

    def test_empty(self) -> None:
        (self.folder / "m.pt2").write_bytes(b"")
        self.refuse(3, ["m.pt2"], "run", self.folder / "m.pt2")


if __name__ == "__main__":
    main()
