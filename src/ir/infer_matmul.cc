// Shape functions of matrix products and attention.
#include "ir/infer_internal.h"

namespace intaglio::ir {

namespace {

// NumPy matmul of two shapes.
Result<Dims> product_shape(const InferArgs& args, const Dims& a, const Dims& b) {
  if (a.empty() || b.empty()) return args.error("operands of rank 0");
  const std::size_t a_matrix = a.size() == 1 ? 1 : 2, b_matrix = b.size() == 1 ? 1 : 2;
  INTAGLIO_CHECK(require_equal(args, back(a), back(b, b_matrix - 1),
                               fmt::format("inner dimensions of {} and {} differ", to_string(a), to_string(b))));
  auto shape =
      broadcast(std::span(a).first(a.size() - a_matrix), std::span(b).first(b.size() - b_matrix), args.context);
  if (!shape) return args.error(shape.error().message);
  if (a_matrix == 2) shape->push_back(back(a, 1));
  if (b_matrix == 2) shape->push_back(back(b));
  return shape;
}

// x [...,K] by weight [K,N] (or [N,K] if transposed): [...,N].
Result<Dims> linear_shape(const InferArgs& args, bool transposed) {
  const Dims &x = args.in(0).shape, &weight = args.in(1).shape;
  if (x.empty()) return args.error("x has rank 0");
  INTAGLIO_CHECK(require_rank(args, 1, 2));
  INTAGLIO_CHECK(
      require_equal(args, back(x), weight[transposed ? 1 : 0], "the last dimension of x is not K of weight"));
  Dims shape = x;
  shape.back() = weight[transposed ? 0 : 1];
  return shape;
}

// bias [N] of dtype `dtype` or f32 and residual (the shape of y) of dtype `dtype`, at operands i and i + 1.
Status check_epilogue(const InferArgs& args, std::size_t i, DType dtype, const Dims& y) {
  INTAGLIO_CHECK(require_word(args, "activation", {"none", "relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh"}));
  INTAGLIO_CHECK(require_word(args, "residual_op", {"add", "mul"}));
  INTAGLIO_CHECK(require_dtype(args, i, {dtype, DType::f32}));
  INTAGLIO_CHECK(require_dtype(args, i + 1, {dtype}));
  if (args.maybe(i) != nullptr) {
    INTAGLIO_CHECK(require_rank(args, i, 1));
    INTAGLIO_CHECK(require_equal(args, args.in(i).shape[0], back(y), "the length of bias is not N"));
  }
  if (args.maybe(i + 1) != nullptr) {
    INTAGLIO_CHECK(require_rank(args, i + 1, y.size()));
    for (std::size_t d = 0; d < y.size(); ++d) {
      INTAGLIO_CHECK(require_equal(args, args.in(i + 1).shape[d], y[d], "residual has another shape than the result"));
    }
  }
  return {};
}

// One element, [n], or (only where `matrix` is given) a shape that broadcasts to it with 1 at `one_axis` from the back.
struct ParameterRule {
  std::size_t operand = 0;
  Dim n;
  const Dims* matrix = nullptr;
  std::size_t one_axis = 0;
};
Status check_parameter(const InferArgs& args, const ParameterRule& rule) {
  const Type* type = args.maybe(rule.operand);
  if (type == nullptr || one_element(*type)) return {};
  const std::string& name = schema(args.op).inputs[rule.operand].name;
  if (type->shape.size() == 1)
    return require_equal(args, type->shape[0], rule.n, fmt::format("the length of {} does not fit", name));
  const bool fits = rule.matrix != nullptr && type->shape.size() >= 2 && type->shape.size() == rule.matrix->size() &&
                    back(type->shape, rule.one_axis) == Dim(1);
  if (!fits) return args.error(fmt::format("operand '{}' has the unusable shape {}", name, to_string(type->shape)));
  return require_broadcasts_to(args, type->shape, *rule.matrix, fmt::format("{} does not fit", name));
}

}  // namespace

Result<Types> infer_matmul(const InferArgs& args) {
  INTAGLIO_CHECK(require_same_dtype(args, 0, 1));
  INTAGLIO_CHECK(require_number(args, 0));
  INTAGLIO_TRY(Dims shape, product_shape(args, args.in(0).shape, args.in(1).shape));
  return Types{Type{args.in(0).dtype, std::move(shape)}};
}

Result<Types> infer_linear(const InferArgs& args) {
  INTAGLIO_CHECK(require_floating(args, 0));
  INTAGLIO_CHECK(require_same_dtype(args, 0, 1));
  INTAGLIO_TRY(Dims shape, linear_shape(args, args.attrs.b("transposed")));
  INTAGLIO_CHECK(check_epilogue(args, 2, args.in(0).dtype, shape));
  return Types{Type{args.in(0).dtype, std::move(shape)}};
}

Result<Types> infer_matmul_integer(const InferArgs& args) {
  INTAGLIO_CHECK(require_dtype(args, 0, {DType::u8, DType::i8}));
  INTAGLIO_CHECK(require_dtype(args, 1, {DType::u8, DType::i8}));
  INTAGLIO_CHECK(require_same_dtype(args, 0, 2));
  INTAGLIO_CHECK(require_same_dtype(args, 1, 3));
  const Dims &a = args.in(0).shape, &b = args.in(1).shape;
  INTAGLIO_TRY(Dims shape, product_shape(args, a, b));
  INTAGLIO_CHECK(check_parameter(args, {2, a.size() == 1 ? Dim(1) : back(a, 1), &a, 0}));
  INTAGLIO_CHECK(check_parameter(args, {3, b.size() == 1 ? Dim(1) : back(b), &b, 1}));
  return Types{Type{DType::i32, std::move(shape)}};
}

namespace {

// The activations of a quantized_linear: 8-bit with a scale, or floating point that is quantised in the op.
Status check_activations(const InferArgs& args) {
  const Type& x = args.in(0);
  INTAGLIO_CHECK(require_word(
      args, "dynamic", {"none", "tensor_asymmetric", "tensor_symmetric", "token_asymmetric", "token_symmetric"}));
  if (args.attrs.s("dynamic") != "none") {
    INTAGLIO_CHECK(require_dtype(args, 0, {DType::f32, DType::bf16}));
    if (args.maybe(2) != nullptr || args.maybe(3) != nullptr)
      return args.error("x_scale and x_zp are computed by a dynamic quantisation");
    return {};
  }
  INTAGLIO_CHECK(require_dtype(args, 0, {DType::u8, DType::i8}));
  if (args.maybe(2) == nullptr) return args.error("x_scale is missing");
  INTAGLIO_CHECK(require_dtype(args, 2, {DType::f32}));
  INTAGLIO_CHECK(require_same_dtype(args, 0, 3));
  if (args.maybe(3) != nullptr && !one_element(args.in(3))) return args.error("x_zp must have one element");
  if (one_element(args.in(2))) return {};
  Dims rows = x.shape;
  rows.back() = Dim(1);
  INTAGLIO_CHECK(require_rank(args, 2, rows.size()));
  for (std::size_t d = 0; d < rows.size(); ++d)
    INTAGLIO_CHECK(require_equal(args, args.in(2).shape[d], rows[d], "x_scale has neither one element nor one a row"));
  return {};
}

}  // namespace

Result<Types> infer_quantized_linear(const InferArgs& args) {
  const DType to = args.attrs.dtype("to");
  if (to != DType::f32 && to != DType::bf16)
    return args.error(fmt::format("to is {}, wanted: f32, bf16", intaglio::name_of(to)));
  INTAGLIO_CHECK(require_dtype(args, 1, {DType::u8, DType::i8}));
  INTAGLIO_CHECK(require_dtype(args, 4, {DType::f32}));
  INTAGLIO_CHECK(require_same_dtype(args, 1, 5));
  INTAGLIO_TRY(Dims shape, linear_shape(args, args.attrs.b("transposed")));
  INTAGLIO_CHECK(check_activations(args));
  for (const std::size_t i : {std::size_t{4}, std::size_t{5}})
    INTAGLIO_CHECK(check_parameter(args, {i, back(shape), nullptr, 0}));
  INTAGLIO_CHECK(require_dtype(args, 6, {DType::f32}));
  INTAGLIO_CHECK(check_epilogue(args, 6, to, shape));
  return Types{Type{to, std::move(shape)}};
}

namespace {

// The mask at operand i, and the word that says how to compute.
Status check_attention(const InferArgs& args, std::size_t i, const Dims& scores) {
  INTAGLIO_CHECK(require_word(args, "compute", {"float", "int8"}));
  INTAGLIO_CHECK(require_word(args, "blind", {"zero", "nan", "mean"}));
  const Type* mask = args.maybe(i);
  if (mask == nullptr) return {};
  INTAGLIO_CHECK(require_dtype(args, i, {DType::boolean, args.in(0).dtype, DType::f32}));
  return require_broadcasts_to(args, mask->shape, scores, "mask does not fit the scores");
}

}  // namespace

Result<Types> infer_attention(const InferArgs& args) {
  INTAGLIO_CHECK(require_floating(args, 0));
  INTAGLIO_CHECK(require_word(args, "layout", {"bhsd", "bshd"}));
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}, std::size_t{2}}) {
    INTAGLIO_CHECK(require_same_dtype(args, 0, i));
    INTAGLIO_CHECK(require_rank(args, i, 4));
  }
  const Dims &q = args.in(0).shape, &k = args.in(1).shape, &v = args.in(2).shape;
  const std::size_t head = args.attrs.s("layout") == "bhsd" ? 1 : 2, seq = 3 - head;
  for (const auto* other : {&k, &v})
    INTAGLIO_CHECK(require_equal(args, q[0], (*other)[0], "the batch of q, k and v differs"));
  INTAGLIO_CHECK(require_equal(args, k[head], v[head], "the heads of k and v differ"));
  INTAGLIO_CHECK(require_equal(args, k[seq], v[seq], "the lengths of k and v differ"));
  INTAGLIO_CHECK(require_equal(args, q[3], k[3], "the head size of q and k differs"));
  if (q[head] != k[head]) {
    if (k[head] == Dim(0)) return args.error("k has no heads");
    INTAGLIO_CHECK(require_equal(args, Dim::mod(q[head], k[head]), 0, "the heads of q are no multiple of those of k"));
  }
  INTAGLIO_CHECK(check_attention(args, 3, {q[0], q[head], q[seq], k[seq]}));
  Type y = args.in(0);
  y.shape[3] = v[3];
  return Types{std::move(y)};
}

Result<Types> infer_attention_packed(const InferArgs& args) {
  INTAGLIO_CHECK(require_floating(args, 0));
  INTAGLIO_CHECK(require_rank(args, 0, 3));
  const std::int64_t heads = args.attrs.i("heads"), kv_heads = args.attrs.i("kv_heads");
  constexpr std::int64_t kMost = 1 << 20;  // no sum below overflows
  if (heads < 1 || kv_heads < 1 || heads > kMost || heads % kv_heads != 0)
    return args.error(fmt::format("{} heads are no multiple of {} key heads", heads, kv_heads));
  const std::int64_t all = heads + 2 * kv_heads;
  Type y = args.in(0);
  INTAGLIO_CHECK(require_equal(args, Dim::mod(y.shape[2], all), 0, fmt::format("{} do not divide a row", all)));
  INTAGLIO_CHECK(check_attention(args, 1, {y.shape[0], heads, y.shape[1], y.shape[1]}));
  y.shape[2] = Dim::floordiv(y.shape[2], all) * Dim(heads);
  return Types{std::move(y)};
}

Result<Types> infer_rotary(const InferArgs& args) {
  INTAGLIO_CHECK(require_floating(args, 0));
  const Type &x = args.in(0), &cos = args.in(1), &sin = args.in(2);
  if (x.shape.size() < 2) return args.error("x has a rank below 2");
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}})
    INTAGLIO_CHECK(require_dtype(args, i, {x.dtype, DType::f32}));
  INTAGLIO_CHECK(require_same_dtype(args, 1, 2));
  if (cos.shape.empty() || cos.shape.size() != sin.shape.size()) return args.error("cos and sin differ in rank");
  for (std::size_t d = 0; d < cos.shape.size(); ++d)
    INTAGLIO_CHECK(require_equal(args, cos.shape[d], sin.shape[d], "cos and sin differ in shape"));
  INTAGLIO_CHECK(require_at_most(args, back(cos.shape) * 2, back(x.shape), "cos has more than half a head's elements"));
  const auto leading = [](const Dims& shape) { return std::span(shape).first(shape.size() - 1); };
  INTAGLIO_CHECK(
      require_broadcasts_to(args, leading(cos.shape), leading(x.shape), "cos does not fit the leading dims"));
  const std::int64_t heads = args.attrs.i("heads");
  if (heads < 0) return args.error("heads is negative");
  INTAGLIO_CHECK(require_at_most(args, heads, back(x.shape, 1), "heads exceeds the axis before the last"));
  return Types{x};
}

}  // namespace intaglio::ir
