// What the files of `intaglio bench` share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/inputs.h"
#include "cli/latency.h"
#include "cli/options.h"
#include "cli/session.h"

namespace intaglio::cli {

// One engine on one model.
struct BenchResult {
  std::string model, engine, version, dtype;
  int threads = 0;
  double compile_ms = 0, load_ms = 0, peak_rss_mb = 0;
  std::vector<std::int64_t> nanoseconds;
  bool ours = false;
  double ratio = 0;  // of ours: the fastest peer's median over our median; 0 without peers
  bool compared = false;
  Difference error;  // of a peer: our outputs against its
};

// Ours and, where `peers` are named, theirs in turns; ours first.
struct BenchPlan {
  std::string model;
  int threads = 0;
  std::int64_t iterations = 0, warmup = 0;
  std::vector<std::string> peers;
};
// `session` has its inputs. Throws Error.
std::vector<BenchResult> measure(Session& session, const BenchPlan& plan);

// bench --worker: the protocol of bench/README.md on stdin and stdout, until quit or the end of input. If the model
// cannot be opened, an error object goes to stdout and the Error is thrown on.
void serve(const ModelOptions& options);

}  // namespace intaglio::cli
