// What a prepared linear saves: packing its weights and summing their columns once, instead of in each call. The same
// kernels on both sides, the linears of one layer of each model.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"

namespace intaglio::bench {

// An encoder by what its linears need: four of hidden x hidden, one to and one from the inner width, per layer.
struct Encoder {
  const char* name;
  std::int64_t hidden, inner;
};
std::span<const Encoder> encoders();

// A layer of one model at one number of rows (tokens). Medians of CPU time of one thread.
struct StatefulRow {
  std::string model;
  std::int64_t tokens = 0;
  double run_us = 0;   // all linears of the layer, prepared
  double pack_us = 0;  // pack() and prepare() of all of them, which a call without a state adds
  double speed_up() const { return (run_us + pack_us) / run_us; }
};

struct StatefulReport {
  std::vector<StatefulRow> rows;
  double mean() const;     // arithmetic, of the rows' speed-ups
  double geomean() const;  // geometric
};

// Linears of int8 weights whose rows are quantised from f32 as they are read, `tokens` rows each.
// Errors: out of memory, internal ones; a wrong answer is internal.
Result<StatefulReport> measure_stateful(std::span<const Encoder> models, std::span<const std::int64_t> tokens,
                                        int rounds);

// 2^3 to 2^9.
std::span<const std::int64_t> stateful_tokens();

std::string stateful_text(const StatefulReport& report);
// Schema intaglio.gemm/1 with `stateful` alone.
std::string stateful_json(const StatefulReport& report);

}  // namespace intaglio::bench
