// Rows of results, what they amount to, and how both are told: text and JSON of schema intaglio.gemm/1.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/gemm/shapes.h"

namespace intaglio::bench {

struct Row {
  Product shape;
  std::string types, epilogue, isa, engine, kernel;
  int threads = 1;
  bool cold = false, held = false, best = true;  // best: the level that this machine would use
  double seconds = 0;                            // median of one run
  double gops = 0, percent_of_peak = 0;          // peak of the registers, of all threads
  double percent_of_fed = 0;                     // of the peak with operands from L1; 0: no probe measures it
  double weights_gbps = 0;                       // packed weights read, counted once a run
  double read_gbps = 0;                          // memory bandwidth measured beside it; cold rows only
  double error = 0;                              // relative to the root mean square of the result
  double bind_us = 0;
};

// A kind of linear over all shapes, one thread, hot, the best level: ours over the peer's rate.
struct Ratio {
  std::string types, epilogue;
  int shapes = 0, lost = 0;  // lost: slower than the peer by more than 2 %
  double geomean = 0, worst = 0;
  std::string worst_shape;
};
// Two threads over one of the same engine and shape.
struct Scaling {
  std::string types, epilogue, engine;
  int threads = 2, shapes = 0;
  double geomean = 0, worst = 0;
  std::string worst_shape;
};

struct Report {
  std::map<std::string, double> peaks;  // GOPS by probe; "read_gbps"
  std::string machine, peer;            // descriptions
  std::size_t cold_bytes = 0, read_bytes = 0;
  std::vector<Row> rows;
  std::vector<std::string> refused;   // what an engine cannot do, with the reason
  std::vector<std::string> failures;  // wrong answers
};

std::vector<Ratio> ratios(const std::vector<Row>& rows);
std::vector<Scaling> scalings(const std::vector<Row>& rows);

std::string line_of(const std::vector<Row>& cell);  // the engines of one cell beside each other
std::string summary_text(const Report& report);
std::string json_text(const Report& report);

}  // namespace intaglio::bench
