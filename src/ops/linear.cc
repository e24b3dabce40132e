// The linear family: descriptor, its rules, and the candidate that packs weights. Running is in linear_op.cc.
#include "ops/linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/alloc.h"
#include "kernels/gemm/pack.h"
#include "ops/families.h"
#include "ops/linear_op.h"

namespace intaglio::ops {

namespace gemm = kernels::gemm;

std::string_view name_of(Activation activation) {
  switch (activation) {
    case Activation::none:
      return "none";
    case Activation::relu:
      return "relu";
    case Activation::gelu_erf:
      return "gelu_erf";
    case Activation::gelu_tanh:
      return "gelu_tanh";
    case Activation::silu:
      return "silu";
    case Activation::sigmoid:
      return "sigmoid";
    case Activation::tanh:
      return "tanh";
  }
  return "?";
}

void LinearDescriptor::fields(FieldVisitor& visitor) {
  visitor.field("k", k);
  visitor.field("n", n);
  visitor.field("input", input);
  visitor.field("weight", weight);
  visitor.field("output", output);
  visitor.field("weight_nk", weight_nk);
  visitor.field("input_zero", input_zero);
  visitor.field("weight_zero", weight_zero);
  visitor.field("input_scale", input_scale);
  visitor.field("weight_scale", weight_scale);
  visitor.field("alpha", alpha);
  visitor.field("bias", bias);
  visitor.choice("activation", activation, kActivationCount);
  visitor.field("residual", residual);
  visitor.field("clamp", clamp);
  visitor.field("clamp_low", clamp_low);
  visitor.field("clamp_high", clamp_high);
}

std::unique_ptr<Descriptor> LinearDescriptor::clone() const {
  return std::make_unique<LinearDescriptor>(*this);
}

Status LinearDescriptor::validate() const {
  const auto bad = [](std::string message) { return fail(ErrorCode::usage, "linear: " + message); };
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  if (k < 0 || n < 0 || k >= kMost || n >= kMost) return bad(fmt::format("k={} and n={} must be in 0..2^31-1", k, n));
  const auto eight_bits = [](DType t) { return t == DType::u8 || t == DType::i8; };
  const bool integer = eight_bits(input);
  if (integer != eight_bits(weight) || (!integer && (input != DType::f32 || weight != DType::f32))) {
    return bad(fmt::format("input {} with weight {}: must be f32 with f32, or 8-bit integers with each other",
                           intaglio::name_of(input), intaglio::name_of(weight)));
  }
  if (output != DType::f32 && !(integer && output == DType::i32)) {
    return bad(fmt::format("output {} of input {}", intaglio::name_of(output), intaglio::name_of(input)));
  }
  if (!integer && (input_zero || weight_zero || input_scale || weight_scale)) {
    return bad("zero points and scales need integer operands");
  }
  if (alpha != 1.0 && input_scale) return bad("alpha and input_scale exclude each other");
  const bool plain =
      !input_scale && !weight_scale && alpha == 1.0 && !bias && activation == Activation::none && !residual && !clamp;
  if (output == DType::i32 && !plain)
    return bad("an i32 output is the raw sum: no scale, bias, activation, residual or clamp");
  if (clamp && !(clamp_low <= clamp_high)) return bad(fmt::format("clamp to [{}, {}]", clamp_low, clamp_high));
  return {};
}

std::unique_ptr<Descriptor> make_linear_descriptor() {
  return std::make_unique<LinearDescriptor>();
}

namespace {

std::string shape_text(const Constant& c) {
  return fmt::format("{} {}", name_of(c.dtype), intaglio::to_string(c.shape));
}

// The elements of a constant as an aligned array of `count` elements of T: its own bytes, or a copy of them.
template <class T>
Result<std::vector<T>> values_of(const Constant& c, std::string_view what, DType dtype, std::int64_t count) {
  INTAGLIO_TRY(const std::int64_t elements, element_count(c.shape));
  if (c.data == nullptr || c.dtype != dtype || (elements != count && elements != 1) ||
      c.bytes != static_cast<std::size_t>(elements) * sizeof(T)) {
    return fail(ErrorCode::internal, fmt::format("linear: {} is {}, expected {} with 1 or {} elements", what,
                                                 shape_text(c), name_of(dtype), count));
  }
  std::vector<T> out(static_cast<std::size_t>(count));
  if (elements == count) {
    std::memcpy(out.data(), c.data, c.bytes);
  } else {
    T value;
    std::memcpy(&value, c.data, sizeof(T));
    std::fill(out.begin(), out.end(), value);
  }
  return out;
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

class LinearCandidate final : public Candidate {
 public:
  std::string_view name() const override { return "intaglio.linear"; }
  std::string_view family() const override { return "linear"; }

  std::optional<std::string> refuses(const Descriptor& descriptor, const Target& target) const override {
    const auto* d = dynamic_cast<const LinearDescriptor*>(&descriptor);
    if (d == nullptr) return "not a linear";
    if (const Status status = d->validate(); !status) return status.error().message;
    if (choose_gemm(types_of(*d), target.isa).many == nullptr) return "no GEMM kernel for this machine";
    return std::nullopt;
  }

  Result<std::vector<Blob>> pack(const Descriptor& descriptor, std::span<const Constant> constants,
                                 const Target&) const override {
    const auto& d = static_cast<const LinearDescriptor&>(descriptor);
    INTAGLIO_CHECK(d.validate());
    const auto constant = [&](std::size_t i) { return i < constants.size() ? constants[i] : Constant{}; };
    std::vector<Blob> blobs;
    INTAGLIO_CHECK(pack_weight(d, constant(0), blobs));
    if (d.weight_zero || d.weight == DType::u8) INTAGLIO_CHECK(pack_weight_zero(d, constant(1), blobs));
    if (d.weight_scale) {
      INTAGLIO_TRY(const auto scale, values_of<float>(constant(2), "weight_scale", DType::f32, d.n));
      INTAGLIO_TRY(blobs.emplace_back(), vector_blob(kBlobWeightScale, scale));
    }
    if (d.bias) {
      INTAGLIO_TRY(const auto bias, values_of<float>(constant(3), "bias", DType::f32, d.n));
      INTAGLIO_TRY(blobs.emplace_back(), vector_blob(kBlobBias, bias));
    }
    return blobs;
  }

  Result<std::unique_ptr<PreparedOp>> prepare(const Descriptor& descriptor, std::vector<Blob> blobs,
                                              const Target& target) const override {
    return prepare_linear(static_cast<const LinearDescriptor&>(descriptor), std::move(blobs), target);
  }

 private:
  static Status pack_weight(const LinearDescriptor& d, Constant weight, std::vector<Blob>& blobs) {
    const Shape shape = d.weight_nk ? Shape{d.n, d.k} : Shape{d.k, d.n};
    INTAGLIO_TRY(const std::size_t expected, byte_count(shape, d.weight));
    if (weight.dtype != d.weight || weight.shape != shape || weight.bytes != expected ||
        (weight.data == nullptr && expected != 0)) {
      return fail(ErrorCode::internal, fmt::format("linear: the weight is {}, expected {} {}", shape_text(weight),
                                                   name_of(d.weight), intaglio::to_string(shape)));
    }
    const auto layout = layout_of(d);
    const auto k = static_cast<std::size_t>(d.k), n = static_cast<std::size_t>(d.n);
    INTAGLIO_CHECK(packed_weight_bytes(d));
    const std::size_t bytes = gemm::packed_bytes(layout, k, n);
    INTAGLIO_TRY(Buffer packed, new_blob(bytes));
    const std::size_t k_stride = d.weight_nk ? 1 : n, n_stride = d.weight_nk ? k : 1;
    Buffer aligned;  // a copy, where a file put floats at an odd address
    if (d.weight == DType::f32 && reinterpret_cast<std::uintptr_t>(weight.data) % alignof(float) != 0) {
      INTAGLIO_TRY(aligned, new_blob(expected));
      std::memcpy(aligned.data(), weight.data, expected);
      weight.data = aligned.data();
    }
    const gemm::PackSource source{weight.data, k, n, k_stride, n_stride};
    std::vector<std::int32_t> sums;
    if (d.weight == DType::f32) {
      gemm::pack_f32(source, 0, gemm::panel_count(n), packed.as<float>());
    } else {
      sums.resize(n);
      gemm::pack_s8(source, d.weight == DType::u8, 0, gemm::panel_count(n), packed.as<std::int8_t>(), sums.data());
    }
    count_pack(bytes);
    blobs.push_back(to_blob(gemm::name_of(layout), std::move(packed), bytes));
    if (d.weight != DType::f32) {
      INTAGLIO_TRY(blobs.emplace_back(), vector_blob(kBlobColumnSum, sums));
    }
    return {};
  }

  // Stored as the packed weights see them (128 less for u8); left out when all are zero there, which saves the row
  // sums.
  static Status pack_weight_zero(const LinearDescriptor& d, const Constant& constant, std::vector<Blob>& blobs) {
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
};

}  // namespace

void add_linear_candidates(std::vector<const Candidate*>& out) {
  static const LinearCandidate candidate;
  out.push_back(&candidate);
}

}  // namespace intaglio::ops
