#!/usr/bin/env python3
"""libintaglio.so exports what include/intaglio/ declares and nothing else: `check_exports.py BUILD_DIR`."""
import re
import subprocess
import sys

from source_tree import ROOT, blank_noise, files, report

PREFIX = re.compile(r"^(?:(?:typeinfo|typeinfo name|vtable|VTT|guard variable|construction vtable) for |"
                    r"(?:non-)?virtual thunk to )")


def first_name(symbol):
    """`intaglio::Model::run(...)` -> `Model`; None for what is not in the namespace or in one of its rooms."""
    symbol = PREFIX.sub("", symbol)
    match = re.match(r"^(?:[\w:<>,&* ]+ )?intaglio::(~?\w+)", symbol)
    return match.group(1) if match else None


def check(symbols, headers):
    declared = set(re.findall(r"[A-Za-z_]\w*", headers))
    findings = []
    for symbol in symbols:
        if re.match(r"^intaglio_\w+$", symbol) and symbol in declared:
            continue  # the C interface
        name = first_name(symbol)
        if name is None or name not in declared:
            findings.append(f"exported, but not declared in include/intaglio/: {symbol}")
    if not symbols:
        findings.append("libintaglio.so exports nothing")
    return findings


def self_test():
    headers = "namespace intaglio { class Model; Model compile(); }"
    good = ["intaglio::Model::run(int) const", "vtable for intaglio::Model", "intaglio::compile()"]
    assert not check(good, headers), check(good, headers)
    for symbol in ["intaglio::plan::Plan::run()", "std::vector<int>::push_back(int)", "fmt::v9::format()"]:
        assert check([symbol], headers), symbol
    assert check([], headers)
    print("check_exports: self-test ok")
    return 0


def main():
    if "--self-test" in sys.argv[1:]:
        return self_test()
    library = ROOT / (sys.argv[1] if len(sys.argv) > 1 else "build/release") / "lib/libintaglio.so"
    if not library.exists():
        return report("check_exports", [f"{library.relative_to(ROOT)} was not built"])
    out = subprocess.run(["nm", "-D", "-C", "--defined-only", str(library)], check=True, capture_output=True, text=True)
    symbols = [m.group(1) for m in re.finditer(r"^\S+ [A-Zu-w] (.*)$", out.stdout, re.M)]
    headers = "\n".join(blank_noise((ROOT / p).read_text()) for p in files("include/intaglio/*.h"))
    return report("check_exports", check(symbols, headers))


if __name__ == "__main__":
    sys.exit(main())
