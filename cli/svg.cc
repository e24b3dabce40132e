#include "cli/svg.h"

#include <fmt/format.h>

#include "cli/report.h"

namespace intaglio::cli {

std::string html_escaped(const std::string& text) {
  const std::string quoted = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string out;
  for (const char c : Json::parse(quoted).get<std::string>()) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) {
      out += "\xef\xbf\xbd";
    } else {
      out += c;
    }
  }
  return out;
}

Svg::Svg(double width, double height, const std::string& label)
    : body_(fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n", width, height,
                        html_escaped(label))) {}

void Svg::line(double x1, double y1, double x2, double y2, const std::string& style) {
  body_ += fmt::format("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"></line>\n", style,
                       x1, y1, x2, y2);
}

void Svg::rect(double x, double y, double width, double height, const std::string& style, const std::string& tip) {
  body_ += fmt::format(
      "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.2f}\"><title>{}</title></rect>\n",
      style, x, y, width, height, html_escaped(tip));
}

void Svg::dot(double x, double y, double radius, const std::string& style, const std::string& tip) {
  body_ += fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"><title>{}</title></circle>\n",
                       style, x, y, radius, html_escaped(tip));
}

void Svg::text(double x, double y, const std::string& style, const std::string& words) {
  body_ += fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", style, x, y, html_escaped(words));
}

}  // namespace intaglio::cli
