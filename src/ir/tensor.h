// Constant tensors: weights and small literals. The bytes may lie in a mapped model file, so they may be unaligned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/alloc.h"
#include "base/dtype.h"
#include "base/error.h"
#include "base/shape.h"

namespace intaglio::ir {

using intaglio::to_string;

// A dense row-major tensor whose bytes somebody else keeps alive (`owner`: a MappedFile, a Buffer, a vector). Cheap to
// copy, immutable, safe to share between threads. Data is little endian and possibly unaligned: read elements with
// memcpy (load<T>) or ask for aligned_copy().
struct Tensor {
  DType dtype = DType::f32;
  Shape shape;
  std::shared_ptr<const void> owner;
  const std::byte* data = nullptr;
  std::size_t bytes = 0;

  std::int64_t element_count() const;  // bytes / size_of(dtype)
  template <class T>
  T load(std::int64_t index) const;  // element at a flat index; T must be the C++ type of dtype
  // Any dtype as double / int64 (integers exactly in int64; u64 above int64 wraps).
  double as_double(std::int64_t index) const;
  std::int64_t as_int(std::int64_t index) const;

  // Own copies. Errors: size overflow, out of memory.
  static Result<Tensor> allocate(DType dtype, Shape shape, std::byte** writable);
  static Result<Tensor> copy_of(DType dtype, Shape shape, std::span<const std::byte> bytes);
  template <class T>
  static Result<Tensor> from(Shape shape, const std::vector<T>& values);
  static Tensor scalar_f32(float value);
  static Tensor scalar_i64(std::int64_t value);
  static Result<Tensor> vector_i64(std::span<const std::int64_t> values);
};

}  // namespace intaglio::ir

#include "ir/tensor_inl.h"
