#include "bench/binding/binding.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

#include "bench/binding/allocations.h"

namespace intaglio::bench {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kTenths = 10;

double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

double resident_mb() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/self/statm", "r"), std::fclose);
  long total = 0, resident = 0;
  if (!file || std::fscanf(file.get(), "%ld %ld", &total, &resident) != 2)
    throw Error(ErrorCode::file, "cannot be read", "/proc/self/statm");
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

// A shape of the range as its number.
Shape shape_at(const ShapeRange& range, std::int64_t number) {
  return {1 + number / range.most_tokens, 1 + number % range.most_tokens};
}

std::vector<Shape> input_shapes(const Model& model, const Shape& shape) {
  return std::vector<Shape>(model.inputs().size(), shape);
}

// One context with memory for the inputs and outputs of the largest shape; smaller ones use the front of it.
class Caller {
 public:
  Caller(const Model& model, const ShapeRange& range) : model_(model), context_(model.make_context()) {
    std::mt19937_64 random(5);
    for (const PortInfo& port : model.inputs()) {
      auto& values = inputs_.emplace_back(static_cast<std::size_t>(range.most_batch * range.most_tokens), 1);
      if (port.index_limit == 0) continue;  // masks are ones
      for (auto& value : values)
        value = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(port.index_limit));
    }
    for (const Shape& shape : context_.prepare(input_shapes(model, {range.most_batch, range.most_tokens})))
      outputs_.push_back(Tensor::zeros(model.outputs()[outputs_.size()].dtype, shape));
  }

  // Microseconds until the shape is bound.
  double bind(const Shape& shape) {
    const std::vector<Shape> shapes = input_shapes(model_, shape);
    const auto start = Clock::now();
    context_.prepare(shapes);
    return us_since(start);
  }

  // Allocations of a run of a bound shape. Throws Error.
  std::uint64_t run(const Shape& shape) {
    std::vector<TensorView> in;
    std::vector<MutableView> out;
    for (const auto& values : inputs_) in.push_back({values.data(), DType::i64, shape});
    for (const Tensor& output : outputs_) out.push_back({output.data(), output.byte_count()});
    const std::uint64_t before = allocations();
    const Error* error = context_.run_into(in, out);
    const std::uint64_t after = allocations();
    if (error != nullptr) throw *error;
    return after - before;
  }

  double arena_mb() const { return static_cast<double>(context_.arena_bytes()) / 1e6; }

 private:
  const Model& model_;
  Context context_;
  std::vector<std::vector<std::int64_t>> inputs_;
  std::vector<Tensor> outputs_;
};

}  // namespace

std::vector<double> bind_times(const Model& model, const ShapeRange& range, int rounds) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(range.most_batch * range.most_tokens));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(3));
  std::vector<std::vector<double>> times(order.size());
  for (int round = 0; round < rounds; ++round) {
    Context context = model.make_context();
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::vector<Shape> shapes = input_shapes(model, shape_at(range, order[i]));
      const auto start = Clock::now();
      context.prepare(shapes);
      times[i].push_back(us_since(start));
    }
  }
  std::vector<double> medians;
  for (auto& of_shape : times) {
    const auto middle = of_shape.begin() + static_cast<std::ptrdiff_t>(of_shape.size() / 2);
    std::ranges::nth_element(of_shape, middle);
    medians.push_back(*middle);
  }
  return medians;
}

ManyShapes many_shapes(const Model& model, const ShapeRange& range, std::size_t shapes, std::size_t runs) {
  ManyShapes out{shapes, runs, {}, 0, {}, 0, 0, 0};
  Caller caller(model, range);
  const Shape largest{range.most_batch, range.most_tokens};
  for (int round = 0; round < 2; ++round) out.allocations += caller.run(largest);
  out.largest_mb = resident_mb();
  out.largest_arena_mb = caller.arena_mb();
  std::mt19937_64 random(7);
  const auto count = static_cast<std::uint64_t>(range.most_batch * range.most_tokens);
  std::size_t ran = 0;
  bool after_run = true;
  for (std::size_t i = 1; i <= shapes; ++i) {
    const Shape shape = shape_at(range, static_cast<std::int64_t>(random() % count));
    const double us = caller.bind(shape);
    if (after_run) out.bind_us.push_back(us);
    after_run = ran < runs * i / shapes;
    if (after_run) {
      ++ran;
      out.allocations += caller.run(shape);
    }
    if (i * kTenths / shapes != (i - 1) * kTenths / shapes) out.resident_mb.push_back(resident_mb());
  }
  out.arena_mb = caller.arena_mb();
  return out;
}

}  // namespace intaglio::bench
