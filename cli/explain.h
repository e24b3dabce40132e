// What `intaglio explain` tells, and the three ways it is written.
#pragma once

#include <string>
#include <vector>

#include "cli/report.h"

namespace intaglio::cli {

struct Explained {
  std::string model;  // as the user named it
  bool huge_pages = false;
  Explanation explanation;
  ModelFacts facts;
  std::vector<PortInfo> ports;
  std::vector<Shape> shapes;  // in the order of the ports
};

// A layer of the model: steps whose names share a module (ExplainedStep::layer), in the order of their first steps.
struct LayerTime {
  std::string name;
  std::size_t steps = 0;
  double predicted_us = 0, measured_us = 0;
};
std::vector<LayerTime> layer_times(const Explanation& explanation);

std::string explain_text(const Explained& told);
Json explain_json(const Explained& told);
// One page with its own style and drawings: it refers to nothing outside.
std::string explain_html(const Explained& told);
// Its drawings, as SVG. The first two need times.
std::string layers_chart(const Explanation& explanation);
std::string roofline_chart(const Explanation& explanation);
std::string memory_chart(const Explanation& explanation);

}  // namespace intaglio::cli
