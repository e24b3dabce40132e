#!/usr/bin/env python3
"""Code for newer machines must not leak into older ones: `check_isa_objects.py BUILD_DIR`.

An object compiled for more than x86-64-v2 has no static initialiser (it would run before any dispatch) and no weak
symbol outside its target's own namespace (the linker keeps one copy of a weak symbol, perhaps this one, and an older
machine would run it). And only files that carry an ISA token in their name are compiled that way.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

from source_tree import ROOT, report

ISA_FILE = re.compile(r"/src/kernels/[^/]+/(x86|arm)_[a-z0-9_]+\.cc$")
BEYOND_BASE = re.compile(r"\s-m(?:arch=(?!x86-64-v2\b)\S+|avx\S*|fma\b|f16c\b|bmi\S*|amx\S*)")
INITIALISER = re.compile(r"_GLOBAL__sub_I_|__cxx_global_var_init|__static_initialization_and_destruction|\.init_array")
# Namespaces that exist once per target: Highway's N_AVX3 and the like, ours named by ISA token, anonymous ones.
OWN_NAMESPACE = re.compile(r"\bhwy::N_[A-Z0-9_]+|::(?:isa_)?(?:sse42|avx2|avx512|avx_vnni|amx|neon)\w*::|\(anonymous namespace\)")


def judge_symbols(path, lines):
    """lines: `nm -C` output of one object."""
    findings = []
    for line in lines:
        match = re.match(r"^[0-9a-f ]{16} ([A-Za-z]) (.*)$", line)
        if not match:
            continue
        kind, name = match.groups()
        if INITIALISER.search(name):
            findings.append(f"{path}: has a static initialiser: {name}")
        elif kind in "VWu" and not OWN_NAMESPACE.search(name):
            findings.append(f"{path}: weak symbol outside its target's namespace: {name}")
    return findings


def nm(path):
    out = subprocess.run(["nm", "-C", path], check=True, capture_output=True, text=True).stdout
    return out.splitlines()


def has_init_array(path):
    out = subprocess.run(["objdump", "-h", path], check=True, capture_output=True, text=True).stdout
    return ".init_array" in out or ".ctors" in out


def check(build, entries):
    findings, seen = [], 0
    for entry in entries:
        source, command = entry["file"], entry["command"]
        beyond = BEYOND_BASE.search(command)
        if beyond and not ISA_FILE.search(source):
            findings.append(f"{source}: compiled with{beyond.group()} but its name carries no ISA token")
        if not beyond:
            continue
        target = pathlib.Path(entry.get("directory", build)) / re.search(r" -o (\S+)", command).group(1)
        name = pathlib.Path(source).name
        if not target.is_file():
            findings.append(f"{name}: not built ({target})")
            continue
        seen += 1
        if has_init_array(target):
            findings.append(f"{name}: has an .init_array section")
        findings += judge_symbols(name, nm(target))
    return findings, seen


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        cases = {"x86_avx2_bad.cc": "#include <string>\nstd::string g(\"a long enough string to allocate\");\n"
                                    "template <class T> T twice(T x) { return x + x; }\nint f(int x) { return twice(x); }\n",
                 "x86_avx2_good.cc": "namespace { template <class T> T twice(T x) { return x + x; } }\n"
                                     "int f(int x) { return twice(x); }\n"}
        found = {}
        for name, text in cases.items():
            source = folder / "src/kernels/f" / name
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(text)
            command = f"c++ -O0 -mavx2 -c {source} -o {name}.o"
            subprocess.run(command.split(), cwd=folder, check=True)
            found[name], seen = check(folder, [{"file": str(source), "directory": str(folder), "command": command}])
            assert seen == 1
        assert any("initialiser" in f for f in found["x86_avx2_bad.cc"]), found
        assert any("twice" in f for f in found["x86_avx2_bad.cc"]), found
        assert not found["x86_avx2_good.cc"], found
        stray = {"file": "/src/ops/x.cc", "directory": str(folder), "command": "c++ -mavx2 -c x.cc -o x86_avx2_good.cc.o"}
        assert "carries no ISA token" in check(folder, [stray])[0][0]
    print("check_isa_objects: self-test ok")
    return 0


def main():
    if "--self-test" in sys.argv[1:]:
        return self_test()
    build = ROOT / (sys.argv[1] if len(sys.argv) > 1 else "build/release")
    entries = json.loads((build / "compile_commands.json").read_text())
    findings, seen = check(build, entries)
    if not seen:
        findings.append(f"{build}: no ISA object found, nothing was checked")
    return report("check_isa_objects", findings)


if __name__ == "__main__":
    sys.exit(main())
