#include "ops/reduce_loops.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/half.h"

namespace intaglio::ops {

namespace {

// Storage type to computing type: f16 and bf16 compute as float.
template <class T>
auto load(T value) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>)
    return to_float(value);
  else
    return value;
}
template <class T, class V>
T store(V value) {
  if constexpr (std::is_same_v<T, Float16>)
    return to_float16(static_cast<float>(value));
  else if constexpr (std::is_same_v<T, BFloat16>)
    return to_bfloat16(static_cast<float>(value));
  else
    return static_cast<T>(value);
}

// Sums of floats in double; integers in unsigned arithmetic of 64 bits, so that wrapping is defined.
template <class V>
using Sum = std::conditional_t<std::is_floating_point_v<V>, double, std::uint64_t>;

template <class T>
struct Typed {
  using V = decltype(load(T{}));
  const ReduceLoops& loops;
  const T* input;

  // Calls f with every reduced element of one kept position, in memory order.
  template <class F>
  void each(std::int64_t base, F&& f) const {
    if (loops.reduced == 0) return;
    if (loops.reduced_rank == 0) return f(load(input[base]));
    const auto last = static_cast<std::size_t>(loops.reduced_rank - 1);
    const std::int64_t count = loops.reduced_dims[last];
    const std::int64_t stride = loops.reduced_strides[last];
    for (std::int64_t outer = 0; outer < loops.reduced / count; ++outer) {
      std::int64_t offset = base;
      std::int64_t rest = outer;
      for (std::size_t axis = last; axis-- > 0;) {
        offset += rest % loops.reduced_dims[axis] * loops.reduced_strides[axis];
        rest /= loops.reduced_dims[axis];
      }
      for (std::int64_t i = 0; i < count; ++i) f(load(input[offset + i * stride]));
    }
  }

  template <class F>
  Sum<V> sum_of(std::int64_t base, F&& f) const {
    Sum<V> total = 0;
    each(base, [&](V v) { total += static_cast<Sum<V>>(f(v)); });
    return total;
  }

  V largest(std::int64_t base) const {
    V best =
        std::numeric_limits<V>::has_infinity ? -std::numeric_limits<V>::infinity() : std::numeric_limits<V>::lowest();
    each(base,
         [&](V v) { best = v > best || v != v ? v : best; });  // a NaN stays: nothing is greater than it, see below
    return best;
  }
  V smallest(std::int64_t base) const {
    V best = std::numeric_limits<V>::has_infinity ? std::numeric_limits<V>::infinity() : std::numeric_limits<V>::max();
    each(base, [&](V v) { best = v < best || v != v ? v : best; });
    return best;
  }
  bool has_nan(std::int64_t base) const {
    bool found = false;
    each(base, [&](V v) { found = found || v != v; });
    return found;
  }
  double log_sum_exp(std::int64_t base) const {
    const double high = static_cast<double>(largest(base));
    if (!std::isfinite(high)) return high;  // all -inf, or an inf or NaN decides
    double total = 0;
    each(base, [&](V v) { total += std::exp(static_cast<double>(v) - high); });
    return high + std::log(total);
  }

  T value(std::int64_t base) const {
    const auto square = [](V v) { return static_cast<Sum<V>>(v) * static_cast<Sum<V>>(v); };
    const auto same = [](V v) { return static_cast<Sum<V>>(v); };
    switch (loops.kind) {
      case ReduceKind::sum:
        return store<T>(sum_of(base, same));
      case ReduceKind::mean:
        if constexpr (std::is_floating_point_v<V>)
          return store<T>(sum_of(base, same) / static_cast<double>(loops.reduced));
        else
          return loops.reduced == 0 ? T{} : store<T>(static_cast<std::int64_t>(sum_of(base, same)) / loops.reduced);
      case ReduceKind::max:
        if (std::is_floating_point_v<V> && has_nan(base)) return store<T>(std::numeric_limits<V>::quiet_NaN());
        return store<T>(largest(base));
      case ReduceKind::min:
        if (std::is_floating_point_v<V> && has_nan(base)) return store<T>(std::numeric_limits<V>::quiet_NaN());
        return store<T>(smallest(base));
      case ReduceKind::prod: {
        Sum<V> total = 1;
        each(base, [&](V v) { total *= static_cast<Sum<V>>(v); });
        return store<T>(total);
      }
      case ReduceKind::l1:
        return store<T>(
            sum_of(base, [](V v) { return v < V{} ? Sum<V>{} - static_cast<Sum<V>>(v) : static_cast<Sum<V>>(v); }));
      case ReduceKind::sum_square:
        return store<T>(sum_of(base, square));
      case ReduceKind::l2:
        return store<T>(std::sqrt(static_cast<double>(sum_of(base, square))));
      case ReduceKind::log_sum:
        return store<T>(std::log(static_cast<double>(sum_of(base, same))));
      case ReduceKind::log_sum_exp:
        return store<T>(log_sum_exp(base));
      default:
        return T{};
    }
  }

  std::int64_t best_index(std::int64_t base) const {
    std::int64_t best = 0;
    std::int64_t at = 0;
    V value{};
    each(base, [&](V v) {
      const bool better = loops.smallest ? v < value : v > value;
      // The first NaN wins over all numbers, as in NumPy.
      if (at == 0 || better || (v != v && value == value) || (loops.take_last && v == value)) {
        best = at;
        value = v;
      }
      ++at;
    });
    return best;
  }

  void running_sum(std::int64_t base, T* output) const {
    const std::int64_t count = loops.reduced;
    const std::int64_t stride = loops.reduced_rank == 0 ? 1 : loops.reduced_strides[0];
    Sum<V> total = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t at = base + (loops.reverse ? count - 1 - i : i) * stride;
      const auto here = static_cast<Sum<V>>(load(input[at]));
      if (!loops.exclusive) total += here;
      output[at] = store<T>(total);
      if (loops.exclusive) total += here;
    }
  }
};

std::int64_t kept_offset(const ReduceLoops& loops, std::int64_t position) {
  std::int64_t offset = 0;
  for (int axis = loops.kept_rank - 1; axis >= 0; --axis) {
    const auto i = static_cast<std::size_t>(axis);
    offset += position % loops.kept_dims[i] * loops.kept_strides[i];
    position /= loops.kept_dims[i];
  }
  return offset;
}

template <class T>
void run_typed(const ReduceLoops& loops, const void* input, void* output, std::int64_t begin, std::int64_t end) {
  const Typed<T> typed{loops, static_cast<const T*>(input)};
  for (std::int64_t position = begin; position < end; ++position) {
    const std::int64_t base = kept_offset(loops, position);
    if (loops.kind == ReduceKind::argmax)
      static_cast<std::int64_t*>(output)[position] = typed.best_index(base);
    else if (loops.kind == ReduceKind::cumsum)
      typed.running_sum(base, static_cast<T*>(output));
    else
      static_cast<T*>(output)[position] = typed.value(base);
  }
}

void run_bool(const ReduceLoops& loops, const void* input, void* output, std::int64_t begin, std::int64_t end) {
  const Typed<std::uint8_t> typed{loops, static_cast<const std::uint8_t*>(input)};
  for (std::int64_t position = begin; position < end; ++position) {
    bool any = false;
    bool all = true;
    typed.each(kept_offset(loops, position), [&](std::uint8_t v) {
      any = any || v != 0;
      all = all && v != 0;
    });
    // Sums and extremes of truth values are "any" and "all".
    const bool is_all =
        loops.kind == ReduceKind::all || loops.kind == ReduceKind::min || loops.kind == ReduceKind::prod;
    static_cast<std::uint8_t*>(output)[position] = is_all ? all : any;
  }
}

}  // namespace

void run_reduce(const ReduceLoops& loops, const void* input, void* output, std::int64_t begin,
                std::int64_t end) noexcept {
  const bool picks = loops.kind == ReduceKind::argmax || loops.kind == ReduceKind::cumsum;
  switch (loops.dtype) {
    case DType::f32:
      return run_typed<float>(loops, input, output, begin, end);
    case DType::f64:
      return run_typed<double>(loops, input, output, begin, end);
    case DType::f16:
      return run_typed<Float16>(loops, input, output, begin, end);
    case DType::bf16:
      return run_typed<BFloat16>(loops, input, output, begin, end);
    case DType::i8:
      return run_typed<std::int8_t>(loops, input, output, begin, end);
    case DType::u8:
      return run_typed<std::uint8_t>(loops, input, output, begin, end);
    case DType::i16:
      return run_typed<std::int16_t>(loops, input, output, begin, end);
    case DType::u16:
      return run_typed<std::uint16_t>(loops, input, output, begin, end);
    case DType::i32:
      return run_typed<std::int32_t>(loops, input, output, begin, end);
    case DType::u32:
      return run_typed<std::uint32_t>(loops, input, output, begin, end);
    case DType::i64:
      return run_typed<std::int64_t>(loops, input, output, begin, end);
    case DType::u64:
      return run_typed<std::uint64_t>(loops, input, output, begin, end);
    case DType::boolean:
      if (picks) return run_typed<std::uint8_t>(loops, input, output, begin, end);
      return run_bool(loops, input, output, begin, end);
  }
}

}  // namespace intaglio::ops
