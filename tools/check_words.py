#!/usr/bin/env python3
"""Nothing in the tree belongs to one machine: no absolute paths of a workplace, no package-index hosts, no editor litter."""
import re
import sys

from source_tree import ROOT, files, report

# Written in halves so that this file does not find itself.
RULES = [
    (re.compile(r"(?<![\w.$}\"'])/" + r"(work|opt|home|root|mnt)/"), "an absolute path of one machine"),
    (re.compile(r"[\"']/" + r"(work|opt|home|root|mnt)/"), "an absolute path of one machine"),
    (re.compile(r"\.\./" + "shared"), "a path outside the repository"),
    (re.compile(r"(pypi|pythonhosted|download\.py" + r"torch|anaconda)\.(org|com)"), "a package-index host"),
    (re.compile(r"\b(deb|snapshot|security)\.deb" + r"ian\.org"), "a package-index host"),
    (re.compile(r"^(<{7}|>{7}) ", re.M), "a merge conflict"),
    (re.compile(r"\b(FIX" + r"ME|X{3}\b)"), "an unfinished remark; finish it or write an issue"),
]
BINARY = re.compile(r"\.(onnx|pt2|npy|npz|bin|plan|png|zip)$")


def check(path, text):
    findings = []
    for pattern, what in RULES:
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            findings.append(f"{path}:{line}: {match.group().strip()}: {what}")
    return findings


def self_test():
    bad = ["see /work" + "/main", '"/opt' + '/wheels"', "../sha" + "red/x", "https://pypi" + ".org/simple",
           "<" * 7 + " HEAD\n", "// FIX" + "ME later"]
    for text in bad:
        assert check("a.md", text), text
    for text in ["src/work/x", "build/release/bin", "an option", "homework", "a shared/x"]:
        assert not check("a.md", text), text
    print("check_words: self-test ok")
    return 0


def main():
    if "--self-test" in sys.argv[1:]:
        return self_test()
    findings = []
    for path in files():
        if BINARY.search(path):
            continue
        try:
            text = (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a binary fixture under another name
        findings += check(path, text)
    return report("check_words", findings)


if __name__ == "__main__":
    sys.exit(main())
