// Size expressions as torch writes them: sympy's srepr, "Mul(Integer(64), Symbol('s43', positive=True, integer=True))".
#pragma once

#include <functional>
#include <string_view>

#include "base/dim.h"
#include "base/error.h"

namespace intaglio::frontend::pt2 {

// Add, Mul, Pow (constant non-negative exponent), Max, Min, FloorDiv, CleanDiv, IntTrueDiv (when exact), CeilDiv, Mod,
// PythonMod, ModularIndexing, Integer, One, Zero, NegativeOne and Symbol. `symbol` is told each symbol's name and
// returns what stands for it. Errors: file (not srepr, nested too deeply), unsupported (another function).
Result<Dim> parse_srepr(std::string_view text, const std::function<Dim(std::string_view)>& symbol);

}  // namespace intaglio::frontend::pt2
