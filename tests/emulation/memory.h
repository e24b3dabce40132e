// The emulated program's memory, and how the emulator gives up.
#pragma once

#include <cstddef>
#include <cstdint>

namespace intaglio::emulation {

// Copy exactly `count` bytes, as the instruction would touch them. A sanitizer sees the access, an inaccessible page
// raises SIGSEGV.
void load(std::uint64_t address, void* to, std::size_t count);
void store(std::uint64_t address, const void* from, std::size_t count);

// Prints what a real CPU would have refused (with #UD or #GP) and aborts.
[[noreturn]] [[gnu::format(printf, 1, 2)]] void refuse(const char* format, ...);

}  // namespace intaglio::emulation
