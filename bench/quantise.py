#!/usr/bin/env python3
"""Makes the int8 files of the peers from a float32 .onnx file.

quantise.py onnxruntime model.onnx out.onnx VOCABULARY   onnxruntime.quantization.quantize_dynamic
quantise.py nncf model.onnx out.xml VOCABULARY           NNCF, static: scales from seeded token ids
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CALIBRATION_CASES, CALIBRATION_TOKENS = 32, 128
LEAST_TOKEN = 1000


def _onnxruntime(source: Path, target: Path, _: int) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, weight_type=QuantType.QInt8)


def _calibration(names: list[str], vocabulary: int) -> Iterator[dict[str, np.ndarray]]:
    for seed in range(CALIBRATION_CASES):
        ids = np.random.default_rng(seed).integers(LEAST_TOKEN, vocabulary, (1, CALIBRATION_TOKENS), dtype=np.int64)
        yield {name: ids if name == "input_ids" else np.ones_like(ids) for name in names}


def _nncf(source: Path, target: Path, vocabulary: int) -> None:
    import nncf
    import openvino

    model = openvino.Core().read_model(source)
    cases = list(_calibration([port.get_any_name() for port in model.inputs], vocabulary))
    quantised = nncf.quantize(
        model, nncf.Dataset(cases), model_type=nncf.ModelType.TRANSFORMER, subset_size=CALIBRATION_CASES
    )
    openvino.save_model(quantised, target, compress_to_fp16=False)


MAKERS = {"onnxruntime": _onnxruntime, "nncf": _nncf}


def main() -> int:
    if len(sys.argv) != 5 or sys.argv[1] not in MAKERS:
        print(__doc__, file=sys.stderr)
        return 2
    MAKERS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
