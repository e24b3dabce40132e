// matmul by plain loops: 32- and 64-bit integers and f64, which are rare in models and have no GEMM kernel.
#include <fmt/format.h>

#include "ops/matmul_op.h"
#include "ops/work.h"

namespace intaglio::ops {
namespace {

struct PlainBinding final : Binding {
  std::string blocking_text() const override { return "plain loops"; }
  MatmulShape shape;
};

// The type of products and sums: integers without sign, so that overflow wraps.
template <class T>
struct Sum {
  using type = T;
};
template <>
struct Sum<std::int32_t> {
  using type = std::uint32_t;
};
template <>
struct Sum<std::int64_t> {
  using type = std::uint64_t;
};

template <class T>
void multiply(const MatmulShape& s, const RunArgs& args, const Worker& worker) {
  const auto* a = static_cast<const T*>(args.inputs[0]);
  const auto* b = static_cast<const T*>(args.inputs[1]);
  auto* y = static_cast<T*>(args.outputs[0]);
  const Range rows = share_of(static_cast<std::int64_t>(s.batches * s.m), 1, worker);
  for (auto r = static_cast<std::size_t>(rows.begin); r < static_cast<std::size_t>(rows.end); ++r) {
    const MatmulShape::Pair at = s.at(r / s.m);
    const T* a_row = a + at.a * s.m * s.k + r % s.m * s.a.row;
    const T* b_matrix = b + at.b * s.k * s.n;
    for (std::size_t j = 0; j < s.n; ++j) {
      using S = typename Sum<T>::type;
      S sum{};
      for (std::size_t k = 0; k < s.k; ++k) {
        sum += static_cast<S>(a_row[k * s.a.column]) * static_cast<S>(b_matrix[k * s.b.row + j * s.b.column]);
      }
      y[r * s.n + j] = static_cast<T>(sum);
    }
  }
}

class PlainMatmul final : public PreparedOp {
 public:
  explicit PlainMatmul(const MatmulDescriptor& d) : d_(d) {}

  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override {
    auto binding = std::make_unique<PlainBinding>();
    INTAGLIO_TRY(binding->shape, resolve_matmul(d_, request));
    const MatmulShape& s = binding->shape;
    binding->flops = 2.0 * static_cast<double>(s.batches) * static_cast<double>(s.m) * static_cast<double>(s.n) *
                     static_cast<double>(s.k);
    binding->bytes = operand_bytes(request);
    binding->split = {"rows", static_cast<std::int64_t>(s.batches * s.m), 1};
    return binding;
  }

  RunStatus run(const Binding& base, const RunArgs& args, const Worker& worker) const noexcept override {
    const MatmulShape& s = static_cast<const PlainBinding&>(base).shape;
    switch (d_.a) {
      case DType::f64:
        multiply<double>(s, args, worker);
        break;
      case DType::i32:
        multiply<std::int32_t>(s, args, worker);
        break;
      case DType::u32:
        multiply<std::uint32_t>(s, args, worker);
        break;
      case DType::i64:
        multiply<std::int64_t>(s, args, worker);
        break;
      case DType::u64:
        multiply<std::uint64_t>(s, args, worker);
        break;
      default:
        break;  // excluded by validate()
    }
    return RunStatus::ok;
  }

  Facts facts() const override {
    return {fmt::format("matmul_{}_plain", name_of(d_.a)), "scalar", "",
            d_.a == DType::f64 ? Products::f64 : Products::integer};
  }

 private:
  MatmulDescriptor d_;
};

}  // namespace

std::unique_ptr<PreparedOp> prepare_matmul_plain(const MatmulDescriptor& descriptor) {
  return std::make_unique<PlainMatmul>(descriptor);
}

}  // namespace intaglio::ops
