// The families of emulated instructions. Each performs the instruction on the frame (all but stepping over it) and
// answers true, or answers false when it is none of the family's.
#pragma once

#include "tests/emulation/decode.h"
#include "tests/emulation/frame.h"

namespace intaglio::emulation {

bool execute_amx(const Instruction& instruction, Frame& frame);   // amx.cc
bool execute_vnni(const Instruction& instruction, Frame& frame);  // vnni.cc
bool execute_fp16(const Instruction& instruction, Frame& frame);  // fp16.cc

}  // namespace intaglio::emulation
