// The reference: exponentials and sums in double.
#include <cmath>

#include "kernels/softmax/table.h"

namespace intaglio::kernels::softmax {
namespace {

void one(const Args& g, std::size_t column, std::size_t step) {
  const float* x = g.source + column;
  float* y = g.out + column;
  float max = -INFINITY;
  for (std::size_t i = 0; i < g.n; ++i) max = x[i * step] > max ? x[i * step] : max;
  double sum = 0.0;
  for (std::size_t i = 0; i < g.n; ++i) sum += std::exp(static_cast<double>(x[i * step] - max));
  const double log_sum = std::log(sum);
  for (std::size_t i = 0; i < g.n; ++i) {
    const double shifted = x[i * step] - max;
    y[i * step] = static_cast<float>(g.log ? shifted - log_sum : std::exp(shifted) / sum);
  }
}

}  // namespace

void softmax_rows_f32_1x1_1x1_scalar(const Args& args) {
  one(args, 0, 1);
}
void softmax_columns_f32_1x1_1x1_scalar(const Args& args) {
  for (std::size_t c = 0; c < args.columns; ++c) one(args, c, args.pitch);
}

}  // namespace intaglio::kernels::softmax
