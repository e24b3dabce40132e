// The reference: the contract of direct.h in one chain of sums per element.
#include "kernels/direct/table.h"

namespace intaglio::kernels::direct {
namespace {

void multiply(const Args& g, std::size_t k_step, std::size_t column_step) {
  for (std::size_t i = 0; i < g.m; ++i) {
    for (std::size_t j = 0; j < g.n; ++j) {
      float sum = 0.0f;
      for (std::size_t k = 0; k < g.k; ++k) {
        const float product = g.a[i * g.a_pitch + k] * g.b[k * k_step + j * column_step];
        sum += product;
      }
      g.out[i * g.out_pitch + j] = g.scaled ? sum * g.scale : sum;
    }
  }
}

}  // namespace

void columns_f32_1x1_1x1_scalar(const Args& args) {
  multiply(args, args.b_pitch, 1);
}
void dots_f32_1x1_1x1_scalar(const Args& args) {
  multiply(args, 1, args.b_pitch);
}

}  // namespace intaglio::kernels::direct
