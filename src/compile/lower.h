// Lowering: every IR node becomes plan values and prepared steps. One function per op in the table of lower.cc.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ops/candidate.h"
#include "plan/plan.h"

namespace intaglio::compile {

// What a lowering function hands to the plan: one step.
struct StepSpec {
  std::unique_ptr<ops::Descriptor> descriptor;
  std::vector<ir::Value*> inputs;        // run-time operands, in the family's order, absent ones left out
  std::vector<ir::Value*> constants;     // packed operands, in the family's order; nullptr where absent
  Dims params;                           // symbolic attributes, in the family's order
  std::vector<ir::Value*> outputs = {};  // in the family's order; empty: all of the node
};

// All operands of a node that are there, for families that take them in the node's order.
std::vector<ir::Value*> present_inputs(const ir::Node& node);

class Lowering {
 public:
  // Takes the graph apart: weights that are packed give their bytes back.
  Lowering(ir::Graph& graph, std::span<const ops::Candidate* const> candidates, const ops::Target& target,
           const std::function<void(std::string_view, double)>& progress);

  Result<std::shared_ptr<plan::Plan>> run();

  // ---- for lowering functions
  // The first candidate that takes the descriptor packs and prepares it. Errors (unsupported): every refusal with its
  // reason.
  Status add_step(const ir::Node& node, StepSpec spec);
  // The node's output shares the bytes of `source`.
  Status add_alias(const ir::Node& node, const ir::Value* source);

 private:
  plan::DimId dim_id(const Dim& dim);
  Result<plan::ValueId> value_id(const ir::Value* value);
  plan::ValueId new_value(const ir::Value& value, plan::ValueKind kind, std::uint32_t source);
  Result<std::uint32_t> constant_blob(const ir::Tensor& tensor);
  Result<std::vector<std::uint32_t>> packed_blobs(const ops::Candidate& candidate, const ops::Descriptor& descriptor,
                                                  std::span<ir::Value* const> constants);
  Status add_ports();
  Status add_outputs();
  void drop_weights(const ir::Node& lowered);

  ir::Graph& graph_;
  std::span<const ops::Candidate* const> candidates_;
  ops::Target target_;
  const std::function<void(std::string_view, double)>& progress_;
  std::shared_ptr<plan::Plan> plan_;
  std::map<Dim, plan::DimId> dim_ids_;
  std::map<const ir::Value*, plan::ValueId> value_ids_;
  std::map<const std::byte*, std::uint32_t> constant_blobs_;  // equal bytes of one owner are kept once
  // Equal weights packed for equal descriptors are kept once (tied embeddings, shared layers).
  std::map<std::string, std::vector<std::uint32_t>> packed_;
  std::map<const ir::Value*, std::size_t> uses_left_;  // of constants: nodes that are not lowered yet, outputs
};

using LowerFunction = Status (*)(Lowering& lowering, const ir::Node& node);

// One function per group of ops; each in its own file.
Status lower_elementwise(Lowering& lowering, const ir::Node& node);
Status lower_copy(Lowering& lowering, const ir::Node& node);
Status lower_reshape(Lowering& lowering, const ir::Node& node);
Status lower_gather(Lowering& lowering, const ir::Node& node);
Status lower_create(Lowering& lowering, const ir::Node& node);
Status lower_reduce(Lowering& lowering, const ir::Node& node);
Status lower_softmax(Lowering& lowering, const ir::Node& node);
Status lower_norm(Lowering& lowering, const ir::Node& node);
Status lower_attention(Lowering& lowering, const ir::Node& node);
Status lower_rotary(Lowering& lowering, const ir::Node& node);
Status lower_matmul(Lowering& lowering, const ir::Node& node);
Status lower_linear(Lowering& lowering, const ir::Node& node);
Status lower_quantized_linear(Lowering& lowering, const ir::Node& node);
Status lower_quantize(Lowering& lowering, const ir::Node& node);
Status lower_norm_quantize(Lowering& lowering, const ir::Node& node);

}  // namespace intaglio::compile
