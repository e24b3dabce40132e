// One walk over a parsed model that builds the IR graph.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "frontend/builder.h"
#include "frontend/onnx/op_table.h"
#include "frontend/onnx/operand.h"
#include "frontend/onnx/proto.h"
#include "frontend/onnx/tensor_data.h"

namespace intaglio::frontend::onnx {

class Importer {
 public:
  // `ranges`: what is known about symbols beyond the file (see implied_ranges).
  Importer(const ModelProto& model, TensorStore& store, const ImportOptions& options, const SymbolRanges& ranges)
      : model_(model), store_(store), options_(options), ranges_(ranges), builder_(graph_) {}

  // Fills graph(), whose guards are valid even after an error.
  Status run();
  ir::Graph& graph() { return graph_; }

 private:
  // Names of one graph or of one call of a function.
  struct Scope {
    const std::vector<OpsetImport>* opsets = nullptr;
    std::unordered_map<std::string_view, Operand*> names;
    std::string prefix;                                 // of node labels
    const std::vector<AttributeProto>* call = nullptr;  // attributes of the call, in a function
    const FunctionProto* function = nullptr;
    int depth = 0;
  };

  Operand* new_operand();
  Status define(Scope& scope, std::string_view name, Operand* operand);
  Status add_initializers(Scope& scope);
  Status check_fixed_inputs() const;
  Status add_input(Scope& scope, const ValueInfoProto& info);
  Status add_fixed_input(Scope& scope, const ValueInfoProto& info, const ir::Tensor& tensor);
  Result<Dims> input_shape(const ValueInfoProto& info);
  Dim symbol_for(std::string_view raw);
  Status add_outputs(Scope& scope);
  Status add_nodes(Scope& scope, const std::vector<NodeProto>& nodes);
  Status add_node(Scope& scope, const NodeProto& node, const std::string& label);
  Result<std::vector<Operand*>> operands_of(Scope& scope, const NodeProto& node);
  std::vector<AttributeProto> resolve_attributes(const Scope& scope, const NodeProto& node) const;
  Status call_function(Scope& scope, const NodeProto& node, const FunctionProto& function, const std::string& label);
  Status translate(Scope& scope, const NodeProto& node, const OpRow& row, std::int64_t opset, const std::string& label);
  Status bind_results(Scope& scope, const NodeProto& node, NodeContext& context);

  const ModelProto& model_;
  TensorStore& store_;
  const ImportOptions& options_;
  const SymbolRanges& ranges_;
  ir::Graph graph_;
  Builder builder_;
  std::deque<Operand> operands_;  // stable addresses
  std::map<std::string, Dim, std::less<>>
      dims_by_param_;       // dim_param of the file -> symbol, or the value of a fixed input
  std::int64_t nodes_ = 0;  // functions expanded
};

// A guard "s == min(s, 512)" says s <= 512: the model only runs there. Knowing the range from the start makes a second
// import simpler (table[:, :s] has s rows). Adds such facts to `ranges`; returns whether there were new ones.
bool imply_ranges(const std::vector<ir::DimGuard>& guards, SymbolRanges& ranges);

}  // namespace intaglio::frontend::onnx
