// Attention: query by query, scores and weights rounded to the compute type, sums in double.
#include <limits>

#include "interp/eval.h"

namespace intaglio::interp {

namespace {

template <class C>
class Attention {
 public:
  explicit Attention(const EvalArgs& args)
      : args_(args),
        head_axis_(args.attrs.s("layout") == "bhsd" ? 1 : 2),
        q_(load_all<C>(args.in(0))),
        k_(load_all<C>(args.in(1))),
        v_(load_all<C>(args.in(2))),
        y_(static_cast<std::size_t>(args.count())) {
    const std::size_t seq_axis = 3 - head_axis_;
    batch_ = args.in(0).shape[0];
    heads_ = args.in(0).shape[head_axis_];
    kv_heads_ = args.in(1).shape[head_axis_];
    queries_ = args.in(0).shape[seq_axis];
    keys_ = args.in(1).shape[seq_axis];
    if (const Tensor* mask = args.maybe(3); mask != nullptr) {
      mask_strides_ = broadcast_strides(mask->shape, Shape{batch_, heads_, queries_, keys_});
    }
  }

  Result<Tensors> run() {
    for (std::int64_t b = 0; b < batch_; ++b) {
      for (std::int64_t h = 0; h < heads_; ++h) {
        for (std::int64_t i = 0; i < queries_; ++i) one_query(b, h, i);
      }
    }
    return result_of(args_, y_);
  }

 private:
  // Row (b, h, s) of a tensor in the layout at hand.
  std::size_t row(const Shape& shape, std::int64_t b, std::int64_t h, std::int64_t s) const {
    const std::int64_t middle = head_axis_ == 1 ? h * shape[2] + s : s * shape[2] + h;
    return static_cast<std::size_t>((b * shape[1] * shape[2] + middle) * shape[3]);
  }

  C score(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) const {
    constexpr C kHidden = -std::numeric_limits<C>::infinity();
    if (args_.attrs.b("causal") && j > i) return kHidden;
    const std::size_t q = row(args_.in(0).shape, b, h, i);
    const std::size_t k = row(args_.in(1).shape, b, h / (heads_ / kv_heads_), j);
    double sum = 0;
    for (std::size_t d = 0; d < static_cast<std::size_t>(args_.in(0).shape[3]); ++d) {
      sum += static_cast<double>(q_[q + d]) * static_cast<double>(k_[k + d]);
    }
    const C scaled = static_cast<C>(sum) * static_cast<C>(args_.attrs.f("scale"));
    const Tensor* mask = args_.maybe(3);
    if (mask == nullptr) return scaled;
    const std::int64_t at = b * mask_strides_[0] + h * mask_strides_[1] + i * mask_strides_[2] + j * mask_strides_[3];
    if (mask->dtype == DType::boolean) return mask->as_int(at) != 0 ? scaled : kHidden;
    return scaled + load_as<C>(*mask, at);
  }

  void one_query(std::int64_t b, std::int64_t h, std::int64_t i) {
    constexpr C kHidden = -std::numeric_limits<C>::infinity();
    std::vector<C> weights(static_cast<std::size_t>(keys_));
    C max = kHidden;
    bool visible = false;
    for (std::int64_t j = 0; j < keys_; ++j) {
      const C s = score(b, h, i, j);
      weights[static_cast<std::size_t>(j)] = s;
      visible = visible || s != kHidden;  // a NaN is visible
      max = s > max ? s : max;
    }
    double total = 0;
    for (C& w : weights) total += static_cast<double>(w = std::exp(w - max));
    const auto width = static_cast<std::size_t>(args_.shapes[0][3]);
    const std::size_t y = row(args_.shapes[0], b, h, i);
    std::vector<double> sum(width, 0.0);
    for (std::int64_t j = 0; j < keys_; ++j) {
      const C weight = static_cast<C>(static_cast<double>(weights[static_cast<std::size_t>(j)]) / total);
      const std::size_t v = row(args_.in(2).shape, b, h / (heads_ / kv_heads_), j);
      for (std::size_t d = 0; d < width; ++d) sum[d] += static_cast<double>(weight) * static_cast<double>(v_[v + d]);
    }
    const C empty = args_.attrs.b("safe") ? C(0) : std::numeric_limits<C>::quiet_NaN();
    for (std::size_t d = 0; d < width; ++d) y_[y + d] = visible ? static_cast<C>(sum[d]) : empty;
  }

  const EvalArgs& args_;
  std::size_t head_axis_ = 1;
  std::vector<C> q_, k_, v_, y_;
  std::int64_t batch_ = 0, heads_ = 0, kv_heads_ = 0, queries_ = 0, keys_ = 0;
  std::vector<std::int64_t> mask_strides_;
};

}  // namespace

Result<Tensors> eval_attention(const EvalArgs& args) {
  return args.in(0).dtype == DType::f64 ? Attention<double>(args).run() : Attention<float>(args).run();
}

}  // namespace intaglio::interp
