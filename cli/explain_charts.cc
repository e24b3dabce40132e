// The drawings of an explanation's page.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/explain.h"
#include "cli/svg.h"

namespace intaglio::cli {

namespace {

constexpr double kWidth = 1000;

// Names end with what tells them apart. Cut between characters, not inside one.
std::string tail(const std::string& name, std::size_t most) {
  if (name.size() <= most) return name;
  std::size_t from = name.size() - most;
  while (from < name.size() && (static_cast<unsigned char>(name[from]) & 0xc0) == 0x80) ++from;
  return "..." + name.substr(from);
}

// A logarithmic axis from a value to a greater one, in units of the drawing.
struct LogAxis {
  double least, most, from, to;
  double at(double value) const {
    return from + (to - from) * (std::log10(value) - std::log10(least)) / (std::log10(most) - std::log10(least));
  }
};

struct Dot {
  double intensity, rate;
  std::string tip;
};

std::vector<Dot> dots_of(const Explanation& e) {
  std::vector<Dot> dots;
  for (std::size_t i = 0; i < e.steps.size(); ++i) {
    const ExplainedStep& step = e.steps[i];
    const double us = step.measured_us.value_or(0);
    if (us <= 0 || step.flops <= 0 || step.bytes <= 0) continue;
    const double intensity = step.flops / step.bytes, rate = step.flops / us / 1e3;
    dots.push_back({intensity, rate,
                    fmt::format("step {}: {} {} - {:.1f} us, {:.3g} flops/byte, {:.3g} GFLOP/s, limit {}", i, step.op,
                                step.node, us, intensity, rate, step.roof)});
  }
  return dots;
}

// Bandwidths, and those peaks that limit a step (all of them if none does): others would only crowd the drawing.
std::vector<DoctorMeasurement> roofs_of(const Explanation& e) {
  std::vector<DoctorMeasurement> roofs, peaks;
  for (DoctorMeasurement roof : e.machine) {
    roof.value *= e.threads;
    if (roof.value <= 0) continue;
    const bool limits = std::ranges::find(e.steps, roof.name, &ExplainedStep::roof) != e.steps.end();
    (roof.unit == "GB/s" || limits ? roofs : peaks).push_back(roof);
  }
  const bool no_peak = std::ranges::all_of(roofs, [](const auto& roof) { return roof.unit == "GB/s"; });
  if (no_peak) roofs.insert(roofs.end(), peaks.begin(), peaks.end());
  return roofs;
}

void draw_decades(Svg& svg, const LogAxis& x, const LogAxis& y) {
  for (double value = x.least; value <= x.most * 1.001; value *= 10) {
    svg.line(x.at(value), y.from, x.at(value), y.to, "grid");
    svg.text(x.at(value), y.from + 16, "middle", fmt::format("{:g}", value));
  }
  for (double value = y.least; value <= y.most * 1.001; value *= 10) {
    svg.line(x.from, y.at(value), x.to, y.at(value), "grid");
    svg.text(x.from - 6, y.at(value) + 4, "end", fmt::format("{:g}", value));
  }
  svg.text((x.from + x.to) / 2, y.from + 36, "middle", "flops per byte");
  svg.text(x.from - 40, y.to - 10, "", "GFLOP/s");
}

// A bandwidth rises until the highest peak; a peak is level. Labels of peaks are pushed apart; slopes are
// listed below them in their order, where no line crosses the words.
void draw_roofs(Svg& svg, const LogAxis& x, const LogAxis& y, std::vector<DoctorMeasurement> roofs) {
  std::ranges::sort(roofs, std::greater<>(), &DoctorMeasurement::value);
  double peak = 0;
  for (const DoctorMeasurement& roof : roofs) {
    if (roof.unit != "GB/s") peak = std::max(peak, roof.value);
  }
  double free = y.to - 20;
  for (const DoctorMeasurement& roof : roofs) {
    if (roof.unit == "GB/s") continue;
    svg.line(x.from, y.at(roof.value), x.to, y.at(roof.value), "roof");
    free = std::max(free + 15, y.at(roof.value) + 4);
    svg.text(x.to + 6, free, "", fmt::format("{} {:.0f} {}", roof.name, roof.value, roof.unit));
  }
  free += 35;
  svg.text(x.to + 6, free, "faint", "slopes, from the left:");
  for (const DoctorMeasurement& roof : roofs) {
    const double begin = std::max(x.least, y.least / roof.value);
    const double end = std::min(x.most, (peak > 0 ? peak : y.most) / roof.value);
    if (roof.unit != "GB/s" || begin >= end) continue;
    svg.line(x.at(begin), y.at(begin * roof.value), x.at(end), y.at(end * roof.value), "slope");
    svg.text(x.to + 6, free += 15, "faint", fmt::format("{} {:.0f} {}", roof.name, roof.value, roof.unit));
  }
}

double decade_below(double value) {
  return std::pow(10.0, std::floor(std::log10(value)));
}

}  // namespace

std::string layers_chart(const Explanation& e) {
  const std::vector<LayerTime> layers = layer_times(e);
  double most = 1e-9;
  for (const LayerTime& layer : layers) most = std::max({most, layer.measured_us, layer.predicted_us});
  constexpr double kRow = 24, kLeft = 330, kBar = 500;
  Svg svg(kWidth, kRow * static_cast<double>(layers.size()) + 8, "time of each layer");
  double y = 4;
  for (const LayerTime& layer : layers) {
    const std::string name = layer.name.empty() ? "(no module)" : layer.name;
    const double share = e.run_us > 0 ? 100 * layer.measured_us / e.run_us : 0;
    const std::string told = fmt::format("{:.1f} us, {:.1f}%", layer.measured_us, share);
    svg.text(kLeft - 8, y + 15, "end", tail(name, 44));
    svg.rect(kLeft, y + 2, kBar * layer.measured_us / most, 12, "bar", fmt::format("{}: measured {}", name, told));
    svg.rect(kLeft, y + 15, kBar * layer.predicted_us / most, 4, "predicted",
             fmt::format("{}: predicted {:.1f} us", name, layer.predicted_us));
    svg.text(kLeft + kBar * layer.measured_us / most + 8, y + 13, "", told);
    y += kRow;
  }
  return svg.done();
}

std::string roofline_chart(const Explanation& e) {
  const std::vector<Dot> dots = dots_of(e);
  const std::vector<DoctorMeasurement> roofs = roofs_of(e);
  if (dots.empty()) return "<p>No step both counts flops and was measured.</p>\n";
  double x_least = 0.1, x_most = 100, y_least = 1, y_most = 10;
  for (const Dot& dot : dots) {
    x_least = std::min(x_least, dot.intensity), x_most = std::max(x_most, dot.intensity);
    y_least = std::min(y_least, dot.rate), y_most = std::max(y_most, dot.rate);
  }
  for (const DoctorMeasurement& roof : roofs) {
    if (roof.unit != "GB/s") y_most = std::max(y_most, roof.value);
  }
  const LogAxis x{decade_below(x_least), 10 * decade_below(x_most), 60, 740};
  const LogAxis y{decade_below(y_least), 10 * decade_below(y_most), 400, 30};
  Svg svg(kWidth, 445, "roofline of the steps");
  draw_decades(svg, x, y);
  draw_roofs(svg, x, y, roofs);
  for (const Dot& dot : dots) svg.dot(x.at(dot.intensity), y.at(dot.rate), 4, "dot", dot.tip);
  return svg.done();
}

std::string memory_chart(const Explanation& e) {
  const double most = static_cast<double>(std::max<std::size_t>(e.arena_bytes, 1));
  constexpr double kLeft = 80, kTop = 20, kHeight = 160;
  const double wide = (kWidth - kLeft - 20) / static_cast<double>(std::max<std::size_t>(e.steps.size(), 1));
  Svg svg(kWidth, kTop + kHeight + 30, "bytes of the arena alive at each step");
  for (std::size_t i = 0; i < e.steps.size(); ++i) {
    const double height = kHeight * static_cast<double>(e.steps[i].arena_bytes) / most;
    svg.rect(kLeft + wide * static_cast<double>(i), kTop + kHeight - height, wide * 0.9, height, "bar",
             fmt::format("step {}: {} {} - {}", i, e.steps[i].op, e.steps[i].node, megabytes(e.steps[i].arena_bytes)));
  }
  svg.line(kLeft, kTop, kWidth - 20, kTop, "roof");
  svg.line(kLeft, kTop + kHeight, kWidth - 20, kTop + kHeight, "grid");
  svg.text(kLeft - 6, kTop + 4, "end", megabytes(e.arena_bytes));
  svg.text(kLeft - 6, kTop + kHeight + 4, "end", "0");
  svg.text(kWidth / 2, kTop + kHeight + 20, "middle", fmt::format("steps 0 to {}", e.steps.size() - 1));
  return svg.done();
}

}  // namespace intaglio::cli
