// Templates of ir/tensor.h.
#pragma once

#include <cstring>

namespace intaglio::ir {

template <class T>
T Tensor::load(std::int64_t index) const {
  T value;
  std::memcpy(&value, data + static_cast<std::size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

template <class T>
Result<Tensor> Tensor::from(Shape shape, const std::vector<T>& values) {
  std::byte* out = nullptr;
  INTAGLIO_TRY(Tensor tensor, allocate(kDTypeOf<T>, std::move(shape), &out));
  if (tensor.bytes != values.size() * sizeof(T)) {
    return fail(ErrorCode::internal, "the number of values does not match the shape " + to_string(tensor.shape));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const T value = values[i];  // vector<bool> has no data()
    std::memcpy(out + i * sizeof(T), &value, sizeof(T));
  }
  return tensor;
}

}  // namespace intaglio::ir
