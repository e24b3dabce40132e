"""The worker protocol of `bench --worker`, as bench/README.md describes it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import numpy as np
import small_models
from harness import ToolCase, main


class WorkerProtocol(ToolCase):
    """One worker per case, on a small model."""

    def setUp(self) -> None:
        super().setUp()
        self.model = small_models.save(small_models.mlp(), self.folder / "mlp.onnx")
        self.x = np.random.default_rng(5).standard_normal((3, small_models.WIDTH)).astype(np.float32)
        np.save(self.folder / "x.npy", self.x)

    def talk(self, *requests: object) -> list[dict[str, Any]]:
        """Sends all requests, ends the input, and returns all answers; the first is the worker's own `ready`."""
        lines = [request if isinstance(request, str) else json.dumps(request) for request in requests]
        done = subprocess.run(
            [str(self.tool), "bench", str(self.model), "--worker", "--threads", "1"],
            input="".join(line + "\n" for line in lines),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PATH": "/usr/bin:/bin"},
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def load(self) -> dict[str, Any]:
        """The request that loads x."""
        return {"cmd": "load", "inputs": {"x": str(self.folder / "x.npy")}}

    def test_ready(self) -> None:
        ready, bye = self.talk({"cmd": "quit"})
        self.assertTrue(ready["ok"] and bye["ok"])
        self.assertEqual((ready["event"], ready["engine"], ready["threads"]), ("ready", "intaglio", 1))
        self.assertEqual([value["name"] for value in ready["inputs"]], ["x"])
        self.assertEqual(ready["inputs"][0]["shape"][1], small_models.WIDTH)
        self.assertEqual(bye["event"], "bye")

    def test_load_run_outputs(self) -> None:
        path = str(self.folder / "out.npz")
        _, loaded, ran, wrote, _ = self.talk(
            self.load(), {"cmd": "run", "iterations": 7}, {"cmd": "outputs", "path": path}, {"cmd": "quit"}
        )
        self.assertEqual(loaded["shapes"], {"x": [3, small_models.WIDTH]})
        self.assertEqual((ran["iterations"], len(ran["latency_ns"])), (7, 7))
        self.assertTrue(all(isinstance(value, int) and value > 0 for value in ran["latency_ns"]))
        self.assertEqual(wrote["outputs"]["y"], {"dtype": "f32", "shape": [3, small_models.WIDTH]})
        with np.load(path) as archive:
            np.testing.assert_allclose(archive["y"], small_models.mlp_answer(self.x), rtol=1e-4, atol=1e-3)

    def test_random_inputs_of_a_shape(self) -> None:
        _, ran, _ = self.talk({"cmd": "run", "iterations": 2, "shape": {"x": [9, small_models.WIDTH]}}, {"cmd": "quit"})
        self.assertEqual(len(ran["latency_ns"]), 2)

    def test_memory(self) -> None:
        _, _, _, memory, _ = self.talk(self.load(), {"cmd": "run", "iterations": 1}, {"cmd": "memory"}, {"cmd": "quit"})
        self.assertGreater(memory["peak_rss_mb"], 0)
        self.assertGreaterEqual(memory["peak_rss_mb"], memory["rss_mb"])

    def test_end_of_input_is_quit(self) -> None:
        answers = self.talk()
        self.assertTrue(answers[0]["ok"])

    def test_bad_requests_are_answered_and_do_not_end_the_worker(self) -> None:
        bad: list[object] = [
            "not json",
            "[1, 2]",
            {"cmd": "dance"},
            {},
            {"cmd": "run", "iterations": 1},
            {"cmd": "outputs", "path": str(self.folder / "out.npz")},
            {"cmd": "load", "inputs": {}},
            {"cmd": "load", "inputs": {"z": str(self.folder / "x.npy")}},
            {"cmd": "load", "inputs": {"x": str(self.folder / "none.npy")}},
            {"cmd": "run", "iterations": 1, "shape": {"x": [3, 47]}},
        ]
        good = [self.load(), {"cmd": "run", "iterations": 0}, {"cmd": "run", "iterations": 1}, {"cmd": "quit"}]
        answers = self.talk(*bad, *good)
        self.assertEqual(len(answers), 1 + len(bad) + len(good))
        for request, answer in zip(bad, answers[1:], strict=False):
            self.assertFalse(answer["ok"], request)
            self.assertTrue(answer["error"]["message"], request)
        loaded, none, ran, bye = answers[1 + len(bad) :]
        self.assertEqual([loaded["ok"], none["ok"], ran["ok"], bye["ok"]], [True, False, True, True])


if __name__ == "__main__":
    main()
