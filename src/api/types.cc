#include "api/rooms.h"

#include <cstring>

namespace intaglio {
inline namespace v1 {

std::size_t size_of(v1::DType dtype) {
  return internal::room_size_of(internal::to_room(dtype));
}

std::string_view name_of(v1::DType dtype) {
  return internal::room_name_of(internal::to_room(dtype));
}

std::optional<v1::DType> parse_dtype(std::string_view name) {
  for (int i = 0; i < internal::kRoomDTypeCount; ++i) {
    if (v1::name_of(static_cast<v1::DType>(i)) == name) return static_cast<v1::DType>(i);
  }
  return std::nullopt;
}

Error::Error(v1::ErrorCode code, std::string message, std::string origin, std::string hint)
    : code_(code), message_(std::move(message)), origin_(std::move(origin)), hint_(std::move(hint)) {
  what_ = origin_.empty() ? message_ : origin_ + ": " + message_;
  if (!hint_.empty()) what_ += " (hint: " + hint_ + ")";
}

Tensor Tensor::zeros(v1::DType dtype, v1::Shape shape) {
  Tensor out;
  out.bytes_ = internal::unwrap(internal::room_byte_count(shape, internal::to_room(dtype)));
  auto owner = std::make_shared<Buffer>(internal::unwrap(Buffer::allocate_zeroed(out.bytes_)));
  out.dtype_ = dtype;
  out.shape_ = std::move(shape);
  out.data_ = owner->data();
  out.owner_ = std::move(owner);
  return out;
}

Tensor Tensor::view(v1::DType dtype, v1::Shape shape, void* data) {
  Tensor out;
  out.bytes_ = internal::unwrap(internal::room_byte_count(shape, internal::to_room(dtype)));
  out.dtype_ = dtype;
  out.shape_ = std::move(shape);
  out.data_ = data;
  return out;
}

std::int64_t Tensor::element_count() const {
  return static_cast<std::int64_t>(bytes_ / v1::size_of(dtype_));
}

void Tensor::check_type(v1::DType wanted) const {
  if (wanted == dtype_) return;
  throw v1::Error(v1::ErrorCode::usage,
                  "the tensor holds " + std::string(v1::name_of(dtype_)) + ", not " + std::string(v1::name_of(wanted)));
}

void Tensor::copy_from(const void* source, std::size_t bytes) {
  if (bytes != bytes_) {
    throw v1::Error(v1::ErrorCode::usage, "the number of values does not match the shape " +
                                              intaglio::to_string(std::span<const std::int64_t>(shape_)));
  }
  if (bytes != 0) std::memcpy(data_, source, bytes);
}

}  // namespace v1
}  // namespace intaglio
