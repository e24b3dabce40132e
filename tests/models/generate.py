#!/usr/bin/env python3
"""Makes the models of the tests and benchmarks: same files every time, no model hub, nothing done twice.

generate.py                  the group `test` (two-layer models, MiniLM, the classifier, sentences)
generate.py bench bert-2     a group and a single model
generate.py --list           what there is
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from cachedir import MODELS, fresh_folder, is_current, key_of, say, write_index  # noqa: E402
from catalogue import GROUPS, SPECS, Spec  # noqa: E402
from packages import PACKAGES, FetchError, fetch  # noqa: E402

HERE = Path(__file__).resolve().parent
SOURCES = [HERE / name for name in ("build_model.py", "exporters.py", "reference_cases.py")]
OUTPUTS = {
    "bert": ["last_hidden_state", "pooler_output"],
    "roberta": ["last_hidden_state", "pooler_output"],
    "distilbert": ["last_hidden_state"],
    "gpt2": ["logits"],
    "gptj": ["logits"],
    "llama": ["logits"],
}
TOOLS = ["torch", "transformers", "onnxscript", "onnx-ir", "onnx", "numpy"]


def _make(spec: Spec, folder: Path) -> None:
    # Imported here: fetching the classifier needs no torch.
    import build_model
    import exporters
    import reference_cases
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(2)
    source = fetch("minilm-source") if spec.real_weights else None
    with exporters.quiet():
        module = build_model.build(spec, source)
        config = module.config
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        program = exporters.export_program(module, spec.with_mask)
        outputs = OUTPUTS[spec.family]
        for form in spec.forms:
            started = time.monotonic()
            path = folder / f"{spec.name}.{form}"
            level, kind = form.split(".")
            if kind == "onnx":
                exporters.write_onnx(module, int(level[2:]), outputs, spec.with_mask, path)
            else:
                exporters.write_pt2(program, level, path)
            say(f"  {path.name}: {time.monotonic() - started:.1f} s")
        cases = reference_cases.case_inputs(spec, config.vocab_size, config.pad_token_id)
        names = reference_cases.write_cases(module, cases, folder)
    if names != outputs:
        raise exporters.ExportError(f"{spec.name}: outputs {names}, expected {outputs}")
    summary = {
        "name": spec.name,
        "inputs": list(next(iter(cases.values()))),
        "outputs": names,
        "parameters": sum(p.numel() for p in module.parameters()),
        "forms": [f"{spec.name}.{form}" for form in spec.forms],
        "cases": list(cases),
    }
    (folder / "model.json").write_text(json.dumps(summary, indent=2) + "\n")


def generate(name: str) -> Path:
    """The folder of model `name`, made unless it is up to date."""
    if name in PACKAGES:
        return fetch(name)
    spec = SPECS[name]
    key = key_of(SOURCES, TOOLS, repr(spec))
    if is_current(name, key):
        say(f"{name}: up to date")
        return MODELS / name
    say(f"{name}: generating")
    started = time.monotonic()
    with fresh_folder(name, key) as folder:
        _make(spec, folder)
    say(f"{name}: done in {time.monotonic() - started:.1f} s")
    return MODELS / name


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["test"], help="models or groups")
    parser.add_argument("--list", action="store_true", help="print models and groups, make nothing")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    known = {**GROUPS, **{name: (name,) for name in SPECS}, **{name: (name,) for name in ("classifier", "wordnet")}}
    known["test"] = ("classifier", "wordnet", *GROUPS["test"])
    if arguments.list:
        for name, members in known.items():
            print(f"{name}: {' '.join(members)}" if len(members) > 1 else name)
        return 0
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        say(f"unknown model: {', '.join(unknown)}; known: {', '.join(known)}")
        return 2
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        for name in dict.fromkeys(member for group in arguments.names for member in known[group]):
            generate(name)
    except FetchError as error:
        say(str(error))
        return 3
    write_index()
    say(f"models: {MODELS} (see INDEX.txt)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
