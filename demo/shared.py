"""What both demos need: imports from the neighbouring folders, tokenising, a frame for errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
for folder in ("bench", "tests/models"):
    sys.path.insert(0, str(ROOT / folder))

import numpy as np  # noqa: E402
from packages import FetchError  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from tool import Arrays, ToolError  # noqa: E402

PLANS = ROOT / ".cache" / "plans"


def load_tokenizer(path: Path, longest: int) -> Tokenizer:
    """The tokenizer beside the model, cutting at `longest` tokens, without padding of its own."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=longest)
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> Arrays:
    """ids and mask, int64 [texts, longest of them], padded with 0 on the right."""
    encodings = tokenizer.encode_batch(list(texts))
    width = max(len(encoding.ids) for encoding in encodings)
    ids = np.zeros((len(texts), width), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding.ids)] = encoding.ids
        mask[row, : len(encoding.ids)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def heading(text: str) -> None:
    """A title line."""
    print(f"\n{text}\n{'=' * len(text)}")


def guarded(main: Callable[[], int]) -> int:
    """Runs `main`; errors that a user can do something about come without a traceback."""
    try:
        return main()
    except (FetchError, ToolError) as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 3 if isinstance(error, FetchError) else 1
