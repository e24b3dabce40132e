// Reductions and normalisations. Floating point: sums run in double and are rounded once at the end.
#include <limits>

#include "interp/eval.h"
#include "interp/row_quantisation.h"

namespace intaglio::interp {

namespace {

double lowest_of(DType dtype) {
  if (is_floating(dtype)) return -std::numeric_limits<double>::infinity();
  return is_unsigned_integer(dtype) ? 0.0 : -std::ldexp(1.0, static_cast<int>(8 * size_of(dtype)) - 1);
}

// The identity of max (lowest) or min (highest) of a dtype.
template <class C>
C extreme_of(DType dtype, bool highest) {
  std::byte bytes[8];
  // Beyond any range: store_cast saturates integers to the dtype's own ends.
  store_cast(highest ? std::numeric_limits<double>::infinity() : lowest_of(dtype), dtype, bytes);
  return load_as<C>(Tensor{dtype, {}, nullptr, bytes, size_of(dtype)}, 0);
}

// What goes into the sum for one element.
template <class S, class C>
S addend(std::string_view kind, C x) {
  const auto value = static_cast<S>(x);
  if (kind == "l1") {
    if constexpr (std::is_floating_point_v<C>) return std::fabs(value);
    return x < C(0) ? S(0) - value : value;
  }
  return kind == "l2" || kind == "sum_square" ? value * value : value;
}

// From the sum to the result, for floating point.
double finish(std::string_view kind, double sum, std::int64_t n) {
  if (kind == "mean") return sum / static_cast<double>(n);  // 0 / 0 is NaN
  if (kind == "l2") return std::sqrt(sum);
  if (kind == "log_sum") return std::log(sum);
  return sum;
}

template <class C>
struct Reduction {
  const EvalArgs& args;
  const std::string& kind;
  std::vector<C> x;
  std::vector<std::int64_t> to;  // which result each element goes to
  std::size_t results = 0;
  std::int64_t n = 0;  // elements per result

  std::vector<C> sums() const {
    std::vector<Sum<C>> sum(results, Sum<C>(kind == "prod" ? 1 : 0));
    for (std::size_t i = 0; i < x.size(); ++i) {
      Sum<C>& s = sum[static_cast<std::size_t>(to[i])];
      if (kind == "prod") {
        s *= static_cast<Sum<C>>(x[i]);
      } else {
        s += addend<Sum<C>>(kind, x[i]);
      }
    }
    std::vector<C> y(results);
    for (std::size_t i = 0; i < results; ++i) {
      if constexpr (std::is_floating_point_v<C>) {
        y[i] = static_cast<C>(finish(kind, sum[i], n));
      } else {
        y[i] = static_cast<C>(sum[i]);
      }
    }
    return y;
  }

  std::vector<C> extremes(bool highest) const {
    std::vector<C> y(results, extreme_of<C>(args.in(0).dtype, !highest));
    for (std::size_t i = 0; i < x.size(); ++i) {
      C& best = y[static_cast<std::size_t>(to[i])];
      if (best == best && (x[i] != x[i] || (highest ? best < x[i] : x[i] < best))) best = x[i];  // NaN stays
    }
    return y;
  }

  // any: or; all: and.
  std::vector<C> decided() const {
    const C start = kind == "all" ? C(1) : C(0);
    std::vector<C> y(results, start);
    for (std::size_t i = 0; i < x.size(); ++i) {
      if ((x[i] != C(0)) != (start != C(0))) y[static_cast<std::size_t>(to[i])] = C(1) - start;
    }
    return y;
  }

  std::vector<C> log_sum_exp() const {
    std::vector<C> y = extremes(true);
    std::vector<double> sum(results, 0.0);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto at = static_cast<std::size_t>(to[i]);
      if (std::isfinite(y[at])) sum[at] += std::exp(static_cast<double>(x[i]) - static_cast<double>(y[at]));
    }
    for (std::size_t i = 0; i < results; ++i) {
      if (std::isfinite(y[i])) y[i] = static_cast<C>(static_cast<double>(y[i]) + std::log(sum[i]));
    }
    return y;
  }
};

}  // namespace

Result<Tensors> eval_reduce(const EvalArgs& args) {
  const Shape& shape = args.in(0).shape;
  const std::string& kind = args.attrs.s("kind");
  Shape kept = shape;
  for (const std::int64_t axis : args.attrs.ints("axes")) kept[static_cast<std::size_t>(axis)] = 1;
  const auto to = offsets_of(shape, broadcast_strides(kept, shape));
  return with_compute_type(args.in(0).dtype, [&]<class C>(C) -> Result<Tensors> {
    Reduction<C> reduction{args, kind, load_all<C>(args.in(0)), to, static_cast<std::size_t>(args.count()), 0};
    reduction.n = static_cast<std::int64_t>(reduction.x.size() / reduction.results);  // there are results
    if (kind == "max" || kind == "min") return result_of(args, reduction.extremes(kind == "max"));
    if (kind == "any" || kind == "all") return result_of(args, reduction.decided());
    if (kind == "log_sum_exp") return result_of(args, reduction.log_sum_exp());
    return result_of(args, reduction.sums());
  });
}

Result<Tensors> eval_argmax(const EvalArgs& args) {
  const AxisView view = view_axis(args.in(0).shape, static_cast<std::size_t>(args.attrs.i("axis")));
  const bool last = args.attrs.b("last"), smallest = args.attrs.b("min");
  std::vector<std::int64_t> y(static_cast<std::size_t>(args.count()));
  if (view.n == 0 && !y.empty()) return args.data_error("the axis is empty");
  return with_compute_type(args.in(0).dtype, [&]<class C>(C) -> Result<Tensors> {
    const std::vector<C> x = load_all<C>(args.in(0));
    for (std::int64_t row = 0; row < view.outer * view.inner; ++row) {
      const std::int64_t base = row / view.inner * view.n * view.inner + row % view.inner;
      const auto at = [&](std::int64_t i) { return x[static_cast<std::size_t>(base + i * view.inner)]; };
      std::int64_t best = 0;
      for (std::int64_t i = 1; i < view.n; ++i) {
        const C a = at(i), b = at(best);
        // A NaN wins over every number, as in NumPy and ATen.
        const bool better = b == b && (a != a || (smallest ? a < b : b < a));
        const bool tie = a == b || (a != a && b != b);
        if (better || (tie && last)) best = i;
      }
      y[static_cast<std::size_t>(row)] = best;
    }
    return result_of(args, y);
  });
}

Result<Tensors> eval_cumsum(const EvalArgs& args) {
  const AxisView view = view_axis(args.in(0).shape, static_cast<std::size_t>(args.attrs.i("axis")));
  const bool exclusive = args.attrs.b("exclusive"), reverse = args.attrs.b("reverse");
  return with_compute_type(args.in(0).dtype, [&]<class C>(C) {
    std::vector<C> x = load_all<C>(args.in(0));
    for (std::int64_t row = 0; row < view.outer * view.inner; ++row) {
      const std::int64_t base = row / view.inner * view.n * view.inner + row % view.inner;
      Sum<C> sum = 0;
      for (std::int64_t i = 0; i < view.n; ++i) {
        C& slot = x[static_cast<std::size_t>(base + (reverse ? view.n - 1 - i : i) * view.inner)];
        const Sum<C> before = sum;
        sum += static_cast<Sum<C>>(slot);
        slot = static_cast<C>(exclusive ? before : sum);
      }
    }
    return result_of(args, x);
  });
}

namespace {

template <class C>
Result<Tensors> softmax_of(const EvalArgs& args) {
  const AxisView view = view_axis(args.in(0).shape, static_cast<std::size_t>(args.attrs.i("axis")));
  const bool log = args.attrs.b("log");
  std::vector<C> x = load_all<C>(args.in(0));
  for (std::int64_t row = 0; row < view.outer * view.inner; ++row) {
    const std::int64_t base = row / view.inner * view.n * view.inner + row % view.inner;
    const auto at = [&](std::int64_t i) -> C& { return x[static_cast<std::size_t>(base + i * view.inner)]; };
    C max = -std::numeric_limits<C>::infinity();
    for (std::int64_t i = 0; i < view.n; ++i) max = at(i) > max ? at(i) : max;
    double sum = 0;
    for (std::int64_t i = 0; i < view.n; ++i) sum += static_cast<double>(std::exp(at(i) - max));
    for (std::int64_t i = 0; i < view.n; ++i) {
      const C shifted = at(i) - max;
      at(i) = static_cast<C>(log ? static_cast<double>(shifted) - std::log(sum)
                                 : static_cast<double>(std::exp(shifted)) / sum);
    }
  }
  return result_of(args, x);
}

// Both norms over rows of the trailing axes, in double, rounded once.
template <class C>
std::vector<C> norm_rows(const EvalArgs& args, bool centred) {
  const Shape& shape = args.in(0).shape;
  const auto axis = static_cast<std::size_t>(args.attrs.i("axis"));
  const std::span<const std::int64_t> row_shape = std::span(shape).subspan(axis);
  std::vector<C> x = load_all<C>(args.in(0));
  std::size_t n = 1;
  for (const std::int64_t dim : row_shape) n *= static_cast<std::size_t>(dim);
  const auto parameter = [&](std::size_t operand, double missing) {
    std::vector<double> values(n, missing);
    if (const Tensor* tensor = args.maybe(operand); tensor != nullptr) {
      const auto at = offsets_of(row_shape, broadcast_strides(tensor->shape, row_shape));
      for (std::size_t i = 0; i < n; ++i) values[i] = tensor->as_double(at[i]);
    }
    return values;
  };
  const std::vector<double> gamma = parameter(1, 1.0), beta = parameter(2, 0.0);
  for (std::size_t row = 0; n != 0 && row < x.size(); row += n) {
    double mean = 0, square = 0;
    for (std::size_t i = 0; centred && i < n; ++i) mean += static_cast<double>(x[row + i]);
    mean /= static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i)
      square += (static_cast<double>(x[row + i]) - mean) * (static_cast<double>(x[row + i]) - mean);
    const double deviation = std::sqrt(square / static_cast<double>(n) + args.attrs.f("epsilon"));
    for (std::size_t i = 0; i < n; ++i) {
      x[row + i] = static_cast<C>((static_cast<double>(x[row + i]) - mean) / deviation * gamma[i] + beta[i]);
    }
  }
  return x;
}

template <class C>
Result<Tensors> norm_of(const EvalArgs& args, bool centred) {
  return result_of(args, norm_rows<C>(args, centred));
}

template <class C>
Result<Tensors> norm_quantize_of(const EvalArgs& args) {
  INTAGLIO_TRY(Tensor y,
               store_all(args.dtypes[0], args.shapes[0], norm_rows<C>(args, args.attrs.s("kind") == "layer")));
  const std::vector<C> rounded = load_all<C>(y);  // what is quantised is y as stored
  const std::size_t rows = static_cast<std::size_t>(args.count(2));
  const std::size_t width = rows == 0 ? 0 : rounded.size() / rows;
  std::vector<std::int64_t> q;
  std::vector<C> scale;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto values = std::span<const C>(rounded).subspan(row * width, width);
    const RowQuantisation<C> quantisation(values, true);
    for (const C value : values) q.push_back(quantisation.quantised(value) + 128);
    scale.push_back(quantisation.scale);
  }
  INTAGLIO_TRY(Tensor q_tensor, store_all(DType::u8, args.shapes[1], q));
  INTAGLIO_TRY(Tensor scale_tensor, store_all(args.dtypes[2], args.shapes[2], scale));
  return Tensors{std::move(y), std::move(q_tensor), std::move(scale_tensor)};
}

}  // namespace

Result<Tensors> eval_softmax(const EvalArgs& args) {
  return args.in(0).dtype == DType::f64 ? softmax_of<double>(args) : softmax_of<float>(args);
}
Result<Tensors> eval_layer_norm(const EvalArgs& args) {
  return args.in(0).dtype == DType::f64 ? norm_of<double>(args, true) : norm_of<float>(args, true);
}
Result<Tensors> eval_rms_norm(const EvalArgs& args) {
  return args.in(0).dtype == DType::f64 ? norm_of<double>(args, false) : norm_of<float>(args, false);
}
Result<Tensors> eval_norm_quantize(const EvalArgs& args) {
  return args.precision == Precision::f64 ? norm_quantize_of<double>(args) : norm_quantize_of<float>(args);
}

}  // namespace intaglio::interp
