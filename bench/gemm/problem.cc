#include "bench/gemm/problem.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "base/half.h"

namespace intaglio::bench {

namespace {

// splitmix64: fast enough to fill hundreds of megabytes.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // In [-1, 1), a multiple of 2^-23.
  float signed_unit() { return static_cast<float>(static_cast<std::int64_t>(next()) >> 40) * 0x1p-23f; }
  // In [0.5, 1.5).
  float near_one() { return 1.0f + signed_unit() * 0.5f; }

 private:
  std::uint64_t state_;
};

constexpr double kUniform = std::numbers::inv_sqrt3;  // standard deviation of signed_unit()
constexpr double kByteDeviation = 256 * kUniform / 2;

void fill_bytes(const Buffer& buffer, std::uint64_t seed) {
  Random random(seed);
  for (std::size_t i = 0; i < buffer.size(); i += 8) {
    const std::uint64_t bits = random.next();
    std::memcpy(buffer.data() + i, &bits, std::min<std::size_t>(8, buffer.size() - i));
  }
}

void store_float(DType dtype, std::byte* data, std::size_t index, float value) {
  if (dtype == DType::f32) {
    std::memcpy(data + index * 4, &value, 4);
  } else {
    const std::uint16_t bits = dtype == DType::bf16 ? to_bfloat16(value).bits : to_float16(value).bits;
    std::memcpy(data + index * 2, &bits, 2);
  }
}

Result<Tensor> random_input(DType dtype, const Product& shape) {
  INTAGLIO_TRY(Tensor x, Tensor::allocate(dtype, {shape.m, shape.k}));
  Random random(static_cast<std::uint64_t>(shape.m * 31 + shape.k));
  const auto count = static_cast<std::size_t>(shape.m * shape.k);
  if (size_of(dtype) == 1)
    fill_bytes(x.bytes, random.next());
  else
    for (std::size_t i = 0; i < count; ++i) store_float(dtype, x.bytes.data(), i, random.signed_unit());
  return x;
}

// The row of x that enters the product, as numbers: after zero point and scale, or after dynamic quantisation.
std::vector<double> effective_row(const Scenario& s, const std::vector<Tensor>& inputs, std::int64_t row,
                                  std::int64_t k) {
  const Tensor& x = inputs[0];
  const auto count = static_cast<std::size_t>(k), start = static_cast<std::size_t>(row) * count;
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = element(s.input, x.bytes.data(), start + i);
  if (s.scale != Scale::none) {
    const double zero = s.input_zero ? element(s.input, inputs[1].bytes.data(), 0) : 0;
    const auto at = s.scale == Scale::row ? static_cast<std::size_t>(row) : 0;
    const double scale = element(DType::f32, inputs.back().bytes.data(), at);
    for (double& value : values) value = (value - zero) * scale;
  }
  if (s.dynamic == ops::Dynamic::token_symmetric) {
    float most = 0;
    for (const double value : values) most = std::max(most, std::abs(static_cast<float>(value)));
    const float scale = most / 127.0f;
    for (double& value : values) value = std::nearbyint(static_cast<float>(value) / scale) * scale;
  }
  if (s.dynamic == ops::Dynamic::tensor_asymmetric) {
    float low = 0, high = 0;
    for (std::size_t i = 0; i < x.bytes.size() / sizeof(float); ++i) {
      low = std::min(low, x.bytes.as<float>()[i]);
      high = std::max(high, x.bytes.as<float>()[i]);
    }
    const float scale = (high - low) / 255.0f;
    const double zero = std::nearbyint(-low / scale);
    for (double& value : values) {
      const double code = std::clamp(std::nearbyint(static_cast<float>(value) / scale) + zero, 0.0, 255.0);
      value = (code - zero) * scale;
    }
  }
  return values;
}

double activated(ops::Activation activation, double z) {
  return activation == ops::Activation::gelu_erf ? 0.5 * z * (1 + std::erf(z / std::numbers::sqrt2)) : z;
}

// Rows and columns spread over the result, its corners among them.
std::vector<Sample> sample(const Weights& weights, const Product& shape, const std::vector<Tensor>& inputs) {
  constexpr std::int64_t kRows = 5, kColumns = 13;
  std::vector<Sample> samples;
  const std::int64_t rows = std::min(kRows, shape.m), columns = std::min(kColumns, shape.n);
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t row = rows == 1 ? 0 : r * (shape.m - 1) / (rows - 1);
    const auto x = effective_row(weights.scenario, inputs, row, shape.k);
    for (std::int64_t c = 0; c < columns; ++c) {
      const std::int64_t column = columns == 1 ? 0 : c * (shape.n - 1) / (columns - 1);
      double sum = 0;
      for (std::int64_t k = 0; k < shape.k; ++k) sum += x[static_cast<std::size_t>(k)] * weights.value(column, k);
      const double z = sum + weights.bias[static_cast<std::size_t>(column)];
      samples.push_back({row, column, activated(weights.scenario.activation, z)});
    }
  }
  return samples;
}

}  // namespace

Result<Tensor> Tensor::allocate(DType dtype, Shape shape) {
  INTAGLIO_TRY(const std::size_t bytes, byte_count(shape, dtype));
  INTAGLIO_TRY(Buffer buffer, Buffer::allocate_zeroed(bytes));
  return Tensor{{dtype, std::move(shape)}, std::move(buffer)};
}

Result<RandomStore> RandomStore::create(std::size_t elements) {
  RandomStore store;
  store.elements_ = elements;
  INTAGLIO_TRY(store.floats_, Buffer::allocate(elements * sizeof(float)));
  INTAGLIO_TRY(store.bytes_, Buffer::allocate(elements));
  Random random(1);
  for (std::size_t i = 0; i < elements; ++i) store.floats_.as<float>()[i] = random.signed_unit() / 16;
  fill_bytes(store.bytes_, 2);
  return store;
}

Result<const std::byte*> RandomStore::narrowed(Buffer& buffer, DType dtype) {
  if (buffer.empty()) {
    INTAGLIO_TRY(buffer, Buffer::allocate(elements_ * size_of(dtype)));
    for (std::size_t i = 0; i < elements_; ++i) store_float(dtype, buffer.data(), i, floats_.as<float>()[i]);
  }
  return buffer.data();
}

Result<Weights> Weights::make(const Scenario& scenario, std::int64_t n, std::int64_t k, RandomStore& store) {
  Weights w{scenario, descriptor_of(scenario, n, k), {}, {}, {}};
  const bool packed = scenario.weight_bits == 4;
  const Shape shape{n, packed ? (k + 1) / 2 : k};
  INTAGLIO_TRY(const std::size_t bytes, byte_count(shape, scenario.weight));
  const std::byte* data = scenario.codes() ? store.bytes() : store.floats();
  if (scenario.weight == DType::bf16) {
    INTAGLIO_TRY(data, store.brain());
  }
  if (scenario.weight == DType::f16) {
    INTAGLIO_TRY(data, store.half());
  }
  w.weight = {scenario.weight, shape, data, bytes};
  Random random(static_cast<std::uint64_t>(n * 7 + k));
  w.bias.resize(static_cast<std::size_t>(n));
  for (float& x : w.bias) x = random.signed_unit();
  if (!scenario.codes()) return w;
  // So that sums have a standard deviation near 1 whatever K is.
  const double codes = packed ? 16 * kUniform / 2 : kByteDeviation;
  const double input = size_of(scenario.input) == 1 ? kByteDeviation : kUniform;
  const auto scale = static_cast<float>(1 / (codes * input * std::sqrt(static_cast<double>(k))));
  const std::int64_t groups = scenario.group == 0 ? 1 : (k + scenario.group - 1) / scenario.group;
  w.scales.resize(static_cast<std::size_t>(n * groups));
  for (float& x : w.scales) x = scale * random.near_one();
  return w;
}

std::vector<ops::Constant> Weights::constants(const ops::LinearDescriptor& d) const {
  const auto floats = [](const std::vector<float>& values, const Shape& shape) {
    return ops::Constant{DType::f32, shape, reinterpret_cast<const std::byte*>(values.data()),
                         values.size() * sizeof(float)};
  };
  std::vector<ops::Constant> all{weight, {}, {}, {}};
  const auto columns = static_cast<std::int64_t>(scales.size()) / d.n;
  if (d.weight_scale) all[2] = floats(scales, scenario.group == 0 ? Shape{d.n} : Shape{d.n, columns});
  if (d.bias) all[3] = floats(bias, {d.n});
  return all;
}

double Weights::value(std::int64_t column, std::int64_t k) const {
  const std::int64_t all_k = descriptor.k;
  if (scenario.weight_bits == 4) {
    const auto pair = static_cast<unsigned>(weight.data[column * weight.shape[1] + k / 2]);
    const int code = static_cast<int>(k % 2 == 0 ? pair & 15u : pair >> 4);
    const auto groups = static_cast<std::int64_t>(scales.size()) / descriptor.n;
    return (code - 8) * static_cast<double>(scales[static_cast<std::size_t>(column * groups + k / scenario.group)]);
  }
  const double value = element(scenario.weight, weight.data, static_cast<std::size_t>(column * all_k + k));
  return scenario.codes() ? value * static_cast<double>(scales[static_cast<std::size_t>(column)]) : value;
}

Result<Problem> Problem::make(const Weights& weights, std::int64_t m) {
  const Scenario& s = weights.scenario;
  Problem problem;
  problem.shape = {m, weights.descriptor.n, weights.descriptor.k};
  INTAGLIO_TRY(problem.inputs.emplace_back(), random_input(s.input, problem.shape));
  if (s.input_zero) {
    INTAGLIO_TRY(Tensor zero, Tensor::allocate(s.input, {}));
    zero.bytes.data()[0] = std::byte{121};
    problem.inputs.push_back(std::move(zero));
  }
  if (s.scale != Scale::none) {
    INTAGLIO_TRY(Tensor scale, Tensor::allocate(DType::f32, s.scale == Scale::row ? Shape{m, 1} : Shape{}));
    Random random(3);
    const std::size_t count = scale.bytes.size() / sizeof(float);
    for (std::size_t i = 0; i < count; ++i) scale.bytes.as<float>()[i] = random.near_one();
    problem.inputs.push_back(std::move(scale));
  }
  problem.samples = sample(weights, problem.shape, problem.inputs);
  double squares = 0;
  for (const Sample& x : problem.samples) squares += x.value * x.value;
  problem.scale = std::sqrt(squares / static_cast<double>(problem.samples.size()));
  return problem;
}

// Sums in f32: K additions of terms of the size of sum / sqrt(K) in blocks, whose roundings add up like a random walk
// of sqrt(K) steps of 2^-24 of the partial sum; 8 for the largest of the samples. Narrow outputs: half a unit in the
// last place of a value of 5 deviations. 8-bit outputs: half of one of 127 steps of 10 deviations, GELU leaves 0.6 of
// one.
double tolerance(const Scenario& scenario, std::int64_t k) {
  const double sums = 8 * std::sqrt(static_cast<double>(k)) * 0x1p-24;
  switch (scenario.output) {
    case DType::bf16:
      return sums + 5 * 0x1p-8;
    case DType::f16:
      return sums + 5 * 0x1p-11;
    case DType::i8:
      return 0.1;
    default:
      // A quotient that lies on the border between two codes may go to either side: one step of one of K inputs.
      return scenario.dynamic == ops::Dynamic::none ? sums : sums + 0.02;
  }
}

double element(DType dtype, const std::byte* data, std::size_t index) {
  std::uint16_t bits = 0;
  float value = 0;
  switch (dtype) {
    case DType::f32:
      std::memcpy(&value, data + index * 4, 4);
      return value;
    case DType::bf16:
      std::memcpy(&bits, data + index * 2, 2);
      return to_float(BFloat16{bits});
    case DType::f16:
      std::memcpy(&bits, data + index * 2, 2);
      return to_float(Float16{bits});
    case DType::i8:
      return static_cast<std::int8_t>(data[index]);
    default:
      return static_cast<std::uint8_t>(data[index]);
  }
}

}  // namespace intaglio::bench
