#include "tests/emulation/frame.h"

#include <cpuid.h>

#include <cstring>

namespace intaglio::emulation {
namespace {

// State components of the XSAVE area.
enum Component : int { kSse = 1, kAvx = 2, kMask = 5, kZmmHigh = 6, kHighZmm = 7, kComponents };

struct Place {
  std::uint32_t offset = 0, size = 0;  // size 0: the CPU lacks the component
};
constinit Place places[kComponents] = {};

// The legacy region's fields, and the mark by which the kernel says that an XSAVE area follows it.
constexpr int kMxcsr = 24, kXmm = 160, kKernelMark = 464, kHeader = 512;
constexpr std::uint32_t kXsaveMark = 0x46505853;

constexpr int kGregs[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                          REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

bool all_zero(const std::uint8_t* bytes, int count) {
  for (int i = 0; i < count; ++i) {
    if (bytes[i] != 0) return false;
  }
  return true;
}

}  // namespace

void learn_frame_layout() {
  places[kSse] = {kXmm, 256};
  for (const int component : {kAvx, kMask, kZmmHigh, kHighZmm}) {
    unsigned size = 0, offset = 0, ecx = 0, edx = 0;
    if (__get_cpuid_count(0xD, static_cast<unsigned>(component), &size, &offset, &ecx, &edx) == 0) continue;
    places[component] = {offset, size};
  }
}

Frame::Frame(ucontext_t& context) : gregs_(context.uc_mcontext.gregs) {
  auto* area = reinterpret_cast<std::uint8_t*>(context.uc_mcontext.fpregs);
  if (area == nullptr) return;
  std::uint32_t mark = 0;
  std::memcpy(&mark, area + kKernelMark, sizeof(mark));
  if (mark == kXsaveMark) area_ = area;
}

std::uint64_t Frame::rip() const {
  return static_cast<std::uint64_t>(gregs_[REG_RIP]);
}
void Frame::set_rip(std::uint64_t value) {
  gregs_[REG_RIP] = static_cast<greg_t>(value);
}
std::uint64_t Frame::gpr(int number) const {
  return static_cast<std::uint64_t>(gregs_[kGregs[number]]);
}
void Frame::set_gpr(int number, std::uint64_t value) {
  gregs_[kGregs[number]] = static_cast<greg_t>(value);
}

std::uint64_t Frame::base_address(const Instruction& instruction, int unit) const {
  const MemoryOperand& m = instruction.memory;
  std::uint64_t at = static_cast<std::uint64_t>(m.disp_in_units ? m.disp * unit : m.disp);
  if (m.base == MemoryOperand::kRip) return at + rip() + static_cast<std::uint64_t>(instruction.size);
  return m.base == MemoryOperand::kNone ? at : at + gpr(m.base);
}

std::uint64_t Frame::address(const Instruction& instruction, int unit) const {
  const MemoryOperand& m = instruction.memory;
  const std::uint64_t at = base_address(instruction, unit);
  return m.index == MemoryOperand::kNone ? at : at + gpr(m.index) * static_cast<std::uint64_t>(m.scale);
}

std::uint32_t Frame::mxcsr() const {
  std::uint32_t value = 0;
  std::memcpy(&value, area_ + kMxcsr, sizeof(value));
  return value;
}

void Frame::raise_float_flags(std::uint32_t flags) {
  const std::uint32_t value = mxcsr() | flags;
  std::memcpy(area_ + kMxcsr, &value, sizeof(value));
}

bool Frame::in_use(int component) const {
  std::uint64_t marks = 0;
  std::memcpy(&marks, area_ + kHeader, sizeof(marks));
  return (marks >> component & 1) != 0;
}

// The component's bytes, or null: for reading when it is all zeros, for writing when the CPU lacks it.
std::uint8_t* Frame::component(int component, bool for_writing) {
  const Place place = places[component];
  if (place.size == 0) return nullptr;
  std::uint8_t* bytes = area_ + place.offset;
  if (in_use(component)) return bytes;
  if (!for_writing) return nullptr;
  // The other registers of the component come to life with this one: as the zeros that they are.
  std::memset(bytes, 0, place.size);
  std::uint64_t marks = 0;
  std::memcpy(&marks, area_ + kHeader, sizeof(marks));
  marks |= std::uint64_t{1} << component;
  std::memcpy(area_ + kHeader, &marks, sizeof(marks));
  return bytes;
}

std::uint64_t Frame::mask(int number) const {
  std::uint64_t value = 0;
  if (const std::uint8_t* bytes = const_cast<Frame*>(this)->component(kMask, false)) {
    std::memcpy(&value, bytes + 8 * number, sizeof(value));
  }
  return value;
}

namespace {

// The parts of one vector register: which component holds them, where in it, which bytes of the register they are.
struct Part {
  int component, offset, first, count;
};

int parts_of(int number, Part (&parts)[3]) {
  if (number >= 16) {
    parts[0] = {kHighZmm, 64 * (number - 16), 0, 64};
    return 1;
  }
  parts[0] = {kSse, 16 * number, 0, 16};
  parts[1] = {kAvx, 16 * number, 16, 16};
  parts[2] = {kZmmHigh, 32 * number, 32, 32};
  return 3;
}

}  // namespace

Vector Frame::vector(int number) const {
  Vector value{};
  Part parts[3];
  for (int i = 0, n = parts_of(number, parts); i < n; ++i) {
    const Part& part = parts[i];
    const std::uint8_t* bytes = const_cast<Frame*>(this)->component(part.component, false);
    if (bytes != nullptr) std::memcpy(&value[part.first], bytes + part.offset, static_cast<std::size_t>(part.count));
  }
  return value;
}

void Frame::set_vector(int number, const Vector& value) {
  Part parts[3];
  for (int i = 0, n = parts_of(number, parts); i < n; ++i) {
    const Part& part = parts[i];
    const bool zero = all_zero(&value[part.first], part.count);
    std::uint8_t* bytes = component(part.component, !zero);
    if (bytes != nullptr) std::memcpy(bytes + part.offset, &value[part.first], static_cast<std::size_t>(part.count));
  }
}

}  // namespace intaglio::emulation
