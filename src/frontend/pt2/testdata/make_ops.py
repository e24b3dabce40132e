"""Makes the ops_*.pt2 archives beside this file: many operators in a few programs, with PyTorch's outputs.

    python make_ops.py [folder]        (torch 2.13, numpy)

Each group becomes ops_<group>.pt2 (as exported) and ops_<group>.core.pt2 (run_decompositions()), ops_<group>.in.npz and
ops_<group>.out.npz (outputs by name). The first dimension of the inputs x, n and m is dynamic.
"""
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

aten = torch.ops.aten


def pointwise(x, y, n, m, s):
    p = x.abs() + 0.5
    return {
        "abs": x.abs(), "neg": -x, "neg_int": -n, "sign": x.sign(), "relu": x.relu(), "exp": x.exp(), "exp_int": n.clamp(-3, 3).exp(),
        "log": p.log(), "sqrt": p.sqrt(), "rsqrt": p.rsqrt(), "reciprocal": p.reciprocal(), "erf": x.erf(), "tanh": x.tanh(),
        "sin": x.sin(), "cos": n.cos(), "sigmoid": x.sigmoid(), "silu": F.silu(x), "hardswish": F.hardswish(x * 3), "floor": (x * 3).floor(),
        "ceil": (x * 3).ceil(), "round": (n / 2).round(), "trunc": (x * 3).trunc(), "gelu": F.gelu(x), "gelu_tanh": F.gelu(x, approximate="tanh"),
        "hardsigmoid": F.hardsigmoid(x * 3), "hardtanh": F.hardtanh(x), "relu6": F.relu6(x * 9), "leaky": F.leaky_relu(x), "elu": F.elu(x),
        "softplus": F.softplus(x * 9), "mish": F.mish(x * 5), "log1p": (x * 1e-4).log1p(), "expm1": (x * 1e-4).expm1(), "exp2": x.exp2(),
        "log2": p.log2(), "log10": p.log10(), "square": x.square(), "clamp": x.clamp(-0.5, 0.5), "clamp_int": n.clamp(min=-1),
        "clamp_mixed": n.clamp(min=-1.5), "clamp_tensor": x.clamp(min=y), "isnan": x.log().isnan(), "isinf": (x / 0).isinf(),
        "isfinite": (x / 0).isfinite(), "nan_to_num": (x / 0).nan_to_num(), "logical_not": n.logical_not(), "bitwise_not": ~n, "not_bool": ~m,
    }


def binary(x, y, n, m, s):
    return {
        "add": x + y, "add_alpha": torch.add(x, y, alpha=0.5), "add_int_float": n + 0.5, "add_int": n + 2, "add_bool": m + m, "add_bool_int": m + 1,
        "sub": x - y, "rsub": 1.5 - x, "rsub_int": 3 - n, "mul": x * y, "mul_zero_dim": x * s, "mul_int_zero_dim": n * s, "mul_bool": m * x,
        "div": x / (y + 3), "div_int": n / 2, "div_ints": n / (n * 0 + 4), "div_floor": torch.div(n, 3, rounding_mode="floor"),
        "div_trunc": torch.div(n, 3, rounding_mode="trunc"), "div_trunc_float": torch.div(x * 9, 2, rounding_mode="trunc"), "floordiv": (x * 9) // 2,
        "floordiv_int": n // 3, "remainder": n % 3, "remainder_float": (x * 9) % 2.5, "fmod": torch.fmod(n, 3), "fmod_float": torch.fmod(x * 9, 2.5),
        "pow2": x ** 2, "pow3": x ** 3, "pow_half": x.abs() ** 0.5, "pow_neg": (x.abs() + 1) ** -0.5, "pow_inv": (x.abs() + 1) ** -1.0, "pow_int": n ** 2,
        "pow_tensor": (x.abs() + 1) ** y, "pow_scalar": 2.0 ** x, "minimum": torch.minimum(x, y), "maximum": torch.maximum(n, n * 0), "min_other": torch.min(x, y),
        "and": m & (x > 0), "or": m | (x > 0), "xor": m ^ (x > 0), "and_int": n & 3, "or_int": n | 4, "eq": n == 2, "eq_mixed": n == 2.0, "ne": n != 2, "lt": x < y,
        "le": n <= 0, "gt": x > 0.5, "ge": n >= 0.5, "logical_and": n.logical_and(m), "logical_or": n.logical_or(m), "logical_xor": n.logical_xor(m),
        "addcmul": torch.addcmul(x, x, y, value=0.5), "addcdiv": torch.addcdiv(x, x, y + 3, value=0.5), "where": torch.where(m, x, y),
        "where_scalar": torch.where(m, x, 0.25), "where_scalars": torch.where(m, 1.0, 0.0), "where_promoted": torch.where(m, n, 0.5),
        "masked_fill": x.masked_fill(m, -1e9), "masked_fill_int": n.masked_fill(m, 7), "to_int": (x * 3).to(torch.int64), "to_bool": n.to(torch.bool),
        "to_double": x.double(), "bf16": (x.bfloat16() * 2).float(), "half": (x.half() + y.half()).float(), "type_as": n.type_as(x), "to_other": n.to(x), "dropout": F.dropout(x, 0.5, False),
    }


def shapes(x, y, n, m, s):
    b = x.size(0)
    return {
        "view": x.view(b, -1), "view_flat": x.reshape(-1), "view_scaled": x.view(b * 2, 2, 6), "flatten": x.flatten(1), "unflatten": x.unflatten(2, (2, -1)),
        "permute": x.permute(2, 0, 1), "transpose": x.transpose(-1, 0), "t": y.t(), "movedim": x.movedim(0, 2), "squeeze": x[:, :1].squeeze(1), "squeeze_all": x[:, :1].squeeze(),
        "unsqueeze": x.unsqueeze(-1), "unsqueeze_front": x.unsqueeze(0), "expand": y[:1].expand(b, 4, 6), "expand_keep": x[:, :, :1].expand(-1, -1, 6), "expand_as": y.expand_as(x),
        "repeat": x.repeat(2, 1, 3), "repeat_more": y.repeat(2, 1, 1), "repeat_interleave": x.repeat_interleave(2, dim=1), "slice": x[:, 1:3], "slice_neg": x[:, -3:-1], "slice_step": x[:, :, ::2],
        "slice_dynamic": x[: b - 1], "slice_far": x[:, 1:99], "select": x[:, 2], "select_neg": x[..., -1], "narrow": x.narrow(1, 1, 2), "cat": torch.cat([x, x * 2], 1), "cat_dynamic": torch.cat([x, x]),
        "cat_promoted": torch.cat([x, n], 1), "stack": torch.stack([x, x + 1], 1), "flip": x.flip(1), "roll": x.roll(1, 1), "roll_neg": x.roll((-1, 2), (1, 2)), "pad": F.pad(x, (1, 2, 0, 1), value=0.5),
        "pad_crop": F.pad(x, (-1, 0)), "tril": x.tril(), "triu": x.triu(1), "split0": x.split(4, 2)[1], "split_sizes": x.split([1, 3], 1)[1], "chunk": x.chunk(3, 2)[2], "chunk_uneven": x.chunk(3, 1)[1],
        "unbind": x.unbind(1)[3], "slice_scatter": torch.slice_scatter(x, x[:, :2] * 0, 1, 1, 3), "select_scatter": torch.select_scatter(x, x[:, 0] * 0, 1, 2), "contiguous": x.transpose(0, 1).contiguous(),
        "view_as": x.view_as(n), "swapaxes": x.swapaxes(1, 2), "mT": x.mT, "outer": torch.outer(y[0], y[1]), "diff_dims": x.unflatten(1, (2, 2)).flatten(0, 1),
    }


def indexing(x, y, n, m, s):
    i = n[:, :, 0].abs() % 4
    j = n[:, 0, :].abs() % 6
    rows = torch.arange(x.size(0))
    return {
        "one": x[:, torch.tensor([2, 0, 3])], "front": x[i[:, 0] % 2], "two": x[rows, i[:, 1]], "two_back": x[:, i[:, :1], j[:, :1]], "apart": x[i[:, 0] % 2, :, j[:, 0]], "broadcast": x[rows[:, None], i],
        "three": x[rows, i[:, 0], j[:, 0]], "negative": x[:, torch.tensor([-1, -2])], "index_select": x.index_select(2, j[0]), "gather": x.gather(2, n.abs() % 6), "gather_less": x.gather(1, (n.abs() % 4)[:, :2, :3]),
        "embedding": F.embedding(n.abs() % 4, y), "arange": torch.arange(x.size(0)) * 2, "arange_step": torch.arange(1, 12, 3), "arange_down": torch.arange(9, 0, -2), "arange_float": torch.arange(0, 1, 0.3), "arange_f32": torch.arange(x.size(0), dtype=torch.float32),
        "full": torch.full((x.size(0), 2), 1.5), "full_int": torch.full((2,), 7), "full_bool": torch.full((2,), True), "zeros": torch.zeros(x.size(0), 2), "ones": torch.ones(3, dtype=torch.int64), "full_like": torch.full_like(n, 3), "zeros_like": torch.zeros_like(x), "ones_like": torch.ones_like(x, dtype=torch.bool),
        "new_full": x.new_full((2,), 3), "new_zeros": n.new_zeros((2, x.size(0))), "new_ones": x.new_ones((2,), dtype=torch.int32), "scalar_tensor": torch.scalar_tensor(3), "big_int": torch.full((2,), 2**62 + 1), "lift": x + torch.tensor(2.0), "size": x.size(0) + x.size(0) * 2, "fill": torch.fill(x, 2.0), "copy": aten.copy(n, x * 3),
    }


def reductions(x, y, n, m, s):
    return {
        "sum": x.sum(), "sum_dim": x.sum(1), "sum_keep": x.sum((0, 2), keepdim=True), "sum_int": n.sum(-1), "sum_bool": m.sum(1), "sum_dtype": n.sum(1, dtype=torch.float32), "prod": y.prod(), "prod_dim": x.prod(1), "mean": x.mean(), "mean_dim": x.mean(-1, keepdim=True), "mean_dtype": n.mean(1, dtype=torch.float32),
        "amax": x.amax(1), "amin": x.amin((1, 2)), "max": x.max(), "min": n.min(), "max_values": x.max(1)[0], "max_indices": x.max(1)[1], "min_indices": x.min(2, keepdim=True)[1], "argmax": x.argmax(2), "argmax_all": x.argmax(), "argmin": x.argmin(1, keepdim=True), "any": m.any(), "any_dim": m.any(1), "any_int": n.any(2), "all": m.all(), "all_dim": (x > -9).all(1),
        "var": x.var(1), "var_all": x.var(), "std_biased": x.std(1, unbiased=False), "var_biased": x.var((1, 2), correction=0), "std": x.std(2), "var_mean": torch.var_mean(x, 1)[1], "norm": torch.linalg.vector_norm(x, 2, 1), "norm1": torch.linalg.vector_norm(x, 1, (1, 2)), "norm_inf": torch.linalg.vector_norm(x, float("inf"), 2), "norm3": torch.linalg.vector_norm(x, 3, 2), "normalize": F.normalize(x, dim=1),
        "cumsum": x.cumsum(1), "cumsum_int": n.cumsum(2), "cumsum_bool": m.cumsum(1), "softmax": x.softmax(-1), "softmax_dim": x.softmax(0), "softmax_int": n.softmax(1, dtype=torch.float32), "log_softmax": x.log_softmax(1), "aminmax": torch.aminmax(x, dim=1)[1],
    }


def layers(x, y, n, m, s):
    q, w = x.unflatten(2, (2, 3)).transpose(1, 2), y[:, :3]
    mask = m[:, None, :, :4]
    return {
        "linear": F.linear(x, y), "linear_bias": F.linear(x, y, y[:, 0]), "matmul": x @ y.t(), "matmul_batch": x @ x.transpose(1, 2), "matmul_vector": x @ y[0], "mm": y @ y.t(), "addmm": torch.addmm(y[:, 0], x[0], y.t()), "addmm_scaled": torch.addmm(y[:, 0], x[0], y.t(), beta=0.5, alpha=2), "addmm_none": torch.addmm(y[:, 0], x[0], y.t(), beta=0),
        "bmm": torch.bmm(x, x.mT), "baddbmm": torch.baddbmm(y[:, :4], x, x.mT), "mv": y.mv(y[0]), "layer_norm": F.layer_norm(x, (6,)), "layer_norm_affine": F.layer_norm(x, (6,), y[0], y[1], 1e-3), "layer_norm_two": F.layer_norm(x, (4, 6), y, y), "rms_norm": F.rms_norm(x, (6,), y[0]), "sdpa": F.scaled_dot_product_attention(q, q, q), "sdpa_causal": F.scaled_dot_product_attention(q, q, q, is_causal=True),
        "sdpa_mask": F.scaled_dot_product_attention(q, q, q, attn_mask=mask), "sdpa_add": F.scaled_dot_product_attention(q, q, q, attn_mask=x[:, None, :, :4], scale=0.7), "sdpa_3d": F.scaled_dot_product_attention(x, x, x), "glu": F.glu(x, -1), "cosine": F.cosine_similarity(x, y, dim=-1), "baddbmm_w": torch.baddbmm(w[:, :1], x, x.mT, beta=2.0, alpha=0.5),
    }


def inplace(x, y, n, m, s):
    a = x * 2
    a += y
    a.relu_()
    v = (x + 1).view(-1)
    v.mul_(3)
    c = x.clone()
    c.masked_fill_(m, 0.0)
    d = torch.zeros_like(x)
    d.add_(x).clamp_(min=0)
    e = x.exp()
    e.fill_(2.0)
    return {"chain": a, "view": v, "masked": c, "zeros": d, "fill": e}


GROUPS = {f.__name__: f for f in (pointwise, binary, shapes, indexing, reductions, layers, inplace)}


def inputs(seed=3, batch=3):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, 4, 6, generator=g)
    n = torch.randint(-5, 6, (batch, 4, 6), generator=g)
    m = torch.rand(batch, 4, 6, generator=g) > 0.5
    m[0, 0] = False  # a row of attention without any key
    return {"x": x, "y": torch.randn(4, 6, generator=g), "n": n, "m": m, "s": torch.tensor(2.5, dtype=torch.float64)}


class Group(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x, y, n, m, s):
        return self.function(x, y, n, m, s)


def strip(node_metadata):
    for key in ("stack_trace", "nn_module_stack", "torch_fn", "from_node", "source_fn_stack"):
        node_metadata.pop(key, None)


def save(program, path):
    for node in program.graph.nodes:
        strip(node.meta)
    torch.export.save(program, str(path))


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    batch = torch.export.Dim("batch", min=3, max=64)
    for name, function in GROUPS.items():
        given = inputs()
        expected = Group(function)(**{k: v.clone() for k, v in given.items()})
        dynamic = {"x": {0: batch}, "y": None, "n": {0: batch}, "m": {0: batch}, "s": None}
        program = torch.export.export(Group(function), (), given, dynamic_shapes=dynamic)
        core = program.run_decompositions()
        save(core, folder / f"ops_{name}.core.pt2")
        save(program, folder / f"ops_{name}.pt2")
        np.savez(folder / f"ops_{name}.in.npz", **{k: v.numpy() for k, v in given.items()})
        np.savez(folder / f"ops_{name}.out.npz", **{k: np.ascontiguousarray(v.numpy()).reshape(v.shape) if isinstance(v, torch.Tensor) else np.int64(v) for k, v in expected.items()})
        print(name, len(expected))


if __name__ == "__main__":
    main()
