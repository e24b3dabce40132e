#!/usr/bin/env python3
"""Adds up what a test run did: cases passed, failed, skipped, the reason of every skip, and how many cases ran
instructions that this CPU lacks (tests/emulation).

    test_summary.py --stage test --write build/summary/test.txt build/release/test-results
    test_summary.py --total build/summary --failed-stages "lint demo"

A run's folder holds ctest.junit.xml (one entry per ctest test) and, for gtest programs, NAME.xml (one entry per case).
A test without a report of its own counts as one case. One that ctest could not start (its program was not built) is a
failure. A run in which nothing ran fails.
"""
import argparse
import collections
import contextlib
import io
import pathlib
import re
import sys
import tempfile
import xml.etree.ElementTree as ET

# emulated: (cases, instructions)
Counts = collections.namedtuple("Counts", "passed failed skipped reasons emulated", defaults=[(0, 0)])


def read_cases(path):
    """Counts of one gtest or pytest (JUnit) XML report, or None when it is absent or torn."""
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError):
        return None
    passed = failed = 0
    reasons, emulated = [], []
    for case in root.iter("testcase"):
        name = f'{case.get("classname", "")}.{case.get("name", "")}'.strip(".")
        skip = case.find("skipped")
        emulated += [int(p.get("value")) for p in case.iter("property") if p.get("name") == "emulated_instructions"]
        if case.get("status") == "notrun" and case.get("result") == "suppressed":
            reasons.append((name, "disabled: a sweep, which ./dev sweep runs, or a case for running by hand"))
        elif case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skip is not None or case.get("result") == "skipped":
            text = (skip.get("message") or skip.text or "") if skip is not None else ""
            # gtest puts "file:line" on the first line and the reason after it.
            lines = [l for l in text.strip().splitlines() if l and not re.match(r"^\S+\.(cc|h):\d+$", l.strip())]
            reasons.append((name, " ".join(lines).strip() or "no reason given"))
        else:
            passed += 1
    return Counts(passed, failed, len(reasons), reasons, (len(emulated), sum(emulated)))


def skip_of(test):
    """Why ctest counts this test as skipped by its own will (disabled, or by SKIP_RETURN_CODE), else None."""
    skip = test.find("skipped")
    if test.get("status") == "disabled" or test.find("disabled") is not None:
        return "disabled"
    message = skip.get("message") or "" if skip is not None else ""
    return message if message.startswith("SKIP_") or message == "Disabled" else None


def could_not_run(test):
    """ctest's reason for a test that never ran though it should have: "Unable to find executable", a failed fixture."""
    if test.get("status") != "notrun" and test.find("skipped") is None or skip_of(test) is not None:
        return None
    skip = test.find("skipped")
    return (skip.get("message") if skip is not None else "") or "no reason given"


def read_run(folder):
    junit = ET.parse(folder / "ctest.junit.xml").getroot()
    passed = failed = skipped = emulated_cases = emulated_instructions = 0
    reasons = []
    for test in junit.iter("testcase"):
        name = test.get("name")
        counts = read_cases(folder / f"{name}.xml")
        missing, skip = could_not_run(test), skip_of(test)
        test_failed = test.find("failure") is not None or test.get("status") == "fail" or missing is not None
        if missing is not None:
            print(f"failed: {name} did not run: {missing}")
        if counts is None:
            passed_without_report = not test_failed and skip is None
            counts = Counts(int(passed_without_report), 0, int(skip is not None), [(name, skip)] if skip else [])
        if test_failed and counts.failed == 0:
            # It crashed, timed out, left no report or never started: one failure even if no case says so.
            counts = counts._replace(failed=1)
        passed += counts.passed
        failed += counts.failed
        skipped += counts.skipped
        emulated_cases += counts.emulated[0]
        emulated_instructions += counts.emulated[1]
        reasons += [(f"{name}: {case}" if case != name else name, why) for case, why in counts.reasons]
    return Counts(passed, failed, skipped, reasons, (emulated_cases, emulated_instructions))


def show_output(folder, name):
    """What a test printed, for tests whose list is part of the answer; failed ones were shown by ctest already."""
    for test in ET.parse(folder / "ctest.junit.xml").getroot().iter("testcase"):
        if test.get("name") == name and test.find("failure") is None:
            print(f"---- {name}\n{test.findtext('system-out', '').strip()}\n----")


def print_reasons(reasons):
    by_reason = collections.defaultdict(list)
    for case, why in reasons:
        by_reason[why].append(case)
    for why, cases in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        print(f"skipped {len(cases):4d}: {why}")
        for case in cases[:3]:
            print(f"              {case}")
        if len(cases) > 3:
            print(f"              … and {len(cases) - 3} more")


def verdict(counts):
    print(f"{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped")
    if counts.passed + counts.failed == 0:
        print("nothing ran: that is a failure", file=sys.stderr)
        return 1
    return 1 if counts.failed else 0


def total(folder, failed_stages):
    sums = [0, 0, 0]
    for path in sorted(pathlib.Path(folder).glob("*.txt")):
        values = [int(v) for v in path.read_text().split()]
        print(f"{path.stem:8} {values[0]} passed, {values[1]} failed, {values[2]} skipped")
        if path.stem in failed_stages:
            if values[1] == 0:
                values[1] = 1
            failed_stages.remove(path.stem)
        sums = [a + b for a, b in zip(sums, values)]
    for stage in failed_stages:
        print(f"{stage:8} failed before it could count")
        sums[1] += 1
    return verdict(Counts(*sums, []))


def self_test():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "ctest.junit.xml").write_text(
            '<testsuite><testcase name="a" status="run"/><testcase name="b" status="fail"><failure/></testcase>'
            '<testcase name="c" status="run"/></testsuite>')
        (folder / "a.xml").write_text(
            '<testsuites><testsuite><testcase name="x" classname="A" result="completed"><properties>'
            '<property name="emulated_instructions" value="70"/></properties></testcase>'
            '<testcase name="y" classname="A" result="skipped"><skipped message="a.cc:3&#x0A;no AMX here"/></testcase>'
            "</testsuite></testsuites>")
        got = read_run(folder)
        assert got[:3] == (2, 1, 1), got
        assert got.emulated == (1, 70), got.emulated
        assert got.reasons == [("a: A.y", "no AMX here")], got.reasons
        (folder / "torn.xml").write_text("<testsuites>")
        assert read_cases(folder / "torn.xml") is None
        # As ctest 3.25 writes them: not built, skipped by its exit code, disabled.
        (folder / "ctest.junit.xml").write_text(
            '<testsuite><testcase name="unbuilt" status="notrun"><skipped message="Unable to find executable"/></testcase>'
            '<testcase name="py" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>'
            '<testcase name="off" status="disabled"><skipped message="Disabled"/></testcase></testsuite>')
        with contextlib.redirect_stdout(io.StringIO()) as said:
            got = read_run(folder)
        assert got[:3] == (0, 1, 2), got
        assert "unbuilt did not run: Unable to find executable" in said.getvalue()
    assert verdict(Counts(0, 0, 3, [])) == 1
    print("test_summary: self-test ok")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path)
    parser.add_argument("--stage")
    parser.add_argument("--write", type=pathlib.Path)
    parser.add_argument("--show", help="print the output of this test as well")
    parser.add_argument("--total")
    parser.add_argument("--failed-stages", default="")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        return self_test()
    if args.total:
        return total(args.total, args.failed_stages.split())
    counts = read_run(args.folder)
    if args.show:
        show_output(args.folder, args.show)
    print_reasons(counts.reasons)
    if counts.emulated[0]:
        print(f"emulated: {counts.emulated[0]} cases ran {counts.emulated[1]} instructions that this CPU lacks")
    if args.write:
        args.write.parent.mkdir(parents=True, exist_ok=True)
        args.write.write_text(f"{counts.passed} {counts.failed} {counts.skipped}\n")
    print(f"{args.stage}: ", end="")
    return verdict(counts)


if __name__ == "__main__":
    sys.exit(main())
