// Text and shapes of a page: everything that a file may have named goes through html_escaped.
#pragma once

#include <string>

namespace intaglio::cli {

// For text and for quoted attributes. Bytes that are not UTF-8 and control characters become U+FFFD.
std::string html_escaped(const std::string& text);

// A drawing of `width` by `height` units, y downwards, that scales with the page. `style` is a class of the page's CSS;
// `tip` is shown under the pointer. Texts are escaped here.
class Svg {
 public:
  Svg(double width, double height, const std::string& label);
  void line(double x1, double y1, double x2, double y2, const std::string& style);
  void rect(double x, double y, double width, double height, const std::string& style, const std::string& tip);
  void dot(double x, double y, double radius, const std::string& style, const std::string& tip);
  void text(double x, double y, const std::string& style, const std::string& words);
  std::string done() const { return body_ + "</svg>\n"; }

 private:
  std::string body_;
};

}  // namespace intaglio::cli
