// One N x K of one scenario: the engines' packed weights, and the cells measured with them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/gemm/measure.h"
#include "bench/gemm/options.h"
#include "bench/gemm/report.h"

namespace intaglio::bench {

inline constexpr const char* kOwnName = "intaglio";
inline constexpr const char* kPeerName = "onednn";

// The peer, if it is built in and runs on one thread when it is asked for one: a oneDNN with an OpenMP runtime does so
// only with OMP_NUM_THREADS=1.
std::optional<Engine> peer_engine();
std::string peer_description();
bool peer_runs_on_our_threads();  // else it takes part in cells of one thread only

// Ours on a level; nullopt: on all that the machine has.
Result<Engine> own_engine(std::optional<Isa> level);

// What an engine can do for a scenario: alternatives, of which the first that binds is used.
struct Entrant {
  Engine engine;
  std::vector<Layer> layers;
  bool best = true;
  const kernels::probe::ComputeRow* probe = nullptr;
  const kernels::probe::ComputeRow* fed = nullptr;
};

class Contest {
 public:
  // Packs. `lower` asks for our lower levels as well. Refusals go to `report`. Errors: internal ones, out of memory.
  static Result<Contest> prepare(const Scenario& scenario, std::int64_t n, std::int64_t k, const Options& options,
                                 bool lower, RandomStore& store, Report& report);
  // Copies for cold runs; only the best entrants take part in them. `arenas` has one for each, made when needed.
  Status make_cold(std::vector<Arena>& arenas, std::size_t bytes);

  struct Cell {
    const Problem* problem;
    int threads = 1;
    bool cold = false, held = false;
    bool lower = false;  // all entrants, not only the best
    int rounds = 5;
    double read_gbps = 0;
  };
  // Checks answers, then measures. Wrong answers go to `report` and are not measured.
  Result<std::vector<Row>> measure(const Cell& cell, Team& team, Report& report);

  std::size_t packed_bytes() const;  // the largest
  const Weights& weights() const { return *weights_; }
  bool empty() const { return entrants_.empty(); }

 private:
  struct Bound {
    const Entrant* entrant;
    const Layer* layer;
    std::unique_ptr<Chain> chain;
    double error = 0;
  };
  Status add_own(const Options& options, bool lower, Report& report);
  Status add_peer(Report& report);
  Result<std::vector<Bound>> bind(const Cell& cell, Team& team, Report& report) const;
  void compare(const std::vector<Bound>& bound, const Cell& cell, Report& report) const;
  Row row_of(const Bound& bound, const Timing& timing, const Cell& cell, const Report& report) const;

  std::unique_ptr<Weights> weights_;  // chains point into it
  std::vector<Entrant> entrants_;
};

}  // namespace intaglio::bench
