"""The command line: commands, options, reports, and how it refuses bad usage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import small_models
from harness import ToolCase, main

COMMANDS = ("run", "compile", "bench", "inspect", "explain", "profile", "debug", "doctor")
SCREEN_LINES = 60
ISA_LEVELS = ("scalar", "sse42", "avx2", "avx_vnni", "avx512", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx")


class WithModel(ToolCase):
    """A small model and an input for it."""

    def setUp(self) -> None:
        super().setUp()
        self.model = small_models.save(small_models.mlp(), self.folder / "mlp.onnx")
        self.x = np.random.default_rng(1).standard_normal((5, small_models.WIDTH)).astype(np.float32)

    def write_x(self, value: np.ndarray | None = None) -> str:
        """An --input argument."""
        np.save(self.folder / "x.npy", self.x if value is None else value)
        return f"x={self.folder / 'x.npy'}"


class Cli(WithModel):
    """All commands."""

    def test_help_names_the_commands(self) -> None:
        shown = self.succeed("--help").stdout
        for command in COMMANDS:
            self.assertIn(command, shown)

    def test_help_of_a_command_fits_a_screen(self) -> None:
        for command in COMMANDS:
            shown = self.succeed(command, "--help").stdout
            self.assertIn(f"intaglio {command}", shown)
            self.assertLessEqual(len(shown.splitlines()), SCREEN_LINES)

    def test_run_is_right(self) -> None:
        for batch in (1, 2, 7, 33):
            x = np.random.default_rng(batch).standard_normal((batch, small_models.WIDTH)).astype(np.float32)
            answer = self.run_model(self.model, {"x": x})
            self.assertEqual(list(answer), ["y"])
            np.testing.assert_allclose(answer["y"], small_models.mlp_answer(x), rtol=1e-4, atol=1e-3)

    def test_run_reports_its_outputs(self) -> None:
        report = self.report("intaglio.run/1", "run", self.model, "--input", self.write_x(), "--output", "out.npz")
        (output,) = report["outputs"]
        self.assertEqual((output["name"], output["dtype"], output["shape"]), ("y", "f32", [5, small_models.WIDTH]))

    def test_run_with_random_inputs_is_seeded(self) -> None:
        answers = []
        for number in range(2):
            path = self.folder / f"{number}.npz"
            self.succeed("run", self.model, "--shape", f"x=3x{small_models.WIDTH}", "--output", path)
            with np.load(path) as archive:
                answers.append({name: archive[name] for name in archive.files})
        self.same_bits(*answers)
        self.assertEqual(answers[0]["y"].shape, (3, small_models.WIDTH))

    def test_empty_batch(self) -> None:
        answer = self.run_model(self.model, {"x": self.x[:0]})
        self.assertEqual(answer["y"].shape, (0, small_models.WIDTH))

    def test_same_bits_for_any_number_of_threads(self) -> None:
        big = np.random.default_rng(3).standard_normal((257, small_models.WIDTH)).astype(np.float32)
        one = self.run_model(self.model, {"x": big}, "--threads", 1)
        for threads in (2, 3, 4):
            self.same_bits(one, self.run_model(self.model, {"x": big}, "--threads", threads))

    def test_every_isa_level_is_right(self) -> None:
        for level in ISA_LEVELS:
            answer = self.run_model(self.model, {"x": self.x}, env={"INTAGLIO_MAX_ISA": level})
            np.testing.assert_allclose(answer["y"], small_models.mlp_answer(self.x), rtol=1e-4, atol=1e-3)

    def test_every_isa_level_agrees(self) -> None:
        """int8, GELU, layer norm, f32 and softmax: one level against another differs by rounding only."""
        model = small_models.save(small_models.mixed(), self.folder / "mixed.onnx")
        scalar = self.run_model(model, {"x": self.x}, env={"INTAGLIO_MAX_ISA": "scalar"})["y"]
        np.testing.assert_allclose(scalar.sum(axis=1), 1, rtol=1e-5)
        for level in ISA_LEVELS:
            answer = self.run_model(model, {"x": self.x}, env={"INTAGLIO_MAX_ISA": level})["y"]
            # Logits are sums of 80 products of order 1, off by 2 * 80 eps * 80 at most; that is the relative error
            # of exp.
            np.testing.assert_allclose(answer, scalar, rtol=2 * 80 * 6e-8 * 80, atol=1e-7)

    def test_a_capped_level_is_not_exceeded(self) -> None:
        for level in ("scalar", "sse42", "avx2"):
            done = self.succeed("doctor", "--json", env={"INTAGLIO_MAX_ISA": level})
            self.assertIn(json.loads(done.stdout)["isa"][-1], ISA_LEVELS[: ISA_LEVELS.index(level) + 1])

    def test_inspect(self) -> None:
        report = self.report("intaglio.inspect/1", "inspect", self.model)
        self.assertEqual([value["name"] for value in report["inputs"]], ["x"])
        self.assertEqual([value["name"] for value in report["outputs"]], ["y"])
        self.assertEqual(report["unsupported"], [])
        count = sum(value.size for value in small_models.weights().values())
        self.assertEqual(report["parameters"], count)

    def test_inspect_lists_unsupported_ops(self) -> None:
        path = small_models.save(small_models.unknown_ops(), self.folder / "strange.onnx")
        report = self.report("intaglio.inspect/1", "inspect", path)
        self.assertEqual({entry["op"] for entry in report["unsupported"]}, {"Frobnicate", "Defenestrate"})

    def test_profile(self) -> None:
        report = self.report(
            "intaglio.profile/1", "profile", self.model, "-o", "trace.json", "--threads", "2", "--iterations", "4"
        )
        trace = json.loads((self.folder / "trace.json").read_text())
        slices = [event for event in trace["traceEvents"] if event["ph"] == "X"]
        lanes = {event["tid"] for event in trace["traceEvents"] if event["name"] == "thread_name"}
        self.assertEqual(lanes, set(range(report["threads"])))
        runs = [event for event in slices if event["name"].startswith("run ")]
        steps = [event for event in slices if "args" in event]
        self.assertEqual(len(runs), report["runs"])
        self.assertEqual(len(runs) + len(steps), len(slices))
        self.assertEqual(len(runs), 4)
        for run in runs:
            end = run["ts"] + run["dur"]
            inside = [step for step in steps if run["ts"] <= step["ts"] < end]
            self.assertEqual(len({(step["tid"], step["args"]["step"]) for step in inside}), len(inside))
            for lane in lanes:
                # In order, one after the other, within the run; so their sum is at most the run's time.
                mine = sorted((s for s in inside if s["tid"] == lane), key=lambda step: step["args"]["step"])
                last = run["ts"]
                for step in mine:
                    self.assertGreaterEqual(step["ts"], last - 0.01)
                    last = step["ts"] + step["dur"]
                self.assertLessEqual(last, end + 0.01)
            self.assertEqual(len([s for s in inside if s["tid"] == 0]), len(report["steps"]))
        mean = sum(run["dur"] for run in runs) / len(runs)
        self.assertAlmostEqual(report["run_us"], mean, delta=0.01 * mean + 0.01)
        self.assertLessEqual(sum(step["busy_us"] for step in report["steps"]), mean * report["threads"] * 1.001)
        for step, told in zip(report["steps"], self.report("intaglio.explain/1", "explain", self.model)["steps"]):
            for key in ("node", "op", "kernel"):
                self.assertEqual(step[key], told[key])

    def test_profile_text_and_refusals(self) -> None:
        shown = self.succeed("profile", self.model, "-o", "t.json", "--top", "1").stdout
        self.assertIn("of run", shown)
        self.assertIn("t.json", shown)
        for arguments in ((), ("-o", "t.json", "--iterations", "0"), ("-o", "t.json", "--top", "x")):
            self.assertEqual(self.call("profile", self.model, *arguments).returncode, 2)
        self.assertEqual(self.call("profile", self.model, "-o", "nowhere/t.json").returncode, 3)

    def test_explain(self) -> None:
        report = self.report("intaglio.explain/1", "explain", self.model)
        self.assertTrue(report["steps"])
        for step in report["steps"]:
            self.assertTrue(step["kernel"])
        self.assertIn("near_misses", report)
        self.succeed("explain", self.model)

    def test_packing_is_reported(self) -> None:
        plan = self.folder / "mlp.plan"
        compiled = self.report("intaglio.compile/1", "compile", self.model, "-o", plan)
        self.assertEqual((compiled["packs"], compiled["packed_weights"]), (2, 2))
        self.assertGreaterEqual(compiled["packed_bytes"], 2 * 4 * small_models.WIDTH * small_models.HIDDEN)
        for model, packs in ((self.model, 2), (plan, 0)):
            report = self.report("intaglio.explain/1", "explain", model)
            expected = {"weights": 2, "bytes": compiled["packed_bytes"], "packs": packs, "packs_since": 0}
            self.assertEqual(report["packing"], expected)
            self.assertEqual(report["bindings"], len(report["steps"]))  # no two layers are alike
            self.assertIsNone(report["huge_pages"])
        self.assertIn("2 packed", self.succeed("explain", plan).stdout)

    def test_huge_pages(self) -> None:
        plan = self.compile_model(self.model)
        plain = self.run_model(plan, {"x": self.x})
        for model in (self.model, plan):
            self.same_bits(plain, self.run_model(model, {"x": self.x}, "--huge-pages"))
            for command, shape in (("run", ["--shape", f"x=4x{small_models.WIDTH}"]), ("explain", [])):
                report = self.report(f"intaglio.{command}/1", command, model, "--huge-pages", *shape)
                self.assertEqual(report["huge_pages"]["bytes"], 0)  # the weights are smaller than a page
                self.assertTrue(report["huge_pages"]["refused"])
        arguments = ["--shape", f"x=4x{small_models.WIDTH}", "--iterations", 2, "--warmup", 0]
        report = self.report("intaglio.bench/1", "bench", plan, "--huge-pages", *arguments)
        self.assertIn("refused", report["results"][0]["huge_pages"])
        self.assertIn("huge pages: ", self.succeed("explain", plan, "--huge-pages").stderr)

    def test_bench(self) -> None:
        arguments = ["--shape", f"x=4x{small_models.WIDTH}", "--iterations", 20, "--warmup", 2]
        report = self.report("intaglio.bench/1", "bench", self.model, *arguments)
        result = report["results"][0]
        latency = result["latency_ms"]
        self.assertLessEqual(latency["min"], latency["p50"])
        self.assertLessEqual(latency["p50"], latency["p99"])
        self.assertGreater(latency["min"], 0)

    def test_doctor(self) -> None:
        report = self.report("intaglio.doctor/1", "doctor")
        self.assertIn("avx2" if "avx2" in Path("/proc/cpuinfo").read_text() else "sse42", json.dumps(report["isa"]))
        self.assertIn("intra_op", report["threads"])

    def test_debug_accuracy(self) -> None:
        report = self.report("intaglio.accuracy/1", "debug", "accuracy", self.model, "--input", self.write_x())
        layers = report["layers"]
        self.assertEqual(report["steps"], len(layers))
        figures = [layer["error"]["rel_l2"] for layer in layers]
        self.assertEqual(figures, sorted(figures, reverse=True))
        self.assertLess(figures[0], 1e-6)
        for layer in layers:
            self.assertIsNone(layer["not_compared"])
            self.assertTrue(layer["compared_with"])
        w = small_models.weights()
        exact = np.maximum(self.x.astype(np.float64) @ w["w1"] + w["b1"], 0) @ w["w2"].astype(np.float64) + w["b2"]
        y = self.run_model(self.model, {"x": self.x}, "--threads", 1)["y"]
        error = report["outputs"][0]["error"]
        self.assertAlmostEqual(error["max_abs"], np.abs(y - exact).max(), delta=1e-12)
        self.assertAlmostEqual(error["rel_l2"], np.linalg.norm(y - exact) / np.linalg.norm(exact), delta=1e-12)
        text = self.succeed("debug", "accuracy", self.model, "--layers", "first", "--dtype", "bf16").stdout
        self.assertIn("first", text)
        self.assertNotIn("second", text)

    def test_logs_stay_off_stdout(self) -> None:
        done = self.succeed("inspect", self.model, "--json", env={"INTAGLIO_LOG": "debug"})
        json.loads(done.stdout)


class BadUsage(WithModel):
    """Exit code 2, with the cause and a hint."""

    def test_unknown_command(self) -> None:
        self.refuse(2, ["inspcet", "inspect"], "inspcet", self.model)

    def test_debug_without_a_known_command(self) -> None:
        self.refuse(2, ["accuracy"], "debug")
        self.refuse(2, ["acuracy", "did you mean accuracy"], "debug", "acuracy", self.model)
        self.refuse(2, ["--layer", "--layers"], "debug", "accuracy", self.model, "--layer", "x")
        self.refuse(2, ["nowhere"], "debug", "accuracy", self.model, "--layers", "nowhere")
        self.refuse(2, ["--top"], "debug", "accuracy", self.model, "--top", "-1")
        self.refuse(2, ["plan"], "debug", "accuracy", self.compile_model(self.model))

    def test_unknown_option(self) -> None:
        self.refuse(2, ["--thread", "--threads"], "run", self.model, "--thread", 1)

    def test_no_command(self) -> None:
        self.assertEqual(self.call().returncode, 2)

    def test_misnamed_input(self) -> None:
        np.save(self.folder / "x.npy", self.x)
        self.refuse(2, ["'xx'", "x"], "run", self.model, "--input", f"xx={self.folder / 'x.npy'}")

    def test_wrong_dtype(self) -> None:
        self.refuse(2, ["x", "f64", "f32"], "run", self.model, "--input", self.write_x(self.x.astype(np.float64)))

    def test_wrong_rank(self) -> None:
        self.refuse(2, ["x", "rank"], "run", self.model, "--input", self.write_x(self.x[None]))

    def test_wrong_dim(self) -> None:
        self.refuse(2, ["x", "47", "48"], "run", self.model, "--input", self.write_x(self.x[:, :-1].copy()))

    def test_bad_shape_option(self) -> None:
        for text in ("x=3", "x=axb", "y=3x48", "x", "x=-1x48", "x=99999999999999999999x48"):
            self.refuse(2, [], "run", self.model, "--shape", text)

    def test_bad_number_of_threads(self) -> None:
        for text in ("0", "-1", "many", "1000000"):
            self.refuse(2, ["threads"], "run", self.model, "--threads", text)

    def test_bad_variable(self) -> None:
        env = {"INTAGLIO_MAX_ISA": "avx1024"}
        self.refuse(2, ["INTAGLIO_MAX_ISA", "avx1024"], "run", self.model, "--input", self.write_x(), env=env)

    def test_misspelt_variable(self) -> None:
        env = {"INTAGLIO_MAXISA": "avx2"}
        words = ["INTAGLIO_MAXISA", "INTAGLIO_MAX_ISA"]
        self.refuse(2, words, "run", self.model, "--input", self.write_x(), env=env)

    def test_input_file_that_is_missing(self) -> None:
        self.refuse(3, ["none.npy"], "run", self.model, "--input", f"x={self.folder / 'none.npy'}")

    def test_input_file_that_is_not_an_array(self) -> None:
        (self.folder / "x.npy").write_text("not an array")
        self.refuse(3, ["x.npy"], "run", self.model, "--input", f"x={self.folder / 'x.npy'}")

    def test_input_file_that_is_truncated(self) -> None:
        argument = self.write_x()
        whole = (self.folder / "x.npy").read_bytes()
        for length in (0, 5, 9, 60, len(whole) - 1):
            (self.folder / "x.npy").write_bytes(whole[:length])
            self.refuse(3, ["x.npy"], "run", self.model, "--input", argument)


if __name__ == "__main__":
    main()
