"""What the check scripts share: the list of files, C++ text without comments and strings, and how findings are told."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# One alternative per thing to blank out; raw strings first, or their quotes would open ordinary strings.
_NOISE = re.compile(
    r'R"(?P<delim>[^\s()\\]{0,16})\(.*?\)(?P=delim)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-zA-Z_])'(?:\\.|[^'\\\n])+'"
    r"|//[^\n]*"
    r"|/\*.*?\*/", re.S)


def blank_noise(text):
    """C++ text with comments and literals replaced by spaces; line numbers stay."""
    return _NOISE.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def files(*patterns):
    """Tracked and new files of the tree that match the patterns, as paths relative to the root."""
    out = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
                         cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(p for p in out.split("\0") if p and (ROOT / p).is_file())


def report(name, findings, warnings=()):
    """Prints findings as `path:line: message`; returns the exit code."""
    for line in warnings:
        print(f"{name}: warning: {line}")
    for line in findings:
        print(f"{name}: error: {line}", file=sys.stderr)
    if not findings:
        print(f"{name}: ok" + (f" ({len(warnings)} warnings)" if warnings else ""))
    return 1 if findings else 0
