#include "bench/gemm/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "bench/gemm/measure.h"

namespace intaglio::bench {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kOurs = "intaglio";
constexpr double kDraw = 0.98;

const char* cache_of(const Row& row) {
  return row.cold ? "cold" : "hot";
}

// To so many decimals, for short files.
double rounded(double value, int decimals) {
  const double scale = std::pow(10.0, decimals);
  return std::isfinite(value) ? std::round(value * scale) / scale : value;
}

// Geometric mean, the least, and whose it is.
struct Geomean {
  double logs = 0, worst = 0;
  int count = 0;
  std::string worst_shape;
  void add(double ratio, const Row& row) {
    logs += std::log(ratio);
    if (count == 0 || ratio < worst) {
      worst = ratio;
      worst_shape = to_string(row.shape);
    }
    ++count;
  }
  double mean() const { return count == 0 ? 0 : std::exp(logs / count); }
};

bool same_kind(const Row& a, const Row& b) {
  return a.types == b.types && a.epilogue == b.epilogue;
}

const Row* find(const std::vector<Row>& rows, const std::function<bool(const Row&)>& matches) {
  const auto found = std::ranges::find_if(rows, matches);
  return found == rows.end() ? nullptr : &*found;
}

// The first row of each kind.
std::vector<const Row*> kinds(const std::vector<Row>& rows) {
  std::vector<const Row*> firsts;
  for (const Row& row : rows) {
    if (std::ranges::none_of(firsts, [&](const Row* first) { return same_kind(*first, row); })) firsts.push_back(&row);
  }
  return firsts;
}

Json row_json(const Row& row) {
  return {{"m", row.shape.m},
          {"n", row.shape.n},
          {"k", row.shape.k},
          {"types", row.types},
          {"epilogue", row.epilogue},
          {"isa", row.isa},
          {"threads", row.threads},
          {"cache", cache_of(row)},
          {"engine", row.engine},
          {"kernel", row.kernel},
          {"gops", rounded(row.gops, 2)},
          {"percent_of_peak", rounded(row.percent_of_peak, 1)},
          {"percent_of_fed", row.percent_of_fed > 0 ? Json(rounded(row.percent_of_fed, 1)) : Json()},
          {"error", row.error},
          {"microseconds", rounded(row.seconds * 1e6, 2)},
          {"weights_gbps", rounded(row.weights_gbps, 2)},
          {"read_gbps", row.cold ? Json(rounded(row.read_gbps, 2)) : Json()},
          {"bind_us", rounded(row.bind_us, 1)},
          {"held", row.held},
          {"best", row.best}};
}

struct BindTimes {
  double middle = 0, most = 0;
};
std::map<std::string, BindTimes> bind_times(const std::vector<Row>& rows) {
  std::map<std::string, std::vector<double>> times;
  for (const Row& row : rows) times[row.engine].push_back(row.bind_us);
  std::map<std::string, BindTimes> result;
  for (const auto& [engine, all] : times) result[engine] = {median(all), *std::ranges::max_element(all)};
  return result;
}

std::string kind_text(const std::string& types, const std::string& epilogue) {
  return fmt::format("{:<10} {:<54}", types, epilogue);
}

// A line per kind and level: the percentages in the order of the shapes.
std::string held_text(const std::vector<Row>& rows) {
  std::vector<std::string> keys, lines;
  for (const Row& row : rows) {
    if (!row.held || row.engine != kOurs || row.threads != 1 || row.cold) continue;
    const std::string key = fmt::format("  {} {:<12}", kind_text(row.types, row.epilogue), row.isa);
    const auto index = static_cast<std::size_t>(std::ranges::find(keys, key) - keys.begin());
    if (index == keys.size()) {
      keys.push_back(key);
      lines.push_back(key);
    }
    std::string& line = lines[index];
    line += fmt::format(" {}: {:.0f} %", to_string(row.shape), row.percent_of_peak);
  }
  return fmt::format("{}\n", fmt::join(lines, "\n"));
}

}  // namespace

std::vector<Ratio> ratios(const std::vector<Row>& rows) {
  std::vector<Ratio> all;
  for (const Row* first : kinds(rows)) {
    Geomean product;
    Ratio ratio;
    ratio.types = first->types;
    ratio.epilogue = first->epilogue;
    for (const Row& row : rows) {
      if (!same_kind(row, *first) || row.engine != kOurs || !row.best || row.threads != 1 || row.cold) continue;
      const Row* peer = find(rows, [&](const Row& r) {
        return same_kind(r, row) && r.engine != kOurs && r.threads == 1 && !r.cold && r.shape == row.shape;
      });
      if (peer == nullptr) continue;
      product.add(row.gops / peer->gops, row);
      if (row.gops < kDraw * peer->gops) ++ratio.lost;
    }
    if (product.count == 0) continue;
    ratio.shapes = product.count;
    ratio.geomean = product.mean();
    ratio.worst = product.worst;
    ratio.worst_shape = product.worst_shape;
    all.push_back(ratio);
  }
  return all;
}

std::vector<Scaling> scalings(const std::vector<Row>& rows) {
  std::vector<Scaling> all;
  std::map<std::tuple<std::string, std::string, std::string, int>, Geomean> products;
  for (const Row& row : rows) {
    if (row.threads == 1 || !row.best) continue;
    const Row* one = find(rows, [&](const Row& r) {
      return same_kind(r, row) && r.engine == row.engine && r.threads == 1 && r.cold == row.cold && r.best &&
             r.shape == row.shape;
    });
    if (one != nullptr) products[{row.types, row.epilogue, row.engine, row.threads}].add(row.gops / one->gops, row);
  }
  for (const auto& [key, product] : products) {
    const auto& [types, epilogue, engine, threads] = key;
    all.push_back(
        {types, epilogue, engine, threads, product.count, product.mean(), product.worst, product.worst_shape});
  }
  return all;
}

std::string line_of(const std::vector<Row>& cell) {
  if (cell.empty()) return {};
  const Row& first = cell[0];
  std::string text = fmt::format("  {:<15} {:<4} {}t", to_string(first.shape), cache_of(first), first.threads);
  const Row *ours = nullptr, *peer = nullptr;
  for (const Row& row : cell) {
    const std::string who = row.engine == kOurs ? row.isa : row.engine;
    text += fmt::format(" | {} {:.1f} ({:.0f} %)", who, row.gops, row.percent_of_peak);
    if (row.cold) text += fmt::format(" {:.1f} of {:.1f} GB/s", row.weights_gbps, row.read_gbps);
    (row.engine == kOurs ? ours : peer) = row.best ? &row : (row.engine == kOurs ? ours : peer);
  }
  if (ours != nullptr && peer != nullptr) text += fmt::format(" | ratio {:.2f}", ours->gops / peer->gops);
  return text;
}

std::string summary_text(const Report& report) {
  std::string text =
      "\nShare of the register-only peak, held shapes, one thread, hot weights\n" + held_text(report.rows);
  text += fmt::format("\nRate over {}: one thread, hot weights, the best level\n",
                      report.peer.empty() ? "a peer (none is built in)" : report.peer);
  for (const Ratio& r : ratios(report.rows)) {
    text += fmt::format("  {} geomean {:.2f} over {} shapes, {} behind, worst {:.2f} at {}\n",
                        kind_text(r.types, r.epilogue), r.geomean, r.shapes, r.lost, r.worst, r.worst_shape);
  }
  text += "\nRate of several threads over one, products of 100 MFLOP and more\n";
  for (const Scaling& s : scalings(report.rows)) {
    text +=
        fmt::format("  {} {:<9} {} threads {:.2f} over {} shapes, worst {:.2f} at {}\n", kind_text(s.types, s.epilogue),
                    s.engine, s.threads, s.geomean, s.shapes, s.worst, s.worst_shape);
  }
  text += "\nBinding a new (M, threads), all passes of a linear together\n";
  for (const auto& [engine, times] : bind_times(report.rows)) {
    text += fmt::format("  {:<9} median {:.1f} us, longest {:.1f} us\n", engine, times.middle, times.most);
  }
  if (!report.refused.empty()) text += "\nNot measured\n";
  for (const std::string& line : report.refused) text += "  " + line + "\n";
  if (!report.failures.empty()) text += "\nWrong answers\n";
  for (const std::string& line : report.failures) text += "  " + line + "\n";
  return text;
}

std::string json_text(const Report& report) {
  Json json = {{"schema", "intaglio.gemm/1"}};
  json["environment"] = {{"machine", report.machine}, {"peer", report.peer}};
  json["peaks"] = Json::object();
  for (const auto& [name, value] : report.peaks) json["peaks"][name] = rounded(value, 2);
  json["cold_bytes"] = report.cold_bytes;
  json["read_bytes"] = report.read_bytes;
  json["rows"] = Json::array();
  for (const Row& row : report.rows) json["rows"].push_back(row_json(row));
  Json& summary = json["summary"];
  summary["ratios"] = Json::array();
  for (const Ratio& r : ratios(report.rows)) {
    summary["ratios"].push_back({{"types", r.types},
                                 {"epilogue", r.epilogue},
                                 {"shapes", r.shapes},
                                 {"geomean", rounded(r.geomean, 3)},
                                 {"behind", r.lost},
                                 {"worst", rounded(r.worst, 3)},
                                 {"worst_shape", r.worst_shape}});
  }
  summary["scaling"] = Json::array();
  for (const Scaling& s : scalings(report.rows)) {
    summary["scaling"].push_back({{"types", s.types},
                                  {"epilogue", s.epilogue},
                                  {"engine", s.engine},
                                  {"threads", s.threads},
                                  {"shapes", s.shapes},
                                  {"geomean", rounded(s.geomean, 3)},
                                  {"worst", rounded(s.worst, 3)},
                                  {"worst_shape", s.worst_shape}});
  }
  summary["bind_us"] = Json::object();
  for (const auto& [engine, times] : bind_times(report.rows)) {
    summary["bind_us"][engine] = {{"median", rounded(times.middle, 1)}, {"longest", rounded(times.most, 1)}};
  }
  json["refused"] = report.refused;
  json["failures"] = report.failures;
  return json.dump(1) + "\n";
}

}  // namespace intaglio::bench
