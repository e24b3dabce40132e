#include "ops/linear_prologue.h"

#include <algorithm>
#include <cstring>

#include "ops/float_rows.h"
#include "ops/kernel_choice.h"
#include "ops/linear_op.h"

namespace intaglio::ops {
namespace {

namespace gemm = kernels::gemm;
namespace table = kernels::quantize;

constexpr std::size_t kSlot = 64;

const table::KernelRow* choose(table::Group group, IsaSet isa) {
  const IsaSet set{isa.bits | isa_bit(Isa::scalar)};
  return best_row(table::kKernels, table::kKernelCount, set, [&](const auto& row) { return row.group == group; });
}

// Sum of `count` bytes after an xor with `mask` (0x80 in each byte turns s8 into u8, 128 higher), eight at a time.
std::uint32_t sum_bytes(const std::uint8_t* from, std::size_t count, std::uint64_t mask) {
  constexpr std::uint64_t kLow = 0x00FF00FF00FF00FFull;
  std::uint64_t total = 0;
  while (count >= 8) {
    std::uint64_t lanes = 0;  // four of 16 bits; 128 rounds of two bytes stay below 2^16
    for (int round = 0; round < 128 && count >= 8; ++round, from += 8, count -= 8) {
      std::uint64_t eight;
      std::memcpy(&eight, from, 8);
      eight ^= mask;
      lanes += (eight & kLow) + ((eight >> 8) & kLow);
    }
    total += (lanes & 0xFFFF) + (lanes >> 16 & 0xFFFF) + (lanes >> 32 & 0xFFFF) + (lanes >> 48);
  }
  for (; count != 0; --count) total += *from++ ^ (mask & 0xFF);
  return static_cast<std::uint32_t>(total);
}

// Sum of 8-bit activations, signed or not, modulo 2^32.
std::uint32_t sum_of(const void* row, std::size_t count, bool is_signed) {
  const auto* bytes = static_cast<const std::uint8_t*>(row);
  if (!is_signed) return sum_bytes(bytes, count, 0);
  return sum_bytes(bytes, count, 0x8080808080808080ull) - 128u * static_cast<std::uint32_t>(count);
}

template <class T>
T* at(const RunArgs& args, std::size_t offset) {
  return reinterpret_cast<T*>(args.shared_scratch + offset);
}

}  // namespace

LinearPrologue::LinearPrologue(const LinearDescriptor& descriptor, gemm::Types types, bool weight_zeros, IsaSet isa)
    : d_(descriptor),
      types_(types),
      weight_zeros_(weight_zeros),
      by_token_(d_.dynamic == Dynamic::token_asymmetric || d_.dynamic == Dynamic::token_symmetric),
      symmetric_(d_.dynamic == Dynamic::token_symmetric || d_.dynamic == Dynamic::tensor_symmetric),
      extremes_(choose(table::Group::extremes, isa)),
      quantize_(choose(types == gemm::Types::s8w4 ? table::Group::quantize_s8 : table::Group::quantize_u8, isa)),
      convert_(choose_elementwise(isa)) {}

bool LinearPrologue::rewrites() const {
  if (d_.dynamic != Dynamic::none) return true;
  return !d_.integer_input() && size_of(d_.input) != gemm::facts_of(types_).a_bytes;
}

std::size_t LinearPrologue::thread_scratch_bytes() const {
  if (d_.dynamic == Dynamic::none || d_.input == DType::f32) return 0;
  return gemm::round_up(static_cast<std::size_t>(d_.k) * sizeof(float), 64);
}

const float* LinearPrologue::float_row(const RunArgs& args, std::size_t i) const noexcept {
  const auto k = static_cast<std::size_t>(d_.k);
  const auto* row = static_cast<const std::byte*>(args.inputs[0]) + i * k * size_of(d_.input);
  if (d_.input == DType::f32) return reinterpret_cast<const float*>(row);
  auto* wide = reinterpret_cast<float*>(args.thread_scratch);
  convert_elements(convert_, d_.input, row, DType::f32, wide, k);
  return wide;
}

LinearPrologue::Extremes LinearPrologue::extremes_of(const float* row) const noexcept {
  float out[2];
  extremes_->kernel({row, out, static_cast<std::size_t>(d_.k), 1.0f, 0});
  return {out[0], out[1]};
}

LinearPrologue::Quantisation LinearPrologue::from(Extremes e) const noexcept {
  if (symmetric_) {
    const float most = std::max(-e.low, e.high);
    return {most == 0.0f ? 1.0f : most / 127.0f, types_ == gemm::Types::s8w4 ? 0 : kSymmetricOffset};
  }
  const float scale = e.low == e.high ? 1.0f : (e.high - e.low) / 255.0f;
  const float lowest = -e.low;
  std::uint8_t zero = 0;
  quantize_->kernel({&lowest, &zero, 1, scale, 0});
  return {scale, zero};
}

LinearPrologue::Quantisation LinearPrologue::of_tensor(const LinearBinding& binding, const RunArgs& args,
                                                       int threads) const noexcept {
  Extremes all{0.0f, 0.0f};
  for (int i = 0; i < threads; ++i) {
    const float* slot = at<const float>(args, binding.slots + static_cast<std::size_t>(i) * kSlot);
    all = {std::min(all.low, slot[0]), std::max(all.high, slot[1])};
  }
  return from(all);
}

void LinearPrologue::measure(const LinearBinding& binding, const RunArgs& args, const Worker& worker) const noexcept {
  Extremes own{0.0f, 0.0f};
  const Range rows = share_of(static_cast<std::int64_t>(binding.m), 1, worker);
  for (auto i = static_cast<std::size_t>(rows.begin); i < static_cast<std::size_t>(rows.end); ++i) {
    const Extremes row = extremes_of(float_row(args, i));
    own = {std::min(own.low, row.low), std::max(own.high, row.high)};
  }
  float* slot = at<float>(args, binding.slots + static_cast<std::size_t>(worker.index) * kSlot);
  slot[0] = own.low;
  slot[1] = own.high;
}

std::int32_t LinearPrologue::given_zero(const RunArgs& args, std::size_t i) const noexcept {
  if (!d_.input_zero) return 0;
  const void* zero = args.inputs[LinearOperands(d_).zero];
  if (d_.input == DType::i8) return static_cast<const std::int8_t*>(zero)[i];
  return static_cast<const std::uint8_t*>(zero)[i];
}

// What the weights' zero points need of row i.
void LinearPrologue::sum_row(const LinearBinding& binding, const RunArgs& args, std::size_t i,
                             std::int32_t zero) const noexcept {
  const auto k = static_cast<std::size_t>(d_.k);
  const auto* row = binding.rewritten ? args.shared_scratch + binding.activations + i * k
                                      : static_cast<const std::byte*>(args.inputs[0]) + i * k;
  if (types_ == gemm::Types::s8w4) {
    const std::size_t group = group_of(d_), groups = gemm::group_count(k, group);
    auto* sums = at<std::int32_t>(args, binding.row_sums) + i * groups;
    for (std::size_t g = 0; g < groups; ++g) {
      const std::size_t begin = g * group;
      sums[g] = static_cast<std::int32_t>(sum_of(row + begin, std::min(group, k - begin), true));
    }
    return;
  }
  const std::uint32_t sum = sum_of(row, k, types_ == gemm::Types::s8s8i32);
  at<std::int32_t>(args, binding.row_term)[i] =
      static_cast<std::int32_t>(sum - static_cast<std::uint32_t>(k) * static_cast<std::uint32_t>(zero));
}

void LinearPrologue::prepare(const LinearBinding& binding, const RunArgs& args, const Worker& worker) const noexcept {
  const auto k = static_cast<std::size_t>(d_.k);
  const bool dynamic = d_.dynamic != Dynamic::none;
  const Quantisation tensor = dynamic && !by_token_ ? of_tensor(binding, args, worker.count) : Quantisation{1.0f, 0};
  const Range rows = share_of(static_cast<std::int64_t>(binding.m), 1, worker);
  for (auto i = static_cast<std::size_t>(rows.begin); i < static_cast<std::size_t>(rows.end); ++i) {
    std::int32_t zero = 0;
    if (dynamic) {
      const float* row = float_row(args, i);
      const Quantisation q = by_token_ ? from(extremes_of(row)) : tensor;
      zero = q.zero;
      quantize_->kernel({row, at<std::uint8_t>(args, binding.activations) + i * k, k, q.scale, zero});
      if (by_token_) at<float>(args, binding.row_scale)[i] = q.scale;
    } else if (binding.rewritten) {
      const auto* row = static_cast<const std::byte*>(args.inputs[0]) + i * k * size_of(d_.input);
      convert_elements(convert_, d_.input, row, DType::f32, at<float>(args, binding.activations) + i * k, k);
    } else {
      zero = given_zero(args, binding.zero_by_row ? i : 0);
    }
    if (binding.zero_by_row) at<std::int32_t>(args, binding.row_zero)[i] = zero;
    if (sums_rows()) sum_row(binding, args, i, zero);
  }
}

}  // namespace intaglio::ops
