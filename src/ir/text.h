// The text form of a graph: what tests and people read. print and parse round-trip.
//
//   graph "bert" {
//     symbol batch in [1, 64]
//     symbol seq in [1, 512]
//     guard seq == seq2 "node that needs it"
//     input "input_ids" %ids: i64[batch, seq]
//     const %w: f32[4, 2] = [1, 2, 3, 4, 5, 6, 7, 8]
//     const %z: f32[768] = splat 0.5
//     const %r: f32[768, 768] = random 7          # normal(0, 0.05), seeded: for tests; prints as hex or elided
//     const %h: u8[4] = hex "00ff10a0"
//     %y: f32[batch, seq, 2] = linear(%x, %w, _) {activation="gelu"} @ "node name" "source.py:12"
//     output "y" %y
//   }
// "_" is an absent optional operand; several outputs: "%a, %b, %c: u8[n], f32[], u8[] = dynamic_quantize(%x)".
// "#" starts a comment. Types of results may be left out when parsing (they are inferred; if given they are checked).
#pragma once

#include <string>
#include <string_view>

#include "ir/graph.h"

namespace intaglio::ir {

struct PrintOptions {
  bool full_constants = false;  // hex for large constants (round-trips); else "elided"
  bool origins = true;
};
std::string print(const Graph& graph, const PrintOptions& options = {});

// Errors (file) name line and column. The result has been verified. "elided" constants are an error.
Result<Graph> parse(std::string_view text);

}  // namespace intaglio::ir
