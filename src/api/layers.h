// Which module of its model each step belongs to, from names alone.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace intaglio::internal {

struct NamedStep {
  std::string node;       // "/encoder/layer.0/attention/MatMul; ..."; the first name counts
  std::string source;     // "modeling_bert.py:192 encoder.layer.0.attention", or without the path, or empty
  std::string signature;  // equal for steps that do the same to other weights
};

// One name per step, in their order:
//  * The module path is what follows the source line, else the node's name without its last part. A part that is
//    numbered, with at least two numbers under the same parent, ends the layer's name: "encoder.layer.0". Steps that
//    are in none have the first parts of their path, as many as stand before the numbered one.
//  * If most steps have no path: steps that repeat, as far as they repeat in the same order, are "block 1", "block 2",
//    ...; those around them "before" and "after".
//  * If nothing repeats either: "".
std::vector<std::string> layers_of(std::span<const NamedStep> steps);

}  // namespace intaglio::internal
