// The operands of a product, random, and what a correct answer is: sampled elements in double precision.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/alloc.h"
#include "bench/gemm/scenarios.h"
#include "ops/candidate.h"

namespace intaglio::bench {

struct Tensor {
  ops::Operand type;
  Buffer bytes;
  static Result<Tensor> allocate(DType dtype, Shape shape);
};

// Random values for weights, one store for all types and shapes: making them anew for each shape would take longer than
// measuring. Floats are in [-1/16, 1/16), bytes any.
class RandomStore {
 public:
  // Room for weights of that many elements.
  static Result<RandomStore> create(std::size_t elements);
  const std::byte* floats() const { return floats_.data(); }
  const std::byte* bytes() const { return bytes_.data(); }
  Result<const std::byte*> brain() { return narrowed(brain_, DType::bf16); }
  Result<const std::byte*> half() { return narrowed(half_, DType::f16); }

 private:
  Result<const std::byte*> narrowed(Buffer& buffer, DType dtype);
  std::size_t elements_ = 0;
  Buffer floats_, bytes_, brain_, half_;
};

// The constants of a linear.
struct Weights {
  Scenario scenario;
  ops::LinearDescriptor descriptor;  // what our side is asked for
  ops::Constant weight;              // of the store
  std::vector<float> scales, bias;   // scales: [N], [N, groups], or none

  static Result<Weights> make(const Scenario& scenario, std::int64_t n, std::int64_t k, RandomStore& store);
  // In the order of ops/linear.h, those that `d` asks for.
  std::vector<ops::Constant> constants(const ops::LinearDescriptor& d) const;
  double value(std::int64_t column, std::int64_t k) const;  // as the product sees it
  std::size_t bytes() const { return weight.bytes; }        // of the weight alone
};

struct Sample {
  std::int64_t row = 0, column = 0;
  double value = 0;
};

struct Problem {
  Product shape;
  std::vector<Tensor> inputs;  // x, [x_zero], [x_scale]
  std::vector<Sample> samples;
  double scale = 1;  // root mean square of the samples: what errors are relative to

  static Result<Problem> make(const Weights& weights, std::int64_t m);
};

// The largest distance of a correct answer from the reference, relative to Problem::scale.
double tolerance(const Scenario& scenario, std::int64_t k);

// One element as a number.
double element(DType dtype, const std::byte* data, std::size_t index);

}  // namespace intaglio::bench
