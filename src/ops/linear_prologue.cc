#include "ops/linear_prologue.h"

#include <algorithm>

#include "ops/byte_sums.h"
#include "ops/float_rows.h"
#include "ops/linear_op.h"

namespace intaglio::ops {
namespace {

namespace gemm = kernels::gemm;
constexpr std::size_t kSlot = 64;

template <class T>
T* at(const RunArgs& args, std::size_t offset) {
  return reinterpret_cast<T*>(args.shared_scratch + offset);
}

}  // namespace

LinearPrologue::LinearPrologue(const LinearDescriptor& descriptor, gemm::Types types, bool weight_zeros, IsaSet isa)
    : d_(descriptor),
      types_(types),
      weight_zeros_(weight_zeros),
      quantize_from_(d_.input == DType::bf16 ? DType::bf16 : DType::f32),
      convert_(choose_elementwise(isa)) {
  using kernels::quantize::Group;
  if (d_.dynamic == Dynamic::none) return;
  extremes_ = choose_quantize(quantize_from_ == DType::bf16 ? Group::extremes_bf16 : Group::extremes, isa);
  quantize_ = choose_quantize_row(quantize_from_, isa);
  quantize_args_ = symmetric_args(d_.rule, types == gemm::Types::s8w4 ? DType::i8 : DType::u8);
  if (!d_.symmetric()) quantize_args_.rule = kernels::quantize::Rule::asymmetric;
}

bool LinearPrologue::rewrites() const {
  if (d_.dynamic != Dynamic::none) return true;
  return !d_.integer_input() && size_of(d_.input) != gemm::facts_of(types_).a_bytes;
}

std::size_t LinearPrologue::thread_scratch_bytes() const {
  if (d_.dynamic == Dynamic::none || d_.input == quantize_from_) return 0;
  return gemm::round_up(static_cast<std::size_t>(d_.k) * sizeof(float), 64);
}

// Row i of x in a type that the quantisation kernels read.
const void* LinearPrologue::source_row(const RunArgs& args, std::size_t i) const noexcept {
  const auto k = static_cast<std::size_t>(d_.k);
  const auto* row = static_cast<const std::byte*>(args.inputs[0]) + i * k * size_of(d_.input);
  if (d_.input == quantize_from_) return row;
  convert_elements(convert_, d_.input, row, DType::f32, args.thread_scratch, k);
  return args.thread_scratch;
}

void LinearPrologue::Extremes::join(const float* other) {
  low_high[0] = std::min(low_high[0], other[0]);
  low_high[1] = std::max(low_high[1], other[1]);
}

LinearPrologue::Extremes LinearPrologue::of_threads(const LinearBinding& binding, const RunArgs& args,
                                                    int threads) const noexcept {
  Extremes all;
  for (int i = 0; i < threads; ++i)
    all.join(at<const float>(args, binding.slots + static_cast<std::size_t>(i) * kSlot));
  return all;
}

LinearPrologue::Quantisation LinearPrologue::of_tensor(const LinearBinding& binding, const RunArgs& args,
                                                       int threads) const noexcept {
  const Extremes all = of_threads(binding, args, threads);
  Quantisation out;
  kernels::quantize::RowArgs row = quantize_args_;  // of no elements: scale and zero point only
  row.extremes = all.low_high;
  row.scale = &out.scale;
  row.zero = &out.zero;
  quantize_->kernel(row);
  return out;
}

void LinearPrologue::measure(const LinearBinding& binding, const RunArgs& args, const Worker& worker) const noexcept {
  Extremes own;
  const Range rows = share_of(static_cast<std::int64_t>(binding.m), 1, worker);
  for (auto i = static_cast<std::size_t>(rows.begin); i < static_cast<std::size_t>(rows.end); ++i) {
    float row[2];
    kernels::quantize::Args of_row;
    of_row.source = source_row(args, i);
    of_row.out = row;
    of_row.count = static_cast<std::size_t>(d_.k);
    extremes_->kernel(of_row);
    own.join(row);
  }
  float* slot = at<float>(args, binding.slots + static_cast<std::size_t>(worker.index) * kSlot);
  slot[0] = own.low_high[0];
  slot[1] = own.low_high[1];
}

std::int32_t LinearPrologue::given_zero(const RunArgs& args, std::size_t i) const noexcept {
  if (!d_.input_zero) return 0;
  const void* zero = args.inputs[LinearOperands(d_).zero];
  if (d_.input == DType::i8) return static_cast<const std::int8_t*>(zero)[i];
  return static_cast<const std::uint8_t*>(zero)[i];
}

// Row i as 8-bit integers, with what the multiplication needs of it.
void LinearPrologue::quantise(const LinearBinding& binding, const RunArgs& args, std::size_t i,
                              const Extremes* tensor) const noexcept {
  const auto k = static_cast<std::size_t>(d_.k);
  kernels::quantize::RowArgs row = quantize_args_;
  float scale = 1.0f;
  std::int32_t zero = 0, sum = 0;
  row.source = source_row(args, i);
  row.out = at<std::uint8_t>(args, binding.activations) + i * k;
  row.count = k;
  Extremes given;
  if (d_.input_max) given.low_high[1] = static_cast<const float*>(args.inputs[LinearOperands(d_).max])[i];
  row.extremes = tensor != nullptr ? tensor->low_high : d_.input_max ? given.low_high : nullptr;
  row.scale = d_.by_token() ? at<float>(args, binding.row_scale) + i : &scale;
  row.zero = &zero;
  if (types_ == gemm::Types::s8w4) {
    row.sum_group = group_of(d_);
    row.sums = at<std::int32_t>(args, binding.row_sums) + i * gemm::group_count(k, row.sum_group);
  } else if (weight_zeros_) {
    row.sums = &sum;
  }
  quantize_->kernel(row);
  if (binding.zero_by_row) at<std::int32_t>(args, binding.row_zero)[i] = zero;
  if (weight_zeros_) {
    const std::uint32_t zeros = static_cast<std::uint32_t>(k) * static_cast<std::uint32_t>(zero);
    at<std::int32_t>(args, binding.row_term)[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(sum) - zeros);
  }
}

void LinearPrologue::prepare(const LinearBinding& binding, const RunArgs& args, const Worker& worker) const noexcept {
  const auto k = static_cast<std::size_t>(d_.k);
  const bool dynamic = d_.dynamic != Dynamic::none, by_tensor = dynamic && !d_.by_token();
  const Extremes tensor = by_tensor ? of_threads(binding, args, worker.count) : Extremes{};
  const Range rows = share_of(static_cast<std::int64_t>(binding.m), 1, worker);
  for (auto i = static_cast<std::size_t>(rows.begin); i < static_cast<std::size_t>(rows.end); ++i) {
    const auto* row = static_cast<const std::byte*>(args.inputs[0]) + i * k * size_of(d_.input);
    if (dynamic) {
      quantise(binding, args, i, by_tensor ? &tensor : nullptr);
    } else if (binding.rewritten) {
      convert_elements(convert_, d_.input, row, DType::f32, at<float>(args, binding.activations) + i * k, k);
    } else {
      const std::int32_t zero = given_zero(args, binding.zero_by_row ? i : 0);
      if (binding.zero_by_row) at<std::int32_t>(args, binding.row_zero)[i] = zero;
      if (!weight_zeros_) continue;
      const std::uint32_t sum = sum_of_bytes(row, k, types_ == gemm::Types::s8s8i32);
      const std::uint32_t zeros = static_cast<std::uint32_t>(k) * static_cast<std::uint32_t>(zero);
      at<std::int32_t>(args, binding.row_term)[i] = static_cast<std::int32_t>(sum - zeros);
    }
  }
}

}  // namespace intaglio::ops
