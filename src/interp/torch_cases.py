"""Writes src/interp/torch_cases.inc: inputs, calls and what PyTorch (float64) or ONNX's reference give for them.

    python src/interp/torch_cases.py > src/interp/torch_cases.inc

Operands are multiples of 1/64, exact in every floating-point dtype, so that one expectation serves both precisions.
Needs torch and onnx (tests/models pins them); the tests themselves need neither.
"""

import random

import numpy as np
import onnx
import onnx.helper as oh
import onnx.reference
import torch
import torch.nn.functional as F

rng = random.Random(20240607)
TORCH = {"f32": torch.float64, "i64": torch.int64, "i32": torch.int32, "bool": torch.bool, "u8": torch.uint8, "i8": torch.int8}


def values(dtype, shape, low=-4.0, high=4.0):
    count = int(np.prod(shape))
    if dtype == "f32":
        data = [round(rng.uniform(low, high) * 64) / 64 for _ in range(count)]
    elif dtype == "bool":
        data = [rng.random() < 0.7 for _ in range(count)]
    else:
        data = [rng.randint(int(low), int(high)) for _ in range(count)]
    return torch.tensor(data, dtype=TORCH[dtype]).reshape(shape)


def text_of(x):
    if x.dtype == torch.bool:
        return ", ".join("true" if v else "false" for v in x.flatten().tolist())
    return ", ".join(repr(v) for v in x.flatten().tolist())


def name_of(dtype):
    return {v: k for k, v in TORCH.items()}[dtype]


def case(call, operands, *expected):
    """operands: tensors, called %a, %b, ... in `call`; expected: tensors, the results."""
    lines = []
    for name, x in zip("abcdefgh", operands):
        shape = ", ".join(str(d) for d in x.shape)
        lines.append(f"const %{name}: {name_of(x.dtype)}[{shape}] = [{text_of(x)}]\\n")
    rows = []
    for y in expected:
        y = torch.as_tensor(y)
        numbers = ", ".join("NAN" if v != v else "INFINITY" if v == np.inf else "-INFINITY" if v == -np.inf else repr(float(v))
                            for v in y.flatten().tolist())
        rows.append(f"{{{{{', '.join(str(d) for d in y.shape)}}}, {{{numbers}}}}}")
    call = call.replace('"', '\\"')
    print(f'{{"{"".join(lines)}", "{call}", {{{", ".join(rows)}}}}},')


def unary():
    x = values("f32", (2, 5))
    positive = values("f32", (7,), 0.125, 9)
    functions = {
        "neg": torch.neg, "abs": torch.abs, "sign": torch.sign, "exp": torch.exp, "erf": torch.erf, "tanh": torch.tanh,
        "sin": torch.sin, "cos": torch.cos, "floor": torch.floor, "ceil": torch.ceil, "sigmoid": torch.sigmoid,
        "relu": torch.relu, "gelu": F.gelu, "silu": F.silu, "hard_swish": F.hardswish, "reciprocal": torch.reciprocal,
    }
    for name, f in functions.items():
        case(f"{name}(%a)", [x], f(x))
    for name, f in {"log": torch.log, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt}.items():
        case(f"{name}(%a)", [positive], f(positive))
    case('gelu(%a) {approximate="tanh"}', [x], F.gelu(x, approximate="tanh"))
    case("clamp(%a) {min=-1.5, max=2}", [x], torch.clamp(x, -1.5, 2))
    case("hard_sigmoid(%a)", [x], torch.clamp(0.2 * x + 0.5, 0, 1))
    halves = torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.75], dtype=torch.float64)
    case("round(%a)", [halves], torch.round(halves))
    special = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0], dtype=torch.float64)
    for name, f in {"isnan": torch.isnan, "isinf": torch.isinf, "relu": torch.relu, "exp": torch.exp, "tanh": torch.tanh,
                    "sign": lambda v: torch.where(torch.isnan(v), v, torch.sign(v)), "sigmoid": torch.sigmoid,
                    "abs": torch.abs}.items():
        case(f"{name}(%a)", [special], f(special))
    case("clamp(%a) {min=-1, max=1}", [special], torch.clamp(special, -1, 1))
    b = values("bool", (6,))
    case("logical_not(%a)", [b], ~b)
    for name in ("neg", "abs", "sign", "relu"):
        i = values("i64", (5,), -9, 9)
        case(f"{name}(%a)", [i], {"neg": torch.neg, "abs": torch.abs, "sign": torch.sign, "relu": torch.relu}[name](i))


def binary():
    a, b = values("f32", (2, 1, 3)), values("f32", (4, 1))
    functions = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "minimum": torch.minimum,
                 "maximum": torch.maximum, "mod": torch.remainder, "eq": torch.eq, "ne": torch.ne, "lt": torch.lt,
                 "le": torch.le, "gt": torch.gt, "ge": torch.ge}
    for name, f in functions.items():
        case(f"{name}(%a, %b)", [a, b], f(a, b))
    case("mod(%a, %b) {fmod=true}", [a, b], torch.fmod(a, b))
    p, e = values("f32", (4,), 0.25, 3), values("f32", (2, 1), -2, 2)
    case("pow(%a, %b)", [p, e], torch.pow(p, e))
    i, j = values("i32", (3, 4), -9, 9), torch.tensor([3, -2, 5, -7], dtype=torch.int32)
    case("div(%a, %b)", [i, j], torch.div(i, j, rounding_mode="trunc"))
    case("mod(%a, %b)", [i, j], torch.remainder(i, j))
    case("mod(%a, %b) {fmod=true}", [i, j], torch.fmod(i, j))
    case("pow(%a, %b)", [i, torch.tensor(3, dtype=torch.int32)], i ** 3)
    for name, f in {"logical_and": torch.bitwise_and, "logical_or": torch.bitwise_or, "logical_xor": torch.bitwise_xor}.items():
        case(f"{name}(%a, %b)", [i, j], f(i, j))
        x, y = values("bool", (3, 1)), values("bool", (4,))
        case(f"{name}(%a, %b)", [x, y], f(x, y))
    u, v = torch.tensor([250, 3, 128], dtype=torch.uint8), torch.tensor([10, 5, 2], dtype=torch.uint8)
    for name, f in {"add": torch.add, "sub": torch.sub, "mul": torch.mul}.items():  # wrap
        case(f"{name}(%a, %b)", [u, v], f(u, v))
    n = torch.tensor([float("nan"), 1, float("nan")], dtype=torch.float64)
    m = torch.tensor([1, float("nan"), 2.0], dtype=torch.float64)
    case("minimum(%a, %b)", [n, m], torch.minimum(n, m))
    case("maximum(%a, %b)", [n, m], torch.maximum(n, m))
    c = values("bool", (3, 1))
    x, y = values("f32", (4,)), values("f32", (2, 1, 1))
    case("where(%a, %b, %c)", [c, x, y], torch.where(c, x, y))


def movement():
    x = values("f32", (2, 3, 4))
    case("reshape(%a) {shape=[4, 6]}", [x], x.reshape(4, 6))
    case("transpose(%a) {perm=[2, 0, 1]}", [x], x.permute(2, 0, 1))
    case("expand(%a) {shape=[2, 3, 4]}", [x[:1, :, :1]], x[:1, :, :1].expand(2, 3, 4))
    case("slice(%a) {axes=[2, 1], starts=[0, 1], ends=[4, 3], steps=[3, 1]}", [x], x[:, 1:3, 0:4:3])
    case("slice(%a) {axes=[2], starts=[3], ends=[-1], steps=[-2]}", [x], torch.flip(x, [2])[:, :, ::2])
    case("slice(%a) {axes=[0], starts=[2], ends=[1], steps=[1]}", [x], x[2:1])
    y = values("f32", (2, 1, 4))
    case("concat(%a, %b, %a) {axis=1}", [x, y], torch.cat([x, y, x], 1))
    case("pad(%a) {before=[0, 1, 2], after=[1, 0, 1], value=-0.5}", [x], F.pad(x, (2, 1, 1, 0, 0, 1), value=-0.5))
    i = torch.tensor([[2, 0], [1, -1]])
    case("gather(%a, %b) {axis=1}", [x, i], x[:, torch.where(i < 0, i + 3, i)])
    case("gather(%a, %b) {axis=0}", [x, torch.tensor(1)], x[1])
    j = torch.tensor([[[0, 1, 2, 0, 1]], [[2, 2, 0, 1, 0]]])[:, :, :4]
    case("gather_elements(%a, %b) {axis=1}", [x, j], torch.gather(x, 1, j))
    k = torch.tensor([[1, 2], [0, 0], [-1, 1]])
    case("gather_nd(%a, %b)", [x, k], x[k[:, 0], k[:, 1]])
    batched = torch.tensor([[[2]], [[0]]])
    case("gather_nd(%a, %b) {batch_dims=1}", [x, batched], torch.stack([x[0][batched[0, :, 0]], x[1][batched[1, :, 0]]]))
    case("iota() {count=4, start=5, step=-2, to=f32}", [], torch.arange(5, -3, -2, dtype=torch.float64))
    case("iota() {count=4, start=0, step=1, to=i64}", [], torch.arange(4))
    case("full() {shape=[2, 2], value=-3.75, to=i32}", [], torch.full((2, 2), -3))
    case("dims() {values=[2*3, floordiv(7, 2), 5]}", [], torch.tensor([6, 3, 5]))


def reductions():
    x = values("f32", (2, 3, 4))
    kinds = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax, "min": torch.amin,
             "l1": lambda v, d, k: v.abs().sum(d, keepdim=k), "l2": lambda v, d, k: v.square().sum(d, keepdim=k).sqrt(),
             "sum_square": lambda v, d, k: v.square().sum(d, keepdim=k),
             "log_sum_exp": torch.logsumexp}
    for kind, f in kinds.items():
        y = f(x, (0, 2), True) if kind in ("l1", "l2", "sum_square") else f(x, (0, 2), keepdim=True)
        case(f'reduce(%a) {{kind="{kind}", axes=[2, 0]}}', [x], y)
    p = values("f32", (2, 3), 0.5, 3)
    case('reduce(%a) {kind="log_sum", axes=[1], keepdims=false}', [p], p.sum(1).log())
    case('reduce(%a) {kind="prod", axes=[1], keepdims=false}', [p], p.prod(1))
    b = values("bool", (3, 3))
    case('reduce(%a) {kind="any", axes=[0], keepdims=false}', [b], b.any(0))
    case('reduce(%a) {kind="all", axes=[0], keepdims=false}', [b], b.all(0))
    i = values("i64", (3, 4), -9, 9)
    case('reduce(%a) {kind="max", axes=[1], keepdims=false}', [i], i.amax(1))
    case('reduce(%a) {kind="sum", axes=[0, 1], keepdims=false}', [i], i.sum())
    case('reduce(%a) {kind="l1", axes=[0], keepdims=false}', [i], i.abs().sum(0))
    inf, nan = float("inf"), float("nan")
    s = torch.tensor([[1, nan, 3], [-inf, -inf, -inf], [inf, 1, 2]], dtype=torch.float64)
    for kind, f in {"max": torch.amax, "min": torch.amin, "sum": torch.sum, "log_sum_exp": torch.logsumexp}.items():
        case(f'reduce(%a) {{kind="{kind}", axes=[1], keepdims=false}}', [s], f(s, 1))
    e = torch.zeros((2, 0), dtype=torch.float64)
    case('reduce(%a) {kind="sum", axes=[1], keepdims=false}', [e], e.sum(1))
    case('reduce(%a) {kind="prod", axes=[1], keepdims=false}', [e], e.prod(1))
    case('reduce(%a) {kind="mean", axes=[1], keepdims=false}', [e], e.mean(1))
    t = torch.tensor([[1, 5, 5, 0], [2, 2, 1, 1]], dtype=torch.float64)
    case("argmax(%a) {axis=1}", [t], torch.tensor([[1], [0]]))
    case("argmax(%a) {axis=1, last=true, keepdims=false}", [t], torch.tensor([2, 1]))
    case("argmax(%a) {axis=1, min=true, keepdims=false}", [t], torch.tensor([3, 2]))
    case("argmax(%a) {axis=0, keepdims=false}", [t], t.argmax(0))
    case("argmax(%a) {axis=1, keepdims=false}", [s], s.argmax(1))
    case("cumsum(%a) {axis=1}", [x], x.cumsum(1))
    case("cumsum(%a) {axis=2, reverse=true}", [x], x.flip(2).cumsum(2).flip(2))
    case("cumsum(%a) {axis=0, exclusive=true}", [i], i.cumsum(0) - i)
    for axis in (0, 1, 2):
        case(f"softmax(%a) {{axis={axis}}}", [x], F.softmax(x, axis))
    case("softmax(%a) {axis=1, log=true}", [x], F.log_softmax(x, 1))
    m = torch.tensor([[1.0, -inf, 2.0], [-inf, -inf, -inf]], dtype=torch.float64)
    case("softmax(%a) {axis=1}", [m], F.softmax(m, 1))
    g, h = values("f32", (4,)), values("f32", (4,))
    case("layer_norm(%a, %b, %c) {axis=2, epsilon=0.001}", [x, g, h], F.layer_norm(x, (4,), g, h, 0.001))
    case("layer_norm(%a) {axis=1}", [x], F.layer_norm(x, (3, 4)))
    case("layer_norm(%a, _, %b) {axis=2}", [x, h], F.layer_norm(x, (4,), None, h))
    case("rms_norm(%a, %b) {axis=2}", [x, g], F.rms_norm(x, (4,), g, 1e-5))


def products():
    def product(*shapes):
        a, b = values("f32", shapes[0]), values("f32", shapes[1])
        case("matmul(%a, %b)", [a, b], torch.matmul(a, b))
    product((2, 3), (3, 4))
    product((3,), (3,))
    product((3,), (2, 3, 2))
    product((2, 2, 3), (3,))
    product((2, 1, 2, 3), (3, 3, 2))
    a, b = values("i64", (2, 3), -9, 9), values("i64", (3, 2), -9, 9)
    case("matmul(%a, %b)", [a, b], a @ b)
    zero = torch.zeros((2, 0), dtype=torch.float64)
    case("matmul(%a, %b)", [zero, torch.zeros((0, 2), dtype=torch.float64)], torch.zeros((2, 2)))
    x, w, bias, residual = values("f32", (2, 2, 3)), values("f32", (3, 4)), values("f32", (4,)), values("f32", (2, 2, 4))
    acts = {"none": lambda v: v, "relu": F.relu, "gelu": F.gelu, "gelu_tanh": lambda v: F.gelu(v, approximate="tanh"),
            "silu": F.silu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}
    for name, f in acts.items():
        case(f'linear(%a, %b, %c, %d) {{activation="{name}"}}', [x, w, bias, residual], f(x @ w + bias) + residual)
    case("linear(%a, %b) {transposed=true}", [x, w.T.contiguous()], x @ w)
    case("linear(%a, %b, _, %c)", [x, w, residual], x @ w + residual)


def onnx_run(op, inputs, **attrs):
    names = [f"i{k}" if v is not None else "" for k, v in enumerate(inputs)]
    outputs = {"DynamicQuantizeLinear": 3}.get(op, 1)
    graph = oh.make_graph(
        [oh.make_node(op, names, [f"o{k}" for k in range(outputs)], **attrs)], "g",
        [oh.make_tensor_value_info(n, oh.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in zip(names, inputs) if v is not None],
        [oh.make_tensor_value_info(f"o{k}", onnx.TensorProto.UNDEFINED, None) for k in range(outputs)])
    model = oh.make_model(graph, opset_imports=[oh.make_opsetid("", 21)])
    return onnx.reference.ReferenceEvaluator(model).run(None, {n: v for n, v in zip(names, inputs) if v is not None})


def quantised():
    a, b = values("u8", (2, 2, 3), 0, 255), values("i8", (3, 4), -128, 127)
    az, bz = values("u8", (), 0, 255), values("i8", (4,), -128, 127)
    case("matmul_integer(%a, %b, %c, %d)", [a, b, az, bz], onnx_run("MatMulInteger", [t.numpy() for t in (a, b)] + [az.numpy(), bz.numpy()])[0])
    rows = values("u8", (2,), 0, 255)
    case("matmul_integer(%a, %b, %c)", [a[0], b, rows], (a[0].to(torch.int32) - rows.to(torch.int32)[:, None]) @ b.to(torch.int32))
    full = values("u8", (2, 2, 1), 0, 255)
    case("matmul_integer(%a, %b, %c)", [a, b, full], (a.to(torch.int32) - full.to(torch.int32)) @ b.to(torch.int32))
    xs, ws = torch.tensor(0.015625, dtype=torch.float64), torch.tensor([0.5, 0.25, 0.03125, 1.0], dtype=torch.float64)
    bias, residual = values("f32", (4,)), values("f32", (2, 2, 4))
    acc = ((a.to(torch.int64) - az.to(torch.int64)) @ (b.to(torch.int64) - bz.to(torch.int64))).to(torch.float64)
    case('quantized_linear(%a, %b, %c, %d, %e, %f, %g, %h) {activation="relu"}', [a, b, xs, az, ws, bz, bias, residual],
         F.relu(acc * (xs * ws) + bias) + residual)
    plain = (a.to(torch.int64) @ b.to(torch.int64)).to(torch.float64) * (xs * ws[0])
    case("quantized_linear(%a, %b, %c, _, %d)", [a, b, xs, ws[:1]], plain)
    x = torch.tensor([-1.0, 0.5, 3.984375, 2.25, 0.0, -0.25], dtype=torch.float64)
    y, scale, zp = onnx_run("DynamicQuantizeLinear", [x.numpy().astype(np.float32)])
    case("dynamic_quantize(%a)", [x], y, scale, zp)
    positive = torch.tensor([[0.5, 0.25], [1.0, 0.75]], dtype=torch.float64)
    case("dynamic_quantize(%a)", [positive], *onnx_run("DynamicQuantizeLinear", [positive.numpy().astype(np.float32)]))
    v = values("f32", (2, 3), -40, 40)
    s = torch.tensor([0.25, 0.5, 0.125], dtype=torch.float64)
    z = torch.tensor([3, -5, 100], dtype=torch.int8)
    case("quantize(%a, %b, %c) {axis=1, to=i8}", [v, s, z],
         onnx_run("QuantizeLinear", [v.numpy().astype(np.float32), s.numpy().astype(np.float32), z.numpy()], axis=1)[0])
    case("quantize(%a, %b)", [v, s[0]], onnx_run("QuantizeLinear", [v.numpy().astype(np.float32), s[0].numpy().astype(np.float32)])[0])
    q = values("i8", (2, 3), -128, 127)
    case("dequantize(%a, %b, %c) {axis=1}", [q, s, z],
         onnx_run("DequantizeLinear", [q.numpy(), s.numpy().astype(np.float32), z.numpy()], axis=1)[0])
    big = values("i32", (2, 2), -100000, 100000)
    case("dequantize(%a, %b)", [big, s[2]], big.to(torch.float64) * 0.125)


def attentions():
    q, k, v = values("f32", (2, 4, 3, 2), -2, 2), values("f32", (2, 2, 5, 2), -2, 2), values("f32", (2, 2, 5, 3), -2, 2)
    kk, vv = k.repeat_interleave(2, 1), v.repeat_interleave(2, 1)
    sdpa = F.scaled_dot_product_attention
    case("attention(%a, %b, %c) {scale=0.5}", [q, k, v], sdpa(q, kk, vv, scale=0.5))
    keep = torch.tensor([True, True, False, True, False]).reshape(1, 1, 1, 5)
    case("attention(%a, %b, %c, %d) {scale=0.5}", [q, k, v, keep], sdpa(q, kk, vv, attn_mask=keep, scale=0.5))
    added = values("f32", (3, 5), -2, 2)
    case("attention(%a, %b, %c, %d) {scale=0.5}", [q, k, v, added], sdpa(q, kk, vv, attn_mask=added, scale=0.5))
    case("attention(%a, %b, %c) {scale=0.5, causal=true}", [q, k, v],
         sdpa(q, kk, vv, attn_mask=torch.ones(3, 5, dtype=torch.bool).tril(), scale=0.5))
    swap = lambda t: t.transpose(1, 2).contiguous()
    case('attention(%a, %b, %c) {scale=0.5, layout="bshd"}', [swap(q), swap(k), swap(v)], swap(sdpa(q, kk, vv, scale=0.5)))
    one, two = values("f32", (1, 1, 2, 2)), torch.tensor([[True, False], [False, False]])
    y = sdpa(one, one, one, attn_mask=two, scale=1.0)
    y[0, 0, 1] = 0
    case("attention(%a, %a, %a, %b) {scale=1}", [one, two], y)
    y = y.clone()
    y[0, 0, 1] = float("nan")
    case('attention(%a, %a, %a, %b) {scale=1, blind="nan"}', [one, two], y)
    low = torch.where(two, 0.0, torch.finfo(torch.float32).min).double()
    case('attention(%a, %a, %a, %b) {scale=1, blind="mean"}', [one, two], sdpa(one, one, one, attn_mask=low, scale=1.0))
    q, k, v = values("f32", (2, 3, 4, 2), -2, 2), values("f32", (2, 3, 2, 2), -2, 2), values("f32", (2, 3, 2, 2), -2, 2)
    packed = torch.cat([t.flatten(2) for t in (q, k, v)], 2)
    keep = torch.tensor([True, False, True]).reshape(1, 1, 1, 3)
    y = sdpa(swap(q), *(swap(t).repeat_interleave(2, 1) for t in (k, v)), attn_mask=keep, scale=0.5)
    case("attention_packed(%a, %b) {heads=4, kv_heads=2, scale=0.5}", [packed, keep], swap(y).flatten(2))


def casts():
    x = torch.tensor([-300.75, -1.5, -0.5, 0.5, 1.5, 255.875, 300.0, 127.5], dtype=torch.float64)
    for to, low, high in (("i8", -128, 127), ("u8", 0, 255), ("i32", -2**31, 2**31 - 1), ("i64", -2**63, 2**63 - 1)):
        case(f"cast(%a) {{to={to}}}", [x], torch.tensor([min(max(int(v), low), high) for v in x.tolist()]))
    case("cast(%a) {to=bool}", [torch.tensor([0.0, -0.0, 0.5, float("nan")], dtype=torch.float64)], torch.tensor([False, False, True, True]))
    i = torch.tensor([300, -1, 128, 0], dtype=torch.int64)
    case("cast(%a) {to=u8}", [i], i.to(torch.uint8))
    case("cast(%a) {to=i8}", [i], i.to(torch.int8))
    case("cast(%a) {to=bool}", [i], i.to(torch.bool))
    case("cast(%a) {to=f32}", [i], i.to(torch.float64))


def rows_to_i8(x):
    """scale = max|row| / 127, 1 if the row is 0; round(x / scale), ties to even."""
    scale = x.abs().amax(-1, keepdim=True) / 127
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return torch.round(x / scale), scale


def dynamic():
    x = values("f32", (2, 3, 8))
    x[1, 1] = 0
    gamma, beta = values("f32", (8,)), values("f32", (8,))
    weight, scale = values("i8", (4, 8), -127, 127), torch.tensor([0.5, 0.25, 0.03125, 1.0], dtype=torch.float64)
    bias, residual = values("f32", (4,)), values("f32", (2, 3, 4))
    q, row_scale = rows_to_i8(x)
    product = (q @ weight.to(torch.float64).T) * (row_scale * scale)
    case('quantized_linear(%a, %b, _, _, %c, _, %d, %e) {transposed=true, activation="gelu", dynamic="token_symmetric"}',
         [x, weight, scale, bias, residual], F.gelu(product + bias) + residual)
    u, u_scale, zero = (torch.as_tensor(t) for t in onnx_run("DynamicQuantizeLinear", [x.numpy().astype(np.float32)]))
    case('quantized_linear(%a, %b, %c, %d, %e) {transposed=true}', [u, weight, u_scale.to(torch.float64), zero, scale],
         ((u.to(torch.float64) - zero.to(torch.float64)) @ weight.to(torch.float64).T) * (u_scale.to(torch.float64) * scale))
    u8 = (q + 128).to(torch.uint8)
    case("quantized_linear(%a, %b, %c, %d, %e) {transposed=true}", [u8, weight, torch.round(row_scale * 64) / 64 + 1, torch.tensor([128], dtype=torch.uint8), scale],
         (q @ weight.to(torch.float64).T) * ((torch.round(row_scale * 64) / 64 + 1) * scale))
    y = F.layer_norm(x, (8,), gamma, beta)
    q, row_scale = rows_to_i8(y)
    case('norm_quantize(%a, %b, %c) {axis=2, kind="layer"}', [x, gamma, beta], y, (q + 128).to(torch.uint8), row_scale)
    y = x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5) * gamma
    q, row_scale = rows_to_i8(y)
    case('norm_quantize(%a, %b) {axis=2, kind="rms"}', [x, gamma], y, (q + 128).to(torch.uint8), row_scale)


def decoders():
    x, w, gate = values("f32", (2, 2, 3)), values("f32", (3, 4)), values("f32", (2, 2, 4))
    case('linear(%a, %b, _, %c) {residual_op="mul"}', [x, w, gate], (x @ w) * gate)
    x = values("f32", (2, 3, 2, 6), -2, 2)
    cos, sin = values("f32", (3, 1, 3), -1, 1), values("f32", (3, 1, 3), -1, 1)
    # The spelling of Llama: rotate_half; of GPT-J: rotate_every_two.
    half = torch.cat((-x[..., 3:], x[..., :3]), -1)
    y = x * torch.cat((cos, cos), -1) + half * torch.cat((sin, sin), -1)
    case("rotary(%a, %b, %c)", [x, cos, sin], y)
    case("rotary(%a, %b, %c) {heads=1}", [x, cos, sin], torch.cat((y[:, :, :1], x[:, :, 1:]), 2))
    every_two = torch.stack((-x[..., 1::2], x[..., ::2]), -1).flatten(-2)
    case("rotary(%a, %b, %c) {interleaved=true}", [x, cos, sin],
         x * cos.repeat_interleave(2, -1) + every_two * sin.repeat_interleave(2, -1))
    c, s = values("f32", (2, 2), -1, 1), values("f32", (2, 2), -1, 1)
    part = x[..., :4]
    turned = part * torch.cat((c, c), -1) + torch.cat((-part[..., 2:], part[..., :2]), -1) * torch.cat((s, s), -1)
    case("rotary(%a, %b, %c)", [x, c, s], torch.cat((turned, x[..., 4:]), -1))


for group in (unary, binary, movement, reductions, products, quantised, attentions, casts, dynamic, decoders):
    group()
