// Attention: query by query, scores and weights rounded to the compute type, sums in double. compute=int8 is an
// approximation of the same: evaluated in floating point.
#include <limits>

#include "interp/eval.h"

namespace intaglio::interp {

namespace {

// Rows of one operand, and where row (b, h, s) begins: at + b * batch + h * head + s * row.
struct Rows {
  const Tensor* tensor = nullptr;
  std::int64_t at = 0, batch = 0, head = 0, row = 0;
  std::size_t operator()(std::int64_t b, std::int64_t h, std::int64_t s) const {
    return static_cast<std::size_t>(at + b * batch + h * head + s * row);
  }
};

struct Problem {
  std::int64_t batch = 0, heads = 0, kv_heads = 0, queries = 0, keys = 0, depth = 0, value_depth = 0;
  Rows q, k, v, y;
  const Tensor* mask = nullptr;
};

Rows rows_of(const Tensor* tensor, const Shape& shape, bool bhsd) {
  return {tensor, 0, shape[1] * shape[2] * shape[3], bhsd ? shape[2] * shape[3] : shape[3],
          bhsd ? shape[3] : shape[2] * shape[3]};
}

Problem separate(const EvalArgs& args) {
  const bool bhsd = args.attrs.s("layout") == "bhsd";
  const std::size_t head = bhsd ? 1 : 2, seq = 3 - head;
  const Shape &q = args.in(0).shape, &k = args.in(1).shape, &v = args.in(2).shape;
  Problem p{q[0], q[head], k[head], q[seq], k[seq], q[3], v[3], {}, {}, {}, {}, args.maybe(3)};
  p.q = rows_of(&args.in(0), q, bhsd);
  p.k = rows_of(&args.in(1), k, bhsd);
  p.v = rows_of(&args.in(2), v, bhsd);
  p.y = rows_of(nullptr, args.shapes[0], bhsd);
  return p;
}

Problem packed(const EvalArgs& args) {
  const Shape& x = args.in(0).shape;
  const std::int64_t heads = args.attrs.i("heads"), kv_heads = args.attrs.i("kv_heads");
  const std::int64_t depth = x[2] / (heads + 2 * kv_heads);
  Problem p{x[0], heads, kv_heads, x[1], x[1], depth, depth, {}, {}, {}, {}, args.maybe(1)};
  p.q = {&args.in(0), 0, x[1] * x[2], depth, x[2]};
  p.k = p.v = p.q;
  p.k.at = heads * depth;
  p.v.at = (heads + kv_heads) * depth;
  p.y = {nullptr, 0, x[1] * heads * depth, depth, heads * depth};
  return p;
}

template <class C>
class Attention {
 public:
  Attention(const EvalArgs& args, const Problem& problem)
      : args_(args),
        p_(problem),
        q_(load_all<C>(*p_.q.tensor)),
        k_(p_.k.tensor == p_.q.tensor ? std::vector<C>() : load_all<C>(*p_.k.tensor)),
        v_(p_.v.tensor == p_.q.tensor ? std::vector<C>() : load_all<C>(*p_.v.tensor)),
        y_(static_cast<std::size_t>(args.count())) {
    if (p_.mask != nullptr) {
      mask_strides_ = broadcast_strides(p_.mask->shape, Shape{p_.batch, p_.heads, p_.queries, p_.keys});
    }
  }

  Result<Tensors> run() {
    for (std::int64_t b = 0; b < p_.batch; ++b) {
      for (std::int64_t h = 0; h < p_.heads; ++h) {
        for (std::int64_t i = 0; i < p_.queries; ++i) one_query(b, h, i);
      }
    }
    return result_of(args_, y_);
  }

 private:
  const std::vector<C>& keys() const { return k_.empty() ? q_ : k_; }
  const std::vector<C>& values() const { return v_.empty() ? q_ : v_; }
  std::int64_t kv_head(std::int64_t h) const { return h / (p_.heads / p_.kv_heads); }

  C score(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) const {
    constexpr C kHidden = -std::numeric_limits<C>::infinity();
    if (args_.attrs.b("causal") && j > i) return kHidden;
    const std::size_t q = p_.q(b, h, i), k = p_.k(b, kv_head(h), j);
    double sum = 0;
    for (std::size_t d = 0; d < static_cast<std::size_t>(p_.depth); ++d) {
      sum += static_cast<double>(q_[q + d]) * static_cast<double>(keys()[k + d]);
    }
    const C scaled = static_cast<C>(sum) * static_cast<C>(args_.attrs.f("scale"));
    const Tensor* mask = p_.mask;
    if (mask == nullptr) return scaled;
    const std::int64_t at = b * mask_strides_[0] + h * mask_strides_[1] + i * mask_strides_[2] + j * mask_strides_[3];
    if (mask->dtype == DType::boolean) return mask->as_int(at) != 0 ? scaled : kHidden;
    return scaled + load_as<C>(*mask, at);
  }

  void one_query(std::int64_t b, std::int64_t h, std::int64_t i) {
    constexpr C kHidden = -std::numeric_limits<C>::infinity();
    std::vector<C> weights(static_cast<std::size_t>(p_.keys));
    C max = kHidden;
    bool visible = false;
    for (std::int64_t j = 0; j < p_.keys; ++j) {
      const C s = score(b, h, i, j);
      weights[static_cast<std::size_t>(j)] = s;
      visible = visible || s != kHidden;  // a NaN is visible
      max = s > max ? s : max;
    }
    double total = 0;
    for (C& w : weights) total += static_cast<double>(w = std::exp(w - max));
    const auto width = static_cast<std::size_t>(p_.value_depth);
    const std::size_t y = p_.y(b, h, i);
    std::vector<double> sum(width, 0.0);
    for (std::int64_t j = 0; j < p_.keys; ++j) {
      const C weight = static_cast<C>(static_cast<double>(weights[static_cast<std::size_t>(j)]) / total);
      const std::size_t v = p_.v(b, kv_head(h), j);
      for (std::size_t d = 0; d < width; ++d)
        sum[d] += static_cast<double>(weight) * static_cast<double>(values()[v + d]);
    }
    for (std::size_t d = 0; d < width; ++d) y_[y + d] = visible ? static_cast<C>(sum[d]) : blind_value(b, h, d);
  }

  // Column d of a row without a visible key.
  C blind_value(std::int64_t b, std::int64_t h, std::size_t d) const {
    const std::string& blind = args_.attrs.s("blind");
    if (blind == "nan") return std::numeric_limits<C>::quiet_NaN();
    if (blind == "zero" || p_.keys == 0) return C(0);
    double sum = 0;
    for (std::int64_t j = 0; j < p_.keys; ++j) sum += static_cast<double>(values()[p_.v(b, kv_head(h), j) + d]);
    return static_cast<C>(sum / static_cast<double>(p_.keys));
  }

  const EvalArgs& args_;
  Problem p_;
  std::vector<C> q_, k_, v_, y_;  // k_ and v_ are empty where they lie in q_'s tensor
  std::vector<std::int64_t> mask_strides_;
};

Result<Tensors> evaluate(const EvalArgs& args, const Problem& problem) {
  return args.in(0).dtype == DType::f64 ? Attention<double>(args, problem).run()
                                        : Attention<float>(args, problem).run();
}

}  // namespace

Result<Tensors> eval_attention(const EvalArgs& args) {
  return evaluate(args, separate(args));
}
Result<Tensors> eval_attention_packed(const EvalArgs& args) {
  return evaluate(args, packed(args));
}

}  // namespace intaglio::interp
