// The primitive encoding of plan files: little-endian fixed-width integers, length-prefixed strings and lists. Writer
// and Reader have the same io() overloads, so one template describes the format for both directions (format.cc).
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "ops/descriptor.h"

namespace intaglio::plan {

class Writer {
 public:
  static constexpr bool kReading = false;
  template <class T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void io(T& value) {
    const auto* bytes = reinterpret_cast<const char*>(&value);
    out_.append(bytes, sizeof(T));
  }
  void io(std::string& value) {
    auto size = static_cast<std::uint64_t>(value.size());
    io(size);
    out_ += value;
  }
  bool ok() const { return true; }
  void reject(std::string_view) {}
  const std::string& bytes() const { return out_; }

 private:
  std::string out_;
};

// Sticky failure: after the first problem every read yields zeros and empty lists; the caller checks status() at the
// end.
class Reader {
 public:
  static constexpr bool kReading = true;
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void io(T& value) {
    value = T{};
    if (!take(sizeof(T))) return;
    std::memcpy(&value, bytes_.data() + position_ - sizeof(T), sizeof(T));
  }
  void io(bool& value) {
    std::uint8_t raw = 0;
    io(raw);
    value = raw != 0;
  }
  void io(std::string& value) {
    value.clear();
    std::uint64_t size = 0;
    io(size);
    if (size > remaining()) return reject("a string is longer than the file");
    if (!take(static_cast<std::size_t>(size))) return;
    value.assign(reinterpret_cast<const char*>(bytes_.data() + position_ - size), static_cast<std::size_t>(size));
  }
  // A count of records of at least `smallest` bytes each; rejected when the file cannot hold them.
  std::size_t count(std::size_t smallest) {
    std::uint64_t value = 0;
    io(value);
    if (value > remaining() / smallest) {
      reject("a list is longer than the file");
      return 0;
    }
    return static_cast<std::size_t>(value);
  }
  bool ok() const { return problem_.empty(); }
  void reject(std::string_view why) {
    if (problem_.empty()) {
      problem_ = why;
      where_ = position_;
    }
  }
  std::size_t remaining() const { return bytes_.size() - position_; }
  Status status() const {
    if (ok()) return {};
    return fail(ErrorCode::file, problem_, "offset " + std::to_string(where_) + " of the plan's structure");
  }

 private:
  bool take(std::size_t size) {
    if (!ok()) return false;
    if (size > remaining()) {
      reject("the structure ends too early");
      return false;
    }
    position_ += size;
    return true;
  }
  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
  std::size_t where_ = 0;
  std::string problem_;
};

// Descriptors through either archive.
template <class Archive>
class ArchiveVisitor final : public ops::FieldVisitor {
 public:
  explicit ArchiveVisitor(Archive& archive) : archive_(archive) {}
  void field(std::string_view, std::int64_t& value) override { archive_.io(value); }
  void field(std::string_view, double& value) override { archive_.io(value); }
  void field(std::string_view, bool& value) override { archive_.io(value); }
  void field(std::string_view, std::string& value) override { archive_.io(value); }
  void field(std::string_view name, DType& value) override {
    archive_.io(value);
    if (static_cast<int>(value) >= kDTypeCount) {
      reject(name);
      value = DType::f32;
    }
  }
  void field(std::string_view, std::vector<std::int64_t>& value) override {
    auto size = static_cast<std::uint64_t>(value.size());
    if constexpr (Archive::kReading)
      size = archive_.count(sizeof(std::int64_t));
    else
      archive_.io(size);
    value.resize(static_cast<std::size_t>(size));
    for (std::int64_t& item : value) archive_.io(item);
  }
  void reject(std::string_view name) override { archive_.reject("illegal value of '" + std::string(name) + "'"); }

 private:
  Archive& archive_;
};

}  // namespace intaglio::plan
