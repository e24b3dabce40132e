#!/usr/bin/env python3
"""clang-tidy over the compile database, with a cache: a file that was clean is looked at again only when it, a project
header it includes, its compile command, the configuration or the tool has changed.

    run_tidy.py --build build/release [--jobs 2] [FILE…]

Left out: tests (the compiler's warnings hold there), and kernel ISA files (intrinsics; GCC builds them).
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

from source_tree import ROOT

TOOL = "clang-tidy-19"
CACHE = ROOT / ".cache/tidy"
SKIP = re.compile(r"(_test|_bench)\.cc$|^tests/|^build/|^src/kernels/[^/]+/(x86|arm)_")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]', re.M)
BASES = (ROOT / "src", ROOT / "include", ROOT)


def project_includes(path, seen):
    """Every header of the project that the file reaches."""
    for target in INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace")):
        for base in (path.parent, *BASES):
            header = base / target
            if header.is_file():
                header = header.resolve()
                if header not in seen:
                    seen.add(header)
                    project_includes(header, seen)
                break
    return seen


def key_of(entry, common):
    path = pathlib.Path(entry["file"])
    digest = hashlib.sha256(common)
    digest.update(entry["command"].encode())
    for part in [path, *sorted(project_includes(path, set()))]:
        digest.update(part.read_bytes())
    return digest.hexdigest()


def tidy(build, path):
    start = time.monotonic()
    run = subprocess.run([TOOL, "-p", str(build), "--quiet", str(path)], capture_output=True, text=True, check=False)
    return run.returncode, run.stdout + ("" if run.returncode == 0 else run.stderr), time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("files", nargs="*", help="only files whose path contains one of these")
    args = parser.parse_args()
    common = subprocess.run([TOOL, "--version"], check=True, capture_output=True).stdout
    common += (ROOT / ".clang-tidy").read_bytes()
    todo, cached = [], 0
    for entry in json.loads((args.build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        if not path.is_file() or not path.is_relative_to(ROOT):
            continue
        name = str(path.relative_to(ROOT))
        if SKIP.search(name) or (args.files and not any(f in name for f in args.files)):
            continue
        key = key_of(entry, common)
        if (CACHE / key).exists():
            cached += 1
        else:
            todo.append((path, name, key))
    if not todo and not cached:
        print("run_tidy: no file to check: that is a failure", file=sys.stderr)
        return 1
    CACHE.mkdir(parents=True, exist_ok=True)
    failed, times = 0, []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        runs = {pool.submit(tidy, args.build, path): (name, key) for path, name, key in todo}
        for run in concurrent.futures.as_completed(runs):
            name, key = runs[run]
            status, text, seconds = run.result()
            times.append((seconds, name))
            if status == 0:
                (CACHE / key).touch()
            else:
                failed += 1
                print(text.strip(), flush=True)
    slowest = ", ".join(f"{name} {seconds:.0f} s" for seconds, name in sorted(times, reverse=True)[:3])
    print(f"run_tidy: {len(todo)} files checked, {cached} unchanged, {failed} with findings" +
          (f"; slowest: {slowest}" if slowest else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
