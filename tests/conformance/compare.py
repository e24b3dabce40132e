"""Comparing an output with the expected one, as the ONNX project's own runner does."""

from __future__ import annotations

import ml_dtypes
import numpy as np

# The ONNX runner allows two units in the last place where the output has fewer than 8 significant bits.
BF16_RTOL = 2.0**-6
NUMPY_NAMES = {
    "f32": "float32",
    "f16": "float16",
    "bf16": "bfloat16",
    "f64": "float64",
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "u8": "uint8",
    "u16": "uint16",
    "u32": "uint32",
    "u64": "uint64",
    "bool": "bool",
}


def as_declared(array: np.ndarray, dtype: str) -> np.ndarray:
    """Undoes the spelling of bfloat16 in `.npy` files (uint16, or two opaque bytes)."""
    if dtype == "bf16" and array.dtype.itemsize == 2 and array.dtype.kind in "uV":
        return array.view(ml_dtypes.bfloat16)
    return array


def difference(actual: np.ndarray, expected: np.ndarray, dtype: str, rtol: float, atol: float) -> str | None:
    """None when `actual` is right, else one line that says what is wrong."""
    actual, expected = as_declared(actual, dtype), as_declared(expected, dtype)
    if actual.dtype.name != NUMPY_NAMES[dtype]:
        return f"dtype {actual.dtype.name}, expected {NUMPY_NAMES[dtype]}"
    if actual.shape != expected.shape:
        return f"shape {list(actual.shape)}, expected {list(expected.shape)}"
    if dtype[0] not in "fb" or dtype == "bool":
        wrong = int((actual != expected).sum())
        return f"{wrong} of {actual.size} elements differ (exact comparison)" if wrong else None
    if dtype == "bf16":
        rtol = max(rtol, BF16_RTOL)
    left, right = actual.astype(np.float64), expected.astype(np.float64)
    close = np.isclose(left, right, rtol=rtol, atol=atol, equal_nan=True)
    if close.all():
        return None
    first = np.unravel_index(int(np.argmin(close)), close.shape)
    place = [int(index) for index in first]
    count = int((~close).sum())
    return f"{count} of {actual.size} elements differ, first at {place}: {left[first]!r}, expected {right[first]!r}"
