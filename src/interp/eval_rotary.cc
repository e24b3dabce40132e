// Rotary position embedding: every rotated element by its formula, in the compute type.
#include "interp/eval.h"

namespace intaglio::interp {

namespace {

template <class C>
Result<Tensors> rotary_of(const EvalArgs& args) {
  const Shape& shape = args.in(0).shape;
  const Tensor &cos = args.in(1), &sin = args.in(2);
  const std::size_t rank = shape.size();
  const std::int64_t size = shape.back(), heads = shape[rank - 2], half = cos.shape.back();
  const std::int64_t rotated = args.attrs.i("heads") == 0 ? heads : args.attrs.i("heads");
  const bool interleaved = args.attrs.b("interleaved");
  std::vector<C> y = load_all<C>(args.in(0));
  // One row of cos and sin for each row of x.
  const Shape rows(shape.begin(), shape.end() - 1);
  Shape table_rows(cos.shape.begin(), cos.shape.end() - 1);
  const auto at = offsets_of(rows, broadcast_strides(table_rows, rows));
  for (std::size_t row = 0; row < at.size(); ++row) {
    if (static_cast<std::int64_t>(row) % heads >= rotated) continue;
    C* x = y.data() + static_cast<std::int64_t>(row) * size;
    for (std::int64_t i = 0; i < half; ++i) {
      C& first = x[interleaved ? 2 * i : i];
      C& second = x[interleaved ? 2 * i + 1 : i + half];
      const C c = load_as<C>(cos, at[row] * half + i), s = load_as<C>(sin, at[row] * half + i);
      const C a = first, b = second;
      first = a * c - b * s;
      second = b * c + a * s;
    }
  }
  return result_of(args, y);
}

}  // namespace

Result<Tensors> eval_rotary(const EvalArgs& args) {
  return args.dtypes[0] == DType::f64 ? rotary_of<double>(args) : rotary_of<float>(args);
}

}  // namespace intaglio::interp
