// Contents of TensorProto as ir::Tensor: mapped where the file holds raw bytes, decoded where it holds typed fields.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/dtype.h"
#include "base/file.h"
#include "frontend/onnx/proto.h"
#include "ir/tensor.h"

namespace intaglio::frontend::onnx {

// "float16", or "type 99" for a code that is not known.
std::string type_name(std::int32_t data_type);
// Error (unsupported): types that have no DType, by name.
Result<DType> dtype_of(std::int32_t data_type);

// Owns the mappings of the model file and of its external data; tensors share them.
class TensorStore {
 public:
  explicit TensorStore(std::shared_ptr<const MappedFile> model) : model_(std::move(model)) {}

  // Bytes in the model or an external file are pointed at (unaligned as they lie), typed fields are decoded. Errors:
  // unsupported (dtype), file (a size that does not match the dims, external data that is missing, outside the model's
  // directory or out of range), each with the tensor's name as origin.
  Result<ir::Tensor> load(const TensorProto& proto);

  const MappedFile& model() const { return *model_; }
  std::vector<std::shared_ptr<const MappedFile>> files() const;  // all that were mapped so far

 private:
  Result<ir::Tensor> load_raw(const TensorProto& proto, ir::Tensor tensor);
  Result<ir::Tensor> load_external(const TensorProto& proto, ir::Tensor tensor);

  std::shared_ptr<const MappedFile> model_;
  std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> external_;  // by location
};

}  // namespace intaglio::frontend::onnx
