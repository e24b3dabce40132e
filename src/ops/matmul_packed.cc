// matmul on the packed GEMM kernels. Phase 0 packs b into the shared scratch, and rewrites a where the kernel cannot
// read it in place (transposed, or 16-bit floats that the core multiplies as f32), split among the threads; phase 1
// multiplies. f32 products of few rows go to the direct kernels, which need no phase 0 unless a is transposed.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "kernels/attention/table.h"
#include "kernels/gemm/pack.h"
#include "ops/byte_sums.h"
#include "ops/float_rows.h"
#include "ops/kernel_choice.h"
#include "ops/linear_loops.h"
#include "ops/matmul_direct.h"
#include "ops/strided.h"
#include "ops/work.h"

namespace intaglio::ops {
namespace {

namespace gemm = kernels::gemm;

struct PackedBinding final : Binding {
  MatmulShape shape;
  GemmBlocking gemm;
  bool share_batches = false;  // each thread multiplies its own matrices; else all threads share each
  bool fold = false;           // one b for all of a: the batch is more rows
  bool direct = false;         // by DirectMatmul
  bool exchanged = false;      // direct: `shape` has the roles of a and b exchanged
  bool copy_a = false;         // into rows of k elements
  bool row_zero_by_row = false, column_zero_by_column = false;
  std::size_t packed_matrix = 0;  // bytes of one packed b
  // Offsets in the shared scratch.
  std::size_t packed = 0, a_copy = 0, a_wide = 0, column_sum = 0, column_zero = 0, row_zero = 0, row_term = 0;
};

constexpr std::int64_t kRowGrain = 16;  // rows that a transposing copy writes in one pass over a: cache lines of it

// Every matrix of a, stored [K][M], into [M][K].
StridedCopy transpose_of(const MatmulShape& s) {
  const auto of = [](std::size_t x) { return static_cast<std::int64_t>(x); };
  StridedCopy copy;
  copy.rank = 3;
  copy.dims = {of(s.a_matrices), of(s.m), of(s.k)};
  copy.src_stride = {of(s.m * s.k), of(s.a.row), of(s.a.column)};
  copy.dst_stride = {of(s.m * s.k), of(s.k), 1};
  return copy;
}

class PackedMatmul final : public PreparedOp {
 public:
  PackedMatmul(const MatmulDescriptor& d, const Target& target)
      : d_(d),
        target_(target),
        types_(gemm_types(d, target.isa)),
        integer_(gemm::facts_of(types_).integer),
        widen_(gemm::facts_of(types_).a_bytes != size_of(d.a)),
        direct_(target.isa),
        convert_(choose_elementwise(target.isa)),
        pack_keys_(best_row(kernels::attention::kMoveKernels, kernels::attention::kMoveKernelCount, target.isa,
                            [](const auto& row) { return row.move == kernels::attention::Move::pack_keys; })) {}

  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override {
    auto binding = std::make_unique<PackedBinding>();
    INTAGLIO_TRY(binding->shape, resolve_matmul(d_, request));
    MatmulShape& s = binding->shape;
    binding->blocking = "nothing to compute";
    if (s.batches == 0) return binding;
    const std::size_t b_index = request.inputs.size() - 1;
    binding->row_zero_by_row = d_.a_zero && *element_count(request.inputs[2].shape) != 1;
    binding->column_zero_by_column = d_.b_zero && *element_count(request.inputs[b_index].shape) != 1;
    binding->copy_a = s.a.column != 1 && s.k != 0;
    // One b for every matrix of a, each used once: a's rows are one tall matrix.
    binding->fold =
        s.b_matrices == 1 && s.a_matrices == s.batches && s.k != 0 && !binding->row_zero_by_row && s.a.column == 1;
    if (binding->fold) {
      if (s.m == 1) s.a.row = s.k;  // a transposed [K, 1] has a row pitch of 1, which no second row ever met
      s.m *= s.a_matrices;
      s.a_matrices = s.batches = 1;
      s.batch.clear();
    }
    binding->flops = 2.0 * static_cast<double>(s.batches) * static_cast<double>(s.m) * static_cast<double>(s.n) *
                     static_cast<double>(s.k);
    binding->bytes = operand_bytes(request);
    if (d_.a == DType::f32) choose_direct(*binding);
    INTAGLIO_CHECK(reserve_scratch(*binding));
    if (!binding->direct) block(*binding, request.threads);
    return binding;
  }

  RunStatus run(const Binding& base, const RunArgs& args, const Worker& worker) const noexcept override {
    const auto& binding = static_cast<const PackedBinding&>(base);
    if (binding.shape.batches == 0) return RunStatus::ok;
    if (worker.phase + 1 < binding.phases) {
      if (!binding.direct) pack_b(binding, args, worker);
      if (binding.copy_a || widen_ || has_row_terms() || binding.row_zero_by_row) prepare_a(binding, args, worker);
      if (has_row_terms() && worker.index == 0) prepare_column_zero(binding, args);
    } else if (binding.direct) {
      multiply_directly(binding, args, worker);
    } else {
      multiply(binding, args, worker);
    }
    return RunStatus::ok;
  }

  Facts facts() const override {
    std::string epilogue = d_.a_zero || d_.b_zero ? "zero points" : d_.alpha != 1.0 ? "scale" : "";
    if (d_.output == DType::f16 || d_.output == DType::bf16) epilogue = fmt::format("to {}", name_of(d_.output));
    const gemm::KernelRow& row = *choose_gemm(types_, target_.isa, kManyRows);
    return {row.name, row.isa, std::move(epilogue), products_of(types_)};
  }

 private:
  // The weights' zero point as the packed bytes see it may differ from 0.
  bool has_row_terms() const { return integer_ && (d_.b_zero || d_.b == DType::u8); }
  gemm::Layout layout() const { return gemm::facts_of(types_).layout; }

  void choose_direct(PackedBinding& binding) const {
    MatmulShape& s = binding.shape;
    const bool exchange = s.n == 1 && s.m != 1;
    const MatmulShape given = exchange ? DirectMatmul::exchanged(s) : s;
    if (!DirectMatmul::wins(given)) return;
    s = given;
    binding.direct = true;
    binding.exchanged = exchange;
    binding.copy_a = s.a.column != 1 && s.k != 0;
    binding.phases = binding.copy_a ? 2 : 1;
    binding.blocking = fmt::format("{} matrices in place", s.batches);
    binding.kernel = direct_.row(s).name;
    binding.isa = direct_.row(s).isa;
    binding.split = DirectMatmul::split_of(s);
  }

  void block(PackedBinding& binding, int threads_count) const {
    const MatmulShape& s = binding.shape;
    const auto threads = static_cast<std::size_t>(threads_count);
    binding.share_batches = s.batches >= 4 * threads || s.batches % threads == 0;
    binding.gemm = block_gemm(types_, {s.m, s.n, s.k}, binding.share_batches ? 1 : threads_count, target_);
    binding.thread_scratch_bytes = binding.gemm.scratch_bytes;
    binding.phases = 2;
    binding.blocking = fmt::format("{} matrices, {}", s.batches, to_string(binding.gemm));
    binding.kernel = binding.gemm.kernel->name;
    binding.isa = binding.gemm.kernel->isa;
    binding.split = binding.share_batches ? ThreadSplit{"matrices", static_cast<std::int64_t>(s.batches), 1}
                                          : split_of(binding.gemm, s.m, s.n);
  }

  Status reserve_scratch(PackedBinding& binding) const {
    const MatmulShape& s = binding.shape;
    // Padding included, every size fits if this one does.
    const auto signed_of = [](std::size_t x) { return static_cast<std::int64_t>(x); };
    const Shape largest{signed_of(s.b_matrices + s.a_matrices), signed_of(gemm::round_up(s.k + 8, gemm::kInt8KPadding)),
                        signed_of(gemm::round_up(std::max(s.n, s.m), gemm::kPanelWidth)), 8};
    INTAGLIO_CHECK(byte_count(largest, DType::f32));
    std::size_t end = 0;
    const auto reserve = [&](bool needed, std::size_t bytes) {
      const std::size_t offset = end;
      if (needed) end += gemm::round_up(bytes, 64);
      return offset;
    };
    binding.packed_matrix = gemm::packed_bytes(layout(), s.k, s.n);
    binding.packed = reserve(!binding.direct, binding.packed_matrix * s.b_matrices);
    binding.a_copy = reserve(binding.copy_a, s.a_matrices * s.m * s.k * size_of(d_.a));
    binding.a_wide = reserve(widen_, s.a_matrices * s.m * s.k * sizeof(float));
    binding.column_sum = reserve(integer_, s.b_matrices * s.n * sizeof(std::int32_t));
    binding.column_zero = reserve(has_row_terms(), s.n * sizeof(std::int32_t));
    binding.row_zero = reserve(binding.row_zero_by_row, s.m * sizeof(std::int32_t));
    binding.row_term = reserve(has_row_terms(), s.a_matrices * s.m * sizeof(std::int32_t));
    binding.shared_scratch_bytes = end;
    return {};
  }

  void pack_b(const PackedBinding& binding, const RunArgs& args, const Worker& worker) const noexcept {
    const MatmulShape& s = binding.shape;
    const std::size_t panels = gemm::panel_count(s.n);
    const Range share = share_of(static_cast<std::int64_t>(s.b_matrices * panels), 1, worker);
    for (auto p = static_cast<std::size_t>(share.begin); p < static_cast<std::size_t>(share.end);) {
      const std::size_t matrix = p / panels, first = p % panels;
      const std::size_t last = std::min(panels, first + static_cast<std::size_t>(share.end) - p);
      const gemm::PackSource source{static_cast<const std::byte*>(args.inputs[1]) + matrix * s.k * s.n * size_of(d_.b),
                                    s.k, s.n, s.b.row, s.b.column};
      std::byte* to = args.shared_scratch + binding.packed + matrix * binding.packed_matrix;
      if (d_.b == DType::f32 && s.b.row == 1) {
        pack_transposed(s, matrix, first, last, args, reinterpret_cast<float*>(to));
      } else if (d_.b == DType::f32) {
        gemm::pack_f32(source, first, last, reinterpret_cast<float*>(to));
      } else if (d_.b == DType::f16) {
        gemm::pack_f16(source, d_.b, first, last, reinterpret_cast<Float16*>(to));
      } else if (d_.b == DType::bf16) {
        gemm::pack_bf16(source, d_.b, first, last, reinterpret_cast<BFloat16*>(to));
      } else {
        auto* sums = reinterpret_cast<std::int32_t*>(args.shared_scratch + binding.column_sum) + matrix * s.n;
        gemm::pack_s8(source, d_.b == DType::u8, first, last, reinterpret_cast<std::int8_t*>(to), sums);
      }
      p += last - first;
    }
  }

  // f32 columns that are contiguous: the keys of an attention, for which there is a kernel.
  void pack_transposed(const MatmulShape& s, std::size_t matrix, std::size_t first, std::size_t last,
                       const RunArgs& args, float* packed) const noexcept {
    kernels::attention::MoveArgs move;
    move.depth = s.k;
    move.pitch = s.b.column;
    move.keys = std::min(s.n, last * gemm::kPanelWidth) - first * gemm::kPanelWidth;
    move.source =
        static_cast<const float*>(args.inputs[1]) + matrix * s.k * s.n + first * gemm::kPanelWidth * s.b.column;
    move.out = packed + first * gemm::kPanelWidth * s.k;
    pack_keys_->kernel(move);
  }

  // The zero point of row i as the kernel sees it: some rows of the table multiply a + a_offset.
  std::int32_t row_zero(const PackedBinding& binding, const RunArgs& args, std::size_t i) const {
    const std::int32_t offset = binding.gemm.kernel->a_offset;
    if (!d_.a_zero) return offset;
    const auto* zero = static_cast<const std::uint8_t*>(args.inputs[2]);
    return offset + (d_.a == DType::i8 ? static_cast<std::int8_t>(zero[i]) : zero[i]);
  }

  // Rows of a: in [M][K] order, as f32, and what zero points need.
  void prepare_a(const PackedBinding& binding, const RunArgs& args, const Worker& worker) const noexcept {
    const MatmulShape& s = binding.shape;
    const std::int64_t grain = binding.copy_a ? kRowGrain : 1;
    const Range rows = share_of(static_cast<std::int64_t>(s.a_matrices * s.m), grain, worker);
    if (rows.begin >= rows.end) return;
    const auto begin = static_cast<std::size_t>(rows.begin), end = static_cast<std::size_t>(rows.end);
    const std::byte* a = given_a(binding, args);
    if (binding.copy_a) {
      std::byte* copy = args.shared_scratch + binding.a_copy;
      run_strided(transpose_of(s), size_of(d_.a), a, copy, nullptr, rows.begin, rows.end);
      a = copy;
    }
    if (widen_) {
      convert_elements(convert_, d_.a, a + begin * s.k * size_of(d_.a), DType::f32,
                       reinterpret_cast<float*>(args.shared_scratch + binding.a_wide) + begin * s.k,
                       (end - begin) * s.k);
    }
    if (!has_row_terms() && !binding.row_zero_by_row) return;
    for (std::size_t r = begin; r < end; ++r) {
      const std::size_t matrix = r / s.m, i = r % s.m;
      const std::int32_t zero = row_zero(binding, args, binding.row_zero_by_row ? i : 0);
      if (has_row_terms()) {
        const auto given = static_cast<std::uint32_t>(zero - binding.gemm.kernel->a_offset);
        const std::uint32_t term =
            sum_of_bytes(a + r * s.k, s.k, d_.a == DType::i8) - static_cast<std::uint32_t>(s.k) * given;
        reinterpret_cast<std::int32_t*>(args.shared_scratch + binding.row_term)[r] = static_cast<std::int32_t>(term);
      }
      // Equal for every matrix of a: written once.
      if (binding.row_zero_by_row && matrix == 0)
        reinterpret_cast<std::int32_t*>(args.shared_scratch + binding.row_zero)[i] = zero;
    }
  }

  // The operands in the roles that the binding's shape gives them.
  static const std::byte* given_a(const PackedBinding& binding, const RunArgs& args) {
    return static_cast<const std::byte*>(args.inputs[binding.exchanged ? 1 : 0]);
  }
  // Where the kernels find a.
  const std::byte* rewritten_a(const PackedBinding& binding, const RunArgs& args) const {
    if (widen_) return args.shared_scratch + binding.a_wide;
    return binding.copy_a ? args.shared_scratch + binding.a_copy : given_a(binding, args);
  }

  void multiply_directly(const PackedBinding& binding, const RunArgs& args, const Worker& worker) const noexcept {
    DirectMatmul::Operands operands;
    operands.a = reinterpret_cast<const float*>(rewritten_a(binding, args));
    operands.a_pitch = binding.copy_a ? binding.shape.k : binding.shape.a.row;
    operands.b = static_cast<const float*>(args.inputs[binding.exchanged ? 0 : 1]);
    operands.y = static_cast<float*>(args.outputs[0]);
    operands.alpha = static_cast<float>(d_.alpha);
    direct_.run(binding.shape, operands, worker);
  }

  void prepare_column_zero(const PackedBinding& binding, const RunArgs& args) const noexcept {
    auto* to = reinterpret_cast<std::int32_t*>(args.shared_scratch + binding.column_zero);
    const auto* zero = d_.b_zero ? static_cast<const std::uint8_t*>(args.inputs[d_.a_zero ? 3 : 2]) : nullptr;
    for (std::size_t j = 0; j < binding.shape.n; ++j) {
      const std::uint8_t raw = zero == nullptr ? 0 : zero[binding.column_zero_by_column ? j : 0];
      to[j] = d_.b == DType::u8 ? raw - 128 : static_cast<std::int8_t>(raw);
    }
  }

  void multiply(const PackedBinding& binding, const RunArgs& args, const Worker& worker) const noexcept {
    const MatmulShape& s = binding.shape;
    const auto integers = [&](std::size_t offset) {
      return reinterpret_cast<const std::int32_t*>(args.shared_scratch + offset);
    };
    gemm::Epilogue e;
    e.out_type = d_.output;
    e.scaled = d_.alpha != 1.0;
    e.scale = static_cast<float>(d_.alpha);
    if (integer_) {
      if (binding.row_zero_by_row)
        e.row_zero = integers(binding.row_zero);
      else
        e.zero = row_zero(binding, args, 0);
      if (has_row_terms()) e.column_zero = integers(binding.column_zero);
    }
    GemmProblem problem;
    problem.blocking = binding.gemm;
    problem.m = s.m;
    problem.n = problem.out_pitch = s.n;
    problem.k = s.k;
    problem.a_pitch = binding.copy_a || widen_ ? s.k : s.a.row;
    problem.b_panel = gemm::panel_bytes(layout(), s.k);
    problem.epilogue = &e;
    problem.scratch = args.thread_scratch;
    const Range share = binding.share_batches ? share_of(static_cast<std::int64_t>(s.batches), 1, worker)
                                              : Range{0, static_cast<std::int64_t>(s.batches)};
    for (auto batch = static_cast<std::size_t>(share.begin); batch < static_cast<std::size_t>(share.end); ++batch) {
      const auto [a, b] = s.at(batch);
      problem.a = rewritten_a(binding, args) + a * s.m * s.k * gemm::facts_of(types_).a_bytes;
      problem.b = args.shared_scratch + binding.packed + b * binding.packed_matrix;
      problem.out = static_cast<std::byte*>(args.outputs[0]) + batch * s.m * s.n * size_of(d_.output);
      if (integer_) e.column_sum = integers(binding.column_sum) + b * s.n;
      if (has_row_terms()) e.row_term = integers(binding.row_term) + a * s.m;
      run_gemm(problem, binding.share_batches ? Worker{} : worker);
    }
  }

  MatmulDescriptor d_;
  Target target_;
  gemm::Types types_;
  bool integer_;
  bool widen_;  // a to f32
  DirectMatmul direct_;
  ElementwiseKernels convert_;
  const kernels::attention::MoveRow* pack_keys_;
};

}  // namespace

std::unique_ptr<PreparedOp> prepare_matmul_packed(const MatmulDescriptor& descriptor, const Target& target) {
  return std::make_unique<PackedMatmul>(descriptor, target);
}

}  // namespace intaglio::ops
