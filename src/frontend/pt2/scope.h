// What the names of one fx graph stand for while it is translated: tensors (values of the IR, loaded from the archive
// when first used) and symbolic or plain numbers. Also which names share storage, for in-place operators.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/dim.h"
#include "frontend/builder.h"
#include "frontend/pt2/program.h"

namespace intaglio::frontend::pt2 {

// A number of the program: an integer expression, a float, a bool, or something that cannot be said before the run.
struct Scalar {
  enum class Kind : std::uint8_t { integer, floating, boolean, unknown };
  Kind kind = Kind::integer;
  Dim i{};
  double f = 0;
  bool b = false;
  std::string why{};  // unknown only: what could not be decided

  static Scalar of(Dim value) { return {.kind = Kind::integer, .i = std::move(value)}; }
  static Scalar of_float(double value) { return {.kind = Kind::floating, .f = value}; }
  static Scalar of_bool(bool value) { return {.kind = Kind::boolean, .b = value}; }
  static Scalar undecided(std::string why) { return {.kind = Kind::unknown, .why = std::move(why)}; }

  // As a double, if it is a constant.
  std::optional<double> constant() const;
};

// A result of a node: a tensor, a number, or (both empty) a result that was not computed because nothing uses it.
struct Item {
  ir::Value* value = nullptr;
  std::optional<Scalar> scalar{};
};

struct Binding {
  Item item{};
  std::function<MaybeValue()> load{};  // a weight that has not been used yet
  int storage = 0;                     // names of one storage may alias each other
  int identity = 0;                    // names of one identity are the same tensor
  bool pinned = false;                 // an input, a weight or a value of the enclosing graph: must not change
};

class Scope {
 public:
  // Errors (file): a name bound twice.
  Status bind(std::string_view name, Binding binding);
  // Errors (file): an undefined name; a number where a tensor is wanted and the reverse.
  MaybeValue value(std::string_view name);
  Result<Scalar> scalar(std::string_view name) const;
  Result<Item> item(std::string_view name);  // either
  Binding* find(std::string_view name);
  // The names of a storage that are still read after node `index`; forgets the others.
  std::vector<std::string_view> live_names(int storage, int index);

  // The index of the last node that reads a name; nodes.size() for outputs; -1: never read.
  void read_uses(const GraphBody& graph);
  int last_use(std::string_view name) const;

 private:
  std::unordered_map<std::string_view, Binding> bindings_;
  std::unordered_map<std::string_view, int> last_use_;
  std::unordered_map<int, std::vector<std::string_view>> members_;  // of each storage
};

}  // namespace intaglio::frontend::pt2
