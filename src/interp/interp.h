// The reference interpreter: slow, obvious, independent plain C++. It judges every pass and kernel and folds constants.
// One eval function per op of ir/ops.inc.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/dim.h"
#include "ir/graph.h"

namespace intaglio::interp {

// f32: floating-point ops compute in float (in the value's own dtype for f16/bf16 storage: load, compute in float,
// round). f64: every floating-point value is held and computed in double, whatever its dtype (integers unchanged): the
// judge.
enum class Precision : std::uint8_t { f32, f64 };

struct Options {
  Precision precision = Precision::f32;
  std::size_t max_bytes = std::size_t{8} << 30;  // activation memory limit, checked before allocating
};

// Runs a whole graph. `inputs` in the order of graph.inputs(); dtypes and ranks must match (Error usage otherwise).
// Symbols are bound from the inputs' dims; ranges and guards are checked (unsupported: a dim outside its declared
// range). In f64 precision, floating-point outputs have dtype f64 whatever the graph says; inputs may be f32 or f64.
Result<std::vector<ir::Tensor>> run(const ir::Graph& graph, std::span<const ir::Tensor> inputs,
                                    const Options& options = {});

// As run, and calls `observe` with every value computed (name, tensor): for layer-by-layer comparison.
using Observer = std::function<void(const ir::Value&, const ir::Tensor&)>;
Result<std::vector<ir::Tensor>> run_observed(const ir::Graph& graph, std::span<const ir::Tensor> inputs,
                                             const Options& options, const Observer& observe);

// Evaluates one node on concrete operands (nullptr: absent), in f32 precision: for constant folding.
Result<std::vector<ir::Tensor>> eval(const ir::Node& node, std::span<const ir::Tensor* const> inputs,
                                     const SymbolValues& symbols);

// Binds symbols from the concrete shapes of the inputs and checks ranks, constants, ranges and guards. The inputs'
// port names are used in messages. Shared wording with the executor's binding.
Result<SymbolValues> bind_symbols(const ir::Graph& graph, std::span<const Shape> input_shapes);

}  // namespace intaglio::interp
