"""Older definitions of ops, which the node cases of the newest `onnx` no longer show: against ONNX Runtime.

Each row is one node at one opset, 13 being the oldest that is supported. Constants are initialisers.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pytests"))

import numpy as np  # noqa: E402
import onnx  # noqa: E402
from compare import difference  # noqa: E402
from harness import Arrays, ToolCase, main  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

RTOL, ATOL = 1e-4, 1e-5
SHORT = {
    "float32": "f32",
    "float64": "f64",
    "int64": "i64",
    "int32": "i32",
    "int8": "i8",
    "uint8": "u8",
    "bool": "bool",
}


@dataclass(frozen=True)
class Row:
    """One node: its inputs by name (None: left out), which of them are constants, its attributes."""

    name: str
    opset: int
    op: str
    inputs: dict[str, Any]
    constants: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1


def _values(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape) + len(shape)).standard_normal(shape).astype(np.float32)


def _whole(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


X = _values(2, 3, 4)
ROWS = (
    Row("reduce_mean_axes_attribute", 13, "ReduceMean", {"x": X}, (), {"axes": [1], "keepdims": 0}),
    Row("reduce_mean_axes_attribute_17", 17, "ReduceMean", {"x": X}, (), {"axes": [-1]}),
    Row("reduce_mean_axes_input_18", 18, "ReduceMean", {"x": X, "axes": _whole(-1)}, ("axes",)),
    Row("reduce_mean_all", 13, "ReduceMean", {"x": X}),
    Row("reduce_max_axes_attribute", 13, "ReduceMax", {"x": X}, (), {"axes": [0, 2]}),
    Row("reduce_l2_axes_attribute", 13, "ReduceL2", {"x": X}, (), {"axes": [2], "keepdims": 1}),
    Row("reduce_sum_axes_input_13", 13, "ReduceSum", {"x": X, "axes": _whole(1)}, ("axes",), {"keepdims": 0}),
    Row(
        "reduce_sum_noop_13",
        13,
        "ReduceSum",
        {"x": X, "axes": _whole()},
        ("axes",),
        {"noop_with_empty_axes": 1},
    ),
    Row("split_sizes_13", 13, "Split", {"x": X, "split": _whole(1, 3)}, ("split",), {"axis": 2}, 2),
    Row("split_equal_13", 13, "Split", {"x": X}, (), {"axis": 2}, 2),
    Row("split_num_outputs_18", 18, "Split", {"x": X}, (), {"axis": 1, "num_outputs": 2}, 2),
    Row("squeeze_13", 13, "Squeeze", {"x": X[:, :1], "axes": _whole(1)}, ("axes",)),
    Row("squeeze_all_13", 13, "Squeeze", {"x": X[:1, :1]}),
    Row("unsqueeze_13", 13, "Unsqueeze", {"x": X, "axes": _whole(0, -1)}, ("axes",)),
    Row("softmax_13", 13, "Softmax", {"x": X}, (), {"axis": 1}),
    Row("softmax_default_13", 13, "Softmax", {"x": X}),
    Row("log_softmax_13", 13, "LogSoftmax", {"x": X}, (), {"axis": -1}),
    Row("clip_13", 13, "Clip", {"x": X, "min": np.float32(-0.5), "max": np.float32(0.25)}, ("min", "max")),
    Row("clip_no_min_13", 13, "Clip", {"x": X, "min": None, "max": np.float32(0.25)}, ("max",)),
    Row("pad_13", 13, "Pad", {"x": X, "pads": _whole(0, 1, 0, 2, 0, 1)}, ("pads",)),
    Row(
        "pad_value_axes_18",
        18,
        "Pad",
        {"x": X, "pads": _whole(1, 2), "value": np.float32(3), "axes": _whole(-1)},
        ("pads", "value", "axes"),
    ),
    Row("slice_13", 13, "Slice", {"x": X, "s": _whole(0, -3), "e": _whole(9, -1), "a": _whole(0, 2)}, ("s", "e", "a")),
    Row(
        "slice_backwards_13",
        13,
        "Slice",
        {"x": X, "s": _whole(-1), "e": _whole(-(2**63)), "a": _whole(1), "t": _whole(-1)},
        ("s", "e", "a", "t"),
    ),
    Row("reshape_zero_and_rest_13", 13, "Reshape", {"x": X, "shape": _whole(0, -1)}, ("shape",)),
    Row("reshape_allow_zero_14", 14, "Reshape", {"x": X, "shape": _whole(4, -1)}, ("shape",), {"allowzero": 1}),
    Row("gemm_13", 13, "Gemm", {"a": _values(5, 6), "b": _values(7, 6), "c": _values(7)}, ("b", "c"), {"transB": 1}),
    Row(
        "gemm_scaled_13",
        13,
        "Gemm",
        {"a": _values(6, 5), "b": _values(6, 7), "c": _values(5, 1)},
        ("b", "c"),
        {"transA": 1, "alpha": 0.5, "beta": 2.0},
    ),
    Row("gather_negative_13", 13, "Gather", {"x": X, "i": _whole(-1, 0)}, (), {"axis": 1}),
    Row("dropout_inference_13", 13, "Dropout", {"x": X}),
    Row(
        "layer_norm_17", 17, "LayerNormalization", {"x": X, "g": _values(4), "b": _values(4)}, ("g", "b"), {"axis": -1}
    ),
    Row("layer_norm_no_bias_17", 17, "LayerNormalization", {"x": X, "g": _values(3, 4)}, ("g",), {"axis": 1}),
    Row("equal_int_13", 13, "Equal", {"a": _whole(1, 2, 3), "b": _whole(3, 2, 1)}),
    Row("where_13", 13, "Where", {"c": X > 0, "a": X, "b": np.float32(7)}),
    Row("pow_int_exponent_13", 13, "Pow", {"x": np.abs(X), "e": _whole(2)[0]}, ("e",)),
    Row("mod_13", 13, "Mod", {"a": _whole(-7, 7, 5), "b": _whole(3, -3, 5)}),
    Row("fmod_13", 13, "Mod", {"a": X, "b": np.float32(0.3)}, (), {"fmod": 1}),
    Row("cumsum_14", 14, "CumSum", {"x": X, "axis": _whole(1)[0]}, ("axis",), {"exclusive": 1, "reverse": 1}),
    Row("trilu_14", 14, "Trilu", {"x": X, "k": _whole(1)[0]}, ("k",), {"upper": 0}),
    Row("gelu_20", 20, "Gelu", {"x": X}, (), {"approximate": "tanh"}),
    Row("erf_13", 13, "Erf", {"x": X * 3}),
    Row("cast_to_int_13", 13, "Cast", {"x": X * 10}, (), {"to": onnx.TensorProto.INT32}),
    Row("argmax_last_13", 13, "ArgMax", {"x": np.round(X)}, (), {"axis": 1, "select_last_index": 1, "keepdims": 0}),
    Row("expand_13", 13, "Expand", {"x": X[:, :1], "shape": _whole(5, 2, 3, 4)}, ("shape",)),
    Row("tile_13", 13, "Tile", {"x": X, "r": _whole(1, 2, 1)}, ("r",)),
    Row("concat_negative_axis_13", 13, "Concat", {"a": X, "b": X[..., :2]}, (), {"axis": -1}),
    Row("transpose_default_13", 13, "Transpose", {"x": X}),
    Row("flatten_13", 13, "Flatten", {"x": X}, (), {"axis": 2}),
    Row("sum_many_13", 13, "Sum", {"a": X, "b": X[0], "c": X[0, 0]}),
    Row("max_many_13", 13, "Max", {"a": X, "b": X[0], "c": X[0, 0]}),
    Row("hard_sigmoid_13", 13, "HardSigmoid", {"x": X * 5}),
    Row("matmul_rank_1_13", 13, "MatMul", {"a": X, "b": _values(4)}),
    Row(
        "matmul_integer_13",
        13,
        "MatMulInteger",
        {
            "a": np.arange(24, dtype=np.uint8).reshape(2, 3, 4) * 10,
            "b": np.arange(-20, 0, dtype=np.int8).reshape(4, 5) * 6,
            "az": np.uint8(128),
            "bz": np.array([0, 1, -1, 5, -128], np.int8),
        },
        ("b", "bz"),
    ),
    Row("dynamic_quantize_13", 13, "DynamicQuantizeLinear", {"x": X}, outputs=3),
    Row(
        "dequantize_per_axis_13",
        13,
        "DequantizeLinear",
        {
            "x": np.arange(-6, 6, dtype=np.int8).reshape(3, 4),
            "s": np.array([0.5, 1, 2], np.float32),
            "z": np.array([0, 1, -1], np.int8),
        },
        ("s", "z"),
        {"axis": 0},
    ),
    Row(
        "quantize_per_tensor_13",
        13,
        "QuantizeLinear",
        {"x": X, "s": np.float32(0.02), "z": np.uint8(120)},
        ("s", "z"),
    ),
)


def _model(row: Row) -> onnx.ModelProto:
    fed = {name: value for name, value in row.inputs.items() if value is not None and name not in row.constants}
    held = [numpy_helper.from_array(np.asarray(row.inputs[name]), name) for name in row.constants]
    declared = []
    for name, value in fed.items():
        array = np.asarray(value)
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        declared.append(helper.make_tensor_value_info(name, kind, list(array.shape)))
    names = [name if value is not None else "" for name, value in row.inputs.items()]
    outputs = [f"out{number}" for number in range(row.outputs)]
    node = helper.make_node(row.op, names, outputs, name="node", **row.attributes)
    told = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph([node], row.name, declared, told, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", row.opset)])
    model.ir_version = 8
    inferred = onnx.shape_inference.infer_shapes(model)
    onnx.checker.check_model(inferred)
    return inferred


class OlderOpsets(ToolCase):
    """One test per row is added below."""

    def check_row(self, row: Row) -> None:
        """Runs the row in both engines; every row must run."""
        import onnxruntime

        model = _model(row)
        path = self.folder / "model.onnx"
        path.write_bytes(model.SerializeToString())
        inputs: Arrays = {value.name: np.asarray(row.inputs[value.name]) for value in model.graph.input}
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        expected = dict(zip((value.name for value in session.get_outputs()), session.run(None, inputs), strict=True))
        answer = self.run_model(path, inputs)
        for name, value in expected.items():
            wrong = difference(answer[name], value, SHORT[value.dtype.name], RTOL, ATOL)
            self.assertIsNone(wrong, f"{name}: {wrong}")


for _row in ROWS:
    setattr(OlderOpsets, f"test_{_row.name}", lambda self, row=_row: self.check_row(row))

if __name__ == "__main__":
    main()
