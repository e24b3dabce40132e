#!/usr/bin/env python3
"""All end-to-end benchmarks one after the other, then the tables of docs/benchmarks.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = ("transformers_main.py", "classifier.py", "memory.py", "shapes.py", "accuracy.py", "sentences.py", "gemm.py")


def main() -> int:
    worst = 0
    for script in SCRIPTS:
        name = script.removesuffix(".py").removesuffix("_main")
        print(f"\n== {name}", flush=True)
        options = [] if script == "gemm.py" else sys.argv[1:]
        done = subprocess.run([sys.executable, str(HERE / script), *options], check=False)
        worst = max(worst, done.returncode)
    done = subprocess.run([sys.executable, str(HERE / "tables.py")], check=False)
    return max(worst, done.returncode)


if __name__ == "__main__":
    sys.exit(main())
