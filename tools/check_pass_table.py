#!/usr/bin/env python3
"""The pass list and the files agree: every row of passes.inc has its own file and a text test, and the reverse."""
import re
import sys

from source_tree import ROOT, blank_noise, files, report

ROW = re.compile(r"^INTAGLIO_PASS\(\s*\w+\s*,\s*(\w+)\s*,", re.M)
# Machinery that rewrites share, not rewrites.
PARTS = re.compile(r"_(test|util|match|pattern|parts)\.cc$|/(pass|passes|match)\w*\.cc$")


def check(inc, sources, texts):
    """sources: paths of src/passes/**.cc with their text; texts: paths of tests/passes/*.ir."""
    findings = []
    rows = ROW.findall(inc)
    if not rows:
        findings.append("src/passes/passes.inc: no rows")
    tested = {path.rsplit("/", 1)[1][:-len(".ir")] for path in texts}
    homes = {path.rsplit("/", 1)[1][:-len(".cc")] for path in sources}
    for row in rows:
        if rows.count(row) == 1 and row not in homes:
            findings.append(f"src/passes/passes.inc: {row} has no file {row}.cc")
        if row not in tested:
            findings.append(f"src/passes/passes.inc: {row} has no text test tests/passes/{row}.ir")
    for path, text in sources.items():
        name = path.rsplit("/", 1)[1][:-len(".cc")]
        if not PARTS.search(path) and name not in rows and re.search(r"Result<int>\s+" + name + r"\b", blank_noise(text)):
            findings.append(f"{path}: has no row in src/passes/passes.inc")
    return findings


def self_test():
    inc = 'INTAGLIO_PASS(simplify, drop_x, "drops x")\n'
    sources = {"src/passes/simplify/drop_x.cc": "Result<int> drop_x(ir::Graph& graph, PassContext& context) {}"}
    assert not check(inc, sources, ["tests/passes/drop_x.ir"])
    assert check(inc, sources, []) and check(inc, {}, ["tests/passes/drop_x.ir"]) and check("", {}, [])
    stray = {**sources, "src/passes/fuse/y.cc": "Result<int> y(ir::Graph& graph, PassContext& context) {}"}
    assert check(inc, stray, ["tests/passes/drop_x.ir"])
    print("check_pass_table: self-test ok")
    return 0


def main():
    if "--self-test" in sys.argv[1:]:
        return self_test()
    sources = {p: (ROOT / p).read_text(encoding="utf-8") for p in files("src/passes/*.cc")}
    inc = blank_noise((ROOT / "src/passes/passes.inc").read_text())
    return report("check_pass_table", check(inc, sources, files("tests/passes/*.ir")))


if __name__ == "__main__":
    sys.exit(main())
