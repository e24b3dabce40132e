#include "ops/descriptor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace intaglio::ops {

namespace {

class Printer final : public FieldVisitor {
 public:
  void field(std::string_view name, std::int64_t& value) override { add(name, fmt::format("{}", value)); }
  void field(std::string_view name, double& value) override { add(name, fmt::format("{}", value)); }
  void field(std::string_view name, bool& value) override { add(name, value ? "true" : "false"); }
  void field(std::string_view name, std::string& value) override { add(name, value); }
  void field(std::string_view name, DType& value) override { add(name, std::string(name_of(value))); }
  void field(std::string_view name, std::vector<std::int64_t>& value) override {
    add(name, fmt::format("[{}]", fmt::join(value, ",")));
  }
  void reject(std::string_view name) override { add(name, "illegal"); }
  std::string text;

 private:
  void add(std::string_view name, const std::string& value) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", name, value);
  }
};

}  // namespace

std::string to_string(const Descriptor& descriptor) {
  Printer printer;
  descriptor.clone()->fields(printer);  // fields() takes its object by reference for reading and writing
  return fmt::format("{} {{{}}}", descriptor.family(), printer.text);
}

}  // namespace intaglio::ops
