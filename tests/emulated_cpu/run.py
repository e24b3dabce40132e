#!/usr/bin/env python3
"""Runs tests and the tool on CPUs that really lack the newer instructions: qemu's user mode with older models.

    run.py --build build/release --results build/release/emulated-results --jobs 2

INTAGLIO_MAX_ISA only hides levels from the choice of kernels: a kernel that used an instruction beyond its level would
still work. On qemu's models it ends the program with SIGILL. For each model, natively compiled programs run unchanged:
* emulation_test: the CPU really refuses what it lacks, and nothing stands in for it;
* kernels_test, ops_test: against their references, all rows of the levels that the CPU has, without the longest cases;
* the tool: `doctor` detects exactly the levels that the model has, and small models give the bits that this machine
  gives under the same INTAGLIO_MAX_ISA.

Leaves JUnit reports for tools/test_summary.py. README.md of this folder: what qemu cannot show.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pytests"))
import small_models  # noqa: E402

QEMU = "qemu-x86_64"
TIMEOUT_SECONDS = 600
# qemu dies of the guest's signal after this line; the shell's view of it is 128 + SIGILL.
ILLEGAL = f"uncaught target signal {signal.SIGILL.value} "


@dataclasses.dataclass(frozen=True)
class Cpu:
    """A model of qemu and the levels that Intaglio must detect on it, lowest first."""

    model: str
    levels: tuple[str, ...]


CPUS = (Cpu("Haswell", ("scalar", "sse42", "avx2")), Cpu("Nehalem", ("scalar", "sse42")))
NEWER = ("avx2", "avx_vnni", "avx512", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx")

# Cases that take minutes under qemu; shorter ones of the same suite run the same kernels.
TOO_LONG = {
    "kernels": ["Table/GemmKernel.AllRemainders/*"],
    "ops": [
        "Attention.LayoutsGroupsAndDecode",
        "Attention.RunningMaximaBeyond512Keys",
        "Forms/PaddedAttention.IsAbsentToTheBit/*",
    ],
}


@dataclasses.dataclass
class Outcome:
    """One entry of the run's report."""

    name: str
    seconds: float
    failure: str  # empty: passed
    illegal: bool = False


def gtest_filter(program: str, cpu: Cpu) -> str:
    """All but slow cases and sweeps and, where cases are named by kernel, those of levels that the CPU lacks."""
    if program == "emulation":
        return "Machine.*"
    rows = [f"*_{level}" for level in NEWER if level not in cpu.levels] if program == "kernels" else []
    return "-" + ":".join(["*Slow*", "*DISABLED_*", *TOO_LONG[program], *rows])


def run_program(build: Path, results: Path, cpu: Cpu, program: str) -> Outcome:
    """A gtest program on the CPU; its cases are in <results>/<name>.xml."""
    name, start = f"{cpu.model}.{program}", time.monotonic()
    command = [
        *(QEMU, "-cpu", cpu.model, str(build / "bin" / f"{program}_test")),
        *(f"--gtest_filter={gtest_filter(program, cpu)}", f"--gtest_output=xml:{results / name}.xml"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False,
                              timeout=TIMEOUT_SECONDS, env={**os.environ, "TESTS_UNDER_QEMU": "1"})
    except subprocess.TimeoutExpired:
        return Outcome(name, TIMEOUT_SECONDS, f"took longer than {TIMEOUT_SECONDS} s")
    # Children that are meant to die of SIGILL (emulation_test) are not the program's own end.
    illegal = done.returncode in (-signal.SIGILL, 128 + signal.SIGILL)
    failure = "" if done.returncode == 0 else f"exit {done.returncode}\n{(done.stdout + done.stderr)[-6000:]}"
    return Outcome(name, time.monotonic() - start, failure, illegal)


def call_tool(arguments: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The tool, or qemu with the tool."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS,
                          env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **env})
    if done.returncode != 0:
        raise AssertionError(f"exit {done.returncode}: {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
    return done


def check_doctor(tool: str, cpu: Cpu) -> None:
    """The levels that the tool detects."""
    report = json.loads(call_tool([QEMU, "-cpu", cpu.model, tool, "doctor", "--json"], {}).stdout)
    if report["isa_detected"] != list(cpu.levels) or report["isa"] != list(cpu.levels):
        raise AssertionError(f"detected {report['isa_detected']}, uses {report['isa']}, expected {list(cpu.levels)}")


def check_model(tool: str, cpu: Cpu, model: str) -> None:
    """The same bits as this machine's under the cap; from the model file, and from a plan that this machine compiled."""
    cap = {"INTAGLIO_MAX_ISA": cpu.levels[-1]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = small_models.save(getattr(small_models, model)(), folder / "model.onnx")
        x = np.random.default_rng(5).standard_normal((7, small_models.WIDTH)).astype(np.float32)
        np.save(folder / "x.npy", x)
        plan = folder / "model.plan"
        call_tool([tool, "compile", str(path), "-o", str(plan)], cap)
        qemu = [QEMU, "-cpu", cpu.model, tool]
        answers = []
        for number, (program, source, env) in enumerate(([[tool], path, cap], [qemu, path, {}], [qemu, plan, {}])):
            out = folder / f"{number}.npz"
            call_tool([*program, "run", str(source), "--threads", "2", "--input", f"x={folder / 'x.npy'}",
                       "--output", str(out)], env)
            with np.load(out) as archive:
                answers.append(archive["y"])
        for other in answers[1:]:
            if answers[0].tobytes() != other.tobytes():
                raise AssertionError(f"{model}: bits differ, by {np.abs(answers[0] - other).max()} at most")


def run_tool(build: Path, cpu: Cpu) -> list[Outcome]:
    """The tool's checks on the CPU, one outcome each."""
    tool = str(build / "bin" / "intaglio")
    checks = {
        "doctor": lambda: check_doctor(tool, cpu),
        "mlp": lambda: check_model(tool, cpu, "mlp"),
        "mixed": lambda: check_model(tool, cpu, "mixed"),
    }
    outcomes = []
    for name, check in checks.items():
        start, failure = time.monotonic(), ""
        try:
            check()
        except (AssertionError, OSError, ValueError, subprocess.TimeoutExpired) as error:
            failure = f"{type(error).__name__}: {error}"
        outcomes.append(Outcome(f"{cpu.model}.tool.{name}", time.monotonic() - start, failure, ILLEGAL in failure))
    return outcomes


def write_report(results: Path, outcomes: list[Outcome]) -> None:
    """As ctest does, so that tools/test_summary.py reads it."""
    suite = ET.Element("testsuite", name="emulated_cpu", tests=str(len(outcomes)))
    for outcome in outcomes:
        status = "fail" if outcome.failure else "run"
        case = ET.SubElement(suite, "testcase", name=outcome.name, status=status, time=f"{outcome.seconds:.3f}")
        if outcome.failure:
            ET.SubElement(case, "failure", message=outcome.failure.splitlines()[0])
    ET.ElementTree(suite).write(results / "ctest.junit.xml", encoding="utf-8", xml_declaration=True)


def main() -> int:
    """All CPUs, `--jobs` programs at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    build, results = args.build.resolve(), args.results.resolve()
    results.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(max_workers=args.jobs) as pool:
        # The longest first.
        tasks = [pool.submit(lambda c=c, p=p: [run_program(build, results, c, p)])
                 for p in ("ops", "kernels", "emulation") for c in CPUS]
        tasks += [pool.submit(run_tool, build, cpu) for cpu in CPUS]
        outcomes = []
        for task in concurrent.futures.as_completed(tasks):
            for outcome in task.result():
                outcomes.append(outcome)
                print(f"{outcome.name:24} {'FAILED' if outcome.failure else 'ok':6} {outcome.seconds:6.1f} s", flush=True)
                if outcome.failure:
                    print(outcome.failure, flush=True)
    write_report(results, sorted(outcomes, key=lambda outcome: outcome.name))
    print(f"emulated CPUs: {', '.join(cpu.model for cpu in CPUS)}; illegal instructions: "
          f"{sum(outcome.illegal for outcome in outcomes)}")
    return 1 if any(outcome.failure for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
