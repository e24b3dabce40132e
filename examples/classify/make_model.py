#!/usr/bin/env python3
"""Writes flowers.onnx: which iris has these four lengths? The class whose mean (of Fisher's data) is nearest.

|x - m|^2 differs between classes by -2 (m.x - |m|^2 / 2): a matrix product, a bias, and a softmax over the classes.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MEANS = np.array([[5.006, 3.428, 1.462, 0.246], [5.936, 2.770, 4.260, 1.326], [6.588, 2.974, 5.552, 2.026]])

flowers = helper.make_tensor_value_info("flowers", TensorProto.FLOAT, ["count", 4])
classes = helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["count", 3])
constants = [
    numpy_helper.from_array(MEANS.T.astype(np.float32).copy(), "means"),
    numpy_helper.from_array((-0.5 * (MEANS**2).sum(axis=1)).astype(np.float32), "bias"),
]
nodes = [
    helper.make_node("Gemm", ["flowers", "means", "bias"], ["scores"], name="scores"),
    helper.make_node("Softmax", ["scores"], ["classes"], name="softmax", axis=-1),
]
graph = helper.make_graph(nodes, "flowers", [flowers], [classes], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10, producer_name="example")
onnx.checker.check_model(model)
Path(__file__).with_name("flowers.onnx").write_bytes(model.SerializeToString())
