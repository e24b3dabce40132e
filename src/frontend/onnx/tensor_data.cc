#include "frontend/onnx/tensor_data.h"

#include <charconv>
#include <cstring>

#include <protozero/pbf_reader.hpp>

#include "base/shape.h"
#include "frontend/onnx/wire.h"

namespace intaglio::frontend::onnx {
namespace {

// Field numbers of TensorProto that hold typed elements.
enum class DataField : std::uint32_t {
  none = 0,
  float_data = 4,
  int32_data = 5,
  int64_data = 7,
  double_data = 10,
  uint64_data = 11,
};

struct TypeRow {
  std::int32_t code;
  std::string_view name;
  std::optional<DType> dtype;
  DataField field;
};

constexpr TypeRow kTypes[] = {
#define INTAGLIO_ONNX_TYPE(code, name, dtype, field) {code, name, dtype, DataField::field},
#include "frontend/onnx/data_types.inc"
#undef INTAGLIO_ONNX_TYPE
};

const TypeRow* find_type(std::int32_t code) {
  for (const TypeRow& row : kTypes) {
    if (row.code == code) return &row;
  }
  return nullptr;
}

std::string label(const TensorProto& proto) {
  return "tensor '" + std::string(proto.name) + "'";
}

// Writes elements of `size` bytes one after another and refuses more than there is room for.
class ElementWriter {
 public:
  ElementWriter(std::byte* out, std::size_t bytes, std::size_t size) : out_(out), left_(bytes), size_(size) {}

  void put(std::uint64_t bits) {  // the low `size` bytes (little endian)
    if (left_ < size_) {
      overflow_ = true;
      return;
    }
    std::memcpy(out_, &bits, size_);
    out_ += size_;
    left_ -= size_;
  }
  void put_bytes(std::string_view packed) {
    if (packed.size() > left_) {
      overflow_ = true;
      return;
    }
    std::memcpy(out_, packed.data(), packed.size());
    out_ += packed.size();
    left_ -= packed.size();
  }
  bool exact() const { return !overflow_ && left_ == 0; }

 private:
  std::byte* out_;
  std::size_t left_;
  std::size_t size_;
  bool overflow_ = false;
};

// Both spellings of a repeated number: packed (length-delimited) and one field per element.
void decode(std::string_view body, DataField field, ElementWriter& out) {
  protozero::pbf_reader in(body.data(), body.size());
  const auto number = static_cast<std::uint32_t>(field);
  const bool is_fixed32 = field == DataField::float_data, is_fixed64 = field == DataField::double_data;
  while (in.next()) {
    const std::uint32_t tag = in.tag_and_type();
    if (tag == length(number) && (is_fixed32 || is_fixed64)) {
      const auto view = in.get_view();
      out.put_bytes({view.data(), view.size()});
    } else if (tag == length(number)) {
      for (const std::uint64_t value : in.get_packed_uint64()) out.put(value);
    } else if (tag == varint(number) && !is_fixed32 && !is_fixed64) {
      out.put(in.get_uint64());
    } else if (tag == fixed32(number) && is_fixed32) {
      out.put(in.get_fixed32());
    } else if (tag == fixed64(number) && is_fixed64) {
      out.put(in.get_fixed64());
    } else {
      in.skip();
    }
  }
}

Result<ir::Tensor> load_typed(const TensorProto& proto, ir::Tensor tensor, DataField field) {
  const auto count = tensor.bytes / size_of(tensor.dtype);
  const auto mismatch = [&] {
    return fail(ErrorCode::file, "the data does not have the " + std::to_string(count) + " elements of shape " +
                                     to_string(tensor.shape));
  };
  // Every element takes at least one byte in the file: nothing large is allocated for a small file.
  if (count > proto.body.size()) return mismatch();
  std::byte* bytes = nullptr;
  INTAGLIO_TRY(ir::Tensor out, ir::Tensor::allocate(tensor.dtype, tensor.shape, &bytes));
  ElementWriter writer(bytes, out.bytes, size_of(out.dtype));
  try {
    decode(proto.body, field, writer);
  } catch (const protozero::exception& error) {
    return fail(ErrorCode::file, std::string("malformed tensor data (") + error.what() + ")");
  }
  if (!writer.exact()) return mismatch();
  return out;
}

// The IR promises 0 or 1 in every bool; files may hold other bytes for true.
Result<ir::Tensor> normalise_bools(ir::Tensor tensor) {
  if (tensor.dtype != DType::boolean) return tensor;
  bool clean = true;
  for (std::size_t i = 0; i < tensor.bytes && clean; ++i) clean = static_cast<unsigned>(tensor.data[i]) <= 1;
  if (clean) return tensor;
  std::byte* out = nullptr;
  INTAGLIO_TRY(ir::Tensor copy, ir::Tensor::allocate(tensor.dtype, tensor.shape, &out));
  for (std::size_t i = 0; i < tensor.bytes; ++i) out[i] = std::byte{tensor.data[i] != std::byte{0}};
  return copy;
}

Result<std::uint64_t> parse_count(std::string_view text, std::string_view what) {
  std::uint64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || status != std::errc{} || end != text.data() + text.size()) {
    return fail(ErrorCode::file,
                "external data: " + std::string(what) + " is not a number: '" + std::string(text.substr(0, 40)) + "'");
  }
  return value;
}

}  // namespace

std::string type_name(std::int32_t data_type) {
  const TypeRow* row = find_type(data_type);
  return row != nullptr ? std::string(row->name) : "type " + std::to_string(data_type);
}

Result<DType> dtype_of(std::int32_t data_type) {
  const TypeRow* row = find_type(data_type);
  if (row == nullptr || !row->dtype) {
    return fail(ErrorCode::unsupported, "tensors of " + type_name(data_type) + " are not supported");
  }
  return *row->dtype;
}

Result<ir::Tensor> TensorStore::load(const TensorProto& proto) {
  const auto dtype = dtype_of(proto.data_type);
  if (!dtype) return fail(Error(dtype.error()).at(label(proto)));
  ir::Tensor tensor;
  tensor.dtype = *dtype;
  tensor.shape = proto.dims;
  const auto bytes = byte_count(tensor.shape, *dtype);
  if (!bytes) return fail(ErrorCode::file, bytes.error().message, label(proto));
  tensor.bytes = *bytes;
  if (proto.is_segment)
    return fail(ErrorCode::unsupported, "tensors stored in segments are not supported", label(proto));
  Result<ir::Tensor> loaded = proto.is_external ? load_external(proto, std::move(tensor))
                              : proto.raw_data
                                  ? load_raw(proto, std::move(tensor))
                                  : load_typed(proto, std::move(tensor), find_type(proto.data_type)->field);
  if (!loaded) return fail(std::move(loaded).error().within(label(proto)));
  return normalise_bools(std::move(*loaded));
}

std::vector<std::shared_ptr<const MappedFile>> TensorStore::files() const {
  std::vector<std::shared_ptr<const MappedFile>> all{model_};
  for (const auto& [location, file] : external_) all.push_back(file);
  return all;
}

Result<ir::Tensor> TensorStore::load_raw(const TensorProto& proto, ir::Tensor tensor) {
  if (proto.raw_data->size() != tensor.bytes) {
    return fail(ErrorCode::file, "raw data of " + std::to_string(proto.raw_data->size()) + " bytes, but shape " +
                                     to_string(tensor.shape) + " needs " + std::to_string(tensor.bytes));
  }
  tensor.owner = model_;
  tensor.data = reinterpret_cast<const std::byte*>(proto.raw_data->data());
  return tensor;
}

Result<ir::Tensor> TensorStore::load_external(const TensorProto& proto, ir::Tensor tensor) {
  std::string_view location;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> size;
  for (const StringEntry& entry : proto.external_data) {
    if (entry.key == "location") {
      location = entry.value;
    } else if (entry.key == "offset") {
      INTAGLIO_TRY(offset, parse_count(entry.value, "offset"));
    } else if (entry.key == "length") {
      INTAGLIO_TRY(size, parse_count(entry.value, "length"));
    }
  }
  if (size && *size != tensor.bytes) {
    return fail(ErrorCode::file, "external data of " + std::to_string(*size) + " bytes, but shape " +
                                     to_string(tensor.shape) + " needs " + std::to_string(tensor.bytes));
  }
  auto mapped = external_.find(location);
  if (mapped == external_.end()) {
    const auto directory = model_->path().parent_path();
    INTAGLIO_TRY(const auto path, resolve_inside(directory.empty() ? "." : directory, location));
    INTAGLIO_TRY(auto file, MappedFile::open(path));
    mapped = external_.emplace(std::string(location), std::move(file)).first;
  }
  INTAGLIO_TRY(const auto bytes, mapped->second->range(offset, tensor.bytes, "external data"));
  tensor.owner = mapped->second;
  tensor.data = bytes.data();
  return tensor;
}

}  // namespace intaglio::frontend::onnx
