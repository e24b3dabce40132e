// Attention (opset 23 to 25). All masks (attn_mask, causal with an offset, windows, valid lengths) become one mask, and
// then one IR `attention`; what that op does not have (softcap, the scores as an output, another softmax precision) is
// composed of primitives.
//
//   Y = softmax(softcap(scale * Q K^T) + mask) V; a row without any visible key gives 0.
#include <cmath>
#include <limits>

#include "frontend/onnx/ops/translators.h"

namespace intaglio::frontend::onnx {

using ir::Op;

namespace {

enum Operands : std::size_t { kQ, kK, kV, kMask, kPastKey, kPastValue, kValidLengths };
enum Outputs : std::size_t { kY, kPresentKey, kPresentValue, kScores };

struct Attention {
  ir::Value* q = nullptr;  // all [B, H, S, D]
  ir::Value* k = nullptr;
  ir::Value* v = nullptr;
  bool rank3 = false;
  double scale = 1;
  Dim past = 0;  // cached keys before the first query
  bool has_lengths = false;
  MaybeValue mask = nullptr;  // bool or float, broadcasts to [B, H, Sq, Sk]
  bool causal = false;        // top-left aligned and not yet part of the mask
};

constexpr double kMinusInf = -std::numeric_limits<double>::infinity();

// [B, S, H*D] -> [B, H, S, D]; rank 4 stays.
MaybeValue split_heads(NodeContext& c, std::size_t operand, std::string_view heads_attribute) {
  INTAGLIO_TRY(ir::Value * x, c.input(operand));
  if (x->rank() == 4) return x;
  if (x->rank() != 3) return c.malformed("Q, K and V must have rank 3 or 4");
  const std::int64_t heads = c.attr_int(heads_attribute, 0);
  if (heads <= 0) return c.malformed(std::string(heads_attribute) + " is needed for operands of rank 3");
  const Dims& shape = x->shape();
  return c.b.swap_axes(c.b.reshape(x, {shape[0], shape[1], Dim(heads), Dim::floordiv(shape[2], heads)}), 1, 2);
}

Result<Attention> read(NodeContext& c) {
  Attention a;
  INTAGLIO_TRY(a.q, split_heads(c, kQ, "q_num_heads"));
  INTAGLIO_TRY(a.k, split_heads(c, kK, "kv_num_heads"));
  INTAGLIO_TRY(a.v, split_heads(c, kV, "kv_num_heads"));
  INTAGLIO_TRY(const Dims given, c.shape(kQ));
  a.rank3 = given.size() == 3;
  if (c.has(kPastKey) != c.has(kPastValue)) return c.malformed("past_key and past_value must be given together");
  if (c.has(kPastKey)) {
    INTAGLIO_TRY(ir::Value * past_key, c.input(kPastKey));
    if (past_key->rank() != 4) return c.malformed("past_key must have rank 4");
    a.past = past_key->shape()[2];
    INTAGLIO_TRY(a.k, c.b.concat(std::vector<MaybeValue>{past_key, a.k}, 2));
    INTAGLIO_TRY(a.v, c.b.concat(std::vector<MaybeValue>{c.input(kPastValue), a.v}, 2));
  }
  if (c.attribute("scale") != nullptr) {
    a.scale = c.attr_float("scale", 1);
  } else {
    const auto size = a.q->shape()[3].constant();
    if (!size || *size <= 0) return c.unsupported("the default scale needs a constant head size");
    a.scale = 1 / std::sqrt(static_cast<double>(*size));
  }
  a.has_lengths = c.has(kValidLengths);
  return a;
}

// attn_mask may be shorter than the keys; the rest is masked.
MaybeValue padded_mask(NodeContext& c, const Attention& a) {
  INTAGLIO_TRY(ir::Value * mask, c.input(kMask));
  const bool is_bool = mask->dtype() == DType::boolean;
  if (!is_bool && !is_floating(mask->dtype())) return c.unsupported("a mask of " + std::string(name_of(mask->dtype())));
  if (mask->rank() == 0) return c.malformed("attn_mask must have rank 1 or more");
  const Dim &have = mask->shape().back(), &want = a.k->shape()[2];
  if (have == want || have == Dim(1) || !provably_less(have, want, c.b.ranges()))
    return is_bool ? mask : c.b.cast(mask, a.q->dtype());
  Dims before(mask->shape().size(), Dim(0)), after = before;
  after.back() = want - have;
  const MaybeValue padded =
      c.b.op(Op::pad, {mask}, {{"before", before}, {"after", after}, {"value", is_bool ? 0.0 : kMinusInf}});
  return is_bool ? padded : c.b.cast(padded, a.q->dtype());
}

MaybeValue both(Builder& b, const MaybeValue& x, const MaybeValue& y) {
  if (x && *x == nullptr) return y;
  if (y && *y == nullptr) return x;
  return b.logical_and(x, y);
}

// Which (query, key) pairs causality, windows and valid lengths allow: bool [Sq, Sk] or [B, 1, Sq, Sk]; nullptr: all.
MaybeValue allowed_pairs(NodeContext& c, const Attention& a, bool causal) {
  Builder& b = c.b;
  const std::int64_t left = c.attr_int("left_window_size", -1), right = c.attr_int("right_window_size", -1);
  if (!a.has_lengths && !causal && left < 0 && right < 0) return nullptr;
  const Dim &queries = a.q->shape()[2], &keys = a.k->shape()[2];
  const MaybeValue key = b.iota(keys, DType::i64);
  MaybeValue position, lengths, allowed = nullptr;
  if (a.has_lengths) {
    const Dims per_batch{a.q->shape()[0], Dim(1), Dim(1), Dim(1)};
    lengths = b.reshape(b.cast(c.input(kValidLengths), DType::i64), per_batch);
    allowed = b.op(Op::lt, {key, lengths});
  }
  if (!causal && left < 0 && right < 0) return allowed;
  position = b.reshape(b.iota(queries, DType::i64, a.past), {queries, Dim(1)});
  if (a.has_lengths && !c.has(kPastKey)) {
    position = b.add(position, b.sub(lengths, b.dim_scalar(queries)));
  }
  if (causal) allowed = both(b, allowed, b.op(Op::le, {key, position}));
  if (left >= 0) allowed = both(b, allowed, b.op(Op::ge, {key, b.add(position, -static_cast<double>(left))}));
  if (right >= 0) allowed = both(b, allowed, b.op(Op::le, {key, b.add(position, static_cast<double>(right))}));
  return allowed;
}

Status build_mask(NodeContext& c, Attention& a) {
  const bool causal = c.attr_int("is_causal", 0) != 0;
  // Without cache the IR's own causal form says the same.
  a.causal = causal && !c.has(kPastKey) && !a.has_lengths;
  if (c.has(kMask)) a.mask = padded_mask(c, a);
  if (!a.mask) return fail(a.mask.error());
  INTAGLIO_TRY(ir::Value * allowed, allowed_pairs(c, a, causal && !a.causal));
  if (allowed == nullptr) return {};
  if (*a.mask == nullptr || (*a.mask)->dtype() == DType::boolean) {
    a.mask = both(c.b, a.mask, allowed);
  } else {
    a.mask = c.b.where(allowed, a.mask, c.b.scalar_like(kMinusInf, a.mask));
  }
  return a.mask ? Status() : fail(a.mask.error());
}

// Each key/value head as often as query heads share it: [B, Hk, S, D] -> [B, H, S, D].
MaybeValue repeat_heads(Builder& b, ir::Value* x, const Dim& heads) {
  const Dims& s = x->shape();
  if (s[1] == heads) return x;
  const Dim times = Dim::floordiv(heads, s[1]);
  const MaybeValue repeated = b.expand(b.unsqueeze(x, std::vector<std::int64_t>{2}), {s[0], s[1], times, s[2], s[3]});
  return b.reshape(repeated, {s[0], heads, s[2], s[3]});
}

// What is added to the scores: 0 or -inf for bool masks.
MaybeValue additive_mask(NodeContext& c, Attention& a) {
  if (a.causal) {
    const Dim &queries = a.q->shape()[2], &keys = a.k->shape()[2];
    const MaybeValue row = c.b.reshape(c.b.iota(queries, DType::i64), {queries, Dim(1)});
    const MaybeValue visible = c.b.op(Op::le, {c.b.iota(keys, DType::i64), row});
    if (*a.mask != nullptr && (*a.mask)->dtype() != DType::boolean) {
      return c.b.where(visible, a.mask, c.b.scalar_like(kMinusInf, a.mask));
    }
    a.mask = both(c.b, a.mask, visible);
  }
  if (!a.mask || *a.mask == nullptr || (*a.mask)->dtype() != DType::boolean) return a.mask;
  return c.b.where(a.mask, c.b.scalar(0, a.q->dtype()), c.b.scalar(kMinusInf, a.q->dtype()));
}

Status compose(NodeContext& c, Attention& a) {
  Builder& b = c.b;
  const DType dtype = a.q->dtype();
  const double softcap = c.attr_float("softcap", 0);
  const std::int64_t mode = c.attr_int("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3) return c.malformed("qk_matmul_output_mode " + std::to_string(mode));
  const double root = std::sqrt(a.scale);
  const Dim& heads = a.q->shape()[1];
  const MaybeValue key = b.swap_axes(repeat_heads(b, a.k, heads), 2, 3);
  MaybeValue scores = b.matmul(b.mul(a.q, root), b.mul(key, root));
  MaybeValue exposed = scores;
  if (softcap > 0) scores = b.mul(b.tanh(b.div(scores, softcap)), softcap);
  if (mode == 1) exposed = scores;
  INTAGLIO_TRY(ir::Value * bias, additive_mask(c, a));
  if (bias != nullptr) scores = b.add(scores, bias);
  if (mode == 2) exposed = scores;
  if (const std::int64_t precision = c.attr_int("softmax_precision", 0); precision != 0) {
    const auto to = dtype_of(static_cast<std::int32_t>(precision));
    if (!to || !is_floating(*to))
      return c.malformed("softmax_precision " + type_name(static_cast<std::int32_t>(precision)));
    scores = b.cast(scores, *to);
  }
  MaybeValue weights = b.softmax(scores, -1);
  if (bias != nullptr) {
    const MaybeValue highest = b.reduce("max", bias, {-1}, true);
    const MaybeValue hidden = b.op(Op::eq, {highest, b.scalar_like(kMinusInf, highest)});
    weights = b.where(hidden, b.scalar_like(0, weights), weights);
  }
  weights = b.cast(weights, dtype);
  if (mode == 3) exposed = weights;
  if (c.wants(kScores)) INTAGLIO_CHECK(c.set(kScores, exposed));
  MaybeValue y = b.matmul(b.cast(weights, a.v->dtype()), repeat_heads(b, a.v, heads));
  if (a.rank3) y = b.flatten(b.swap_axes(y, 1, 2), 2, 3);
  return c.set(kY, y);
}

// Rank 3 operands without cache keep their order [B, S, H, D]: no transposes.
Status direct(NodeContext& c, const Attention& a) {
  const bool no_cache = !c.has(kPastKey) && !c.wants(kPresentKey) && !c.wants(kPresentValue);
  const bool bshd = a.rank3 && no_cache;
  const auto place = [&](ir::Value* x) { return bshd ? c.b.swap_axes(x, 1, 2) : MaybeValue(x); };
  const ir::Attrs attrs{{"layout", std::string(bshd ? "bshd" : "bhsd")}, {"scale", a.scale}, {"causal", a.causal}};
  MaybeValue y = c.b.op(Op::attention, {place(a.q), place(a.k), place(a.v), a.mask}, attrs);
  if (a.rank3) y = c.b.flatten(bshd ? y : c.b.swap_axes(y, 1, 2), 2, 3);
  return c.set(kY, y);
}

}  // namespace

Status translate_attention(NodeContext& c) {
  INTAGLIO_TRY(Attention a, read(c));
  INTAGLIO_CHECK(build_mask(c, a));
  if (c.wants(kPresentKey)) INTAGLIO_CHECK(c.set(kPresentKey, a.k));
  if (c.wants(kPresentValue)) INTAGLIO_CHECK(c.set(kPresentValue, a.v));
  const std::int64_t precision = c.attr_int("softmax_precision", 0);
  const auto softmax_type =
      precision == 0 ? Result<DType>(a.q->dtype()) : dtype_of(static_cast<std::int32_t>(precision));
  // The IR computes in f32 or wider; only f64 asks for more.
  const bool precise = softmax_type && (*softmax_type == a.q->dtype() || *softmax_type == DType::f32);
  const bool plain = c.attr_float("softcap", 0) <= 0 && !c.wants(kScores) && precise && a.q->dtype() == a.v->dtype();
  return plain ? direct(c, a) : compose(c, a);
}

}  // namespace intaglio::frontend::onnx
