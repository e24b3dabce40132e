"""What the tests that drive the command line tool share: calling it, judging refusals, reporting to CTest.

A test script is named `*_test.py` and ends with `main()`; CTest calls it with `--tool <path>`. Its cases are reported
as JUnit XML in `<build>/test-results/py.<name>.xml`. The exit code is 77 when every case was skipped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
for folder in ("bench", "tests/models", "tests/conformance", "tests/pytests"):
    sys.path.insert(0, str(ROOT / folder))

SKIPPED = 77
TIMEOUT_SECONDS = 300
Arrays = dict[str, np.ndarray]


class ToolCase(unittest.TestCase):
    """A case with a scratch folder and the tool."""

    tool: Path = ROOT / "build" / "release" / "bin" / "intaglio"

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def call(
        self, *arguments: object, env: dict[str, str] | None = None, before: Callable[[], None] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs the tool. Variables of the caller that the tool reads do not reach it; `env` does."""
        return subprocess.run(
            [str(self.tool), *(str(argument) for argument in arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", **(env or {})},
            preexec_fn=before,
        )

    def succeed(self, *arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs the tool and wants exit code 0."""
        done = self.call(*arguments, env=env)
        self.assertEqual(done.returncode, 0, f"{self._shown(arguments)}\n{done.stdout}\n{done.stderr}")
        return done

    def peak_mb(self, *arguments: object) -> float:
        """The same, and the most memory (MB of 10^6 bytes) that the tool had."""
        command = [str(self.tool), *(str(argument) for argument in arguments)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=self.folder, env={"PATH": "/usr/bin:/bin"})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0, self._shown(arguments))
        return usage.ru_maxrss * 1024 / 1e6

    def report(self, schema: str, *arguments: object) -> dict[str, Any]:
        """Runs the tool with --json: stdout must be one JSON object of this schema and nothing else."""
        done = self.succeed(*arguments, "--json")
        answer = json.loads(done.stdout)
        self.assertEqual(answer["schema"], schema)
        return answer

    def refuse(self, code: int, words: list[str], *arguments: object, env: dict[str, str] | None = None) -> str:
        """Runs the tool and wants this exit code, with a message on stderr that has all `words`."""
        done = self.call(*arguments, env=env)
        shown = f"{self._shown(arguments)}\nexit {done.returncode}\nstderr: {done.stderr}\nstdout: {done.stdout}"
        self.assertEqual(done.returncode, code, shown)
        for word in words:
            self.assertIn(word, done.stderr, shown)
        return done.stderr

    def run_model(self, model: Path, inputs: Arrays, *options: object, env: dict[str, str] | None = None) -> Arrays:
        """`intaglio run` on arrays."""
        arguments: list[object] = ["run", model, *options]
        for name, value in inputs.items():
            path = self.folder / f"in.{name.replace('/', '_')}.npy"
            np.save(path, value)
            arguments += ["--input", f"{name}={path}"]
        output = self.folder / "out.npz"
        self.succeed(*arguments, "--output", output, env=env)
        with np.load(output) as archive:
            return {name: archive[name] for name in archive.files}

    def compile_model(self, model: Path, *options: object) -> Path:
        """`intaglio compile` into the scratch folder."""
        plan = self.folder / f"{model.name}.plan"
        self.succeed("compile", model, "-o", plan, *options)
        return plan

    def same_bits(self, left: Arrays, right: Arrays) -> None:
        """Both hold the same outputs, bit for bit."""
        self.assertEqual(sorted(left), sorted(right))
        for name, value in left.items():
            self.assertEqual(value.tobytes(), right[name].tobytes(), f"output '{name}' differs")

    @staticmethod
    def _shown(arguments: tuple[object, ...]) -> str:
        return "intaglio " + " ".join(str(argument) for argument in arguments)


class _Result(unittest.TextTestResult):
    """Also keeps the time of every case."""

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        self.started = time.monotonic()
        super().startTest(test)

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        seconds[test.id()] = time.monotonic() - self.started
        super().stopTest(test)


seconds: dict[str, float] = {}


def _write_junit(path: Path, result: unittest.TestResult) -> None:
    verdicts: dict[str, tuple[str, str]] = {}
    for test, text in result.skipped:
        verdicts[test.id()] = ("skipped", text)
    for test, text in result.failures + result.errors:
        name = test.id().split(" ")[0] if " (" in test.id() else test.id()
        verdicts[name] = ("failure", text)
    suite = ET.Element("testsuite", name=path.stem, tests=str(result.testsRun))
    for name in sorted({*seconds, *verdicts}):
        case = ET.SubElement(suite, "testcase", name=name, time=f"{seconds.get(name, 0.0):.3f}")
        if name in verdicts:
            kind, text = verdicts[name]
            ET.SubElement(case, kind, message=text.strip().splitlines()[-1] if text.strip() else "").text = text
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def main() -> None:
    """Runs the cases of the calling script."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tool", type=Path, default=ToolCase.tool)
    arguments, rest = parser.parse_known_args()
    ToolCase.tool = arguments.tool.resolve()
    if not ToolCase.tool.is_file():
        sys.exit(f"{ToolCase.tool} does not exist: build it with ./dev build")
    program = unittest.main(argv=[sys.argv[0], *rest], exit=False, testRunner=_runner())
    name = Path(sys.argv[0]).stem.removesuffix("_test")
    _write_junit(ToolCase.tool.parents[1] / "test-results" / f"py.{name}.xml", program.result)
    if not program.result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if len(program.result.skipped) == program.result.testsRun else 0)


def _runner() -> unittest.TextTestRunner:
    return unittest.TextTestRunner(resultclass=_Result, verbosity=2)
