// Arrays that NumPy wrote (.npy, .npz), as tensors: inputs and expected outputs of model tests.
#pragma once

#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"
#include "frontend/pt2/zip.h"
#include "ir/tensor.h"

namespace intaglio::testing {

inline Result<ir::Tensor> parse_npy(std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < 12 || text.substr(1, 5) != "NUMPY") return fail(ErrorCode::file, "no .npy file");
  const bool wide = text[6] >= 2;
  std::uint32_t length = 0;
  std::memcpy(&length, text.data() + 8, wide ? 4 : 2);
  const std::size_t start = (wide ? 12 : 10) + length;
  const std::string_view header = text.substr(wide ? 12 : 10, length);
  const std::map<std::string_view, DType> types{{"<f4", DType::f32},    {"<f8", DType::f64}, {"<i8", DType::i64},
                                                {"<i4", DType::i32},    {"|i1", DType::i8},  {"|u1", DType::u8},
                                                {"|b1", DType::boolean}};
  const std::size_t descr = header.find("'descr': '") + 10;
  const auto type = types.find(header.substr(descr, 3));
  if (type == types.end() || header.find("'fortran_order': False") == header.npos)
    return fail(ErrorCode::file, "an .npy file of another kind");
  Shape shape;
  std::size_t at = header.find("'shape': (") + 10;
  while (at < header.size() && header[at] != ')') {
    char* end = nullptr;
    const std::int64_t value = std::strtoll(header.data() + at, &end, 10);
    if (end == header.data() + at) {
      ++at;
    } else {
      shape.push_back(value);
      at = static_cast<std::size_t>(end - header.data());
    }
  }
  INTAGLIO_TRY(const std::size_t size, byte_count(shape, type->second));
  if (start + size != bytes.size()) return fail(ErrorCode::file, "an .npy file of another size than its header says");
  return ir::Tensor{
      .dtype = type->second, .shape = shape, .owner = std::move(owner), .data = bytes.data() + start, .bytes = size};
}

inline Result<ir::Tensor> load_npy(const std::filesystem::path& path) {
  INTAGLIO_TRY(const std::shared_ptr<const MappedFile> file, MappedFile::open(path));
  return parse_npy(file->bytes(), file);
}

// By name, without ".npy".
inline Result<std::map<std::string, ir::Tensor>> load_npz(const std::filesystem::path& path) {
  INTAGLIO_TRY(const std::shared_ptr<const MappedFile> file, MappedFile::open(path));
  INTAGLIO_TRY(const auto zip, frontend::pt2::ZipArchive::parse(file->bytes()));
  std::map<std::string, ir::Tensor> tensors;
  for (const auto& entry : zip.entries()) {
    INTAGLIO_TRY(ir::Tensor tensor, parse_npy(entry.bytes, file));
    tensors.emplace(std::string(entry.name.substr(0, entry.name.rfind('.'))), std::move(tensor));
  }
  return tensors;
}

}  // namespace intaglio::testing
