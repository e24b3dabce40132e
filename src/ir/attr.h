// Attributes of nodes: a small sorted map from name to a variant. The op schema says which attributes an op has, their
// kinds and defaults, and the verifier checks them, so that typed access after verification cannot fail.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/dim.h"
#include "base/dtype.h"

namespace intaglio::ir {

using Ints = std::vector<std::int64_t>;
// Kinds as written in schemas: int, float, bool, string, dtype, ints, dim, dims.
using Attr = std::variant<std::int64_t, double, bool, std::string, DType, Ints, Dim, Dims>;

enum class AttrKind : std::uint8_t { integer, floating, boolean, string, dtype, ints, dim, dims };
inline AttrKind kind_of(const Attr& attr) {
  return static_cast<AttrKind>(attr.index());
}
std::string_view name_of(AttrKind kind);  // as in schemas

class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<std::string_view, Attr>> items);

  void set(std::string_view name, Attr value);
  void erase(std::string_view name);
  const Attr* find(std::string_view name) const;

  // Typed access. Precondition (kept by the verifier and the builder, which fills defaults in): present, of that kind.
  std::int64_t i(std::string_view name) const;
  double f(std::string_view name) const;
  bool b(std::string_view name) const;
  const std::string& s(std::string_view name) const;
  DType dtype(std::string_view name) const;
  const Ints& ints(std::string_view name) const;
  const Dim& dim(std::string_view name) const;
  const Dims& dims(std::string_view name) const;

  const std::vector<std::pair<std::string, Attr>>& items() const { return items_; }
  friend bool operator==(const Attrs&, const Attrs&) = default;

 private:
  std::vector<std::pair<std::string, Attr>> items_;  // sorted by name
};

}  // namespace intaglio::ir
