#include "frontend/frontend.h"

#include "base/file.h"

namespace intaglio::frontend {
namespace {

// A .pt2 is a zip archive; everything else is taken for ONNX, whose reader says what is wrong with it.
Result<bool> is_zip(const std::filesystem::path& path) {
  INTAGLIO_TRY(const auto file, MappedFile::open(path));
  return file->text().starts_with("PK\x03\x04");
}

template <class Call>
auto with_extension_hint(const std::filesystem::path& path, bool zip, Call call) {
  auto result = call();
  if (!result && result.error().code == ErrorCode::file && !zip && path.extension() == ".pt2") {
    Error error = std::move(result).error();
    error.hint =
        "the name ends in .pt2 but the file is not a zip archive: it is truncated, or not written by torch.export.save";
    result = fail(std::move(error));
  }
  return result;
}

}  // namespace

Result<ir::Graph> import_model(const std::filesystem::path& path, const ImportOptions& options) {
  INTAGLIO_TRY(const bool zip, is_zip(path));
  return with_extension_hint(path, zip, [&] { return zip ? pt2::import(path, options) : onnx::import(path, options); });
}

Result<std::string> format_of(const std::filesystem::path& path) {
  INTAGLIO_TRY(const bool zip, is_zip(path));
  return std::string(zip ? "pt2" : "onnx");
}

Result<ModelSummary> summarise_model(const std::filesystem::path& path, const ImportOptions& options) {
  INTAGLIO_TRY(const bool zip, is_zip(path));
  return with_extension_hint(path, zip,
                             [&] { return zip ? pt2::summarise(path, options) : onnx::summarise(path, options); });
}

}  // namespace intaglio::frontend
