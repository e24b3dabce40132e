// Constants in the text form.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "ir/text_internal.h"

namespace intaglio::ir {

namespace {

template <class T>
bool parse_whole(std::string_view text, T& value) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

template <class T>
void store(T value, std::byte* out) {
  std::memcpy(out, &value, sizeof(T));
}

template <class T>
bool parse_integer(std::string_view text, std::byte* out) {
  T value = 0;  // from_chars checks the range of T
  if (!parse_whole(text, value)) return false;
  store(value, out);
  return true;
}

bool parse_boolean(std::string_view text, std::byte* out) {
  if (text != "true" && text != "false" && text != "1" && text != "0") return false;
  store<std::uint8_t>(text == "true" || text == "1" ? 1 : 0, out);
  return true;
}

bool parse_float(DType dtype, std::string_view text, std::byte* out) {
  if (dtype == DType::f64) {
    double value = 0;
    if (!parse_whole(text, value)) return false;
    store(value, out);
    return true;
  }
  float value = 0;
  if (!parse_whole(text, value)) return false;
  if (dtype == DType::f32) store(value, out);
  if (dtype == DType::f16) store(to_float16(value).bits, out);
  if (dtype == DType::bf16) store(to_bfloat16(value).bits, out);
  return true;
}

// Reads back to the same bits? A NaN does not always.
bool text_is_exact(const Tensor& tensor, std::int64_t index) {
  std::byte bytes[8];
  const std::size_t size = size_of(tensor.dtype);
  return parse_element(tensor.dtype, element_text(tensor, index), bytes) &&
         std::memcmp(bytes, tensor.data + static_cast<std::size_t>(index) * size, size) == 0;
}

bool all_equal(const Tensor& tensor) {
  const std::size_t size = size_of(tensor.dtype);
  for (std::size_t at = size; at < tensor.bytes; at += size) {
    if (std::memcmp(tensor.data, tensor.data + at, size) != 0) return false;
  }
  return true;
}

std::string list_text(const Tensor& tensor) {
  std::string out = "[";
  for (std::int64_t i = 0; i < tensor.element_count(); ++i) {
    if (!text_is_exact(tensor, i)) return {};
    out += (i == 0 ? "" : ", ") + element_text(tensor, i);
  }
  return out + "]";
}

std::string hex_text(const Tensor& tensor) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "hex \"";
  out.reserve(out.size() + 2 * tensor.bytes + 1);
  for (std::size_t i = 0; i < tensor.bytes; ++i) {
    const auto byte = std::to_integer<unsigned>(tensor.data[i]);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out + '"';
}

// splitmix64
std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// The sum of twelve uniform numbers has variance 1 and is bell-shaped; unlike Box-Muller it needs no libm.
double random_bell(std::uint64_t& state) {
  std::uint64_t sum = 0;
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t bits = next_random(state);
    for (int lane = 0; lane < 4; ++lane) sum += (bits >> (16 * lane)) & 0xffff;
  }
  return (static_cast<double>(sum) + 6.0) / 65536.0 - 6.0;
}

}  // namespace

std::string element_text(const Tensor& tensor, std::int64_t index) {
  switch (tensor.dtype) {
    case DType::f32:
      return fmt::format("{}", tensor.load<float>(index));
    case DType::f64:
      return fmt::format("{}", tensor.load<double>(index));
    case DType::f16:
    case DType::bf16:
      return fmt::format("{}", static_cast<float>(tensor.as_double(index)));
    case DType::u64:
      return fmt::format("{}", tensor.load<std::uint64_t>(index));
    case DType::boolean:
      return tensor.as_int(index) != 0 ? "true" : "false";
    default:
      return fmt::format("{}", tensor.as_int(index));
  }
}

bool parse_element(DType dtype, std::string_view text, std::byte* out) {
  switch (dtype) {
    case DType::f32:
    case DType::f64:
    case DType::f16:
    case DType::bf16:
      return parse_float(dtype, text, out);
    case DType::i8:
      return parse_integer<std::int8_t>(text, out);
    case DType::u8:
      return parse_integer<std::uint8_t>(text, out);
    case DType::i16:
      return parse_integer<std::int16_t>(text, out);
    case DType::u16:
      return parse_integer<std::uint16_t>(text, out);
    case DType::i32:
      return parse_integer<std::int32_t>(text, out);
    case DType::u32:
      return parse_integer<std::uint32_t>(text, out);
    case DType::i64:
      return parse_integer<std::int64_t>(text, out);
    case DType::u64:
      return parse_integer<std::uint64_t>(text, out);
    case DType::boolean:
      return parse_boolean(text, out);
  }
  return false;
}

std::string constant_text(const Tensor& tensor, bool full) {
  const auto count = static_cast<std::size_t>(tensor.element_count());
  if (count <= kMaxListedElements) {
    if (std::string list = list_text(tensor); !list.empty()) return list;
    return hex_text(tensor);
  }
  if (tensor.bytes <= kMaxGeneratedBytes && all_equal(tensor) && text_is_exact(tensor, 0)) {
    return "splat " + element_text(tensor, 0);
  }
  return full ? hex_text(tensor) : "elided";
}

Result<Tensor> random_tensor(DType dtype, const Shape& shape, std::uint64_t seed) {
  std::byte* out = nullptr;
  INTAGLIO_TRY(Tensor tensor, Tensor::allocate(dtype, shape, &out));
  std::uint64_t state = seed;
  for (std::int64_t i = 0; i < tensor.element_count(); ++i, out += size_of(dtype)) {
    if (is_floating(dtype)) {
      const double value = 0.05 * random_bell(state);
      const auto narrow = static_cast<float>(value);
      if (dtype == DType::f64) store(value, out);
      if (dtype == DType::f32) store(narrow, out);
      if (dtype == DType::f16) store(to_float16(narrow).bits, out);
      if (dtype == DType::bf16) store(to_bfloat16(narrow).bits, out);
      continue;
    }
    const bool byte = dtype == DType::i8 || dtype == DType::u8;
    const std::uint64_t value = (next_random(state) >> 32) & (byte ? 255 : dtype == DType::boolean ? 1 : 15);
    std::memcpy(out, &value, size_of(dtype));  // little endian
  }
  return tensor;
}

}  // namespace intaglio::ir
