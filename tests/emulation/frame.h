// The interrupted thread's registers as they lie in the frame of a signal: what is written here is what the thread goes
// on with. Vector registers are those of the XSAVE area (Intel SDM, volume 1, chapter 13: the standard format), where
// a state component that is not marked in XSTATE_BV is all zeros whatever the bytes say.
#pragma once

#include <ucontext.h>

#include <array>
#include <cstdint>

#include "tests/emulation/decode.h"

namespace intaglio::emulation {

constexpr int kVectorBytes = 64;
using Vector = std::array<std::uint8_t, kVectorBytes>;

// Reads where the vector registers lie in the XSAVE area; to be called once, before frames are looked into.
void learn_frame_layout();

class Frame {
 public:
  explicit Frame(ucontext_t& context);

  std::uint64_t rip() const;
  void set_rip(std::uint64_t value);
  std::uint64_t gpr(int number) const;  // in the instruction set's numbering: rax rcx rdx rbx rsp rbp rsi rdi r8..r15
  void set_gpr(int number, std::uint64_t value);
  // The address of a memory operand without its index; `unit` is what an EVEX one-byte displacement counts.
  std::uint64_t base_address(const Instruction& instruction, int unit) const;
  // The same with index * scale.
  std::uint64_t address(const Instruction& instruction, int unit) const;

  bool has_vectors() const { return area_ != nullptr; }  // false: the frame carries no XSAVE area
  std::uint32_t mxcsr() const;
  void raise_float_flags(std::uint32_t flags);
  std::uint64_t mask(int number) const;
  Vector vector(int number) const;
  void set_vector(int number, const Vector& value);  // all 64 bytes of it, as far as the CPU has them

 private:
  bool in_use(int component) const;
  std::uint8_t* component(int component, bool for_writing);

  greg_t* gregs_;
  std::uint8_t* area_ = nullptr;  // legacy region, header, extended region
};

}  // namespace intaglio::emulation
