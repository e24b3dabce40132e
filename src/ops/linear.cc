// The candidate of the linear family, and the packing of its constants. Running is in linear_op.cc.
#include "ops/linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/alloc.h"
#include "kernels/gemm/pack.h"
#include "ops/families.h"
#include "ops/linear_loops.h"
#include "ops/linear_op.h"

namespace intaglio::ops {

namespace gemm = kernels::gemm;

namespace {

std::string shape_text(const Constant& c) {
  return fmt::format("{} {}", name_of(c.dtype), intaglio::to_string(c.shape));
}

// The elements of a constant as an aligned array of `count` elements of T: its own bytes, or a copy of them.
template <class T>
Result<std::vector<T>> values_of(const Constant& c, std::string_view what, DType dtype, std::int64_t count) {
  INTAGLIO_TRY(const std::int64_t elements, element_count(c.shape));
  if ((c.data == nullptr && elements != 0) || c.dtype != dtype || (elements != count && elements != 1) ||
      c.bytes != static_cast<std::size_t>(elements) * sizeof(T)) {
    return fail(ErrorCode::internal, fmt::format("linear: {} is {}, expected {} with 1 or {} elements", what,
                                                 shape_text(c), name_of(dtype), count));
  }
  std::vector<T> out(static_cast<std::size_t>(count));
  if (elements == count) {
    if (count != 0) std::memcpy(out.data(), c.data, c.bytes);
  } else {
    T value;
    std::memcpy(&value, c.data, sizeof(T));
    std::fill(out.begin(), out.end(), value);
  }
  return out;
}

// Scales of weights: a NaN or an infinity would make every output of its columns one, so it is refused here, by name.
Result<std::vector<float>> scales_of(const Constant& c, std::int64_t count) {
  INTAGLIO_TRY(std::vector<float> scales, values_of<float>(c, "weight_scale", DType::f32, count));
  const auto bad = std::find_if(scales.begin(), scales.end(), [](float s) { return !std::isfinite(s); });
  if (bad == scales.end()) return scales;
  return fail(ErrorCode::unsupported, fmt::format("linear: weight_scale[{}] is {}", bad - scales.begin(), *bad), {},
              "scales must be finite; the model's quantisation is broken");
}

Result<Buffer> new_blob(std::size_t bytes) {
  return Buffer::allocate(std::max<std::size_t>(bytes, 1));
}

Blob to_blob(std::string_view layout, Buffer buffer, std::size_t bytes) {
  auto owner = std::make_shared<Buffer>(std::move(buffer));
  const std::byte* data = owner->data();
  return Blob{std::string(layout), data, bytes, std::move(owner)};
}

template <class T>
Result<Blob> vector_blob(std::string_view layout, const std::vector<T>& values) {
  INTAGLIO_TRY(Buffer buffer, new_blob(values.size() * sizeof(T)));
  if (!values.empty()) std::memcpy(buffer.data(), values.data(), values.size() * sizeof(T));
  return to_blob(layout, std::move(buffer), values.size() * sizeof(T));
}

// The types in which the weight may come, and its shape.
Status check_weight(const LinearDescriptor& d, const Constant& weight) {
  const std::int64_t k = d.weight_bits == 4 ? (d.k + 1) / 2 : d.k;
  const Shape shape = d.weight_nk ? Shape{d.n, k} : Shape{k, d.n};
  const bool narrowed = (d.weight == DType::bf16 || d.weight == DType::f16) && weight.dtype == DType::f32;
  INTAGLIO_TRY(const std::size_t expected, byte_count(shape, weight.dtype));
  if ((weight.dtype == d.weight || narrowed) && weight.shape == shape && weight.bytes == expected &&
      (weight.data != nullptr || expected == 0)) {
    return {};
  }
  return fail(ErrorCode::internal, fmt::format("linear: the weight is {}, expected {} {}", shape_text(weight),
                                               name_of(d.weight), intaglio::to_string(shape)));
}

Status pack_weight(const LinearDescriptor& d, Constant weight, std::vector<Blob>& blobs) {
  INTAGLIO_CHECK(check_weight(d, weight));
  INTAGLIO_TRY(const std::size_t bytes, packed_weight_bytes(d));
  const auto k = static_cast<std::size_t>(d.k), n = static_cast<std::size_t>(d.n);
  INTAGLIO_TRY(Buffer packed, new_blob(bytes));
  Buffer aligned;  // a copy, where a file put elements at an odd address
  if (reinterpret_cast<std::uintptr_t>(weight.data) % size_of(weight.dtype) != 0) {
    INTAGLIO_TRY(aligned, new_blob(weight.bytes));
    std::memcpy(aligned.data(), weight.data, weight.bytes);
    weight.data = aligned.data();
  }
  gemm::PackSource source{weight.data, k, n, d.weight_nk ? 1 : n, d.weight_nk ? k : 1};
  const std::size_t panels = gemm::panel_count(n);
  std::vector<std::int32_t> sums;
  switch (layout_of(d)) {
    case gemm::Layout::panels16_f32:
      gemm::pack_f32(source, 0, panels, packed.as<float>());
      break;
    case gemm::Layout::panels16_f16:
      gemm::pack_f16(source, weight.dtype, 0, panels, packed.as<Float16>());
      break;
    case gemm::Layout::panels16x2_bf16:
      gemm::pack_bf16(source, weight.dtype, 0, panels, packed.as<BFloat16>());
      break;
    case gemm::Layout::panels16x4_s8:
      if (!d.weight_only()) sums.resize(n);
      gemm::pack_s8(source, d.weight == DType::u8, 0, panels, packed.as<std::int8_t>(),
                    sums.empty() ? nullptr : sums.data());
      break;
    case gemm::Layout::panels16x8_u4:
      source.n_stride = gemm::round_up(k, 2);  // rows begin at whole bytes
      gemm::pack_u4(source, 0, panels, packed.as<std::uint8_t>());
      break;
  }
  count_pack(bytes);
  blobs.push_back(to_blob(gemm::name_of(layout_of(d)), std::move(packed), bytes));
  if (layout_of(d) == gemm::Layout::panels16x4_s8 && !d.weight_only()) {
    INTAGLIO_TRY(blobs.emplace_back(), vector_blob(kBlobColumnSum, sums));
  }
  return {};
}

// Stored as the packed weights see them (128 less for u8); left out when all are zero there, which saves the row
// sums.
Status pack_weight_zero(const LinearDescriptor& d, const Constant& constant, std::vector<Blob>& blobs) {
  std::vector<std::uint8_t> raw(static_cast<std::size_t>(d.n));
  if (d.weight_zero) {
    INTAGLIO_TRY(raw, values_of<std::uint8_t>(constant, "weight_zero", d.weight, d.n));
  }
  std::vector<std::int32_t> zero(raw.size());
  for (std::size_t j = 0; j < raw.size(); ++j) {
    zero[j] = d.weight == DType::u8 ? raw[j] - 128 : static_cast<std::int8_t>(raw[j]);
  }
  if (std::all_of(zero.begin(), zero.end(), [](std::int32_t z) { return z == 0; })) return {};
  INTAGLIO_TRY(blobs.emplace_back(), vector_blob(kBlobColumnZero, zero));
  return {};
}

// [N, groups] as the GroupTable has it.
Result<Blob> table_blob(std::string_view name, const LinearDescriptor& d, const std::vector<float>& values) {
  const auto k = static_cast<std::size_t>(d.k), n = static_cast<std::size_t>(d.n);
  const std::size_t groups = gemm::group_count(k, group_of(d));
  const std::size_t bytes = gemm::group_elements(k, n, group_of(d)) * sizeof(float);
  INTAGLIO_TRY(Buffer packed, new_blob(bytes));
  gemm::pack_groups({values.data(), groups, n, 1, groups}, 0, gemm::panel_count(n), packed.as<float>());
  return to_blob(name, std::move(packed), bytes);
}

Status pack_groups_of(const LinearDescriptor& d, const Constant& zero, const Constant& scale,
                      std::vector<Blob>& blobs) {
  const auto groups = static_cast<std::int64_t>(gemm::group_count(static_cast<std::size_t>(d.k), group_of(d)));
  if (d.k == 0) {  // no group, whatever shape the scales have
    INTAGLIO_TRY(blobs.emplace_back(), table_blob(kBlobGroupScale, d, {}));
    if (d.weight_zero) {
      INTAGLIO_TRY(blobs.emplace_back(), table_blob(kBlobGroupZero, d, {}));
    }
    return {};
  }
  std::int64_t count = 0;
  INTAGLIO_TRY(count, element_count(Shape{d.n, groups}));
  INTAGLIO_TRY(const auto scales, scales_of(scale, count));
  INTAGLIO_TRY(blobs.emplace_back(), table_blob(kBlobGroupScale, d, scales));
  if (!d.weight_zero) return {};
  INTAGLIO_TRY(const auto raw, values_of<std::uint8_t>(zero, "weight_zero", d.weight, count));
  std::vector<float> zeros(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    zeros[i] =
        d.weight == DType::u8 ? static_cast<float>(raw[i]) : static_cast<float>(static_cast<std::int8_t>(raw[i]));
    if (d.weight_bits == 4 && raw[i] > 15) {
      return fail(ErrorCode::unsupported, fmt::format("linear: weight_zero[{}] is {}, beyond 4 bits", i, raw[i]));
    }
  }
  INTAGLIO_TRY(blobs.emplace_back(), table_blob(kBlobGroupZero, d, zeros));
  return {};
}

class LinearCandidate final : public Candidate {
 public:
  std::string_view name() const override { return "intaglio.linear"; }
  std::string_view family() const override { return "linear"; }

  std::optional<std::string> refuses(const Descriptor& descriptor, const Target& target) const override {
    const auto* d = dynamic_cast<const LinearDescriptor*>(&descriptor);
    if (d == nullptr) return "not a linear";
    if (const Status status = d->validate(); !status) return status.error().message;
    if (choose_gemm(types_of(*d, target.isa), target.isa, kManyRows) == nullptr)
      return "no GEMM kernel for this machine";
    return std::nullopt;
  }
  Result<std::vector<Blob>> pack(const Descriptor& descriptor, std::span<const Constant> constants,
                                 const Target&) const override {
    return pack_linear(static_cast<const LinearDescriptor&>(descriptor), constants);
  }
  Result<std::unique_ptr<PreparedOp>> prepare(const Descriptor& descriptor, std::vector<Blob> blobs,
                                              const Target& target) const override {
    return prepare_linear(static_cast<const LinearDescriptor&>(descriptor), std::move(blobs), target);
  }
};

}  // namespace

Result<std::size_t> packed_weight_bytes(const LinearDescriptor& d) {
  const auto padded = [](std::int64_t size, std::size_t granule) {
    return static_cast<std::int64_t>(gemm::round_up(static_cast<std::size_t>(size), granule));
  };
  INTAGLIO_CHECK(byte_count(Shape{padded(d.n, gemm::kPanelWidth), padded(d.k, gemm::kInt8KPadding)}, DType::f32));
  return gemm::packed_bytes(layout_of(d), static_cast<std::size_t>(d.k), static_cast<std::size_t>(d.n));
}

Result<std::vector<Blob>> pack_linear(const LinearDescriptor& d, std::span<const Constant> constants) {
  INTAGLIO_CHECK(d.validate());
  const auto constant = [&](std::size_t i) { return i < constants.size() ? constants[i] : Constant{}; };
  std::vector<Blob> blobs;
  INTAGLIO_CHECK(pack_weight(d, constant(0), blobs));
  if (d.grouped()) {
    INTAGLIO_CHECK(pack_groups_of(d, constant(1), constant(2), blobs));
  } else {
    if (d.weight_zero || d.weight == DType::u8) INTAGLIO_CHECK(pack_weight_zero(d, constant(1), blobs));
    if (d.weight_scale) {
      INTAGLIO_TRY(const auto scale, scales_of(constant(2), d.n));
      INTAGLIO_TRY(blobs.emplace_back(), vector_blob(kBlobWeightScale, scale));
    }
  }
  if (d.bias) {
    INTAGLIO_TRY(const auto bias, values_of<float>(constant(3), "bias", DType::f32, d.n));
    INTAGLIO_TRY(blobs.emplace_back(), vector_blob(kBlobBias, bias));
  }
  return blobs;
}

void add_linear_candidates(std::vector<const Candidate*>& out) {
  static const LinearCandidate candidate;
  out.push_back(&candidate);
}

}  // namespace intaglio::ops
