"""Small ONNX models for the tests of the command line: two layers, and models that are wrong in one way each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, HIDDEN = 48, 80


def weights() -> dict[str, np.ndarray]:
    """The weights of `mlp`."""
    random = np.random.default_rng(7)
    return {
        "w1": random.standard_normal((WIDTH, HIDDEN)).astype(np.float32),
        "b1": random.standard_normal(HIDDEN).astype(np.float32),
        "w2": random.standard_normal((HIDDEN, WIDTH)).astype(np.float32),
        "b2": random.standard_normal(WIDTH).astype(np.float32),
    }


def mlp_answer(x: np.ndarray) -> np.ndarray:
    """What `mlp` computes, in float64."""
    held = {name: value.astype(np.float64) for name, value in weights().items()}
    hidden = np.maximum(x.astype(np.float64) @ held["w1"] + held["b1"], 0.0)
    return hidden @ held["w2"] + held["b2"]


def _graph(nodes: list[onnx.NodeProto], initializers: list[onnx.TensorProto]) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", WIDTH])
    graph = helper.make_graph(nodes, "mlp", [x], [y], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    return model


def mlp() -> onnx.ModelProto:
    """x [batch, 48] -> relu(x w1 + b1) w2 + b2."""
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["m1"], name="first"),
        helper.make_node("Add", ["m1", "b1"], ["a1"]),
        helper.make_node("Relu", ["a1"], ["r1"]),
        helper.make_node("MatMul", ["r1", "w2"], ["m2"], name="second"),
        helper.make_node("Add", ["m2", "b2"], ["y"]),
    ]
    return _graph(nodes, [numpy_helper.from_array(value, name) for name, value in weights().items()])


def two_readers() -> onnx.ModelProto:
    """An activation that cannot be part of the product before it: x w1 + b1 is read twice."""
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], name="first"),
        helper.make_node("Tanh", ["h"], ["t"], name="act"),
        helper.make_node("MatMul", ["t", "w2"], ["m2"], name="second"),
        helper.make_node("MatMul", ["h", "w2"], ["m3"], name="third"),
        helper.make_node("Sub", ["m2", "m3"], ["y"], name="difference"),
    ]
    held = {name: value for name, value in weights().items() if name != "b2"}
    return _graph(nodes, [numpy_helper.from_array(value, name) for name, value in held.items()])


def two_readers_of_gelu() -> onnx.ModelProto:
    """The same with GELU as older exports write it, five nodes that become one."""
    model = two_readers()
    del model.graph.node[1]
    parts = [
        helper.make_node("Div", ["h", "root"], ["d"], name="divide"),
        helper.make_node("Erf", ["d"], ["e"], name="erf"),
        helper.make_node("Add", ["e", "one"], ["f"], name="plus"),
        helper.make_node("Mul", ["h", "f"], ["g"], name="times"),
        helper.make_node("Mul", ["g", "half"], ["t"], name="halve"),
    ]
    for place, node in enumerate(parts):
        model.graph.node.insert(1 + place, node)
    for name, value in (("root", 2.0**0.5), ("one", 1.0), ("half", 0.5)):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(value).reshape(()), name))
    return model


def mixed() -> onnx.ModelProto:
    """x -> int8 product of quantised x -> GELU -> layer norm -> f32 product -> softmax.

    The quantised operand is the input itself, so that its codes are the same on every machine.
    """
    random = np.random.default_rng(8)
    constants = {
        "w8": random.integers(-127, 128, (WIDTH, HIDDEN)).astype(np.int8),
        "w8_scale": np.float32(0.01).reshape(()),
        "gamma": random.standard_normal(HIDDEN).astype(np.float32),
        "beta": random.standard_normal(HIDDEN).astype(np.float32),
        "w2": weights()["w2"],
        "b2": weights()["b2"],
    }
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "q_scale", "q_zero"]),
        helper.make_node("MatMulInteger", ["q", "w8", "q_zero"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["q_scale", "w8_scale"], ["scale"]),
        helper.make_node("Mul", ["wide", "scale"], ["h"]),
        helper.make_node("Gelu", ["h"], ["g"]),
        helper.make_node("LayerNormalization", ["g", "gamma", "beta"], ["n"]),
        helper.make_node("MatMul", ["n", "w2"], ["m"]),
        helper.make_node("Add", ["m", "b2"], ["a"]),
        helper.make_node("Softmax", ["a"], ["y"]),
    ]
    return _graph(nodes, [numpy_helper.from_array(value, name) for name, value in constants.items()])


def unknown_ops() -> onnx.ModelProto:
    """Two ops that nobody knows, on three nodes."""
    nodes = [
        helper.make_node("Frobnicate", ["x"], ["t"], name="strange_one"),
        helper.make_node("Relu", ["t"], ["u"]),
        helper.make_node("Defenestrate", ["u"], ["v"], name="strange_two"),
        helper.make_node("Frobnicate", ["v"], ["y"], name="strange_three"),
    ]
    return _graph(nodes, [])


def cycle() -> onnx.ModelProto:
    """Two nodes that wait for each other."""
    nodes = [
        helper.make_node("Add", ["x", "b"], ["a"], name="one"),
        helper.make_node("Relu", ["a"], ["b"], name="two"),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    return _graph(nodes, [])


def dangling() -> onnx.ModelProto:
    """A node that reads a value nobody makes."""
    return _graph([helper.make_node("Add", ["x", "nowhere"], ["y"], name="reader")], [])


def short_initializer() -> onnx.ModelProto:
    """A weight whose bytes do not fill its shape."""
    model = mlp()
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]
    return model


def huge_initializer() -> onnx.ModelProto:
    """A weight whose dims overflow 64 bits when multiplied."""
    model = mlp()
    model.graph.initializer[0].dims[:] = [2**40, 2**40]
    return model


def negative_initializer() -> onnx.ModelProto:
    """A weight with a negative dim."""
    model = mlp()
    model.graph.initializer[0].dims[:] = [-1, HIDDEN]
    return model


def save_external(path: Path, location: str, data: Path | None = None) -> None:
    """`mlp` with its first weight in the file `location`; the bytes are written to `data` (nowhere when None)."""
    model = mlp()
    tensor = model.graph.initializer[0]
    raw = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(raw)))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString())
    if data is not None:
        data.write_bytes(raw)


def save(model: onnx.ModelProto, path: Path) -> Path:
    """Writes `model` to `path`."""
    path.write_bytes(model.SerializeToString())
    return path
