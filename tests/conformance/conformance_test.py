"""The ONNX project's own node cases: every case of an op that the tool claims."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "pytests"))

from harness import ROOT, ToolCase, main  # noqa: E402

CORPUS = ROOT / ".cache" / "conformance"


class Conformance(ToolCase):
    """One case for all: the runner prints the table per op."""

    def test_node_cases(self) -> None:
        made = subprocess.run([sys.executable, str(HERE / "make_corpus.py"), "--out", str(CORPUS)], check=False)
        self.assertEqual(made.returncode, 0, "the corpus could not be written")
        command = [sys.executable, str(HERE / "run.py"), "--corpus", str(CORPUS), "--binary", str(self.tool)]
        done = subprocess.run(command, check=False)
        self.assertEqual(done.returncode, 0, "see the list above")


if __name__ == "__main__":
    main()
