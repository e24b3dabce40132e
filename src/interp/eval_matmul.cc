// Matrix products. Floating point: products are summed in double (exact products of floats) and rounded once; integers
// wrap.
#include "interp/eval.h"
#include "interp/row_quantisation.h"

namespace intaglio::interp {

namespace {

struct Extents {
  std::int64_t m = 0, k = 0, n = 0;
};

// y[m, n] = a[m, k] @ b[k, n], dense.
template <class C>
void product(const C* a, const C* b, C* y, const Extents& e) {
  std::vector<Sum<C>> row(static_cast<std::size_t>(e.n));
  for (std::int64_t i = 0; i < e.m; ++i) {
    std::fill(row.begin(), row.end(), Sum<C>(0));
    for (std::int64_t k = 0; k < e.k; ++k) {
      const auto left = static_cast<Sum<C>>(a[i * e.k + k]);
      for (std::int64_t j = 0; j < e.n; ++j)
        row[static_cast<std::size_t>(j)] += left * static_cast<Sum<C>>(b[k * e.n + j]);
    }
    for (std::int64_t j = 0; j < e.n; ++j) y[i * e.n + j] = static_cast<C>(row[static_cast<std::size_t>(j)]);
  }
}

// NumPy matmul of shapes: where each batch of a and b begins.
struct BatchPlan {
  Extents e;
  std::vector<std::int64_t> a, b;  // batch numbers
};
BatchPlan plan_batches(Shape a, Shape b) {
  if (a.size() == 1) a.insert(a.begin(), 1);
  if (b.size() == 1) b.push_back(1);
  BatchPlan plan;
  plan.e = {a[a.size() - 2], a.back(), b.back()};
  const Shape batch_a(a.begin(), a.end() - 2), batch_b(b.begin(), b.end() - 2);
  const Shape batch = *broadcast(batch_a, batch_b);  // the shape function has agreed
  plan.a = offsets_of(batch, broadcast_strides(batch_a, batch));
  plan.b = offsets_of(batch, broadcast_strides(batch_b, batch));
  return plan;
}

template <class C>
std::vector<C> batched_product(const EvalArgs& args, const std::vector<C>& a, const std::vector<C>& b) {
  const BatchPlan plan = plan_batches(args.in(0).shape, args.in(1).shape);
  std::vector<C> y(static_cast<std::size_t>(args.count()));
  const Extents& e = plan.e;
  if (y.empty()) return y;
  for (std::size_t i = 0; i < plan.a.size(); ++i) {
    product(a.data() + plan.a[i] * e.m * e.k, b.data() + plan.b[i] * e.k * e.n,
            y.data() + static_cast<std::int64_t>(i) * e.m * e.n, e);
  }
  return y;
}

// activation(y + bias) + residual or times it, each step rounded to C; rows of n.
template <class C>
void epilogue(const EvalArgs& args, std::size_t bias_operand, std::vector<C>& y) {
  const std::string& activation = args.attrs.s("activation");
  const Tensor *bias = args.maybe(bias_operand), *residual = args.maybe(bias_operand + 1);
  const bool multiply = args.attrs.s("residual_op") == "mul";
  const auto n = static_cast<std::size_t>(args.shapes[0].back());
  for (std::size_t i = 0; i < y.size(); ++i) {
    C value = y[i];
    if (bias != nullptr) value = value + load_as<C>(*bias, static_cast<std::int64_t>(i % n));
    value = activate(activation, value);
    if (residual != nullptr) {
      const C other = load_as<C>(*residual, static_cast<std::int64_t>(i));
      value = multiply ? value * other : value + other;
    }
    y[i] = value;
  }
}

template <class C>
std::vector<C> transposed(const std::vector<C>& x, std::int64_t rows, std::int64_t columns) {
  std::vector<C> y(x.size());
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j)
      y[static_cast<std::size_t>(j * rows + i)] = x[static_cast<std::size_t>(i * columns + j)];
  }
  return y;
}

template <class C>
Result<Tensors> linear_of(const EvalArgs& args) {
  const Tensor &x = args.in(0), &weight = args.in(1);
  std::vector<C> w = load_all<C>(weight);
  if (args.attrs.b("transposed")) w = transposed(w, weight.shape[0], weight.shape[1]);
  Extents e{0, x.shape.back(), args.shapes[0].back()};
  std::vector<C> y(static_cast<std::size_t>(args.count()));
  e.m = e.n == 0 ? 0 : args.count() / e.n;
  product(load_all<C>(x).data(), w.data(), y.data(), e);
  epilogue(args, 2, y);
  return result_of(args, y);
}

// x minus a zero point that broadcasts to it; `rows` turns [M] into [M, 1].
std::vector<std::int64_t> without_zero_point(const Tensor& x, const Tensor* zero, bool rows) {
  std::vector<std::int64_t> values = load_all<std::int64_t>(x);
  if (zero == nullptr) return values;
  Shape shape = zero->shape;
  if (zero->element_count() == 1) {
    shape.clear();
  } else if (rows && shape.size() == 1) {
    shape.push_back(1);
  }
  const auto at = offsets_of(x.shape, broadcast_strides(shape, x.shape));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] -= zero->as_int(at[i]);
  return values;
}

// The activations of a quantized_linear as integers without their zero point, and a scale for every row.
template <class C>
struct Activations {
  std::vector<std::int64_t> x;
  std::vector<C> scale;
};

template <class C>
Activations<C> given_activations(const EvalArgs& args, std::int64_t rows) {
  Activations<C> out{without_zero_point(args.in(0), args.maybe(3), false), {}};
  const bool by_row = args.in(2).element_count() > 1;
  for (std::int64_t i = 0; i < rows; ++i) out.scale.push_back(load_as<C>(args.in(2), by_row ? i : 0));
  return out;
}

template <class C>
Activations<C> quantised_activations(const EvalArgs& args, std::int64_t rows) {
  const std::string& dynamic = args.attrs.s("dynamic");
  const bool by_token = dynamic.starts_with("token"), symmetric = dynamic.ends_with("_symmetric");
  const std::vector<C> x = load_all<C>(args.in(0));
  Activations<C> out{std::vector<std::int64_t>(x.size()), {}};
  const std::size_t k = static_cast<std::size_t>(args.in(0).shape.back());
  const std::size_t row = by_token ? k : x.size();
  for (std::size_t first = 0; first < x.size(); first += row) {
    const RowQuantisation<C> q(std::span<const C>(x).subspan(first, row), symmetric);
    for (std::size_t i = 0; i < row; ++i) out.x[first + i] = q.quantised(x[first + i]) - q.zero;
    out.scale.insert(out.scale.end(), row / k, q.scale);
  }
  out.scale.resize(static_cast<std::size_t>(rows), C(1));
  return out;
}

template <class C>
Result<Tensors> quantized_linear_of(const EvalArgs& args) {
  const Tensor& weight = args.in(1);
  Extents e{0, args.in(0).shape.back(), args.shapes[0].back()};
  e.m = e.n == 0 ? 0 : args.count() / e.n;
  const Activations<C> a =
      args.attrs.s("dynamic") == "none" ? given_activations<C>(args, e.m) : quantised_activations<C>(args, e.m);
  std::vector<std::int64_t> b = load_all<std::int64_t>(weight);
  if (args.attrs.b("transposed")) b = transposed(b, weight.shape[0], weight.shape[1]);
  if (const Tensor* zero = args.maybe(5); zero != nullptr) {
    const bool by_column = zero->element_count() > 1;
    for (std::size_t i = 0; i < b.size(); ++i) b[i] -= zero->as_int(by_column ? static_cast<std::int64_t>(i) % e.n : 0);
  }
  std::vector<std::int64_t> sums(static_cast<std::size_t>(args.count()));
  product(a.x.data(), b.data(), sums.data(), e);
  const bool per_column = args.in(4).element_count() > 1;
  std::vector<C> y(sums.size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::int64_t column = per_column ? static_cast<std::int64_t>(i) % e.n : 0;
    const C scale = a.scale[i / static_cast<std::size_t>(e.n)] * load_as<C>(args.in(4), column);
    y[i] = static_cast<C>(static_cast<std::int32_t>(sums[i])) * scale;
  }
  epilogue(args, 6, y);
  return result_of(args, y);
}

}  // namespace

Result<Tensors> eval_matmul(const EvalArgs& args) {
  return with_compute_type(args.in(0).dtype, [&]<class C>(C) {
    return result_of(args, batched_product(args, load_all<C>(args.in(0)), load_all<C>(args.in(1))));
  });
}

Result<Tensors> eval_linear(const EvalArgs& args) {
  return args.in(0).dtype == DType::f64 ? linear_of<double>(args) : linear_of<float>(args);
}

Result<Tensors> eval_matmul_integer(const EvalArgs& args) {
  return result_of(args, batched_product(args, without_zero_point(args.in(0), args.maybe(2), true),
                                         without_zero_point(args.in(1), args.maybe(3), false)));
}

Result<Tensors> eval_quantized_linear(const EvalArgs& args) {
  return args.precision == Precision::f64 ? quantized_linear_of<double>(args) : quantized_linear_of<float>(args);
}

}  // namespace intaglio::interp
