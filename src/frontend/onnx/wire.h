// A thin layer over protozero::pbf_reader for parsing ONNX: it remembers where it is, so that an error can name the
// byte offset, and it counts what it makes, so that a small file cannot ask for unbounded memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <protozero/pbf_reader.hpp>

#include "frontend/frontend.h"

namespace intaglio::frontend::onnx {

// Thrown inside the parser only; parse_model turns it into an Error.
struct WireError {
  std::string message;
};

// What all nested readers of one file share.
struct WireContext {
  const char* begin = nullptr;
  const char* position = nullptr;  // where the field being read starts
  const ImportOptions* options = nullptr;
  std::int64_t nodes = 0;
  std::int64_t messages = 0;

  std::size_t offset() const { return static_cast<std::size_t>(position - begin); }
  void count_node() {
    if (++nodes > options->max_nodes) throw WireError{"more than " + std::to_string(options->max_nodes) + " nodes"};
  }
  // Any other message that costs memory.
  void count_message() {
    if (++messages / 8 > options->max_nodes) throw WireError{"too many attributes, tensors or types"};
  }
};

class WireReader {
 public:
  WireReader(std::string_view bytes, WireContext& context, int depth)
      : reader_(bytes.data(), bytes.size()), context_(&context), depth_(depth) {
    if (depth > context.options->max_nesting) {
      throw WireError{"nested deeper than " + std::to_string(context.options->max_nesting)};
    }
  }

  bool next() {
    context_->position = reader_.data().data();
    return reader_.next();
  }
  // Field number and wire type in one value, for switch; see field() and the suffixes below.
  std::uint32_t tag() const { return reader_.tag_and_type(); }
  void skip() { reader_.skip(); }

  std::int64_t integer() { return reader_.get_int64(); }
  float float32() { return reader_.get_float(); }
  std::string_view bytes() {
    const auto view = reader_.get_view();
    return {view.data(), view.size()};
  }
  std::string_view text() {
    const std::string_view view = bytes();
    if (view.size() > context_->options->max_string)
      throw WireError{"a string of " + std::to_string(view.size()) + " bytes"};
    return view;
  }
  // A nested message.
  WireReader message() { return {bytes(), *context_, depth_ + 1}; }

  // Repeated numbers, one element or a packed run of them.
  void append_integer(std::vector<std::int64_t>& out) { out.push_back(integer()); }
  void append_packed_integers(std::vector<std::int64_t>& out) {
    for (const std::int64_t value : reader_.get_packed_int64()) out.push_back(value);
  }
  void append_packed_floats(std::vector<float>& out) {
    for (const float value : reader_.get_packed_float()) out.push_back(value);
  }

  WireContext& context() { return *context_; }

 private:
  protozero::pbf_reader reader_;
  WireContext* context_;
  int depth_;
};

// Tags for switch: field number with the wire type it must have. A field of another wire type is skipped as unknown.
constexpr std::uint32_t varint(std::uint32_t field) {
  return field << 3;
}
constexpr std::uint32_t fixed64(std::uint32_t field) {
  return (field << 3) | 1;
}
constexpr std::uint32_t length(std::uint32_t field) {
  return (field << 3) | 2;
}
constexpr std::uint32_t fixed32(std::uint32_t field) {
  return (field << 3) | 5;
}

}  // namespace intaglio::frontend::onnx
