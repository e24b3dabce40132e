// Values that the whole API speaks of: element types, errors, tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if defined(_WIN32)
#define INTAGLIO_API
#else
#define INTAGLIO_API __attribute__((visibility("default")))
#endif

namespace intaglio {
inline namespace v1 {

// Element types. f16 and bf16 are 16-bit storage formats; boolean is one byte, 0 or 1.
enum class DType : std::uint8_t { f32, f64, f16, bf16, i8, u8, i16, u16, i32, u32, i64, u64, boolean };
// Bytes of one element.
INTAGLIO_API std::size_t size_of(DType dtype);
// "f32", "i64", "bool", ...
INTAGLIO_API std::string_view name_of(DType dtype);
INTAGLIO_API std::optional<DType> parse_dtype(std::string_view name);

// The DType of a C++ type; f16 and bf16 have none and travel as std::uint16_t through Tensor::bytes().
template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, double>)
    return DType::f64;
  else if constexpr (std::is_same_v<T, std::int8_t>)
    return DType::i8;
  else if constexpr (std::is_same_v<T, std::uint8_t>)
    return DType::u8;
  else if constexpr (std::is_same_v<T, std::int16_t>)
    return DType::i16;
  else if constexpr (std::is_same_v<T, std::uint16_t>)
    return DType::u16;
  else if constexpr (std::is_same_v<T, std::int32_t>)
    return DType::i32;
  else if constexpr (std::is_same_v<T, std::uint32_t>)
    return DType::u32;
  else if constexpr (std::is_same_v<T, std::int64_t>)
    return DType::i64;
  else if constexpr (std::is_same_v<T, std::uint64_t>)
    return DType::u64;
  else {
    static_assert(std::is_same_v<T, bool>, "this type is not an element type");
    return DType::boolean;
  }
}

// Who must act when something fails. The tool's exit codes are the numbers.
enum class ErrorCode : std::uint8_t {
  internal = 1,     // a bug of this library, worth reporting
  usage = 2,        // a wrong name, shape, dtype, rank, option or environment variable; data out of range
  file = 3,         // missing, truncated, corrupted, of another version, outside its directory; a full disk
  unsupported = 4,  // ops or dtypes that cannot be run, a dim outside its declared range, too little memory
  requirement = 5,  // something that was required did not hold
};

// What failed, where, why, and what to do about it. Thrown by the functions that say so, returned by the try_ forms.
class INTAGLIO_API Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message, std::string origin = {}, std::string hint = {});
  ErrorCode code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }  // the cause, one sentence
  const std::string& origin() const noexcept { return origin_; }    // file, node, input or variable; may be empty
  const std::string& hint() const noexcept { return hint_; }        // may be empty
  // "origin: message (hint: ...)"
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  ErrorCode code_;
  std::string message_, origin_, hint_, what_;
};

// A T or an Error.
template <class T>
class Expected {
 public:
  Expected(T value) : content_(std::move(value)) {}      // NOLINT: converts by design
  Expected(Error error) : content_(std::move(error)) {}  // NOLINT
  explicit operator bool() const noexcept { return content_.index() == 0; }
  // Precondition of value(): holds one, else throws the Error.
  T& value() & {
    require();
    return std::get<0>(content_);
  }
  T&& value() && {
    require();
    return std::move(std::get<0>(content_));
  }
  T* operator->() { return &value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const Error& error() const { return std::get<1>(content_); }

 private:
  void require() const {
    if (content_.index() != 0) throw std::get<1>(content_);
  }
  std::variant<T, Error> content_;
};

using Shape = std::vector<std::int64_t>;

// A dense row-major tensor. Either owns its memory (64-byte aligned) or refers to memory of the caller (view), which
// must then outlive it. Copies share the memory. Not synchronised.
class INTAGLIO_API Tensor {
 public:
  Tensor() = default;
  // Zero-filled. Throws Error (usage) for negative dims or a size that overflows, Error
  // (unsupported) when there is no memory for it.
  static Tensor zeros(DType dtype, Shape shape);
  // Refers to `data`, which must hold the shape's elements, aligned to the element size.
  static Tensor view(DType dtype, Shape shape, void* data);
  template <class T>
  static Tensor of(Shape shape, std::span<const T> values) {
    Tensor out = zeros(dtype_of<T>(), std::move(shape));
    out.copy_from(values.data(), values.size_bytes());
    return out;
  }

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t element_count() const;
  std::size_t byte_count() const { return bytes_; }
  void* data() const { return data_; }
  // The elements as T. Throws Error (usage) if T is not the dtype's type.
  template <class T>
  std::span<T> values() const {
    check_type(dtype_of<std::remove_const_t<T>>());
    return {static_cast<T*>(data_), bytes_ / sizeof(T)};
  }

 private:
  void check_type(DType wanted) const;
  void copy_from(const void* source, std::size_t bytes);
  DType dtype_ = DType::f32;
  Shape shape_;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::shared_ptr<void> owner_;
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

}  // namespace v1
}  // namespace intaglio
