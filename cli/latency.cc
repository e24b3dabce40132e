#include "cli/latency.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cli/inputs.h"

namespace intaglio::cli {

namespace {

template <class T>
void append(const Tensor& tensor, std::vector<double>& out) {
  for (const T value : tensor.values<T>()) out.push_back(static_cast<double>(value));
}

void append_as_double(const NamedTensor& named, std::vector<double>& out) {
  switch (named.tensor.dtype()) {
    case DType::f32:
      return append<float>(named.tensor, out);
    case DType::f64:
      return append<double>(named.tensor, out);
    case DType::i8:
      return append<std::int8_t>(named.tensor, out);
    case DType::u8:
      return append<std::uint8_t>(named.tensor, out);
    case DType::i32:
      return append<std::int32_t>(named.tensor, out);
    case DType::i64:
      return append<std::int64_t>(named.tensor, out);
    case DType::boolean:
      return append<bool>(named.tensor, out);
    default:
      break;
  }
  throw Error(ErrorCode::requirement,
              "outputs of dtype " + std::string(name_of(named.tensor.dtype())) + " cannot be compared",
              "output '" + named.name + "'");
}

void check_alike(const NamedTensor& ours, const NamedTensor& theirs) {
  if (ours.tensor.shape() == theirs.tensor.shape() && ours.tensor.dtype() == theirs.tensor.dtype()) return;
  throw Error(ErrorCode::requirement,
              "ours is " + std::string(name_of(ours.tensor.dtype())) + " " + shape_text(ours.tensor.shape()) +
                  ", the peer's is " + std::string(name_of(theirs.tensor.dtype())) + " " +
                  shape_text(theirs.tensor.shape()),
              "output '" + ours.name + "'");
}

double ratio(double part, double whole) {
  return whole == 0 ? (part == 0 ? 0.0 : HUGE_VAL) : part / whole;
}

}  // namespace

Latency summarise(std::vector<std::int64_t> nanoseconds) {
  std::ranges::sort(nanoseconds);
  const std::size_t count = nanoseconds.size();
  const auto at = [&](std::size_t index) { return static_cast<double>(nanoseconds[std::min(index, count - 1)]) / 1e6; };
  const double sum = std::accumulate(nanoseconds.begin(), nanoseconds.end(), 0.0);
  return {.min = at(0),
          .p50 = (at((count - 1) / 2) + at(count / 2)) / 2,
          .p90 = at(count * 90 / 100),
          .p99 = at(count * 99 / 100),
          .mean = sum / 1e6 / static_cast<double>(count)};
}

Json latency_json(const Latency& latency) {
  return {
      {"min", latency.min}, {"p50", latency.p50}, {"p90", latency.p90}, {"p99", latency.p99}, {"mean", latency.mean}};
}

Difference compare(const std::vector<NamedTensor>& ours, const std::vector<NamedTensor>& theirs) {
  double worst = 0, off = 0, left2 = 0, right2 = 0, product = 0;
  for (const NamedTensor& mine : ours) {
    const auto found = std::ranges::find(theirs, mine.name, &NamedTensor::name);
    if (found == theirs.end())
      throw Error(ErrorCode::requirement, "the peer has no such output", "output '" + mine.name + "'");
    check_alike(mine, *found);
    std::vector<double> left, right;
    append_as_double(mine, left);
    append_as_double(*found, right);
    for (std::size_t i = 0; i < left.size(); ++i) {
      const double difference = left[i] - right[i];
      if (!std::isnan(worst) && !(std::abs(difference) <= worst)) worst = std::abs(difference);  // a NaN stays
      off += difference * difference;
      left2 += left[i] * left[i];
      right2 += right[i] * right[i];
      product += left[i] * right[i];
    }
  }
  return {worst, ratio(std::sqrt(off), std::sqrt(right2)),
          left2 == 0 && right2 == 0 ? 1 : ratio(product, std::sqrt(left2 * right2))};
}

}  // namespace intaglio::cli
