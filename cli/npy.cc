#include "cli/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "cli/atomic_write.h"
#include "cli/zip_reader.h"
#include "cli/zip_writer.h"

namespace intaglio::cli {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeader = 65536;

[[noreturn]] void bad(const std::string& path, std::string why) {
  throw Error(ErrorCode::file, std::move(why), path, "write it with numpy.save(path, numpy.ascontiguousarray(array))");
}

// NumPy's type codes; bf16 has none.
struct TypeCode {
  DType dtype;
  std::string_view code;
};
constexpr TypeCode kCodes[] = {
    {DType::f32, "f4"}, {DType::f64, "f8"},     {DType::f16, "f2"},  {DType::i8, "i1"},  {DType::u8, "u1"},
    {DType::i16, "i2"}, {DType::u16, "u2"},     {DType::i32, "i4"},  {DType::u32, "u4"}, {DType::i64, "i8"},
    {DType::u64, "u8"}, {DType::boolean, "b1"}, {DType::bf16, "u2"},
};

DType parse_descr(const std::string& path, const std::string& descr) {
  if (descr.size() < 3) bad(path, "its dtype '" + descr + "' is not a plain element type");
  if (descr[0] == '>' && descr.substr(2) != "1") bad(path, "the array is big endian");
  for (const TypeCode& row : kCodes) {
    if (descr.substr(1) == row.code) return row.dtype;
  }
  bad(path, "its dtype '" + descr + "' is not supported");
}

// The value after 'key': in the header's Python dict, up to `end`.
std::string field(const std::string& path, const std::string& header, std::string_view key, char begin, char end) {
  const auto at = header.find("'" + std::string(key) + "'");
  const auto colon = at == std::string::npos ? at : header.find(':', at);
  const auto first = colon == std::string::npos ? colon : header.find(begin, colon);
  const auto last = first == std::string::npos ? first : header.find(end, first + 1);
  if (last == std::string::npos) bad(path, "the header has no '" + std::string(key) + "'");
  return header.substr(first + 1, last - first - 1);
}

Shape parse_shape_tuple(const std::string& path, const std::string& text) {
  Shape shape;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    if (word.find_first_not_of(' ') == std::string::npos) continue;
    std::size_t used = 0;
    try {
      shape.push_back(std::stoll(word, &used));
    } catch (const std::exception&) {
      bad(path, "the header's shape is not a tuple of integers");
    }
    if (shape.back() < 0 || word.find_first_not_of(' ', used) != std::string::npos)
      bad(path, "the header's shape is illegal");
  }
  return shape;
}

std::string read_header(const std::string& path, std::istream& in) {
  char start[8] = {};
  in.read(start, sizeof start);
  if (in.gcount() != sizeof start || std::string_view(start, kMagic.size()) != kMagic)
    bad(path, "this is not a .npy file");
  const int version = start[6];
  if (version != 1 && version != 2) bad(path, fmt::format("version {} of the .npy format is not supported", version));
  std::uint32_t length = 0;
  in.read(reinterpret_cast<char*>(&length), version == 1 ? 2 : 4);
  if (!in || length > kMaxHeader) bad(path, "the file ends inside its header, or the header is too long");
  std::string header(length, ' ');
  in.read(header.data(), length);
  if (!in) bad(path, "the file ends inside its header");
  return header;
}

std::string shape_tuple(const Shape& shape) {
  std::string text = "(";
  for (std::int64_t dim : shape) text += std::to_string(dim) + ",";
  if (shape.size() > 1) text.pop_back();
  return text + ")";
}

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

namespace {

Tensor read_array(const std::string& path, std::istream& in) {
  const std::string header = read_header(path, in);
  const DType dtype = parse_descr(path, field(path, header, "descr", '\'', '\''));
  const std::string order = field(path, header, "fortran_order", ' ', ',');
  const Shape shape = parse_shape_tuple(path, field(path, header, "shape", '(', ')'));
  if (order.find("False") == std::string::npos && shape.size() > 1) bad(path, "the array is in Fortran order");
  // The size is checked against the file before anything is allocated.
  const auto start = in.tellg();
  in.seekg(0, std::ios::end);
  const auto left = static_cast<std::uint64_t>(in.tellg() - start);
  in.seekg(start);
  const bool empty = std::ranges::find(shape, 0) != shape.end();
  std::uint64_t bytes = size_of(dtype);
  for (std::int64_t dim : shape) {
    if (!empty && bytes > left / static_cast<std::uint64_t>(dim)) bad(path, "the file is shorter than its shape needs");
    bytes *= empty ? 1 : static_cast<std::uint64_t>(dim);
  }
  Tensor tensor = Tensor::zeros(dtype, shape);
  in.read(static_cast<char*>(tensor.data()), static_cast<std::streamsize>(tensor.byte_count()));
  if (static_cast<std::size_t>(in.gcount()) != tensor.byte_count()) bad(path, "the file ends inside its data");
  if (dtype == DType::boolean) {
    auto* flags = static_cast<std::uint8_t*>(tensor.data());
    for (std::size_t i = 0; i < tensor.byte_count(); ++i) flags[i] = flags[i] != 0 ? 1 : 0;  // as NumPy reads them
  }
  return tensor;
}

}  // namespace

Tensor read_npy(const std::string& path) {
  std::error_code ignored;
  std::ifstream in(path, std::ios::binary);
  if (!in || std::filesystem::is_directory(path, ignored))
    throw Error(ErrorCode::file, "the file cannot be opened", path);
  return read_array(path, in);
}

std::vector<NamedTensor> read_npz(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(ErrorCode::file, "the file cannot be opened", path);
  std::vector<NamedTensor> out;
  for (ZipMember& member : read_zip(path, {std::istreambuf_iterator<char>(in), {}})) {
    std::istringstream bytes(std::move(member.bytes));
    const std::string name =
        ends_with(member.name, ".npy") ? member.name.substr(0, member.name.size() - 4) : member.name;
    out.push_back({name, read_array(path, bytes)});
  }
  return out;
}

std::string npy_bytes(const Tensor& tensor) {
  std::string_view code;
  for (const TypeCode& row : kCodes) {
    if (row.dtype == tensor.dtype()) code = row.code;
  }
  const bool narrow = size_of(tensor.dtype()) == 1;
  std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': {}, }}", narrow ? '|' : '<',
                                   code, shape_tuple(tensor.shape()));
  // Magic, version and length take 10 bytes; data starts at a multiple of 64.
  const std::size_t padded = (10 + header.size() + 1 + 63) / 64 * 64;
  header.resize(padded - 11, ' ');
  header += '\n';
  std::string out(kMagic);
  out += '\x01';
  out += '\0';
  out += static_cast<char>(header.size() & 0xff);
  out += static_cast<char>(header.size() >> 8);
  out += header;
  if (tensor.byte_count() != 0) out.append(static_cast<const char*>(tensor.data()), tensor.byte_count());
  return out;
}

void write_outputs(const std::string& path, const std::vector<NamedTensor>& tensors) {
  if (ends_with(path, ".npy")) {
    if (tensors.size() != 1) {
      throw Error(ErrorCode::usage, fmt::format("the model has {} outputs and a .npy file holds one", tensors.size()),
                  "--output " + path, "use a name that ends in .npz");
    }
    return atomic_write(path, {npy_bytes(tensors[0].tensor)});
  }
  if (!ends_with(path, ".npz")) throw Error(ErrorCode::usage, "the name must end in .npz or .npy", "--output " + path);
  ZipWriter zip;
  for (const NamedTensor& named : tensors) zip.add(named.name + ".npy", npy_bytes(named.tensor));
  atomic_write(path, std::move(zip).finish());
}

}  // namespace intaglio::cli
