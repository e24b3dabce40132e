// Passes: graph in, graph out. One rewrite per file, one ordered list (passes.inc). Passes are named, timed,
// switchable, verified in tests; every fusion says where it fired and every near miss says why it did not.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "ir/graph.h"

namespace intaglio::passes {

// A place where a pattern fired; `node` is the origin of what it made.
struct Applied {
  std::string pattern, node;
};
// A place where most of a pattern was there and one condition failed.
struct NearMiss {
  std::string pattern, node, reason;
};

// Why a node was left in floating point though its kind is quantised: a rule, not a failure.
struct KeptFloat {
  std::string rule, node;
};

enum class Quantize : std::uint8_t { none, dynamic };
// How the activations of a dynamically quantised linear become 8-bit integers.
enum class Activations : std::uint8_t {
  token,   // each row by itself, symmetric: scale = max|x| / 127
  tensor,  // all of x at once, asymmetric u8: ONNX DynamicQuantizeLinear
};
// The arithmetic that the passes of stage `precision` give a graph. Read by passes/quant/.
struct Precision {
  DType dtype = DType::f32;  // of floating-point values between inputs and outputs: f32 or bf16
  Quantize quantize = Quantize::none;
  Activations activations = Activations::token;
  bool keep_first = false, keep_last = false;  // the first and the last linear of the graph stay floating point
};

// "none", "dynamic, activations by token, first and last linear kept": for people.
std::string to_string(const Precision& precision);

struct PassOptions {
  std::set<std::string, std::less<>> disabled;           // names of passes to leave out
  std::size_t fold_limit_bytes = std::size_t{64} << 20;  // a folded constant may have max(this, 4x its inputs)
  Precision precision;
  bool verify_each = false;  // run the verifier after every pass that changed something
};

class PassContext {
 public:
  explicit PassContext(PassOptions options = {}) : options_(std::move(options)) {}
  const PassOptions& options() const { return options_; }
  void applied(std::string_view pattern, const ir::Node& node);
  // Recorded once per (pattern, node); later sweeps that succeed on the same node withdraw it.
  void near_miss(std::string_view pattern, const ir::Node& node, std::string_view reason);
  // A rule of quantisation left this node in floating point.
  void kept_float(std::string_view rule, const ir::Node& node);
  const std::vector<KeptFloat>& kept_float() const { return kept_float_; }
  const std::vector<Applied>& fusions() const { return applied_; }
  const std::vector<NearMiss>& near_misses() const { return near_misses_; }

 private:
  PassOptions options_;
  std::vector<Applied> applied_;
  std::vector<NearMiss> near_misses_;
  std::vector<KeptFloat> kept_float_;
};

struct Pass {
  std::string_view name;     // "fuse_layer_norm"
  std::string_view stage;    // "simplify", "recognise", "fuse", "layout", "precision": see passes.inc
  std::string_view purpose;  // one line for people
  // Returns the number of rewrites. Errors (internal) only; a graph that does not match is left alone.
  Result<int> (*run)(ir::Graph& graph, PassContext& context);
};
std::span<const Pass> all_passes();  // in order of execution

struct PassRecord {
  std::string name;
  int rewrites = 0;
  double milliseconds = 0;
};
// Runs all passes in order (groups of simplification are repeated until nothing changes, bounded). `after` sees the
// graph after every pass that changed it (for --print-after style tools); may be empty.
Result<std::vector<PassRecord>> run_passes(ir::Graph& graph, PassContext& context,
                                           const std::function<void(const Pass&, const ir::Graph&)>& after = {});

}  // namespace intaglio::passes
