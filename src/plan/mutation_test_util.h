// Damaged plan files for tests: where the header keeps what, checksums that fit again, and running what still loads.
#pragma once

#include <xxhash.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "plan/context.h"
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

// Runs a plan that a mutation left loadable: with the inputs that it now declares, if they are of a reasonable size.
inline void exercise(const std::shared_ptr<const Plan>& plan) {
  constexpr std::size_t kMost = std::size_t{1} << 22;
  std::vector<std::string> names;
  SymbolValues symbols;
  for (const Dim& dim : plan->dims) dim.collect_symbols(names);
  for (const std::string& name : names) symbols[name] = name == "seq" ? 3 : 2;
  std::vector<Shape> shapes;
  for (const Port& port : plan->inputs) {
    Shape& shape = shapes.emplace_back();
    for (DimId dim : plan->values[port.value].shape) shape.push_back(plan->dims[dim].evaluate(symbols).value_or(-1));
    const auto bytes = byte_count(shape, plan->values[port.value].dtype);
    if (!bytes || *bytes > kMost) return;
  }
  ContextOptions options;
  options.pool = *threads::shared_pool({.threads = 1, .idle = threads::IdlePolicy::shared});
  options.max_arena_bytes = kMost;
  Context context(plan, options);
  const auto bound = plan::bind(*plan, shapes, {1, kMost});
  if (!bound || (*bound)->thread_scratch_bytes > kMost || (*bound)->shared_scratch_bytes > kMost) return;
  std::vector<std::vector<std::byte>> memory;
  std::vector<InputView> inputs;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const DType dtype = plan->values[plan->inputs[i].value].dtype;
    memory.emplace_back(*byte_count(shapes[i], dtype));
    inputs.push_back({memory.back().data(), dtype, shapes[i]});
  }
  std::vector<OutputView> outputs;
  for (std::size_t bytes : (*bound)->output_bytes) {
    if (bytes > kMost) return;
    memory.emplace_back(bytes);
    outputs.push_back({memory.back().data(), bytes});
  }
  (void)context.run(inputs, outputs);  // may fail; must not crash
}

}  // namespace intaglio::plan
