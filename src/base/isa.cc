#include "base/isa.h"

#include <array>

namespace intaglio {

namespace {
struct Row {
  Isa isa;
  std::string_view token, description;
};
constexpr std::array kRows = {
#define INTAGLIO_ISA(token, what, implied) Row{Isa::token, #token, what},
#include "base/isa.inc"
#undef INTAGLIO_ISA
};
}  // namespace

std::string_view name_of(Isa isa) {
  const auto index = static_cast<std::size_t>(isa);
  return index < kRows.size() ? kRows[index].token : std::string_view("invalid");
}

std::string_view description_of(Isa isa) {
  const auto index = static_cast<std::size_t>(isa);
  return index < kRows.size() ? kRows[index].description : std::string_view("invalid");
}

std::optional<Isa> parse_isa(std::string_view token) {
  for (const Row& row : kRows) {
    if (row.token == token) return row.isa;
  }
  return std::nullopt;
}

std::string to_string(IsaSet set) {
  std::string text;
  for (const Row& row : kRows) {
    if (!contains(set, row.isa)) continue;
    if (!text.empty()) text += ' ';
    text += row.token;
  }
  return text;
}

std::string all_isa_names() {
  std::string text;
  for (const Row& row : kRows) {
    if (!text.empty()) text += ", ";
    text += row.token;
  }
  return text;
}

}  // namespace intaglio
