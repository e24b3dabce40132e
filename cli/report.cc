#include "cli/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

namespace intaglio::cli {

namespace {

// A dim's text as a number if it is one.
Json dim_json(const std::string& text) {
  if (!text.empty() && text.size() < 19 && text.find_first_not_of("0123456789") == std::string::npos)
    return std::stoll(text);
  return text;
}

}  // namespace

void print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw Error(ErrorCode::file, std::string("cannot write: ") + std::strerror(errno), "stdout");
  }
}

void print_json(const Json& json) {
  print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::string one_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void note(const std::string& text) {
  std::fprintf(stderr, "note: %s\n", text.c_str());
}

void print_error(const Error& error) noexcept {
  std::fprintf(stderr, "error: %s%s%s\n", error.origin().c_str(), error.origin().empty() ? "" : ": ",
               error.message().c_str());
  if (!error.hint().empty()) std::fprintf(stderr, "hint: %s\n", error.hint().c_str());
}

Json ports_json(const std::vector<PortInfo>& ports) {
  Json out = Json::array();
  for (const PortInfo& port : ports) {
    Json shape = Json::array();
    for (const DimInfo& dim : port.dims) shape.push_back(dim.size >= 0 ? Json(dim.size) : Json(dim.text));
    out.push_back({{"name", port.name}, {"dtype", name_of(port.dtype)}, {"shape", shape}});
  }
  return out;
}

Json ports_json(const std::vector<InspectedPort>& ports) {
  Json out = Json::array();
  for (const InspectedPort& port : ports) {
    Json shape = Json::array();
    for (const std::string& dim : port.shape) shape.push_back(dim_json(dim));
    out.push_back({{"name", port.name}, {"dtype", port.dtype}, {"shape", shape}});
  }
  return out;
}

std::string arithmetic_of(const ModelFacts& facts) {
  if (facts.quantize == "none") return facts.dtype;
  return facts.dtype == "f32" ? "int8" : "int8+" + facts.dtype;
}

Json kept_float_json(const std::vector<KeptFloat>& kept) {
  Json rows = Json::array();
  for (const KeptFloat& each : kept) rows.push_back({{"node", each.node}, {"rule", each.rule}});
  return rows;
}

Json huge_pages_json(const ModelFacts& facts, bool wanted) {
  if (!wanted) return {};
  return {{"bytes", facts.huge_page_bytes},
          {"of_bytes", facts.packed_bytes},
          {"refused", facts.huge_pages_refused.empty() ? Json() : Json(facts.huge_pages_refused)}};
}

Json tensor_json(const std::string& name, const Tensor& tensor) {
  return {{"name", name}, {"dtype", name_of(tensor.dtype())}, {"shape", tensor.shape()}};
}

std::string table_text(const std::vector<std::string>& headings, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  std::vector<bool> right;
  std::vector<std::string> titles;
  for (const std::string& heading : headings) {
    right.push_back(heading.starts_with('>'));
    titles.push_back(right.back() ? heading.substr(1) : heading);
    widths.push_back(titles.back().size());
  }
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      text += fmt::format(fmt::runtime(right[i] ? "{:>{}}  " : "{:<{}}  "), cells[i], widths[i]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  line(titles);
  for (const auto& row : rows) line(row);
  return out;
}

std::string megabytes(std::size_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

std::string milliseconds(double ms) {
  if (ms < 1) return fmt::format("{:.1f} us", ms * 1e3);
  return ms < 1e4 ? fmt::format("{:.3g} ms", ms) : fmt::format("{:.1f} s", ms / 1e3);
}

std::size_t process_bytes(const char* field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(std::string(field) + ":")) continue;
    std::istringstream words(line.substr(std::strlen(field) + 1));
    std::size_t kilobytes = 0;
    words >> kilobytes;
    return kilobytes * 1024;
  }
  return 0;
}

}  // namespace intaglio::cli
