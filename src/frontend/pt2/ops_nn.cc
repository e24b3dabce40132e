// Layers and matrix products.
#include <cmath>
#include <limits>

#include "frontend/pt2/ops.h"
#include "frontend/pt2/promote.h"

namespace intaglio::frontend::pt2::ops {
namespace {

using ir::Op;

// The weight below a 2-D transpose, or nullptr.
ir::Value* transposed_weight(const ir::Value* w) {
  const ir::Node* node = w->producer();
  if (node == nullptr || node->op() != Op::transpose || w->rank() != 2 || !node->input(0)->is_constant())
    return nullptr;
  return node->attrs().ints("perm") == ir::Ints{1, 0} ? node->input(0) : nullptr;
}

// The dtype that every operand already has in a well-formed program; autocast leaves mixtures to us.
MaybeValue cast_optional(Builder& b, const MaybeValue& x, DType dtype) {
  return x && *x == nullptr ? x : b.cast(x, dtype);
}

struct Normalised {
  ir::Value* x = nullptr;
  ir::Value* weight = nullptr;
  ir::Value* bias = nullptr;
  std::int64_t axis = 0;
};

Result<Normalised> normalised(Call& c) {
  Normalised n;
  INTAGLIO_TRY(n.x, c.tensor("input"));
  INTAGLIO_TRY(const Dims shape, c.dims("normalized_shape"));
  if (shape.empty() || shape.size() > n.x->shape().size())
    return fail(ErrorCode::file, "normalized_shape has a wrong number of dimensions");
  n.axis = n.x->rank() - static_cast<std::int64_t>(shape.size());
  INTAGLIO_TRY(n.weight, cast_optional(c.b, c.optional_tensor("weight"), n.x->dtype()));
  INTAGLIO_TRY(n.bias, cast_optional(c.b, c.optional_tensor("bias"), n.x->dtype()));
  return n;
}

MaybeValue normalise(Call& c, const Normalised& n, double epsilon) {
  return c.b.op(Op::layer_norm, {n.x, n.weight, n.bias}, {{"axis", n.axis}, {"epsilon", epsilon}});
}

double machine_epsilon(DType t) {
  switch (t) {
    case DType::f16:
      return 0x1p-10;
    case DType::bf16:
      return 0x1p-7;
    case DType::f64:
      return std::numeric_limits<double>::epsilon();
    default:
      return std::numeric_limits<float>::epsilon();
  }
}

// [S, D] and [B, S, D] to [1, 1, S, D] and [B, 1, S, D]; masks of rank 3 likewise.
MaybeValue with_heads(Builder& b, const MaybeValue& x) {
  INTAGLIO_TRY(ir::Value * v, x);
  if (v->rank() >= 4) return v;
  Dims shape = v->shape();
  shape.insert(shape.end() - 2, Dim(1));
  while (shape.size() < 4) shape.insert(shape.begin(), Dim(1));
  return b.reshape(v, std::move(shape));
}

struct Queries {
  ir::Value* q = nullptr;
  ir::Value* k = nullptr;
  ir::Value* v = nullptr;
  ir::Value* mask = nullptr;  // may be absent
};

Result<Queries> queries(Call& c) {
  Queries in;
  INTAGLIO_TRY(in.q, c.tensor("query"));
  INTAGLIO_TRY(in.k, c.tensor("key"));
  INTAGLIO_TRY(in.v, c.tensor("value"));
  INTAGLIO_TRY(in.mask, c.optional_tensor("attn_mask"));
  const int rank = in.q->rank();
  if (rank < 2 || rank > 4 || in.k->rank() != rank || in.v->rank() != rank) {
    return fail(ErrorCode::unsupported,
                "attention on tensors of rank " + std::to_string(rank) + " is not supported (2 to 4 are)");
  }
  if (in.mask != nullptr && in.mask->rank() > 4)
    return fail(ErrorCode::unsupported, "an attention mask of rank over 4");
  if (in.mask != nullptr && is_floating(in.mask->dtype())) {
    INTAGLIO_TRY(in.mask, c.b.cast(in.mask, in.q->dtype()));
  }
  if (rank == 3 && in.mask != nullptr && in.mask->rank() == 3) {
    INTAGLIO_TRY(in.mask, with_heads(c.b, in.mask));
  }
  INTAGLIO_TRY(in.q, with_heads(c.b, in.q));
  INTAGLIO_TRY(in.k, with_heads(c.b, in.k));
  INTAGLIO_TRY(in.v, with_heads(c.b, in.v));
  return in;
}

}  // namespace

MaybeValue linear_or_matmul(Builder& b, ir::Value* x, ir::Value* w, ir::Value* bias) {
  const bool fits =
      bias == nullptr || (bias->rank() == 1 && bias->shape()[0] == w->shape().back() && bias->dtype() == x->dtype());
  if (fits && is_floating(x->dtype()) && w->dtype() == x->dtype()) {
    if (ir::Value* weight = transposed_weight(w))
      return b.op(Op::linear, {x, weight, bias, nullptr}, {{"transposed", true}});
    if (w->is_constant()) return b.op(Op::linear, {x, w, bias, nullptr}, {{"transposed", false}});
  }
  const MaybeValue y = b.matmul(x, w);
  return bias == nullptr ? y : b.add(y, bias);
}

Status linear(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("input"));
  INTAGLIO_TRY(ir::Value * w, c.tensor("weight"));
  INTAGLIO_TRY(ir::Value * bias, c.optional_tensor("bias"));
  if (x->rank() < 1 || w->rank() != 2)
    return fail(ErrorCode::unsupported,
                "linear with a weight of rank " + std::to_string(w->rank()) + " is not supported");
  return c.ret(c.b.op(Op::linear, {x, w, bias, nullptr}, {{"transposed", true}}));
}

namespace {

Status want_rank(const ir::Value* x, int rank) {
  if (x->rank() == rank) return {};
  return fail(ErrorCode::file,
              "an operand of rank " + std::to_string(x->rank()) + " where rank " + std::to_string(rank) + " is wanted");
}

// beta * self + alpha * (a @ b)
Status add_product(Call& c, std::string_view left, std::string_view right, int rank) {
  INTAGLIO_TRY(ir::Value * self, c.tensor("self"));
  INTAGLIO_TRY(ir::Value * a, c.tensor(left));
  INTAGLIO_TRY(ir::Value * b, c.tensor(right));
  INTAGLIO_CHECK(want_rank(a, rank));
  INTAGLIO_CHECK(want_rank(b, rank));
  INTAGLIO_TRY(const Scalar beta, c.number("beta", Scalar::of(1)));
  INTAGLIO_TRY(const Scalar alpha, c.number("alpha", Scalar::of(1)));
  const DType dtype = a->dtype();
  if (alpha.constant() == 1.0 && beta.constant() == 1.0) return c.ret(linear_or_matmul(c.b, a, b, self));
  MaybeValue y = c.b.matmul(a, b);
  if (alpha.constant() != 1.0) y = c.b.mul(y, scalar_value(c.b, alpha, dtype));
  if (beta.constant() == 0.0) {  // self does not count, not even its NaNs; it still broadcasts
    return c.ret(c.b.broadcast_with(y, self->shape()));
  }
  const MaybeValue scaled = beta.constant() == 1.0 ? MaybeValue(self) : c.b.mul(self, scalar_value(c.b, beta, dtype));
  return c.ret(c.b.add(y, scaled));
}

}  // namespace

Status addmm(Call& c) {
  return add_product(c, "mat1", "mat2", 2);
}
Status baddbmm(Call& c) {
  return add_product(c, "batch1", "batch2", 3);
}

Status mm(Call& c) {
  INTAGLIO_TRY(ir::Value * a, c.tensor("self"));
  INTAGLIO_TRY(ir::Value * b, c.tensor("mat2"));
  INTAGLIO_CHECK(want_rank(a, 2));
  INTAGLIO_CHECK(want_rank(b, 2));
  return c.ret(linear_or_matmul(c.b, a, b, nullptr));
}

Status matmul(Call& c) {
  INTAGLIO_TRY(ir::Value * a, c.tensor("self"));
  INTAGLIO_TRY(ir::Value * b, c.tensor(c.find("mat2") != nullptr ? "mat2" : "other"));
  return c.ret(c.b.matmul(a, b));
}

Status mv(Call& c) {
  return c.ret(c.b.matmul(c.tensor("self"), c.tensor("vec")));
}

Status outer(Call& c) {
  INTAGLIO_TRY(ir::Value * a, c.tensor("self"));
  INTAGLIO_TRY(ir::Value * b, c.tensor("vec2"));
  INTAGLIO_CHECK(want_rank(a, 1));
  const DType dtype = promote(a->dtype(), b->dtype());
  return c.ret(c.b.mul(c.b.unsqueeze(c.b.cast(a, dtype), std::vector<std::int64_t>{1}), c.b.cast(b, dtype)));
}

Status int_mm(Call& c) {
  INTAGLIO_TRY(ir::Value * a, c.tensor("self"));
  INTAGLIO_TRY(ir::Value * b, c.tensor("mat2"));
  return c.ret(c.b.op(Op::matmul_integer, {a, b, nullptr, nullptr}));
}

// x @ w^T * scales with an int8 weight [N, K]
Status weight_int8pack_mm(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(ir::Value * w, c.tensor("mat2"));
  INTAGLIO_CHECK(want_rank(w, 2));
  const MaybeValue y = c.b.matmul(x, c.b.cast(c.b.transpose(w, {1, 0}), x->dtype()));
  return c.ret(c.b.mul(y, c.b.cast(c.tensor("scales"), x->dtype())));
}

Status layer_norm(Call& c) {
  INTAGLIO_TRY(const Normalised n, normalised(c));
  INTAGLIO_TRY(const double epsilon, c.floating("eps", 1e-5));
  return c.ret(normalise(c, n, epsilon));
}

// Also gives the mean and 1 / sqrt(variance + eps), which only training uses.
Status native_layer_norm(Call& c) {
  INTAGLIO_TRY(const Normalised n, normalised(c));
  INTAGLIO_TRY(const double epsilon, c.floating("eps"));
  INTAGLIO_CHECK(c.ret(normalise(c, n, epsilon)));
  if (!c.result_used(1) && !c.result_used(2)) return c.ret_all(std::vector<ir::Value*>{nullptr, nullptr});
  std::vector<std::int64_t> axes;
  for (std::int64_t axis = n.axis; axis < n.x->rank(); ++axis) axes.push_back(axis);
  const MaybeValue mean = c.b.reduce("mean", n.x, axes, true);
  const MaybeValue centred = c.b.sub(n.x, mean);
  INTAGLIO_CHECK(c.ret(mean));
  return c.ret(c.b.rsqrt(c.b.add(c.b.reduce("mean", c.b.mul(centred, centred), axes, true), epsilon)));
}

Status rms_norm(Call& c) {
  INTAGLIO_TRY(const Normalised n, normalised(c));
  INTAGLIO_TRY(const double epsilon, c.floating("eps", machine_epsilon(n.x->dtype())));
  return c.ret(c.b.op(Op::rms_norm, {n.x, n.weight}, {{"axis", n.axis}, {"epsilon", epsilon}}));
}

Status attention(Call& c) {
  INTAGLIO_TRY(const double dropout_p, c.floating("dropout_p", 0));
  if (dropout_p != 0) {
    return fail(ErrorCode::unsupported, "attention with dropout would make the answer random", {},
                "call model.eval() before torch.export.export");
  }
  INTAGLIO_TRY(const Queries in, queries(c));
  INTAGLIO_TRY(const bool causal, c.boolean("is_causal", false));
  double scale = 0;
  if (c.find("scale") != nullptr) {
    INTAGLIO_TRY(scale, c.floating("scale"));
  } else {
    const auto width = in.q->shape().back().constant();
    if (!width || *width <= 0)
      return fail(ErrorCode::unsupported, "attention over heads of unknown width is not supported");
    scale = 1 / std::sqrt(static_cast<double>(*width));
  }
  INTAGLIO_TRY(ir::Value * y, c.b.op(Op::attention, {in.q, in.k, in.v, in.mask},
                                     {{"layout", std::string("bhsd")}, {"scale", scale}, {"causal", causal}}));
  INTAGLIO_TRY(ir::Value * query, c.tensor("query"));
  Dims shape = query->shape();
  shape.back() = in.v->shape().back();
  INTAGLIO_CHECK(c.ret(c.b.reshape(y, std::move(shape))));
  // The flash form also gives logsumexp, which only training uses.
  return c.result_count() > 1 ? c.ret_all(std::vector<ir::Value*>{nullptr}) : Status{};
}

}  // namespace intaglio::frontend::pt2::ops
