// matmul on the packed GEMM kernels. Phase 0 packs b (and copies a where the kernel cannot read it in place) into the
// shared scratch, split among the threads; phase 1 multiplies.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "kernels/gemm/pack.h"
#include "ops/linear_loops.h"
#include "ops/matmul_op.h"

namespace intaglio::ops {
namespace {

namespace gemm = kernels::gemm;

struct PackedBinding final : Binding {
  MatmulShape shape;
  GemmBlocking gemm;
  bool share_batches = false;  // each thread multiplies its own matrices; else all threads share each
  bool fold = false;           // one b for all of a: the batch is more rows
  bool copy_a = false;
  bool row_zero_by_row = false, column_zero_by_column = false;
  std::size_t packed_matrix = 0;  // bytes of one packed b
  // Offsets in the shared scratch.
  std::size_t packed = 0, a_copy = 0, column_sum = 0, column_zero = 0, row_zero = 0, row_term = 0;
};

class PackedMatmul final : public PreparedOp {
 public:
  PackedMatmul(const MatmulDescriptor& d, const Target& target)
      : d_(d),
        target_(target),
        float_(d.a == DType::f32),
        types_(float_             ? gemm::Types::f32
               : d.a == DType::i8 ? gemm::Types::s8s8i32
                                  : gemm::Types::u8s8i32) {}

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
      s.m *= s.a_matrices;
      s.a_matrices = s.batches = 1;
      s.batch.clear();
    }
    INTAGLIO_CHECK(reserve_scratch(*binding));
    const auto threads = static_cast<std::size_t>(request.threads);
    binding->share_batches = s.batches >= 4 * threads || s.batches % threads == 0;
    binding->gemm = block_gemm(types_, {s.m, s.n, s.k}, binding->share_batches ? 1 : request.threads, target_);
    binding->thread_scratch_bytes = binding->gemm.scratch_bytes;
    binding->phases = 2;
    binding->blocking = fmt::format("{} matrices {}, {}", s.batches,
                                    binding->share_batches ? "shared out" : "each split", to_string(binding->gemm));
    const double outputs = static_cast<double>(s.batches) * static_cast<double>(s.m) * static_cast<double>(s.n);
    binding->flops = 2.0 * outputs * static_cast<double>(s.k);
    binding->bytes = outputs * 4 + static_cast<double>(s.a_matrices * s.m * s.k * size_of(d_.a) +
                                                       s.b_matrices * s.k * s.n * size_of(d_.b));
    return binding;
  }

  RunStatus run(const Binding& base, const RunArgs& args, const Worker& worker) const noexcept override {
    const auto& binding = static_cast<const PackedBinding&>(base);
    if (binding.shape.batches == 0) return RunStatus::ok;
    if (worker.phase == 0) {
      pack_b(binding, args, worker);
      if (binding.copy_a || has_row_terms() || binding.row_zero_by_row) prepare_a(binding, args, worker);
      if (has_row_terms() && worker.index == 0) prepare_column_zero(binding, args);
    } else {
      multiply(binding, args, worker);
    }
    return RunStatus::ok;
  }

  Facts facts() const override {
    std::string epilogue = d_.a_zero || d_.b_zero ? "zero points" : d_.alpha != 1.0 ? "scale" : "";
    const gemm::KernelRow& row = *choose_gemm(types_, target_.isa, kManyRows);
    return {row.name, row.isa, std::move(epilogue)};
  }

 private:
  // The weights' zero point as the packed bytes see it may differ from 0.
  bool has_row_terms() const { return !float_ && (d_.b_zero || d_.b == DType::u8); }
  gemm::Layout layout() const { return gemm::facts_of(types_).layout; }

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
    binding.packed = reserve(true, binding.packed_matrix * s.b_matrices);
    binding.a_copy = reserve(binding.copy_a, s.a_matrices * s.m * s.k * size_of(d_.a));
    binding.column_sum = reserve(!float_, s.b_matrices * s.n * sizeof(std::int32_t));
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
      if (float_) {
        gemm::pack_f32(source, first, last, reinterpret_cast<float*>(to));
      } else {
        auto* sums = reinterpret_cast<std::int32_t*>(args.shared_scratch + binding.column_sum) + matrix * s.n;
        gemm::pack_s8(source, d_.b == DType::u8, first, last, reinterpret_cast<std::int8_t*>(to), sums);
      }
      p += last - first;
    }
  }

  // The zero point of row i as the kernel sees it: some rows of the table multiply a + a_offset.
  std::int32_t row_zero(const PackedBinding& binding, const RunArgs& args, std::size_t i) const {
    const std::int32_t offset = binding.gemm.kernel->a_offset;
    if (!d_.a_zero) return offset;
    const auto* zero = static_cast<const std::uint8_t*>(args.inputs[2]);
    return offset + (d_.a == DType::i8 ? static_cast<std::int8_t>(zero[i]) : zero[i]);
  }

  // Rows of a: the copy in [M][K] order, and what zero points need.
  void prepare_a(const PackedBinding& binding, const RunArgs& args, const Worker& worker) const noexcept {
    const MatmulShape& s = binding.shape;
    const Range rows = share_of(static_cast<std::int64_t>(s.a_matrices * s.m), 1, worker);
    for (auto r = static_cast<std::size_t>(rows.begin); r < static_cast<std::size_t>(rows.end); ++r) {
      const std::size_t matrix = r / s.m, i = r % s.m;
      const std::size_t from = matrix * s.m * s.k + i * s.a.row;
      if (float_) {
        const float* row = static_cast<const float*>(args.inputs[0]) + from;
        float* to = reinterpret_cast<float*>(args.shared_scratch + binding.a_copy) + r * s.k;
        for (std::size_t k = 0; k < s.k; ++k) to[k] = row[k * s.a.column];
        continue;
      }
      const std::uint8_t* row = static_cast<const std::uint8_t*>(args.inputs[0]) + from;
      std::uint8_t* to =
          binding.copy_a ? reinterpret_cast<std::uint8_t*>(args.shared_scratch + binding.a_copy) + r * s.k : nullptr;
      std::uint32_t sum = 0;
      for (std::size_t k = 0; k < s.k; ++k) {
        const std::uint8_t value = row[k * s.a.column];
        sum += static_cast<std::uint32_t>(d_.a == DType::i8 ? static_cast<std::int8_t>(value) : value);
        if (to != nullptr) to[k] = value;
      }
      const std::int32_t zero = row_zero(binding, args, binding.row_zero_by_row ? i : 0);
      if (has_row_terms()) {
        const auto given = static_cast<std::uint32_t>(zero - binding.gemm.kernel->a_offset);
        const std::uint32_t term = sum - static_cast<std::uint32_t>(s.k) * given;
        reinterpret_cast<std::int32_t*>(args.shared_scratch + binding.row_term)[r] = static_cast<std::int32_t>(term);
      }
      // Equal for every matrix of a: written once.
      if (binding.row_zero_by_row && matrix == 0)
        reinterpret_cast<std::int32_t*>(args.shared_scratch + binding.row_zero)[i] = zero;
    }
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
    if (float_) {
      e.scaled = d_.alpha != 1.0;
      e.scale = static_cast<float>(d_.alpha);
    } else {
      e.out_type = DType::i32;
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
    problem.a_pitch = binding.copy_a ? s.k : s.a.row;
    problem.b_panel = gemm::panel_bytes(layout(), s.k);
    problem.epilogue = &e;
    problem.scratch = args.thread_scratch;
    const Range share = binding.share_batches ? share_of(static_cast<std::int64_t>(s.batches), 1, worker)
                                              : Range{0, static_cast<std::int64_t>(s.batches)};
    for (auto batch = static_cast<std::size_t>(share.begin); batch < static_cast<std::size_t>(share.end); ++batch) {
      const auto [a, b] = s.at(batch);
      const std::byte* a_base =
          binding.copy_a ? args.shared_scratch + binding.a_copy : static_cast<const std::byte*>(args.inputs[0]);
      problem.a = a_base + a * s.m * s.k * size_of(d_.a);
      problem.b = args.shared_scratch + binding.packed + b * binding.packed_matrix;
      problem.out = static_cast<float*>(args.outputs[0]) + batch * s.m * s.n;
      if (!float_) e.column_sum = integers(binding.column_sum) + b * s.n;
      if (has_row_terms()) e.row_term = integers(binding.row_term) + a * s.m;
      run_gemm(problem, binding.share_batches ? Worker{} : worker);
    }
  }

  MatmulDescriptor d_;
  Target target_;
  bool float_;
  gemm::Types types_;
};

}  // namespace

std::unique_ptr<PreparedOp> prepare_matmul_packed(const MatmulDescriptor& descriptor, const Target& target) {
  return std::make_unique<PackedMatmul>(descriptor, target);
}

}  // namespace intaglio::ops
