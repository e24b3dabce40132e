#include "ir/tensor.h"

#include <array>

#include "base/half.h"

namespace intaglio::ir {

std::int64_t Tensor::element_count() const {
  return static_cast<std::int64_t>(bytes / size_of(dtype));
}

double Tensor::as_double(std::int64_t index) const {
  switch (dtype) {
    case DType::f32:
      return load<float>(index);
    case DType::f64:
      return load<double>(index);
    case DType::f16:
      return to_float(load<Float16>(index));
    case DType::bf16:
      return to_float(load<BFloat16>(index));
    case DType::u64:
      return static_cast<double>(load<std::uint64_t>(index));
    default:
      return static_cast<double>(as_int(index));
  }
}

std::int64_t Tensor::as_int(std::int64_t index) const {
  switch (dtype) {
    case DType::i8:
      return load<std::int8_t>(index);
    case DType::u8:
      return load<std::uint8_t>(index);
    case DType::i16:
      return load<std::int16_t>(index);
    case DType::u16:
      return load<std::uint16_t>(index);
    case DType::i32:
      return load<std::int32_t>(index);
    case DType::u32:
      return load<std::uint32_t>(index);
    case DType::i64:
      return load<std::int64_t>(index);
    case DType::u64:
      return static_cast<std::int64_t>(load<std::uint64_t>(index));
    case DType::boolean:
      return load<std::uint8_t>(index) != 0;
    default:
      break;
  }
  const double value = as_double(index);  // floating point: as a cast does
  if (value != value) return 0;
  if (value >= 0x1p63) return INT64_MAX;
  if (value < -0x1p63) return INT64_MIN;
  return static_cast<std::int64_t>(value);
}

Result<Tensor> Tensor::allocate(DType dtype, Shape shape, std::byte** writable) {
  INTAGLIO_TRY(const std::size_t bytes, byte_count(shape, dtype));
  INTAGLIO_TRY(Buffer buffer, Buffer::allocate(bytes));
  auto owner = std::make_shared<Buffer>(std::move(buffer));
  Tensor tensor{dtype, std::move(shape), owner, owner->data(), bytes};
  *writable = owner->data();
  return tensor;
}

Result<Tensor> Tensor::copy_of(DType dtype, Shape shape, std::span<const std::byte> source) {
  std::byte* out = nullptr;
  INTAGLIO_TRY(Tensor tensor, allocate(dtype, std::move(shape), &out));
  if (tensor.bytes != source.size()) {
    return fail(ErrorCode::internal,
                std::to_string(source.size()) + " bytes do not make a tensor of shape " + to_string(tensor.shape));
  }
  if (!source.empty()) std::memcpy(out, source.data(), source.size());
  return tensor;
}

namespace {

template <class T>
Tensor small_scalar(T value) {
  auto owner = std::make_shared<T>(value);
  return Tensor{kDTypeOf<T>, {}, owner, reinterpret_cast<const std::byte*>(owner.get()), sizeof(T)};
}

}  // namespace

Tensor Tensor::scalar_f32(float value) {
  return small_scalar(value);
}
Tensor Tensor::scalar_i64(std::int64_t value) {
  return small_scalar(value);
}

Result<Tensor> Tensor::vector_i64(std::span<const std::int64_t> values) {
  return copy_of(DType::i64, {static_cast<std::int64_t>(values.size())}, std::as_bytes(values));
}

}  // namespace intaglio::ir
