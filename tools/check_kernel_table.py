#!/usr/bin/env python3
"""Kernel tables and files agree: names follow `op_types_block_tile_isa`, every row has its definition in a file of its
ISA, every definition has a row, and every family's test and benchmark loop over its table."""
import re
import sys

from source_tree import ROOT, blank_noise, files, report

NAME = re.compile(r"^(?P<op>[a-z][a-z0-9]*(?:_[a-z][a-z0-9]*)*)_(?P<types>(?:[fsuiwb]+f?\d+|any|b1)+)_(?P<block>\d+(?:x\d+)*)_"
                  r"(?P<tile>\d+(?:x\d+)*)_(?P<isa>[a-z][a-z0-9_]*)$")
ROW = re.compile(r"^INTAGLIO_\w+\(\s*(\w+)\s*,([^)]*)\)", re.M)
ARCHES = ("x86", "arm")


def isa_tokens(text):
    return [m.group(1) for m in re.finditer(r"^INTAGLIO_ISA\(\s*(\w+)", text, re.M)]


def file_isa(path, tokens):
    """The ISA level a kernel file implements by its name: x86_avx2_f32.cc -> avx2, scalar_x.cc -> scalar."""
    stem = path.rsplit("/", 1)[1].split(".")[0]
    for arch in ARCHES:
        if stem.startswith(arch + "_"):
            rest = stem[len(arch) + 1:]
            return max((t for t in tokens if rest == t or rest.startswith(t + "_")), key=len, default=None)
    return "scalar" if stem.split("_")[0] in ("scalar", "reference") else None


def check_family(family, inc, sources, tokens, others=()):
    """inc: text of kernels.inc or None; sources: {path: text} of the family's other files; others: of the whole room,
    since one benchmark may serve several families."""
    others = dict(others)
    where = f"src/kernels/{family}"
    if inc is None:
        return [f"{where}: has no kernels.inc"]
    findings = []
    code = {path: blank_noise(text) for path, text in sources.items()}
    rows = [(m.group(1), [a.strip() for a in m.group(2).split(",")]) for m in ROW.finditer(blank_noise(inc))]
    if not rows:
        findings.append(f"{where}/kernels.inc: no rows")
    names = [name for name, _ in rows]
    for name in sorted({n for n in names if names.count(n) > 1}):
        findings.append(f"{where}/kernels.inc: {name} is listed twice")
    for name, args in rows:
        parts = NAME.match(name)
        if not parts or parts["isa"] not in tokens:
            findings.append(f"{where}/kernels.inc: {name} does not follow op_types_block_tile_isa")
            continue
        if parts["isa"] not in args:
            findings.append(f"{where}/kernels.inc: {name}: no argument says isa {parts['isa']}")
        holders = [p for p, text in code.items() if file_isa(p, tokens) == parts["isa"] and re.search(rf"\b{name}\b", text)]
        if not holders:
            findings.append(f"{where}/kernels.inc: {name} is in no file of ISA {parts['isa']} "
                            f"(expected {ARCHES[0]}_{parts['isa']}*.cc, or scalar*.cc)")
    for path, text in code.items():
        isa = file_isa(path, tokens)
        if isa is None:
            continue
        for match in re.finditer(r"\bvoid\s+(\w+)\s*\(", text):
            parts = NAME.match(match.group(1))
            if parts and parts["isa"] in tokens and match.group(1) not in names:
                findings.append(f"{path}: {match.group(1)} has no row in {where}/kernels.inc")
    tables = {array for text in sources.values() if "kernels.inc" in text
              for array in re.findall(r"\b(k[A-Z]\w*)\[\]", text)} | {f"{family}/kernels.inc"}
    for kind in ("test", "bench"):
        if not any(name in text for path, text in {**others, **sources}.items() if path.endswith(f"_{kind}.cc")
                   for name in tables):
            findings.append(f"{where}: no *_{kind}.cc loops over the table")
    return findings


def self_test():
    tokens = ["scalar", "avx2", "avx512", "avx512_vnni"]
    inc = "INTAGLIO_K(gemm_f32_6x16x1_1x16x1_avx2, avx2, f32)\n"
    tree = {"f/x86_avx2_f32.cc": "void gemm_f32_6x16x1_1x16x1_avx2(const Args& args) {}",
            "f/table.h": 'extern const Row kKernels[]; #include "kernels/f/kernels.inc"',
            "f/f_test.cc": "for (auto& k : kKernels) {}", "f/f_bench.cc": '#include "kernels/f/kernels.inc"'}
    assert not check_family("f", inc, tree, tokens), check_family("f", inc, tree, tokens)
    assert check_family("f", None, tree, tokens)
    assert check_family("f", inc + "INTAGLIO_K(gemm_f32_avx2, avx2, f32)\n", tree, tokens)
    assert check_family("f", inc + inc, tree, tokens)
    assert check_family("f", inc.replace("avx2", "avx512"), tree, tokens)
    assert check_family("f", inc, {**tree, "f/x86_avx512.cc": "void gemm_f32_1x1_1x1_avx512(int) {}"}, tokens)
    assert check_family("f", inc, {k: v for k, v in tree.items() if "bench" not in k}, tokens)
    assert file_isa("a/x86_avx512_vnni_gemm.cc", tokens) == "avx512_vnni"
    print("check_kernel_table: self-test ok")
    return 0


def main():
    if "--self-test" in sys.argv[1:]:
        return self_test()
    tokens = isa_tokens((ROOT / "src/base/isa.inc").read_text())
    findings = [] if tokens else ["src/base/isa.inc: no ISA levels found"]
    families = {}
    for path in files("src/kernels/*"):
        parts = path.split("/")
        if len(parts) > 3:
            families.setdefault(parts[2], {})[path] = (ROOT / path).read_text(encoding="utf-8")
    room = {path: text for sources in families.values() for path, text in sources.items()}
    for family, sources in sorted(families.items()):
        if not any(path.endswith(".cc") for path in sources):
            continue  # headers shared by families, no kernels
        inc = sources.pop(f"src/kernels/{family}/kernels.inc", None)
        findings += check_family(family, inc, sources, tokens, room)
    if not families:
        findings.append("src/kernels: no families")
    return report("check_kernel_table", findings)


if __name__ == "__main__":
    sys.exit(main())
