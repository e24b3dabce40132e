// Runs, on a CPU that lacks them, the instructions of AMX, AVX-VNNI and AVX512-FP16 that the kernels use: a handler of
// SIGILL decodes the instruction, performs it on the interrupted thread's registers and memory, and steps over it.
// For tests only; README.md says what is covered.
#pragma once

#include <cstdint>

#include "tests/emulation/machine.h"

namespace intaglio::emulation {

// Installs the handler for the whole process; more calls change nothing. From then on runs() says `emulated` for the
// levels of emulates(). Does nothing on a CPU that has all of them or too little for any, nor where under_qemu().
// An instruction that is not covered ends the program as without the emulator, after its bytes are printed. So does, by
// abort(), one that a real CPU would refuse: a bad tile configuration, tiles that are not configured or do not fit.
void install();

// Instructions emulated so far, by all threads.
std::uint64_t executed();

}  // namespace intaglio::emulation
