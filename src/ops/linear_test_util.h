// Helpers of the tests of linear and matmul: runs a prepared op as a region would, on every ISA level of this machine.
#pragma once

#include <gtest/gtest.h>

#include <barrier>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/alloc.h"
#include "cpu/machine.h"
#include "ops/candidate.h"
#include "ops/touch_test_util.h"
#include "tests/emulation/machine.h"

namespace intaglio::ops {

struct TestTensor {
  Operand type;
  std::vector<std::byte> bytes;

  template <class T>
  static TestTensor of(Shape shape, const std::vector<T>& values) {
    TestTensor t{{kDTypeOf<T>, std::move(shape)}, std::vector<std::byte>(values.size() * sizeof(T))};
    if (!values.empty()) std::memcpy(t.bytes.data(), values.data(), t.bytes.size());
    return t;
  }
  template <class T>
  std::vector<T> values() const {
    std::vector<T> out(bytes.size() / sizeof(T));
    if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }
  Constant constant() const { return {type.dtype, type.shape, bytes.data(), bytes.size()}; }
};

// The levels that change which GEMM kernel is chosen, capped to this machine; a level it lacks is left out (the
// kernels' own tests say so with a reason), but AMX, whose tiles the loops set up: that is emulated.
inline std::vector<Target> test_targets() {
  std::vector<Target> out;
  for (const Isa isa : {Isa::scalar, Isa::sse42, Isa::avx2, Isa::avx_vnni, Isa::avx512, Isa::avx512_vnni,
                        Isa::avx512_bf16, Isa::avx512_fp16, Isa::amx}) {
    const bool emulated = isa == Isa::amx && emulation::runs("amx") == emulation::Runs::emulated;
    if (!emulated && !contains(cpu::detect().isa, closure_of(isa))) continue;
    Target target;
    target.isa = closure_of(isa);
    out.push_back(target);
  }
  return out;
}

inline void check_touches(const PreparedOp& op, const Binding& binding, const std::vector<TestTensor>& inputs,
                          const std::vector<std::size_t>& outputs, int threads) {
  std::vector<std::vector<std::byte>> bytes;
  for (const TestTensor& input : inputs) bytes.push_back(input.bytes);
  TouchCheck(op, binding, std::move(bytes), outputs, threads).check();
}

// Runs every phase on `threads` workers: one after the other (bits must not depend on the interleaving), or on real
// threads.
inline Result<std::vector<TestTensor>> run_op(const PreparedOp& op, const std::vector<TestTensor>& inputs,
                                              const std::vector<Operand>& outputs, int threads = 1,
                                              bool concurrent = false) {
  std::vector<Operand> types;
  std::vector<const void*> in;
  for (const TestTensor& t : inputs) {
    types.push_back(t.type);
    in.push_back(t.bytes.data());
  }
  BindRequest request;
  request.inputs = types;
  request.outputs = outputs;
  request.threads = threads;
  INTAGLIO_TRY(const auto binding, op.bind(request));
  std::vector<std::size_t> sizes;
  for (const Operand& type : outputs) sizes.push_back(byte_count(type.shape, type.dtype).value_or(0));
  check_touches(op, *binding, inputs, sizes, threads);
  std::vector<TestTensor> results;
  std::vector<void*> out;
  for (const Operand& type : outputs) {
    INTAGLIO_TRY(const std::size_t bytes, byte_count(type.shape, type.dtype));
    results.push_back({type, std::vector<std::byte>(bytes, std::byte{0xA5})});
  }
  for (TestTensor& t : results) out.push_back(t.bytes.data());
  INTAGLIO_TRY(const Buffer shared, Buffer::allocate(binding->shared_scratch_bytes + 64));
  std::memset(shared.data(), 0xA5, shared.size());
  std::vector<Buffer> own(static_cast<std::size_t>(threads));
  for (Buffer& buffer : own) {
    INTAGLIO_TRY(buffer, Buffer::allocate(binding->thread_scratch_bytes + 64));
    std::memset(buffer.data(), 0xA5, buffer.size());
  }
  const auto work = [&](int index, int phase) {
    const RunArgs args{in.data(), out.data(), own[static_cast<std::size_t>(index)].data(), shared.data()};
    EXPECT_EQ(op.run(*binding, args, Worker{index, threads, phase}), RunStatus::ok);
  };
  if (!concurrent) {
    for (int phase = 0; phase < binding->phases; ++phase) {
      for (int index = threads - 1; index >= 0; --index) work(index, phase);
    }
    return results;
  }
  std::barrier barrier(threads);
  std::vector<std::thread> team;
  for (int index = 0; index < threads; ++index) {
    team.emplace_back([&, index] {
      for (int phase = 0; phase < binding->phases; ++phase) {
        work(index, phase);
        barrier.arrive_and_wait();
      }
    });
  }
  for (std::thread& t : team) t.join();
  return results;
}

class TestRandom {
 public:
  explicit TestRandom(std::uint32_t seed) : source_(seed) {}
  std::vector<float> floats(std::size_t count, float low = -1, float high = 1) {
    std::vector<float> out(count);
    for (float& x : out) x = std::uniform_real_distribution<float>(low, high)(source_);
    return out;
  }
  template <class T>
  std::vector<T> integers(std::size_t count, int low = std::numeric_limits<T>::min(),
                          int high = std::numeric_limits<T>::max()) {
    std::vector<T> out(count);
    for (T& x : out) x = static_cast<T>(std::uniform_int_distribution<int>(low, high)(source_));
    return out;
  }
  std::size_t size(std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(source_);
  }

 private:
  std::mt19937 source_;
};

// The levels that this CPU lacks and tests/emulation stands in for. An emulated instruction costs a signal, about 10
// us.
inline std::vector<Target> emulated_targets() {
  std::vector<Target> out;
  for (const Isa isa : {Isa::avx_vnni, Isa::avx512_fp16, Isa::amx}) {
    if (emulation::runs(name_of(isa)) != emulation::Runs::emulated) continue;
    Target target;
    target.isa = closure_of(isa);
    // What the kernels of AMX are compiled with, and what every CPU with AMX has.
    if (isa == Isa::amx) target.isa.bits |= isa_bit(Isa::avx512_bf16);
    out.push_back(target);
  }
  return out;
}

}  // namespace intaglio::ops
