// The parts of an ONNX file that an import needs, as views into the mapped file. The wire format is read through
// protozero; names follow onnx.proto. Documentation strings, metadata and value_info are skipped while reading.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "frontend/frontend.h"

namespace intaglio::frontend::onnx {

struct GraphProto;

struct StringEntry {
  std::string_view key, value;
};

struct TensorProto {
  std::string_view name;
  std::vector<std::int64_t> dims;
  std::int32_t data_type = 0;
  std::optional<std::string_view> raw_data;
  bool is_external = false;
  bool is_segment = false;
  std::vector<StringEntry> external_data;
  std::string_view body;  // the whole message: typed data fields are decoded from it on demand
};

// Values of AttributeProto.type.
enum class AttributeType : std::int32_t {
  undefined = 0,
  f = 1,
  i = 2,
  s = 3,
  t = 4,
  g = 5,
  floats = 6,
  ints = 7,
  strings = 8,
  tensors = 9,
  graphs = 10,
  sparse_tensor = 11,
  sparse_tensors = 12,
  type_proto = 13,
  type_protos = 14,
};

struct AttributeProto {
  std::string_view name;
  std::string_view ref_attr_name;  // inside functions: takes the value of the call's attribute
  AttributeType type = AttributeType::undefined;
  float f = 0;
  std::int64_t i = 0;
  std::string_view s;
  std::vector<float> floats;
  std::vector<std::int64_t> ints;
  std::vector<std::string_view> strings;
  std::shared_ptr<const TensorProto> t;
  std::vector<std::shared_ptr<const GraphProto>> graphs;  // g alone, or graphs
};

struct NodeProto {
  std::string_view name, op_type, domain, overload;
  std::vector<std::string_view> inputs, outputs;  // "" is an absent optional one
  std::vector<AttributeProto> attributes;
};

struct DimProto {
  std::optional<std::int64_t> value;
  std::string_view param;
};

enum class TypeKind : std::uint8_t { none, tensor, sequence, map, optional, sparse_tensor, opaque };

struct ValueInfoProto {
  std::string_view name;
  TypeKind kind = TypeKind::none;
  std::int32_t elem_type = 0;
  bool has_shape = false;
  std::vector<DimProto> dims;
};

struct OpsetImport {
  std::string_view domain;
  std::int64_t version = 0;
};

struct GraphProto {
  std::string_view name;
  std::vector<NodeProto> nodes;
  std::vector<TensorProto> initializers;
  std::vector<ValueInfoProto> inputs, outputs;
  bool has_sparse_initializers = false;
};

struct FunctionProto {
  std::string_view name, domain, overload;
  std::vector<std::string_view> inputs, outputs;
  std::vector<std::string_view> attributes;      // without default
  std::vector<AttributeProto> attribute_protos;  // with default
  std::vector<NodeProto> nodes;
  std::vector<OpsetImport> opset_imports;
};

struct ModelProto {
  std::int64_t ir_version = 0;
  std::string_view producer_name, producer_version;
  std::vector<OpsetImport> opset_imports;
  std::optional<GraphProto> graph;
  std::vector<FunctionProto> functions;
};

// Reads the whole structure (weights are only pointed at). The views live as long as `file`. Errors (file): whatever is
// not a well-formed model, with the file's name and the byte offset; limits of `options` exceeded.
Result<ModelProto> parse_model(const MappedFile& file, const ImportOptions& options);

}  // namespace intaglio::frontend::onnx
