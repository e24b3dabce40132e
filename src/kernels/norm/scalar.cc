// The reference: sums in double.
#include <cmath>

#include "kernels/norm/table.h"

namespace intaglio::kernels::norm {

void norm_f32_1x1_1x1_scalar(const Args& g) {
  if (g.extremes != nullptr) g.extremes[0] = g.extremes[1] = 0.0f;
  if (g.n == 0) return;
  const auto value = [&](std::size_t i) { return g.residual != nullptr ? g.source[i] + g.residual[i] : g.source[i]; };
  const auto count = static_cast<double>(g.n);
  double mean = 0.0, squares = 0.0;
  if (g.kind == Kind::layer) {
    for (std::size_t i = 0; i < g.n; ++i) mean += value(i);
    mean /= count;
  }
  for (std::size_t i = 0; i < g.n; ++i) squares += (value(i) - mean) * (value(i) - mean);
  const double factor = 1.0 / std::sqrt(squares / count + static_cast<double>(g.epsilon));
  for (std::size_t i = 0; i < g.n; ++i) {
    double y = (value(i) - mean) * factor;
    if (g.gamma != nullptr) y *= g.gamma[i];
    if (g.beta != nullptr) y += g.beta[i];
    const auto rounded = static_cast<float>(y);
    g.out[i] = rounded;
    if (g.extremes == nullptr) continue;
    g.extremes[0] = rounded < g.extremes[0] ? rounded : g.extremes[0];
    g.extremes[1] = rounded > g.extremes[1] ? rounded : g.extremes[1];
  }
}

}  // namespace intaglio::kernels::norm
