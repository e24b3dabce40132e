#!/usr/bin/env python3
"""Files and functions that one head can hold: warns above the soft limit, fails above the hard one."""
import re
import sys

from source_tree import ROOT, blank_noise, files, report

FILE_SOFT, FILE_HARD = 500, 700
FUNCTION_SOFT, FUNCTION_HARD = 60, 120

NOT_A_FUNCTION = re.compile(r"\b(namespace|class|struct|enum|union|extern)\b|=\s*$|\breturn\b")
FUNCTION_HEAD = re.compile(r"([~\w:]+|operator\s*\S+)\s*\([^;]*$", re.S)


def functions(text):
    """(name, first line, length) of every function body outside other functions."""
    text = blank_noise(text)
    text = re.sub(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.M)
    found = []
    depth_of_body = None
    depth = start = head_start = 0
    name = ""
    for match in re.finditer(r"[{};]", text):
        token, at = match.group(), match.start()
        if token == "{":
            if depth_of_body is None:
                head = text[head_start:at]
                call = FUNCTION_HEAD.search(head)
                plain = re.sub(r"<[^<>]*>", "", head)  # template <class T> is no class
                if call and not NOT_A_FUNCTION.search(plain):
                    depth_of_body, start, name = depth, at, call.group(1)
            depth += 1
        elif token == "}":
            depth -= 1
            if depth_of_body is not None and depth == depth_of_body:
                first = text.count("\n", 0, start) + 1
                found.append((name, first, text.count("\n", start, at) + 1))
                depth_of_body = None
        if depth_of_body is None:
            head_start = at + 1
    return found


def check(path, text):
    findings, warnings = [], []

    def judge(length, soft, hard, what):
        if length > hard:
            findings.append(f"{path}{what} has {length} lines, the hard limit is {hard}")
        elif length > soft:
            warnings.append(f"{path}{what} has {length} lines, the soft limit is {soft}")

    judge(text.count("\n"), FILE_SOFT, FILE_HARD, "")
    if path.endswith((".cc", ".h")):
        for name, line, length in functions(text):
            judge(length, FUNCTION_SOFT, FUNCTION_HARD, f":{line}: {name}")
    return findings, warnings


def self_test():
    body = "  x();\n" * 130
    text = f'namespace a {{\nclass B {{\n  int f() const {{ return 1; }}\n}};\nvoid B::g(int x) noexcept {{\n{body}}}\n' \
           f'TEST(A, B) {{\n  auto l = [] {{ return "}}"; }};\n}}\n}}\n'
    got = {name: length for name, _, length in functions(text)}
    assert got["B::g"] == 132 and got["f"] == 1 and got["TEST"] == 3, got
    assert check("a.cc", text)[0] and not check("a.cc", "int f() {\n}\n")[0]
    assert check("a.cc", "\n" * 701)[0] and check("a.cc", "\n" * 501)[1]
    print("check_sizes: self-test ok")
    return 0


def main():
    if "--self-test" in sys.argv[1:]:
        return self_test()
    findings, warnings = [], []
    paths = files("*.cc", "*.h", "*.py", "*.sh", "*.cmake", "dev")
    for path in paths:
        found, warned = check(path, (ROOT / path).read_text(encoding="utf-8"))
        findings += found
        warnings += warned
    if not paths:
        findings.append("no files found")
    return report("check_sizes", findings, warnings)


if __name__ == "__main__":
    sys.exit(main())
