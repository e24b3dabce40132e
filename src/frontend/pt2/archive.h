// A .pt2 archive opened: which model it holds, its program and its tensors. Tensors are handed out lazily as views into
// the mapping; only non-contiguous ones are copied.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "frontend/frontend.h"
#include "frontend/pt2/program.h"
#include "frontend/pt2/zip.h"
#include "ir/tensor.h"

namespace intaglio::frontend::pt2 {

class Archive {
 public:
  // `owner` keeps `bytes` alive; every tensor holds it. Errors: file (no archive, corrupted, missing parts),
  // unsupported (another archive format or schema version: the hint says how to save it again).
  static Result<Archive> open(std::shared_ptr<const void> owner, std::span<const std::byte> bytes,
                              const ImportOptions& options);

  const Program& program() const { return program_; }
  std::string_view model_name() const { return model_; }

  // The row of a parameter, buffer or constant. Error (file): there is none.
  Result<const PayloadMeta*> payload(const InputSpec& spec) const;
  // Its tensor. Errors: file (sizes, strides and offset reach outside the record), unsupported (pickled tensors, dtypes
  // that we do not have, sparse layouts).
  Result<ir::Tensor> tensor(const InputSpec& spec) const;

 private:
  Result<ir::Tensor> read_tensor(const PayloadMeta& meta, std::string_view folder) const;

  std::shared_ptr<const void> owner_;
  ZipArchive zip_;
  std::string model_, root_;
  Program program_;
  PayloadConfig weights_, constants_;
};

// A dense tensor from a stored record, described by sizes, strides and an offset in elements; a view into `record` when
// it is contiguous. Errors as Archive::tensor. For tests.
Result<ir::Tensor> tensor_of_record(std::span<const std::byte> record, const TensorMeta& meta,
                                    std::shared_ptr<const void> owner);

}  // namespace intaglio::frontend::pt2
