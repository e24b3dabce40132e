// Damaged plan files for tests: where the header keeps what, checksums that fit again, and running what still loads.
#pragma once

#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plan/binding.h"
#include "plan/context.h"
#include "plan/weights.h"
#include "threads/pool.h"

namespace intaglio::plan {

// Where the header keeps what these tests change; all 8 bytes, little endian, but the version.
inline constexpr std::size_t kVersionAt = 8, kStructureBytesAt = 32, kStructureHashAt = 40, kWeightsOffsetAt = 48,
                             kWeightsBytesAt = 56, kHeaderHashAt = 64, kHeaderBytes = 72;

inline std::uint64_t number_at(const std::string& bytes, std::size_t at) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}
inline void put(std::string& bytes, std::size_t at, std::uint64_t value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}
// Makes the checksums right again after a change: what an attacker would do.
inline std::string rehashed(std::string bytes) {
  put(bytes, kStructureHashAt, XXH3_64bits(bytes.data() + kHeaderBytes, number_at(bytes, kStructureBytesAt)));
  put(bytes, kHeaderHashAt, XXH3_64bits(bytes.data(), kHeaderHashAt));
  return bytes;
}

// What a plan that a mutation left loadable may use: the mutation may ask for any amount of memory and time.
inline constexpr std::size_t kMostBytes = std::size_t{1} << 22;
inline constexpr double kMostWork = 1e8;

// The input shapes that a plan declares, seq = 3 and every other symbol 2; nullopt if they are too large.
inline std::optional<std::vector<Shape>> declared_shapes(const Plan& plan) {
  std::vector<std::string> names;
  SymbolValues symbols;
  for (const Dim& dim : plan.dims) dim.collect_symbols(names);
  for (const std::string& name : names) symbols[name] = name == "seq" ? 3 : 2;
  std::vector<Shape> shapes;
  for (const Port& port : plan.inputs) {
    Shape& shape = shapes.emplace_back();
    for (DimId dim : plan.values[port.value].shape) shape.push_back(plan.dims[dim].evaluate(symbols).value_or(-1));
    const auto bytes = byte_count(shape, plan.values[port.value].dtype);
    if (!bytes || *bytes > kMostBytes) return std::nullopt;
  }
  return shapes;
}

// Small numbers of a dtype: floats about 1, integers that are legal indices now and then.
inline void fill_input(std::byte* data, std::size_t bytes, DType dtype) {
  const std::size_t size = size_of(dtype);
  for (std::size_t i = 0; i < bytes / size; ++i) {
    const auto wide = static_cast<double>(i % 13) * 0.25 - 1.5;
    const auto narrow = static_cast<float>(wide);
    std::memset(data + i * size, 0, size);
    if (dtype == DType::f64) {
      std::memcpy(data + i * size, &wide, size);
    } else if (dtype == DType::f32) {
      std::memcpy(data + i * size, &narrow, size);
    } else if (is_floating(dtype)) {
      data[i * size + 1] = static_cast<std::byte>(0x3C + i % 4);  // about 1 in both formats
    } else {
      data[i * size] = static_cast<std::byte>(dtype == DType::boolean ? i % 5 % 2 : i % 3);
    }
  }
}

// Bytes with guards behind them, which check() looks at; the sanitizers see the rest. `skip`: aligned to so many bytes
// only, as the memory of callers may be.
class GuardedBytes {
 public:
  explicit GuardedBytes(std::size_t bytes, std::size_t skip = 0)
      : bytes_(bytes), skip_(skip), data_(allocate(skip + bytes + kGuard)) {
    std::memset(data_.get(), kMark, skip + bytes + kGuard);
  }
  std::byte* data() const { return data_.get() + skip_; }
  std::size_t size() const { return bytes_; }
  void check(std::string_view what) const {
    for (std::size_t i = 0; i < skip_; ++i) ASSERT_EQ(data_.get()[i], std::byte{kMark}) << "before " << what;
    for (std::size_t i = 0; i < kGuard; ++i) ASSERT_EQ(data()[bytes_ + i], std::byte{kMark}) << "behind " << what;
  }

 private:
#ifdef __SANITIZE_ADDRESS__
  static constexpr std::size_t kGuard = 0;  // the heap's own
#else
  static constexpr std::size_t kGuard = 64;
#endif
  static constexpr int kMark = 0xA5;
  struct Free {
    void operator()(std::byte* data) const { ::operator delete(data, std::align_val_t{64}); }
  };
  static std::byte* allocate(std::size_t bytes) {
    return static_cast<std::byte*>(::operator new(bytes, std::align_val_t{64}));
  }
  std::size_t bytes_, skip_;
  std::unique_ptr<std::byte, Free> data_;
};

// Runs a plan as a whole, on one thread. May fail; must not crash. Returns whether it ran.
inline bool exercise(const std::shared_ptr<const Plan>& plan) {
  const auto shapes = declared_shapes(*plan);
  if (!shapes) return false;
  static const auto pool = *threads::shared_pool({.threads = 1, .idle = threads::IdlePolicy::shared});
  ContextOptions options;
  options.pool = pool;
  options.max_arena_bytes = kMostBytes;
  Context context(plan, options);
  const auto bound = plan::bind(*plan, *shapes, {1, kMostBytes});
  if (!bound || (*bound)->thread_scratch_bytes > kMostBytes || (*bound)->shared_scratch_bytes > kMostBytes)
    return false;
  double work = 0;
  for (const BoundStep& step : (*bound)->steps) work += step.binding->flops;
  if (!(work <= kMostWork)) return false;
  std::vector<GuardedBytes> memory;
  std::vector<InputView> inputs;
  for (std::size_t i = 0; i < shapes->size(); ++i) {
    const DType dtype = plan->values[plan->inputs[i].value].dtype;
    memory.emplace_back(*byte_count((*shapes)[i], dtype), size_of(dtype));
    fill_input(memory.back().data(), memory.back().size(), dtype);
    inputs.push_back({memory.back().data(), dtype, (*shapes)[i]});
  }
  std::vector<OutputView> outputs;
  for (std::size_t i = 0; i < plan->outputs.size(); ++i) {
    const std::size_t bytes = (*bound)->output_bytes[i];
    if (bytes > kMostBytes) return false;
    memory.emplace_back(bytes, size_of(plan->values[plan->outputs[i].value].dtype));
    outputs.push_back({memory.back().data(), bytes});
  }
  const bool ran = context.run(inputs, outputs).has_value();
  for (const GuardedBytes& each : memory) each.check("an input or output");
  return ran;
}

// Runs every step of a plan by itself: its weights, operands and scratch are memory of their own, so that a step that
// leaves them is caught where an arena or a mapped file would hide it. `threads` workers, one after the other.
class StepByStep {
 public:
  StepByStep(const Plan& loaded, std::span<const ops::Candidate* const> candidates, const ops::Target& target)
      : plan_(loaded) {
    std::size_t bytes = 0;
    for (const ops::Blob& blob : plan_.blobs) bytes += blob.bytes;
    if (bytes > kMostBytes) return;  // a hostile table names the same bytes again and again
    for (ops::Blob& blob : plan_.blobs) {
      const auto copy = std::make_shared<GuardedBytes>(blob.bytes);
      if (blob.bytes != 0) std::memcpy(copy->data(), blob.data, blob.bytes);
      blob.data = copy->data();
      blob.owner = copy;
    }
    const Status prepared = prepare_steps(plan_, candidates, target);
    EXPECT_TRUE(prepared) << prepared.error().to_string();
    good_ = prepared.has_value();
  }

  // Calls ran(step) after each step that could be run.
  template <class Ran>
  void run(int threads, Ran&& ran) {
    const auto shapes = declared_shapes(plan_);
    if (!good_ || !shapes) return;
    const auto dims = bind_dims(plan_, *shapes);
    if (!dims || !make_values(*dims)) return;
    for (const Step& step : plan_.steps) {
      if (run_step(step, *dims, threads)) ran(step);
    }
    for (const auto& memory : memory_) memory->check("a value");
  }

 private:
  static Shape shape_of(const PlanValue& value, const std::vector<std::int64_t>& dims) {
    Shape shape;
    for (const DimId dim : value.shape) shape.push_back(dims[dim]);
    return shape;
  }

  bool make_values(const std::vector<std::int64_t>& dims) {
    std::size_t total = 0;
    memory_.clear();
    data_.assign(plan_.values.size(), nullptr);
    for (ValueId id = 0; id < plan_.values.size(); ++id) {
      const PlanValue& value = plan_.values[id];
      const auto bytes = byte_count(shape_of(value, dims), value.dtype);
      if (!bytes || (total += std::min(*bytes, kMostBytes)) >= kMostBytes) return false;
      if (value.kind == ValueKind::alias) {
        const auto whole = byte_count(shape_of(plan_.values[value.source], dims), value.dtype);
        if (!whole || *whole != *bytes) return false;
        data_[id] = data_[value.source];
        continue;
      }
      auto memory = std::make_unique<GuardedBytes>(*bytes, value.kind == ValueKind::input ? size_of(value.dtype) : 0);
      if (value.kind == ValueKind::constant) {
        if (*bytes != 0) std::memcpy(memory->data(), plan_.blobs[value.source].data, *bytes);
      } else {
        fill_input(memory->data(), *bytes, value.dtype);
      }
      data_[id] = memory->data();
      memory_.push_back(std::move(memory));
    }
    return true;
  }

  bool run_step(const Step& step, const std::vector<std::int64_t>& dims, int threads) const {
    std::vector<ops::Operand> inputs, outputs;
    std::vector<std::int64_t> params;
    std::vector<const void*> in;
    std::vector<void*> out;
    for (const ValueId id : step.inputs) {
      inputs.push_back({plan_.values[id].dtype, shape_of(plan_.values[id], dims)});
      in.push_back(data_[id]);
    }
    for (const ValueId id : step.outputs) {
      outputs.push_back({plan_.values[id].dtype, shape_of(plan_.values[id], dims)});
      out.push_back(data_[id]);
    }
    for (const DimId dim : step.params) params.push_back(dims[dim]);
    const auto binding = step.prepared->bind({inputs, outputs, params, threads});
    if (!binding || !((*binding)->flops <= kMostWork)) return false;
    const ops::Binding& b = **binding;
    if (b.thread_scratch_bytes > kMostBytes || b.shared_scratch_bytes > kMostBytes) return false;
    const GuardedBytes shared(b.shared_scratch_bytes);
    std::vector<GuardedBytes> own;
    for (int i = 0; i < threads; ++i) own.emplace_back(b.thread_scratch_bytes);
    for (int phase = 0; phase < b.phases; ++phase) {
      for (int index = threads - 1; index >= 0; --index) {
        const ops::RunArgs args{in.data(), out.data(), own[static_cast<std::size_t>(index)].data(), shared.data()};
        (void)step.prepared->run(b, args, {index, threads, phase});
      }
    }
    shared.check("shared scratch");
    for (const GuardedBytes& each : own) each.check("scratch");
    return true;
  }

  Plan plan_;
  bool good_ = false;
  std::vector<std::byte*> data_;
  std::vector<std::unique_ptr<GuardedBytes>> memory_;
};

}  // namespace intaglio::plan
