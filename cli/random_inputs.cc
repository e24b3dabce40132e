// Seeded random inputs.
#include <bit>
#include <string_view>

#include "cli/inputs.h"

namespace intaglio::cli {

namespace {

// SplitMix64: the same numbers with every standard library.
class Random {
 public:
  explicit Random(std::string_view name) {
    for (const char c : name) state_ = (state_ ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ull;
  }
  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  // In [-1, 1), with 24 bits.
  float real() {
    return static_cast<float>(static_cast<std::int64_t>(bits() >> 39) - (1 << 24)) / static_cast<float>(1 << 24);
  }
  std::uint64_t below(std::uint64_t limit) { return bits() % limit; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325ull;
};

// Values below 1 in magnitude only; those too small for a normal number become 0.
std::uint16_t to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto exponent = static_cast<int>(bits >> 23 & 0xff) - 127;
  const std::uint32_t sign = bits >> 16 & 0x8000;
  if (exponent < -14) return static_cast<std::uint16_t>(sign);
  return static_cast<std::uint16_t>(sign | static_cast<std::uint32_t>(exponent + 15) << 10 | (bits >> 13 & 0x3ff));
}

template <class T, class Make>
void fill(const Tensor& tensor, Make&& make) {
  auto* data = static_cast<T*>(tensor.data());
  const auto count = static_cast<std::size_t>(tensor.element_count());
  for (std::size_t i = 0; i < count; ++i) data[i] = make();
}

template <class T>
void fill_integers(const Tensor& tensor, Random& random, std::uint64_t limit) {
  fill<T>(tensor, [&] { return static_cast<T>(random.below(limit)); });
}

constexpr std::uint64_t kDigits = 10;
constexpr std::uint16_t kHalfOne = 0x3c00;
constexpr std::uint16_t kBfloatOne = 0x3f80;

// `limit` is that of integers; 1 makes all of them 0.
void fill_random(const Tensor& tensor, Random& random, std::uint64_t limit, bool narrow_is_whole) {
  const std::uint64_t narrow = narrow_is_whole ? 256 : limit;
  switch (tensor.dtype()) {
    case DType::f32:
      return fill<float>(tensor, [&] { return random.real(); });
    case DType::f64:
      return fill<double>(tensor, [&] { return static_cast<double>(random.real()); });
    case DType::f16:
      return fill<std::uint16_t>(tensor, [&] { return to_f16(random.real()); });
    case DType::bf16:
      return fill<std::uint16_t>(
          tensor, [&] { return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(random.real()) >> 16); });
    case DType::i8:
      return fill_integers<std::int8_t>(tensor, random, narrow);
    case DType::u8:
      return fill_integers<std::uint8_t>(tensor, random, narrow);
    case DType::i16:
      return fill_integers<std::int16_t>(tensor, random, limit);
    case DType::u16:
      return fill_integers<std::uint16_t>(tensor, random, limit);
    case DType::i32:
      return fill_integers<std::int32_t>(tensor, random, limit);
    case DType::u32:
      return fill_integers<std::uint32_t>(tensor, random, limit);
    case DType::i64:
      return fill_integers<std::int64_t>(tensor, random, limit);
    case DType::u64:
      return fill_integers<std::uint64_t>(tensor, random, limit);
    case DType::boolean:
      return fill_integers<std::uint8_t>(tensor, random, 2);
  }
}

void fill_ones(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::f32:
      return fill<float>(tensor, [] { return 1.0f; });
    case DType::f64:
      return fill<double>(tensor, [] { return 1.0; });
    case DType::f16:
      return fill<std::uint16_t>(tensor, [] { return kHalfOne; });
    case DType::bf16:
      return fill<std::uint16_t>(tensor, [] { return kBfloatOne; });
    default:
      break;
  }
  // Little endian integers: the lowest byte of each is 1.
  auto* bytes = static_cast<std::uint8_t*>(tensor.data());
  for (std::size_t i = 0; i < tensor.byte_count(); i += size_of(tensor.dtype())) bytes[i] = 1;
}

Tensor random_input(const PortInfo& port, const Shape& shape) {
  Tensor tensor;
  try {
    tensor = Tensor::zeros(port.dtype, shape);
  } catch (const Error& error) {  // its size does not fit 64 bits, or there is no such memory
    throw Error(error.code(), error.message(), "input '" + port.name + "'", error.hint());
  }
  Random random(port.name);
  if (port.name.find("mask") != std::string::npos) {
    fill_ones(tensor);
  } else if (port.name.find("token_type") == std::string::npos) {
    const bool limited = port.index_limit > 0;
    fill_random(tensor, random, limited ? static_cast<std::uint64_t>(port.index_limit) : kDigits, !limited);
  }
  return tensor;
}

}  // namespace

std::vector<Tensor> random_inputs(const std::vector<PortInfo>& ports, const std::vector<Shape>& shapes) {
  std::vector<Tensor> out;
  for (std::size_t i = 0; i < ports.size(); ++i) out.push_back(random_input(ports[i], shapes[i]));
  return out;
}

std::vector<Tensor> random_inputs(const Model& model, const std::vector<Shape>& shapes) {
  model.make_context().prepare(shapes);
  return random_inputs(model.inputs(), shapes);
}

}  // namespace intaglio::cli
