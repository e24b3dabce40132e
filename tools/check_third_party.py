#!/usr/bin/env python3
"""THIRD_PARTY.md names every package that the project installs, Python packages with the version that is pinned."""
import re
import sys

from source_tree import ROOT, files, report


def table_rows(text):
    """{package: version} of the tables; one row may name several packages."""
    rows = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) >= 3:
            for name in cells[0].split(","):
                rows[name.strip().lower()] = cells[1]
    return rows


def check(rows, debian, locks):
    findings = []
    for line in debian.splitlines():
        if line.strip() and not line.startswith("#") and line.split()[1].lower() not in rows:
            findings.append(f"THIRD_PARTY.md: the Debian package {line.split()[1]} is missing")
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", locks, re.M):
        if rows.get(name.lower()) != version:
            findings.append(f"THIRD_PARTY.md: {name} {version} is pinned, the table says {rows.get(name.lower())}")
    return findings


def self_test():
    rows = table_rows("| a, b | 1 | MIT |\n| torch | 2 | BSD |\n")
    assert not check(rows, "build a\n# x\nbuild b\n", "torch==2\n")
    assert check(rows, "build c\n", "") and check(rows, "", "torch==3\n") and check(rows, "", "numpy==1\n")
    print("check_third_party: self-test ok")
    return 0


def main():
    if "--self-test" in sys.argv[1:]:
        return self_test()
    rows = table_rows((ROOT / "THIRD_PARTY.md").read_text())
    locks = "\n".join((ROOT / p).read_text() for p in files("tests/models/requirements*.txt"))
    return report("check_third_party", check(rows, (ROOT / "tools/debian-packages.txt").read_text(), locks))


if __name__ == "__main__":
    sys.exit(main())
