#include "frontend/pt2/archive.h"

#include <cstring>
#include <utility>
#include <vector>

namespace intaglio::frontend::pt2 {
namespace {

constexpr std::string_view kSaveAgain = "save the model again with torch.export.save of PyTorch 2.13";
constexpr std::string_view kUnwrap =
    "call ep.run_decompositions({}) before torch.export.save, or torchao.utils.unwrap_tensor_subclass(model) before "
    "torch.export.export";
// A broadcast tensor (stride 0) may claim far more bytes than it stores; what it may grow to is limited.
constexpr std::size_t kMaterialisedFloor = std::size_t{64} << 20;
constexpr std::size_t kMaterialisedFactor = 4;

tl::unexpected<Error> another_format(std::string what, std::string_view hint) {
  return fail(ErrorCode::unsupported, std::move(what), {}, std::string(hint));
}

// Zip archives of torch that are something else.
Status recognise(const ZipArchive& zip, const std::string& root) {
  const auto has = [&](std::string_view name) {
    return zip.find(root + "/" + std::string(name)) != nullptr || zip.find(name) != nullptr;
  };
  if (has("serialized_exported_program.json"))
    return another_format("the archive was written by an older torch.export.save", kSaveAgain);
  if (has("constants.pkl")) {
    return another_format("this is a TorchScript archive",
                          "export the model with torch.export.export and torch.export.save instead");
  }
  if (has("data.pkl")) {
    return another_format("this is a torch.save pickle, which is never read",
                          "export the model with torch.export.export and torch.export.save");
  }
  if (has("data/weights/model.pt") || has("data/constants/model.pt")) {
    return another_format("the archive keeps its weights as a pickle, as older versions of torch.export.save did",
                          kSaveAgain);
  }
  return {};
}

std::string text_of(const ZipEntry* entry) {
  if (entry == nullptr || entry->bytes.size() > 64) return {};
  std::string text(reinterpret_cast<const char*>(entry->bytes.data()), entry->bytes.size());
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

// The one model of the archive, or the one called "model".
Result<std::string> choose_model(const ZipArchive& zip, const std::string& root) {
  const std::string prefix = root + "/models/";
  std::vector<std::string> models;
  for (const ZipEntry& entry : zip.entries()) {
    if (!entry.name.starts_with(prefix) || !entry.name.ends_with(".json")) continue;
    models.emplace_back(entry.name.substr(prefix.size(), entry.name.size() - prefix.size() - 5));
  }
  if (models.empty())
    return fail(ErrorCode::file, "the archive holds no models/*.json: it is not written by torch.export.save");
  std::string names;
  for (const std::string& model : models) {
    if (models.size() == 1 || model == "model") return model;
    names += (names.empty() ? "" : ", ") + model;
  }
  return fail(ErrorCode::unsupported, "the archive holds several models (" + names + ") and none is called 'model'", {},
              "save them in files of their own");
}

Result<std::vector<std::int64_t>> constants_of(const std::vector<SizeExpr>& sizes, std::string_view what) {
  std::vector<std::int64_t> values;
  for (const SizeExpr& size : sizes) {
    if (!size.expr.empty()) return fail(ErrorCode::file, "a stored tensor has symbolic " + std::string(what));
    if (size.value < 0) return fail(ErrorCode::file, "a stored tensor has negative " + std::string(what));
    values.push_back(size.value);
  }
  return values;
}

bool is_row_major(const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& strides) {
  const std::vector<std::int64_t> dense = row_major_strides(sizes);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] > 1 && strides[i] != dense[i]) return false;
  }
  return true;
}

// The index of the last element that the strides reach, checked.
std::optional<std::int64_t> last_element(std::int64_t offset, const std::vector<std::int64_t>& sizes,
                                         const std::vector<std::int64_t>& strides) {
  std::optional<std::int64_t> last = offset;
  for (std::size_t i = 0; i < sizes.size() && last; ++i) {
    const auto step = checked_mul(sizes[i] - 1, strides[i]);
    last = step ? checked_add(*last, *step) : std::nullopt;
  }
  return last;
}

// Copies a strided tensor into row-major order: odometer over all but the last axis.
void copy_strided(const std::byte* from, std::byte* to, const std::vector<std::int64_t>& sizes,
                  const std::vector<std::int64_t>& strides, std::int64_t count, std::size_t element) {
  std::vector<std::int64_t> index(sizes.size(), 0);
  std::int64_t source = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    std::memcpy(to + static_cast<std::size_t>(i) * element, from + static_cast<std::size_t>(source) * element, element);
    for (std::size_t axis = sizes.size(); axis-- > 0;) {
      source += strides[axis];
      if (++index[axis] < sizes[axis]) break;
      source -= strides[axis] * sizes[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace

Result<ir::Tensor> tensor_of_record(std::span<const std::byte> record, const TensorMeta& meta,
                                    std::shared_ptr<const void> owner) {
  const auto dtype = dtype_of_code(meta.dtype);
  if (!dtype) return fail(ErrorCode::unsupported, "weights of dtype " + dtype_name(meta.dtype) + " are not supported");
  if (meta.layout != 7)
    return fail(ErrorCode::unsupported, "weights that are not strided (sparse layouts) are not supported");
  INTAGLIO_TRY(const auto sizes, constants_of(meta.sizes, "sizes"));
  INTAGLIO_TRY(const auto strides, constants_of(meta.strides, "strides"));
  INTAGLIO_TRY(const auto offsets, constants_of({meta.offset}, "offset"));
  if (strides.size() != sizes.size())
    return fail(ErrorCode::file, "a stored tensor has " + std::to_string(sizes.size()) + " sizes and " +
                                     std::to_string(strides.size()) + " strides");
  INTAGLIO_TRY(const std::int64_t count, element_count(sizes));
  INTAGLIO_TRY(const std::size_t bytes, byte_count(sizes, *dtype));
  const std::size_t element = size_of(*dtype);
  ir::Tensor tensor{.dtype = *dtype, .shape = sizes, .owner = std::move(owner), .data = record.data(), .bytes = bytes};
  if (count == 0) return tensor;
  const auto last = last_element(offsets[0], sizes, strides);
  if (!last || static_cast<std::uint64_t>(*last) >= record.size() / element) {
    return fail(ErrorCode::file, "a tensor " + to_string(sizes) + " of " + std::string(name_of(*dtype)) +
                                     " reaches outside its record of " + std::to_string(record.size()) + " bytes");
  }
  const std::byte* first = record.data() + static_cast<std::size_t>(offsets[0]) * element;
  if (is_row_major(sizes, strides)) {
    tensor.data = first;
    return tensor;
  }
  if (bytes > kMaterialisedFloor && bytes / kMaterialisedFactor > record.size()) {
    return fail(ErrorCode::file, "a tensor " + to_string(sizes) + " would grow from " + std::to_string(record.size()) +
                                     " stored bytes to " + std::to_string(bytes));
  }
  std::byte* out = nullptr;
  INTAGLIO_TRY(ir::Tensor copy, ir::Tensor::allocate(*dtype, sizes, &out));
  copy_strided(first, out, sizes, strides, count, element);
  return copy;
}

Result<Archive> Archive::open(std::shared_ptr<const void> owner, std::span<const std::byte> bytes,
                              const ImportOptions& options) {
  Archive archive;
  archive.owner_ = std::move(owner);
  INTAGLIO_TRY(archive.zip_, ZipArchive::parse(bytes));
  archive.root_ = std::string(archive.zip_.root());
  const std::string& root = archive.root_;
  INTAGLIO_CHECK(recognise(archive.zip_, root));
  if (const std::string order = text_of(archive.zip_.find(root + "/byteorder")); !order.empty() && order != "little") {
    return fail(ErrorCode::unsupported, "the archive's byte order is '" + order + "', only little endian is read");
  }
  if (const std::string format = text_of(archive.zip_.find(root + "/archive_format"));
      !format.empty() && format != "pt2") {
    return fail(ErrorCode::unsupported, "the archive's format is '" + format + "', not 'pt2'", {},
                std::string(kSaveAgain));
  }
  INTAGLIO_TRY(archive.model_, choose_model(archive.zip_, root));
  const ZipEntry* json = archive.zip_.find(root + "/models/" + archive.model_ + ".json");
  INTAGLIO_TRY(archive.program_, parse_program(json->bytes, options));
  const auto config = [&](std::string_view kind) -> Result<PayloadConfig> {
    const std::string name =
        root + "/data/" + std::string(kind) + "/" + archive.model_ + "_" + std::string(kind) + "_config.json";
    const ZipEntry* entry = archive.zip_.find(name);
    if (entry == nullptr) return PayloadConfig{};  // whatever is missed is reported by the tensor that needs it
    return parse_config(entry->bytes, name);
  };
  INTAGLIO_TRY(archive.weights_, config("weights"));
  INTAGLIO_TRY(archive.constants_, config("constants"));
  return archive;
}

Result<const PayloadMeta*> Archive::payload(const InputSpec& spec) const {
  const bool weight =
      spec.kind == InputSpec::Kind::parameter || (spec.kind == InputSpec::Kind::buffer && spec.persistent);
  const PayloadConfig& config = weight ? weights_ : constants_;
  const auto it = config.entries.find(spec.target);
  if (it == config.entries.end()) {
    return fail(ErrorCode::file, "the archive's " + std::string(weight ? "weights" : "constants") + " hold no '" +
                                     std::string(spec.target) + "'");
  }
  return &it->second;
}

Result<ir::Tensor> Archive::tensor(const InputSpec& spec) const {
  INTAGLIO_TRY(const PayloadMeta* meta, payload(spec));
  const bool weight =
      spec.kind == InputSpec::Kind::parameter || (spec.kind == InputSpec::Kind::buffer && spec.persistent);
  auto tensor = read_tensor(*meta, weight ? "weights" : "constants");
  if (!tensor) return fail(std::move(tensor).error().within("'" + std::string(spec.target) + "'"));
  return tensor;
}

Result<ir::Tensor> Archive::read_tensor(const PayloadMeta& meta, std::string_view folder) const {
  if (meta.pickled) {
    return fail(ErrorCode::unsupported,
                "the tensor is stored as a Python pickle (a tensor subclass), which is never read", {},
                std::string(kUnwrap));
  }
  if (meta.path.starts_with("custom_obj_") || meta.path.starts_with("opaque_obj_")) {
    return fail(ErrorCode::unsupported, "custom objects in an archive are not supported");
  }
  const std::string path = root_ + "/data/" + std::string(folder) + "/" + std::string(meta.path);
  const ZipEntry* entry = zip_.find(path);
  if (entry == nullptr) return fail(ErrorCode::file, "the archive has no entry '" + path + "'");
  return tensor_of_record(entry->bytes, meta.tensor, owner_);
}

}  // namespace intaglio::frontend::pt2
