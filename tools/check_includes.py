#!/usr/bin/env python3
"""Who may include whom: arrows between rooms go down only.

The two towers (compiler: ir, interp, frontend, passes; runtime: kernels, ops, plan) meet only in compile/ and api/.
The same table must cover the DEPS in CMakeLists.txt.
"""
import re
import sys

from source_tree import ROOT, files, report

# room: rooms that it may include, beside itself. kernels is special, see below.
ROOMS = {
    "base": [],
    "cpu": ["base"],
    "threads": ["base", "cpu"],
    "kernels": ["base"],
    "ops": ["kernels", "threads", "cpu", "base"],
    "vendor": ["ops", "threads", "base"],
    "tune": ["ops", "cpu", "threads", "base"],
    "plan": ["ops", "threads", "base"],
    "ir": ["base"],
    "interp": ["ir", "base"],
    "frontend": ["ir", "base"],
    "passes": ["ir", "interp", "base"],
    "compile": ["passes", "frontend", "interp", "ir", "plan", "tune", "vendor", "ops", "kernels", "threads", "cpu",
                "base"],
    "api": ["compile", "passes", "frontend", "interp", "ir", "plan", "tune", "ops", "kernels", "threads", "cpu",
            "base"],
}
# Rooms of which another room may see some headers only. vendor: the interface, and the families that it has candidates
# for.
ONLY_HEADERS = {("vendor", "ops"): ("ops/candidate.h", "ops/linear.h", "ops/matmul.h"),
                ("tune", "ops"): ("ops/candidate.h",)}
# Library headers and the only places that may see them.
LIBRARIES = [
    (re.compile(r"^protozero/"), ("src/frontend/",)),
    (re.compile(r"^simdjson"), ("src/frontend/",)),
    (re.compile(r"^hwloc"), ("src/cpu/", "src/api/")),  # api: doctor prints its version
    (re.compile(r"^CLI/"), ("cli/",)),
    (re.compile(r"^cpuid\.h$"), ("src/cpu/", "src/kernels/")),
    (re.compile(r"^(hwy/|[a-z]*intrin\.h$|arm_neon\.h$)"), ("src/kernels/",)),
    (re.compile(r"^(onednn|oneapi|dnnl|arm_compute)"), ("src/vendor/",)),
]
# What a room's tests and benchmarks may see of the tests that stand outside.
EMULATION = "tests/emulation/"
TEST_FILE = re.compile(r"_(test|bench)(_[a-z]+)?\.(cc|h)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.M)


def check_room_include(path, room, target):
    """Why the file of a room may not include the path, or None."""
    other = target.split("/")[0]
    if other in ("tests", "bench", "cli"):
        if target.startswith(EMULATION) and TEST_FILE.search(path):
            return None
        return f"rooms include nothing of {other}/, except that tests may include {EMULATION}"
    if other == "intaglio":
        return None if room == "api" else "only api/ and what stands outside include the public headers"
    if other not in ROOMS:
        return None  # a neighbour by short name, or a library; the compiler and LIBRARIES judge those
    is_test = re.search(r"_(test|bench)\.(cc|h)$", path) or "/test" in path
    if room == "kernels":
        family = path.split("/")[2]
        if other == "kernels":
            if is_test or target.split("/")[1] in (family, "math"):  # math: vector policies and functions for all
                return None
            return "a kernel family includes only itself and kernels/math"
        if target == "base/pod.h" or (is_test and other in ("base", "cpu")):
            return None
        return "kernels include base/pod.h and their own family only"
    if other == room:
        return None
    if other not in ROOMS[room]:
        return f"{room}/ may include only: {', '.join(ROOMS[room]) or 'nothing'}"
    only = ONLY_HEADERS.get((room, other))
    if only and target not in only and not is_test:
        return f"{room}/ sees only {', '.join(only)} of {other}/"
    return None


def check_file(path, text):
    findings = []
    for match in INCLUDE.finditer(text):
        quoted, target = match.group(1) == '"', match.group(2)
        line = text.count("\n", 0, match.start(1)) + 1
        why = None
        if path.startswith("src/") and quoted:
            why = check_room_include(path, path.split("/")[1], target)
        elif path.startswith("include/") and quoted:
            why = None if target.startswith("intaglio/") else "public headers include only public headers"
        elif re.match(r"(cli|examples|python)/", path) and target.split("/")[0] in ROOMS:
            why = "what stands outside the rooms includes only <intaglio/…>"
        for pattern, places in LIBRARIES:
            if pattern.match(target) and not path.startswith(places) and path.startswith(("src/", "include/", "cli/")):
                why = f"only {', '.join(places)} may include <{target}>"
        if re.match(r"src/cpu/|src/threads/", path) and re.match(r"[xi][a-z0-9]*intrin\.h$", target):
            why = None  # xgetbv in cpu, pause in threads
        if why:
            findings.append(f"{path}:{line}: {target}: {why}")
    return findings


def check_cmake(text):
    findings = []
    for room, args in re.findall(r"^\s*intaglio_room\((\w+)([^)]*)\)", text, re.M):
        if room not in ROOMS:
            findings.append(f"CMakeLists.txt: room {room} is not in tools/check_includes.py")
            continue
        deps = re.search(r"DEPS ([^A-Z)]*)", args)
        for dep in deps.group(1).split() if deps else []:
            if dep not in ROOMS[room]:
                findings.append(f"CMakeLists.txt: {room} DEPS {dep} is not allowed by tools/check_includes.py")
    return findings


def self_test():
    bad = [
        ("src/plan/plan.cc", '#include "ir/graph.h"'),
        ("src/ops/x.cc", '#include "ir/graph.h"'),
        ("src/base/x.cc", '#include "cpu/cpu.h"'),
        ("src/kernels/gemm/x86_avx2.cc", '#include "base/error.h"'),
        ("src/kernels/gemm/x86_avx2.cc", '#include "kernels/norm/norm.h"'),
        ("src/ops/x.cc", "#include <immintrin.h>"),
        ("src/tune/x.cc", '#include "ops/gemm.h"'),
        ("src/kernels/gemm/x86_amx.cc", '#include "tests/emulation/emulator.h"'),
        ("src/kernels/gemm/gemm_test.cc", '#include "tests/models/model.h"'),
        ("src/vendor/onednn/x.cc", '#include "ops/linear_loops.h"'),
        ("src/ops/x.cc", '#include "vendor/onednn/onednn.h"'),
        ("src/compile/x.cc", "#include <oneapi/dnnl/dnnl.hpp>"),
        ("src/passes/x.cc", "#include <simdjson.h>"),
        ("cli/main.cc", '#include "ir/graph.h"'),
        ("include/intaglio/a.h", '#include "base/error.h"'),
    ]
    good = [
        ("src/plan/plan.cc", '#include "ops/gemm.h"\n#include <vector>'),
        ("src/kernels/gemm/x86_avx2.cc", '#include <immintrin.h>\n#include "base/pod.h"\n#include "kernels/gemm/gemm.h"'),
        ("src/kernels/gemm/gemm_test.cc", '#include "base/isa.h"'),
        ("src/compile/x.cc", '#include "ir/graph.h"\n#include "plan/plan.h"'),
        ("src/tune/x.cc", '#include "ops/candidate.h"'),
        ("src/kernels/gemm/gemm_test_util.h", '#include "tests/emulation/machine.h"'),
        ("src/ops/linear_test.cc", '#include "tests/emulation/emulator.h"'),
        ("src/vendor/onednn/x.cc", '#include <oneapi/dnnl/dnnl.hpp>\n#include "ops/linear.h"'),
        ("src/vendor/onednn/x_test.cc", '#include "ops/linear_test_util.h"'),
        ("cli/main.cc", "#include <intaglio/intaglio.h>\n#include <CLI/CLI.hpp>"),
    ]
    for path, text in bad:
        assert check_file(path, text), (path, text)
    for path, text in good:
        assert not check_file(path, text), check_file(path, text)
    assert check_cmake("intaglio_room(plan DEPS ir base)") and not check_cmake("intaglio_room(ir DEPS base LIBS x::y)")
    print("check_includes: self-test ok")
    return 0


def main():
    if "--self-test" in sys.argv[1:]:
        return self_test()
    findings = check_cmake((ROOT / "CMakeLists.txt").read_text())
    paths = [p for p in files("*.cc", "*.h", "*.inc") if p.startswith(("src/", "include/", "cli/", "examples/"))]
    for path in paths:
        findings += check_file(path, (ROOT / path).read_text(encoding="utf-8"))
    if not paths:
        findings.append("no source files found")
    return report("check_includes", findings)


if __name__ == "__main__":
    sys.exit(main())
