// Inputs of a run: from files, or seeded random ones of given or default shapes. Errors (usage) name the option and the
// input.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/options.h"
#include "intaglio/intaglio.h"

namespace intaglio::cli {

using NamedShapes = std::map<std::string, Shape>;
using NamedPaths = std::map<std::string, std::string>;

// --shape name=1x128 and --input name=file.npy; each name once.
NamedShapes parse_shapes(const std::vector<std::string>& texts);
NamedPaths parse_inputs(const std::vector<std::string>& texts);

// "1x128"; "scalar" for rank 0.
std::string shape_text(const Shape& shape);

struct ResolvedShapes {
  std::vector<Shape> shapes;       // in the order of the ports
  std::vector<std::string> notes;  // which dims were chosen, for people
};
// The shapes of all inputs: `given` ones (rank and fixed dims checked), the same value for the same symbol elsewhere,
// and for symbols that nothing decides 1 for a first dim and 128 for others, within the declared range. `origin` names
// the option.
ResolvedShapes resolve_shapes(const std::vector<PortInfo>& ports, const NamedShapes& given, const std::string& origin);

// Equal for equal names and shapes on every machine: floats in [-1, 1); integers that index a table within it, others 0
// to 9 (8 bits: the whole range); bools 0 or 1; ones where the name contains "mask", zeros where it contains
// "token_type".
std::vector<Tensor> random_inputs(const std::vector<PortInfo>& ports, const std::vector<Shape>& shapes);
// For a model; shapes that it refuses are refused before memory is filled. Throws Error (usage, unsupported).
std::vector<Tensor> random_inputs(const Model& model, const std::vector<Shape>& shapes);

// All inputs from .npy files; every port must be named. Throws Error (usage, file).
std::vector<Tensor> read_inputs(const std::vector<PortInfo>& ports, const NamedPaths& paths);

// What --input or --shape ask for: the files, or else random inputs of these shapes.
struct InputChoice {
  NamedPaths paths;
  NamedShapes shapes;
};
// Throws Error (usage) for both at once.
InputChoice choose_inputs(const ModelOptions& options);
// Inputs for these ports, or of a model, which may refuse their shapes; says on stderr which dims it chose. Throws
// Error (usage, file, unsupported).
std::vector<Tensor> make_inputs(const std::vector<PortInfo>& ports, const InputChoice& choice);
std::vector<Tensor> make_inputs(const Model& model, const InputChoice& choice);

}  // namespace intaglio::cli
