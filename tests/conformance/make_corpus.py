#!/usr/bin/env python3
"""Writes the ONNX project's own node test cases as a folder of plain files.

    make_corpus.py --out FOLDER                 every case whose types are plain numbers
    make_corpus.py --out FOLDER Add LayerNormalization …

Per case a folder with `model.onnx`, `input_<i>.npy`, `output_<i>.npy` (.npy 1.0, little endian; bfloat16 as uint16),
and for cases with operands that decide shapes or axes also `constant.onnx`, the same model with those operands as
initialisers. `cases.json` is the index. Cases left out are printed with the reason.
"""

from __future__ import annotations

import argparse
import collections
import json
import logging
import re
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases
from operands import RANDOM_OPS, SHAPE_OPERANDS

PLAIN_TYPES = {
    "FLOAT": "f32",
    "FLOAT16": "f16",
    "BFLOAT16": "bf16",
    "DOUBLE": "f64",
    "INT8": "i8",
    "INT16": "i16",
    "INT32": "i32",
    "INT64": "i64",
    "UINT8": "u8",
    "UINT16": "u16",
    "UINT32": "u32",
    "UINT64": "u64",
    "BOOL": "bool",
}
EXPANDED = re.compile(r"_expanded(_ver\d+)?$")


class Skipped(Exception):  # noqa: N818 (not an error)
    """Why a case is left out."""


def _dtype_of(value: onnx.ValueInfoProto) -> str:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise Skipped((kind or "untyped").replace("_type", ""))
    name = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
    if name not in PLAIN_TYPES:
        raise Skipped(f"dtype {name.lower()}")
    return PLAIN_TYPES[name]


def _plain(value: Any) -> np.ndarray:
    array = numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)
    if array.dtype == ml_dtypes.bfloat16:
        array = array.view(np.uint16)
    if array.dtype.byteorder == ">" or array.dtype.kind not in "fiub":
        raise Skipped(f"dtype {array.dtype}")
    return np.ascontiguousarray(array).reshape(array.shape)


def _save(path: Path, array: np.ndarray) -> None:
    with open(path, "wb") as file:
        np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)


def _write_values(folder: Path, role: str, infos: list[onnx.ValueInfoProto], values: list[Any]) -> list[dict[str, Any]]:
    if len(infos) != len(values):
        raise Skipped("optional values")
    entries = []
    for index, (info, value) in enumerate(zip(infos, values, strict=True)):
        dtype, array = _dtype_of(info), _plain(value)
        file = f"{role}_{index}.npy"
        _save(folder / file, array)
        entries.append({"name": info.name, "file": file, "dtype": dtype, "shape": list(array.shape)})
    return entries


def shape_operands(model: onnx.ModelProto) -> list[str]:
    """Names of the graph inputs of `model` that decide shapes or axes."""
    graph_inputs = {value.name for value in model.graph.input}
    found: list[str] = []
    for node in model.graph.node:
        for position in SHAPE_OPERANDS.get(node.op_type, ()):
            if position < len(node.input) and node.input[position] in graph_inputs:
                found.append(node.input[position])
    return list(dict.fromkeys(found))


def with_constants(model: onnx.ModelProto, values: dict[str, Any]) -> onnx.ModelProto:
    """A copy of `model` where the graph inputs in `values` are initialisers."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = [value for value in copy.graph.input if value.name not in values]
    del copy.graph.input[:]
    copy.graph.input.extend(kept)
    for name, value in values.items():
        tensor = onnx.TensorProto()
        tensor.CopyFrom(value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(np.asarray(value)))
        tensor.name = name
        copy.graph.initializer.append(tensor)
    return copy


def write_case(case: Any, op: str, out: Path) -> dict[str, Any]:
    """Writes one case; its entry for the index. Raises Skipped."""
    model: onnx.ModelProto = case.model
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            raise Skipped(f"domain {opset.domain}")
    for node in model.graph.node:
        if node.op_type in RANDOM_OPS:
            raise Skipped("random outputs")
    inputs, outputs = case.data_sets[0]
    folder = out / case.name
    folder.mkdir(parents=True)
    try:
        entry = {
            "name": case.name,
            "op": op,
            "expanded": bool(EXPANDED.search(case.name)),
            "opset": model.opset_import[0].version,
            "rtol": case.rtol,
            "atol": case.atol,
            "model": "model.onnx",
            "inputs": _write_values(folder, "input", list(model.graph.input), list(inputs)),
            "outputs": _write_values(folder, "output", list(model.graph.output), list(outputs)),
            "shape_operands": shape_operands(model),
        }
    except Skipped:
        shutil.rmtree(folder)
        raise
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    if entry["shape_operands"]:
        by_name = dict(zip((value.name for value in model.graph.input), inputs, strict=True))
        constant = with_constants(model, {name: by_name[name] for name in entry["shape_operands"]})
        (folder / "constant.onnx").write_bytes(constant.SerializeToString(deterministic=True))
        entry["constant_model"] = "constant.onnx"
    return entry


def write_corpus(out: Path, wanted: set[str]) -> None:
    """Writes all cases of the `wanted` op types (all when empty) and prints what was left out."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        cases = collect_testcases()
    ops = {case.name: case.model.graph.node[0].op_type for case in cases if not EXPANDED.search(case.name)}
    skipped: dict[str, list[str]] = collections.defaultdict(list)
    entries = []
    for case in sorted(cases, key=lambda item: item.name):
        op = ops.get(EXPANDED.sub("", case.name), case.model.graph.node[0].op_type)
        if wanted and op not in wanted:
            continue
        try:
            entries.append(write_case(case, op, out))
        except Skipped as reason:
            skipped[str(reason)].append(case.name)
    index = {"schema": "intaglio.conformance/1", "onnx": onnx.__version__, "cases": entries}
    (out / "cases.json").write_text(json.dumps(index, indent=1) + "\n")
    baked = sum("constant_model" in entry for entry in entries)
    print(f"{len(entries)} cases of {len({entry['op'] for entry in entries})} ops written to {out}")
    print(f"{baked} of them also with operands that decide shapes or axes as initialisers (constant.onnx)")
    for reason, names in sorted(skipped.items()):
        print(f"left out, {reason}: {len(names)} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})")
    missing = wanted - {entry["op"] for entry in entries}
    if missing:
        print(f"no case for: {', '.join(sorted(missing))}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to (re)create")
    parser.add_argument("ops", nargs="*", help="ONNX op types; all when none is named")
    arguments = parser.parse_args()
    if arguments.out.exists() and any(arguments.out.iterdir()) and not (arguments.out / "cases.json").exists():
        print(f"{arguments.out} is not empty and not a corpus: refusing to replace it", file=sys.stderr)
        return 2
    shutil.rmtree(arguments.out, ignore_errors=True)
    arguments.out.mkdir(parents=True)
    write_corpus(arguments.out, set(arguments.ops))
    return 0


if __name__ == "__main__":
    sys.exit(main())
