// The two entries of the .pt2 frontend.
#include <set>

#include "base/file.h"
#include "frontend/frontend.h"
#include "frontend/pt2/archive.h"
#include "frontend/pt2/op_table.h"
#include "frontend/pt2/pytree.h"
#include "frontend/pt2/translate.h"
#include "ir/verifier.h"

namespace intaglio::frontend::pt2 {
namespace {

// The file is kept by what is read from it, and given to those who ask for it.
Result<Archive> open(const std::filesystem::path& path, const ImportOptions& options,
                     std::shared_ptr<const MappedFile>* mapped = nullptr) {
  INTAGLIO_TRY(const std::shared_ptr<const MappedFile> file, MappedFile::open(path));
  if (mapped != nullptr) *mapped = file;
  return Archive::open(file, file->bytes(), options);
}

Result<ir::Graph> to_graph(const Archive& archive, const std::filesystem::path& path, const ImportOptions& options) {
  if (const auto unknown = unsupported_ops(archive.program()); !unknown.empty())
    return fail(unsupported_error(unknown, path));
  ir::Graph graph;
  graph.name = path.stem().string();
  INTAGLIO_CHECK(translate(archive, options, graph));
  INTAGLIO_CHECK(ir::verify(graph));
  return graph;
}

PortSummary port_of(const Program& program, std::string_view name, std::string label) {
  PortSummary port{.name = std::move(label), .dtype = "?", .shape = {}};
  const auto meta = program.graph.tensors.find(name);
  if (meta == program.graph.tensors.end()) return port;
  port.dtype = dtype_name(meta->second.dtype);
  for (const SizeExpr& size : meta->second.sizes) {
    const auto dim = dim_of(size);
    port.shape.push_back(dim ? dim->to_string() : "?");
  }
  return port;
}

void count_ops(const GraphBody& graph, std::map<std::string, std::int64_t>& ops) {
  for (const NodeRecord& node : graph.nodes) {
    ++ops[std::string(short_target(node.target))];
    for (const NamedArgument& input : node.inputs) {
      if (input.value.graph != nullptr) count_ops(*input.value.graph, ops);
    }
  }
}

// Tensors that share a record (tied weights) are counted once.
void count_weights(const Archive& archive, ModelSummary& summary) {
  std::set<std::pair<bool, std::string_view>> seen;
  for (const InputSpec& spec : archive.program().inputs) {
    using Kind = InputSpec::Kind;
    if (spec.kind != Kind::parameter && spec.kind != Kind::buffer && spec.kind != Kind::tensor_constant) continue;
    const auto meta = archive.payload(spec);
    const bool weight = spec.kind == Kind::parameter || (spec.kind == Kind::buffer && spec.persistent);
    if (!meta || !seen.emplace(weight, (*meta)->path).second) continue;
    std::vector<std::int64_t> sizes;
    for (const SizeExpr& size : (*meta)->tensor.sizes) sizes.push_back(size.value);
    const std::int64_t count = element_count(sizes).value_or(0);
    summary.dtypes[dtype_name((*meta)->tensor.dtype)] += count;
    if (spec.kind == Kind::parameter) summary.parameters += count;
    if (const auto dtype = dtype_of_code((*meta)->tensor.dtype))
      summary.weight_bytes += byte_count(sizes, *dtype).value_or(0);
  }
}

}  // namespace

Result<ir::Graph> import(const std::filesystem::path& path, const ImportOptions& options) {
  std::shared_ptr<const MappedFile> file;
  auto archive = open(path, options, &file);
  if (!archive) return fail(std::move(archive).error().within(path.string()));
  auto graph = to_graph(*archive, path, options);
  if (!graph && graph.error().origin.find(path.string()) == std::string::npos)
    return fail(std::move(graph).error().within(path.string()));
  if (graph) graph->files.push_back(std::move(file));
  return graph;
}

Result<ModelSummary> summarise(const std::filesystem::path& path, const ImportOptions& options) {
  auto archive = open(path, options);
  if (!archive) return fail(std::move(archive).error().within(path.string()));
  const Program& program = archive->program();
  ModelSummary summary;
  summary.format = "pt2";
  summary.version = "schema " + std::to_string(program.schema_major) + "." + std::to_string(program.schema_minor);
  summary.producer = program.torch_version.empty() ? "" : "torch " + std::string(program.torch_version);
  for (const InputSpec& spec : program.inputs) {
    if (spec.kind == InputSpec::Kind::user && spec.arg.kind == Argument::Kind::tensor)
      summary.inputs.push_back(port_of(program, spec.name, std::string(spec.name)));
  }
  std::size_t i = 0;
  const auto names = output_names(program.out_spec, program.outputs.size());
  for (const OutputSpec& spec : program.outputs) summary.outputs.push_back(port_of(program, spec.arg.text, names[i++]));
  count_ops(program.graph, summary.ops);
  count_weights(*archive, summary);
  summary.unsupported = unsupported_ops(program);
  return summary;
}

}  // namespace intaglio::frontend::pt2
