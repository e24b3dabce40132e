// The candidate "onednn.linear": refusals and packing. Running is in linear_op.cc.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/alloc.h"
#include "vendor/onednn/linear_op.h"
#include "vendor/onednn/onednn.h"
#include "vendor/onednn/team.h"

namespace intaglio::vendor::onednn {

using ops::Blob;
using ops::Constant;
using ops::LinearDescriptor;

namespace {

std::string shape_text(const Constant& c) {
  return fmt::format("{} {}", name_of(c.dtype), intaglio::to_string(c.shape));
}

Result<Blob> copy_blob(std::string_view layout, const void* data, std::size_t bytes) {
  INTAGLIO_TRY(Buffer buffer, Buffer::allocate(std::max<std::size_t>(bytes, 1)));
  if (bytes != 0) std::memcpy(buffer.data(), data, bytes);
  auto owner = std::make_shared<Buffer>(std::move(buffer));
  const std::byte* start = owner->data();
  return Blob{std::string(layout), start, bytes, std::move(owner)};
}

// One or `count` elements of T, as `count` of them.
template <class T>
Result<std::vector<T>> values_of(const Constant& c, std::string_view what, DType dtype, std::int64_t count) {
  INTAGLIO_TRY(const std::int64_t elements, element_count(c.shape));
  if (c.data == nullptr || c.dtype != dtype || (elements != count && elements != 1) ||
      c.bytes != static_cast<std::size_t>(elements) * sizeof(T)) {
    return fail(ErrorCode::internal, fmt::format("linear: {} is {}, expected {} with 1 or {} elements", what,
                                                 shape_text(c), name_of(dtype), count));
  }
  std::vector<T> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::memcpy(&out[i], c.data + (elements == 1 ? 0 : i) * sizeof(T), sizeof(T));
  }
  return out;
}

// The zero point of the packed weights, 128 less for u8.
Result<std::int32_t> packed_zero(const LinearDescriptor& d, const Constant& constant) {
  const std::int32_t shift = d.weight == DType::u8 ? 128 : 0;
  if (!d.weight_zero) return -shift;
  INTAGLIO_TRY(const auto raw, values_of<std::uint8_t>(constant, "weight_zero", d.weight, d.n));
  for (const std::uint8_t zero : raw) {
    if (zero != raw[0]) {
      return fail(ErrorCode::unsupported, "linear: oneDNN's kernels take one zero point for all columns of the weight");
    }
  }
  return (d.weight == DType::u8 ? static_cast<std::int32_t>(raw[0]) : static_cast<std::int8_t>(raw[0])) - shift;
}

// The weight as a file has it: checked, aligned, u8 turned into i8 by taking 128 away. A float weight that is to be
// narrowed may come as f32.
Result<Buffer> plain_weight(const LinearDescriptor& d, const Constant& weight) {
  const Shape shape = d.weight_nk ? Shape{d.n, d.k} : Shape{d.k, d.n};
  const bool narrowed = (d.weight == DType::bf16 || d.weight == DType::f16) && weight.dtype == DType::f32;
  INTAGLIO_TRY(const std::size_t expected, byte_count(shape, weight.dtype));
  if ((weight.dtype != d.weight && !narrowed) || weight.shape != shape || weight.bytes != expected ||
      weight.data == nullptr) {
    return fail(ErrorCode::internal, fmt::format("linear: the weight is {}, expected {} {}", shape_text(weight),
                                                 name_of(d.weight), intaglio::to_string(shape)));
  }
  INTAGLIO_TRY(Buffer plain, Buffer::allocate(expected));
  std::memcpy(plain.data(), weight.data, expected);
  if (d.weight == DType::u8) {
    for (std::size_t i = 0; i < expected; ++i) plain.data()[i] ^= std::byte{0x80};
  }
  return plain;
}

Result<Blob> pack_weight(const LinearDescriptor& d, const Constant& weight, bool weight_zero) {
  INTAGLIO_TRY(const Buffer plain, plain_weight(d, weight));
  const dnnl::memory::desc packed =
      make_matmul({.d = d, .weight_zero = weight_zero, .m = kPackingRows}, std::nullopt).primitive.weights_desc();
  using Tag = dnnl::memory::format_tag;
  const auto type = d.weight == DType::u8 ? dnnl::memory::data_type::s8 : to_dnnl(weight.dtype);
  const dnnl::memory::desc source({d.k, d.n}, type, d.weight_nk ? Tag::ba : Tag::ab);
  const std::size_t bytes = packed.get_size();
  INTAGLIO_TRY(Buffer buffer, Buffer::allocate_zeroed(bytes));
  dnnl::memory from(source, engine(), plain.data());
  dnnl::memory to(packed, engine(), buffer.data());
  const dnnl::reorder reorder(from, to);
  const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from.get()}, {DNNL_ARG_TO, to.get()}};
  const dnnl_status_t status = dnnl_primitive_execute(reorder.get(), caller_of_this_thread().stream(), 2, arguments);
  dnnl::error::wrap_c_api(status, "could not reorder the weight");
  ops::count_pack(bytes);
  auto owner = std::make_shared<Buffer>(std::move(buffer));
  const std::byte* start = owner->data();
  return Blob{weight_layout(packed), start, bytes, std::move(owner)};
}

class LinearCandidate final : public ops::Candidate {
 public:
  std::string_view name() const override { return "onednn.linear"; }
  std::string_view family() const override { return "linear"; }

  std::optional<std::string> refuses(const ops::Descriptor& descriptor, const ops::Target& target) const override {
    const auto* d = dynamic_cast<const LinearDescriptor*>(&descriptor);
    if (d == nullptr) return "not a linear";
    if (const Status status = d->validate(); !status) return status.error().message;
    const auto host = ops::host_target();
    if (!host) return host.error().to_string();
    if (host->isa.bits != target.isa.bits) {
      return "oneDNN runs on the instruction sets of this machine, as INTAGLIO_MAX_ISA caps them";
    }
    // A zero point given with the weight may turn out to be 0; pack() sees it.
    return refuse_matmul(*d, d->weight == DType::u8 && !d->weight_zero);
  }

  Result<std::vector<Blob>> pack(const ops::Descriptor& descriptor, std::span<const Constant> constants,
                                 const ops::Target&) const override {
    const auto& d = static_cast<const LinearDescriptor&>(descriptor);
    INTAGLIO_CHECK(d.validate());
    const auto constant = [&](std::size_t i) { return i < constants.size() ? constants[i] : Constant{}; };
    return guarded("packing", [&]() -> Result<std::vector<Blob>> {
      std::vector<Blob> blobs;
      std::int32_t zero = 0;
      if (d.weight_zero || d.weight == DType::u8) {
        INTAGLIO_TRY(zero, packed_zero(d, constant(1)));
      }
      if (const auto why = refuse_matmul(d, zero != 0)) return fail(ErrorCode::unsupported, "linear: " + *why);
      INTAGLIO_TRY(blobs.emplace_back(), pack_weight(d, constant(0), zero != 0));
      if (zero != 0) {
        INTAGLIO_TRY(blobs.emplace_back(), copy_blob(kBlobWeightZero, &zero, sizeof(zero)));
      }
      const auto add_floats = [&](const char* layout, std::size_t index, std::string_view what) -> Status {
        INTAGLIO_TRY(const auto values, values_of<float>(constant(index), what, DType::f32, d.n));
        INTAGLIO_TRY(blobs.emplace_back(), copy_blob(layout, values.data(), values.size() * sizeof(float)));
        return {};
      };
      if (d.weight_scale) INTAGLIO_CHECK(add_floats(kBlobWeightScale, 2, "weight_scale"));
      if (d.bias) INTAGLIO_CHECK(add_floats(kBlobBias, 3, "bias"));
      return blobs;
    });
  }

  Result<std::unique_ptr<ops::PreparedOp>> prepare(const ops::Descriptor& descriptor, std::vector<Blob> blobs,
                                                   const ops::Target&) const override {
    return prepare_linear(static_cast<const LinearDescriptor&>(descriptor), std::move(blobs));
  }
};

}  // namespace

std::span<const ops::Candidate* const> candidates() {
  static const LinearCandidate linear;
  static const ops::Candidate* const all[] = {&linear};
  return all;
}

}  // namespace intaglio::vendor::onednn
