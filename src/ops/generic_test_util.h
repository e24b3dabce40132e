// Helpers of the tests of copy, gather, create, reduce and quantize: one problem on every ISA level and thread count,
// and descriptors through a visitor and back.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "base/half.h"
#include "ops/linear_test_util.h"

namespace intaglio::ops {

inline constexpr DType kEveryDType[] = {DType::f32, DType::f64, DType::f16,    DType::bf16, DType::i8,
                                        DType::u8,  DType::i16, DType::u16,    DType::i32,  DType::u32,
                                        DType::i64, DType::u64, DType::boolean};
static_assert(std::size(kEveryDType) == kDTypeCount);

inline std::vector<Operand> types_of(const std::vector<TestTensor>& tensors) {
  std::vector<Operand> types;
  for (const TestTensor& t : tensors) types.push_back(t.type);
  return types;
}

inline std::unique_ptr<PreparedOp> prepare_op(const Descriptor& descriptor, const Target& target = {}) {
  const std::string name = "intaglio." + std::string(descriptor.family());
  return *find_candidate(name, own_candidates())->prepare(descriptor, {}, target);
}

// Runs on `count` workers of a binding made for `threads`; outputs start as 0xA5 and have 64 guarded bytes behind them.
inline Result<std::vector<TestTensor>> run_once(const PreparedOp& op, const std::vector<TestTensor>& inputs,
                                                const std::vector<Operand>& outputs,
                                                const std::vector<std::int64_t>& params, int threads, int count,
                                                RunStatus& status) {
  constexpr std::size_t kGuard = 64;
  const std::vector<Operand> types = types_of(inputs);
  INTAGLIO_TRY(const auto binding, op.bind({types, outputs, params, threads}));
  std::vector<TestTensor> results;
  std::vector<const void*> in;
  std::vector<void*> out;
  for (const TestTensor& t : inputs) in.push_back(t.bytes.data());
  for (const Operand& type : outputs) {
    INTAGLIO_TRY(const std::size_t bytes, byte_count(type.shape, type.dtype));
    results.push_back({type, std::vector<std::byte>(bytes + kGuard, std::byte{0xA5})});
  }
  std::vector<std::size_t> sizes;
  for (const TestTensor& t : results) sizes.push_back(t.bytes.size() - kGuard);
  check_touches(op, *binding, inputs, sizes, count);
  for (TestTensor& t : results) out.push_back(t.bytes.data());
  INTAGLIO_TRY(const Buffer shared, Buffer::allocate(binding->shared_scratch_bytes + 64));
  INTAGLIO_TRY(const Buffer own, Buffer::allocate(binding->thread_scratch_bytes + 64));
  status = RunStatus::ok;
  for (int phase = 0; phase < binding->phases; ++phase) {
    for (int index = count - 1; index >= 0; --index) {
      const RunStatus one = op.run(*binding, {in.data(), out.data(), own.data(), shared.data()}, {index, count, phase});
      if (one != RunStatus::ok) status = one;
    }
  }
  for (TestTensor& t : results) {
    for (std::size_t i = t.bytes.size() - kGuard; i < t.bytes.size(); ++i)
      EXPECT_EQ(t.bytes[i], std::byte{0xA5}) << "written behind the end";
    t.bytes.resize(t.bytes.size() - kGuard);
  }
  return results;
}

// The same bytes on every level, for 1, 2, 3 and 7 threads, and alone with a binding for several.
inline std::vector<TestTensor> run_everywhere(const Descriptor& descriptor, const std::vector<TestTensor>& inputs,
                                              const std::vector<Operand>& outputs,
                                              const std::vector<std::int64_t>& params = {},
                                              RunStatus expected = RunStatus::ok) {
  std::vector<TestTensor> first;
  for (const Target& target : test_targets()) {
    const auto op = prepare_op(descriptor, target);
    for (const auto& [threads, count] : {std::pair{1, 1}, {2, 2}, {3, 3}, {7, 7}, {7, 1}}) {
      RunStatus status = RunStatus::ok;
      const auto results = run_once(*op, inputs, outputs, params, threads, count, status);
      if (!results) {
        ADD_FAILURE() << to_string(descriptor) << ": " << results.error().to_string();
        return {};
      }
      EXPECT_EQ(status, expected);
      if (first.empty()) first = *results;
      for (std::size_t i = 0; i < first.size(); ++i) {
        EXPECT_EQ((*results)[i].bytes, first[i].bytes)
            << to_string(descriptor) << " " << to_string(target.isa) << " " << count << " threads";
      }
    }
  }
  return first;
}

inline void expect_bind_error(const Descriptor& descriptor, const std::vector<Operand>& inputs,
                              const std::vector<Operand>& outputs, const std::vector<std::int64_t>& params = {}) {
  const auto bound = prepare_op(descriptor)->bind({inputs, outputs, params, 2});
  ASSERT_FALSE(bound.has_value()) << to_string(descriptor);
  EXPECT_EQ(bound.error().code, ErrorCode::usage) << bound.error().to_string();
}

// Writes the fields of one descriptor and reads them into another.
class FieldTape final : public FieldVisitor {
 public:
  void field(std::string_view, std::int64_t& v) override { item(v); }
  void field(std::string_view, double& v) override { item(v); }
  void field(std::string_view, bool& v) override { item(v); }
  void field(std::string_view, std::string& v) override { item(v); }
  void field(std::string_view, DType& v) override { item(v); }
  void field(std::string_view, std::vector<std::int64_t>& v) override { item(v); }
  void reject(std::string_view) override { rejected = true; }
  void rewind() {
    reading_ = true;
    at_ = 0;
  }
  template <class T>
  void replace(std::size_t index, T value) {
    tape_[index] = value;
  }
  bool rejected = false;

 private:
  template <class T>
  void item(T& value) {
    if (!reading_)
      tape_.emplace_back(value);
    else
      value = std::get<T>(tape_.at(at_++));
  }
  std::vector<std::variant<std::int64_t, double, bool, std::string, DType, std::vector<std::int64_t>>> tape_;
  std::size_t at_ = 0;
  bool reading_ = false;
};

inline void expect_round_trip(const Descriptor& descriptor) {
  EXPECT_TRUE(descriptor.validate().has_value()) << to_string(descriptor);
  FieldTape tape;
  descriptor.clone()->fields(tape);
  tape.rewind();
  const auto again = make_descriptor(descriptor.family());
  ASSERT_NE(again, nullptr);
  again->fields(tape);
  EXPECT_FALSE(tape.rejected);
  EXPECT_EQ(to_string(*again), to_string(descriptor));
}
// The first field of these families is their kind; an unknown one must be noticed while reading.
inline void expect_unknown_kinds_rejected(const Descriptor& descriptor, std::int64_t count) {
  for (const std::int64_t kind : {std::int64_t{-1}, count, INT64_MAX}) {
    FieldTape tape;
    descriptor.clone()->fields(tape);
    tape.replace(0, kind);
    tape.rewind();
    make_descriptor(descriptor.family())->fields(tape);
    EXPECT_TRUE(tape.rejected) << kind;
  }
}

// Calls f with every index of a shape, in row-major order.
inline void for_each_index(const Shape& shape, const std::function<void(const Shape&)>& f) {
  for (const std::int64_t dim : shape) {
    if (dim == 0) return;
  }
  Shape index(shape.size(), 0);
  while (true) {
    f(index);
    std::size_t axis = shape.size();
    while (axis > 0 && ++index[axis - 1] == shape[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}
inline std::size_t flat_index(const Shape& shape, const Shape& index) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < shape.size(); ++i)
    at = at * static_cast<std::size_t>(shape[i]) + static_cast<std::size_t>(index[i]);
  return at;
}

// Bytes that are easy to tell apart; 0 and 1 for truth values.
inline TestTensor patterned(DType dtype, const Shape& shape, std::uint32_t seed = 1) {
  TestTensor t{{dtype, shape}, std::vector<std::byte>(*byte_count(shape, dtype))};
  for (std::byte& b : t.bytes) {
    seed = seed * 1664525u + 1013904223u;
    b = static_cast<std::byte>(dtype == DType::boolean ? seed >> 31 : seed >> 24);
  }
  return t;
}

// Floats as a tensor of any floating type, and back.
inline TestTensor typed(DType type, const Shape& shape, const std::vector<float>& values) {
  TestTensor t{{type, shape}, std::vector<std::byte>(values.size() * size_of(type))};
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::byte* at = t.bytes.data() + i * size_of(type);
    const double wide = values[i];
    const Float16 half = to_float16(values[i]);
    const BFloat16 brain = to_bfloat16(values[i]);
    if (type == DType::f32) std::memcpy(at, &values[i], 4);
    if (type == DType::f64) std::memcpy(at, &wide, 8);
    if (type == DType::f16) std::memcpy(at, &half, 2);
    if (type == DType::bf16) std::memcpy(at, &brain, 2);
  }
  return t;
}
inline double value_at(const TestTensor& t, std::size_t i) {
  switch (t.type.dtype) {
    case DType::f64:
      return t.values<double>()[i];
    case DType::f16:
      return to_float(t.values<Float16>()[i]);
    case DType::bf16:
      return to_float(t.values<BFloat16>()[i]);
    default:
      return t.values<float>()[i];
  }
}

}  // namespace intaglio::ops
