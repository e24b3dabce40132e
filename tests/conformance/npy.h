// Reads the .npy files of the corpus: version 1, C order, little endian.
#pragma once

#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/shape.h"
#include "ir/tensor.h"

namespace intaglio::conformance {

// `dtype` is the element type that the corpus declares (bf16 is stored as two opaque bytes); only its size is checked.
inline Result<ir::Tensor> read_npy(const std::filesystem::path& path, DType dtype) {
  INTAGLIO_TRY(auto file, MappedFile::open(path));
  const std::string_view text = file->text();
  const auto broken = [&] { return fail(ErrorCode::file, "not a .npy file of version 1", path.string()); };
  if (text.size() < 10 || !text.starts_with("\x93NUMPY\x01")) return broken();
  const std::size_t header_size = static_cast<unsigned char>(text[8]) + 256u * static_cast<unsigned char>(text[9]);
  if (text.size() < 10 + header_size) return broken();
  const std::string_view header = text.substr(10, header_size);
  const std::size_t open = header.find("'shape': ("), close = header.find(')');
  if (open == std::string_view::npos || close == std::string_view::npos ||
      header.find("'fortran_order': False") == std::string_view::npos) {
    return broken();
  }
  ir::Tensor tensor;
  tensor.dtype = dtype;
  for (const char *at = header.data() + open + 10, *end = header.data() + close; at < end;) {
    std::int64_t value = 0;
    const auto [next, status] = std::from_chars(at, end, value);
    if (status == std::errc{}) tensor.shape.push_back(value);
    at = status == std::errc{} ? next : at + 1;
  }
  INTAGLIO_TRY(tensor.bytes, byte_count(tensor.shape, dtype));
  if (text.size() - 10 - header_size != tensor.bytes) return broken();
  tensor.data = reinterpret_cast<const std::byte*>(text.data()) + 10 + header_size;
  tensor.owner = std::move(file);
  return tensor;
}

}  // namespace intaglio::conformance
