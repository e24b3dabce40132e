// The command line of gemm_bench.
#pragma once

#include <string>
#include <vector>

#include "base/isa.h"
#include "bench/gemm/shapes.h"

namespace intaglio::bench {

struct Options {
  std::vector<std::string> shape_files;  // as given; empty: all of the folder
  std::vector<std::string> types;        // kinds of scenarios; empty: all
  std::vector<Isa> levels;               // ascending; those of this machine from avx2 up unless given
  bool levels_given = false;             // then all of them are measured on all shapes
  std::vector<int> threads = {1, 2};
  bool hot = true, cold = true;
  int rounds = 5;
  std::string json;  // a file; empty: none
  bool quick = false, worker = false;
  bool stateful = false;  // only what preparing saves
};

struct Parsed {
  Options options;
  int exit_code = -1;  // when it is not negative, end with it: everything is said already
};
// Prints help to stdout, errors to stderr.
Parsed parse_options(int argc, const char* const* argv);

struct ShapeList {
  std::vector<Product> all;  // without repetitions, grouped by N x K
  std::vector<Product> held;
};
// Errors: file.
Result<ShapeList> load_shapes(const Options& options);

}  // namespace intaglio::bench
