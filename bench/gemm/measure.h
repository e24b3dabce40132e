// Chains that take turns: rounds, batches, medians.
#pragma once

#include <vector>

#include "bench/gemm/chain.h"
#include "bench/gemm/peaks.h"

namespace intaglio::bench {

double median(std::vector<double> values);

// The threads of a run. With one thread the calling one, and its CPU time is what counts; with more the wall clock.
class Team {
 public:
  // Errors: those of threads::Pool.
  static Result<Team> create(int threads);
  int size() const { return pool_ ? pool_->size() : 1; }
  // Seconds of one iteration.
  double time(Chain& chain, std::size_t iterations);

 private:
  std::unique_ptr<threads::Pool> pool_;
};

struct Contender {
  Chain* chain = nullptr;
  const kernels::probe::ComputeRow* probe = nullptr;  // measured before each of its turns; may be null
};

struct Timing {
  std::vector<double> seconds;  // of one run, per round
  std::vector<double> peak;     // operations per second of one core, per round
};

struct Plan {
  int rounds = 5;
  double batch_seconds = 2e-3;  // at least so long is a turn
};

// One untimed turn each, then rounds whose order rotates. Rounds become fewer, at least 3, for products so large that
// all would take seconds; one, where a round does.
std::vector<Timing> measure(std::vector<Contender>& contenders, Team& team, const Plan& plan);

}  // namespace intaglio::bench
