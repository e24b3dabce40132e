// The distance between two tensors. Sums are in double, and over parts in order.
#include <cmath>
#include <limits>

#include "compile/accuracy.h"

namespace intaglio::compile {

namespace {

class Sums {
 public:
  void add(double actual, double exact) {
    if (std::isnan(actual) && std::isnan(exact)) return;
    if (!std::isfinite(actual) || !std::isfinite(exact)) {
      odd_ += actual == exact ? 0 : 1;
      return;
    }
    const double off = actual - exact;
    largest_ = std::fmax(largest_, std::fabs(off));
    off_ += off * off;
    actual_ += actual * actual;
    exact_ += exact * exact;
    both_ += actual * exact;
    ++count_;
  }

  ErrorFigures figures() const {
    ErrorFigures out;
    out.max_abs = largest_;
    out.rmse = count_ == 0 ? 0 : std::sqrt(off_ / static_cast<double>(count_));
    out.odd = odd_;
    const double lengths = std::sqrt(actual_) * std::sqrt(exact_);
    out.cosine = lengths == 0 ? 1 : both_ / lengths;
    if (odd_ != 0 || (exact_ == 0 && off_ != 0)) {
      out.rel_l2 = std::numeric_limits<double>::infinity();
    } else {
      out.rel_l2 = exact_ == 0 ? 0 : std::sqrt(off_ / exact_);
    }
    return out;
  }

 private:
  double largest_ = 0, off_ = 0, actual_ = 0, exact_ = 0, both_ = 0;
  std::int64_t count_ = 0, odd_ = 0;
};

}  // namespace

ErrorFigures error_figures(const ir::Tensor& actual, std::span<const ir::Tensor> parts) {
  Sums sums;
  if (parts.size() == 1) {
    for (std::int64_t i = 0; i < actual.element_count(); ++i) sums.add(actual.as_double(i), parts[0].as_double(i));
    return sums.figures();
  }
  const std::int64_t width = actual.shape.empty() ? 1 : actual.shape.back();
  const std::int64_t rows = width == 0 ? 0 : actual.element_count() / width;
  std::int64_t column = 0;
  for (const ir::Tensor& part : parts) {
    const std::int64_t columns = rows == 0 ? 0 : part.element_count() / rows;
    for (std::int64_t i = 0; i < rows * columns; ++i)
      sums.add(actual.as_double(i / columns * width + column + i % columns), part.as_double(i));
    column += columns;
  }
  return sums.figures();
}

}  // namespace intaglio::compile
