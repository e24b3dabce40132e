// One node of the program as its translator sees it: typed access to arguments by the name that the op's schema gives
// them (arguments left at their default are not in the file, so every accessor takes the default), the builder, and
// where results go.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "frontend/builder.h"
#include "frontend/pt2/program.h"
#include "frontend/pt2/scope.h"

namespace intaglio::frontend::pt2 {

// An argument that may be a tensor or a number: operands of arithmetic.
struct Operand {
  ir::Value* tensor = nullptr;
  Scalar scalar;  // counts if there is no tensor
};

class Call {
 public:
  Call(Builder& builder, Scope& scope, const NodeRecord& node) : b(builder), scope_(scope), node_(node) {}

  Builder& b;
  const NodeRecord& node() const { return node_; }
  Scope& scope() { return scope_; }

  // nullptr: absent or None.
  const Argument* find(std::string_view name) const;
  const Argument* at(std::size_t position) const;

  MaybeValue tensor(std::string_view name) const;
  MaybeValue optional_tensor(std::string_view name) const;               // nullptr if absent
  Result<std::vector<ir::Value*>> tensors(std::string_view name) const;  // nullptr for None
  Result<Operand> operand(std::string_view name) const;
  Result<Scalar> number(std::string_view name, std::optional<Scalar> otherwise = {}) const;
  Result<Scalar> number_at(std::size_t position) const;
  Result<std::optional<Scalar>> optional_number(std::string_view name) const;
  // Constants. Errors (unsupported): symbolic ones.
  Result<std::int64_t> integer(std::string_view name, std::optional<std::int64_t> otherwise = {}) const;
  Result<double> floating(std::string_view name, std::optional<double> otherwise = {}) const;
  Result<bool> boolean(std::string_view name, bool otherwise) const;
  Result<std::string_view> string(std::string_view name, std::string_view otherwise) const;
  // A list of integers; a single integer is a list of one. `ints` wants constants; nullopt if absent or None.
  Result<std::optional<std::vector<std::int64_t>>> ints(std::string_view name) const;
  Result<std::optional<Dims>> optional_dims(std::string_view name) const;
  Result<Dims> dims(std::string_view name) const;
  Result<std::optional<Dim>> optional_dim(std::string_view name) const;
  Result<std::optional<DType>> dtype(std::string_view name = "dtype") const;
  // A dimension in [-rank, rank) made non-negative; rank 0 counts as 1, as in torch.
  Result<std::int64_t> axis(std::string_view name, std::int64_t rank, std::optional<std::int64_t> otherwise = {}) const;

  // The number of results in the file, and whether result i is used at all.
  std::size_t result_count() const;
  bool result_used(std::size_t index) const;

  // Results, in order. Each returns an error it is given.
  Status ret(const MaybeValue& value);
  Status ret(const Scalar& scalar);
  Status ret_all(const Result<std::vector<ir::Value*>>& values);
  Status ret_nothing() { return {}; }
  const std::vector<Item>& results() const { return results_; }

 private:
  Result<Scalar> scalar_of(const Argument& argument) const;
  Result<const Argument*> required(std::string_view name) const;

  Scope& scope_;
  const NodeRecord& node_;
  std::vector<Item> results_;
};

// The names of a node's results, lists flattened; an empty name for results that are no names.
std::vector<std::string_view> result_names(const NodeRecord& node);

}  // namespace intaglio::frontend::pt2
