// Compiling, loading, saving and running models.
#include <algorithm>
#include <chrono>

#include "api/model_impl.h"

namespace intaglio {

namespace internal {
namespace {

double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

std::shared_ptr<threads::Pool> pool_for(int requested) {
  const EnvOptions environment = unwrap(read_environment());
  unwrap(set_log_level(environment.log_level));
  const auto wish = requested > 0 ? std::optional(requested) : std::nullopt;
  const threads::ThreadCount count = threads::threads_for(cpu::detect(), environment, wish);
  if (requested > count.count) log(LogLevel::warning, "threads: " + count.reason);
  return unwrap(threads::shared_pool(threads::PoolOptions{.threads = count.count}));
}

v1::ModelFacts facts_of(const plan::Plan& plan) {
  v1::ModelFacts facts;
  facts.model = plan.report.model;
  facts.format = plan.report.format;
  facts.dtype = plan.report.dtype;
  facts.quantize = plan.report.quantize;
  facts.model_nodes = plan.report.model_nodes;
  facts.steps = static_cast<std::int64_t>(plan.steps.size());
  facts.fused = static_cast<std::int64_t>(plan.report.fusions.size());
  facts.weight_bytes = plan.weight_bytes();
  const plan::PackedWeights packed = plan::packed_weights(plan);
  facts.packed_weights = packed.count;
  facts.packed_bytes = packed.bytes;
  facts.huge_page_bytes = plan.huge_weights.bytes;
  facts.huge_pages_refused = plan.huge_weights.refused;
  return facts;
}

v1::Model make_model(std::shared_ptr<const plan::Plan> plan, v1::ModelFacts facts, int threads) {
  auto impl = std::make_shared<v1::Model::Impl>();
  impl->pool = pool_for(threads);
  impl->plan = std::move(plan);
  impl->facts = std::move(facts);
  impl->packs_when_made = ops::pack_counters().packs;
  describe_ports(*impl->plan, impl->inputs, impl->outputs);
  return v1::ModelAccess::make(std::move(impl));
}

// What the machine and its cgroup have at all: more would be given, and the process killed when it is used.
std::size_t memory_of_machine() {
  const cpu::Machine& machine = cpu::detect();
  std::size_t most = SIZE_MAX;
  if (machine.memory_bytes != 0) most = machine.memory_bytes;
  if (machine.memory_limit) most = std::min<std::size_t>(most, *machine.memory_limit);
  return most;
}

// Copies of weights must fit.
plan::HugePageOptions huge_pages(bool wanted) {
  return {wanted, memory_of_machine()};
}

}  // namespace

ir::Tensor to_ir(const v1::Tensor& tensor) {
  ir::Tensor out;
  out.dtype = to_room(tensor.dtype());
  out.shape = tensor.shape();
  out.owner = std::make_shared<v1::Tensor>(tensor);
  out.data = static_cast<const std::byte*>(tensor.data());
  out.bytes = tensor.byte_count();
  return out;
}

passes::Precision precision_of(const v1::CompileOptions& options) {
  if (options.dtype != v1::DType::f32 && options.dtype != v1::DType::bf16) {
    throw v1::Error(v1::ErrorCode::usage, "there is no " + std::string(v1::name_of(options.dtype)) + " arithmetic",
                    "--dtype", "f32 or bf16");
  }
  passes::Precision out;
  out.dtype = to_room(options.dtype);
  if (options.quantize == v1::Quantize::none) {
    if (options.keep_float.empty()) return out;
    throw v1::Error(v1::ErrorCode::usage, "nothing is quantised, so nothing can be kept from it", "--keep-float",
                    "with --quantize dynamic");
  }
  out.quantize = passes::Quantize::dynamic;
  if (options.activations == v1::Activations::tensor) out.activations = passes::Activations::tensor;
  for (const std::string& which : options.keep_float) {
    if (which != "first" && which != "last")
      throw v1::Error(v1::ErrorCode::usage, "unknown linear '" + which + "'", "--keep-float", "first, last");
    (which == "first" ? out.keep_first : out.keep_last) = true;
  }
  return out;
}

compile::CompileOptions to_rooms(const v1::CompileOptions& options) {
  compile::CompileOptions out;
  out.passes.precision = precision_of(options);
  for (const v1::NamedTensor& fixed : options.fixed_inputs)
    out.import.fixed_inputs.emplace(fixed.name, to_ir(fixed.tensor));
  out.passes.disabled.insert(options.disabled_passes.begin(), options.disabled_passes.end());
  out.huge_pages = huge_pages(options.huge_pages);
  out.progress = options.progress;
  return out;
}

namespace {

v1::Model compile_model(const std::string& path, const v1::CompileOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const ops::PackCounters before = ops::pack_counters();
  compile::CompileRecord record;
  auto plan = unwrap(compile::compile_file(path, to_rooms(options), &record));
  check_requirements(*plan, options.require);
  v1::ModelFacts facts = facts_of(*plan);
  facts.compile_ms = since(start);
  facts.import_ms = record.import_ms;
  facts.passes_ms = record.passes_ms;
  facts.lower_ms = record.lower_ms;
  facts.packs = ops::pack_counters().packs - before.packs;
  return make_model(std::move(plan), std::move(facts), options.threads);
}

v1::Model load_model(const std::string& path, const v1::LoadOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const ops::PackCounters before = ops::pack_counters();
  const EnvOptions environment = unwrap(read_environment());
  const ops::Target target = unwrap(ops::host_target());
  auto plan = unwrap(plan::load(path, ops::own_candidates(), target,
                                {options.verify || environment.verify, huge_pages(options.huge_pages)}));
  check_requirements(*plan, options.require);
  v1::ModelFacts facts = facts_of(*plan);
  facts.from_plan = true;
  facts.load_ms = since(start);
  facts.packs = ops::pack_counters().packs - before.packs;
  return make_model(std::move(plan), std::move(facts), options.threads);
}

}  // namespace

namespace {

std::string names_of(const std::vector<v1::PortInfo>& ports) {
  std::string names;
  for (const v1::PortInfo& port : ports) names += (names.empty() ? "" : ", ") + port.name;
  return names;
}

}  // namespace

std::vector<const v1::Tensor*> match_inputs(const std::vector<v1::PortInfo>& ports,
                                            const std::vector<v1::NamedTensor>& given) {
  std::vector<const v1::Tensor*> ordered(ports.size(), nullptr);
  std::vector<std::string> known;
  for (const v1::PortInfo& port : ports) known.push_back(port.name);
  for (const v1::NamedTensor& named : given) {
    const auto found = std::ranges::find(known, named.name);
    if (found == known.end()) {
      const auto near = did_you_mean(named.name, known);
      throw v1::Error(v1::ErrorCode::usage, "the model has no such input", "input '" + named.name + "'",
                      (near ? "did you mean '" + *near + "'? " : std::string()) + "inputs: " + names_of(ports));
    }
    const auto index = static_cast<std::size_t>(found - known.begin());
    if (ordered[index] != nullptr)
      throw v1::Error(v1::ErrorCode::usage, "the input is given twice", "input '" + named.name + "'");
    ordered[index] = &named.tensor;
  }
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (ordered[i] == nullptr) {
      throw v1::Error(v1::ErrorCode::usage, "the input is missing", "input '" + ports[i].name + "'",
                      "inputs: " + names_of(ports));
    }
  }
  return ordered;
}

plan::BindOptions bind_options(const v1::Model::Impl& impl) {
  plan::BindOptions options{.threads = impl.pool->size()};
  options.max_arena_bytes = std::min(options.max_arena_bytes, memory_of_machine());
  return options;
}

std::unique_ptr<plan::Context> new_context(const v1::Model::Impl& impl) {
  plan::ContextOptions options{.pool = impl.pool};
  options.max_arena_bytes = bind_options(impl).max_arena_bytes;
  return std::make_unique<plan::Context>(impl.plan, std::move(options));
}

}  // namespace internal

inline namespace v1 {

namespace {

// A context borrowed from the model for one run.
class Borrowed {
 public:
  explicit Borrowed(const Model::Impl& impl) : impl_(impl) {
    const std::scoped_lock lock(impl_.mutex);
    if (!impl_.idle.empty()) {
      context_ = std::move(impl_.idle.back());
      impl_.idle.pop_back();
    }
    if (!context_) context_ = internal::new_context(impl_);
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  ~Borrowed() {
    const std::scoped_lock lock(impl_.mutex);
    impl_.idle.push_back(std::move(context_));
  }
  plan::Context& operator*() const { return *context_; }

 private:
  const Model::Impl& impl_;
  std::unique_ptr<plan::Context> context_;
};

}  // namespace

Model::Model(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

const std::vector<PortInfo>& Model::inputs() const {
  return impl_->inputs;
}
const std::vector<PortInfo>& Model::outputs() const {
  return impl_->outputs;
}
int Model::threads() const {
  return impl_->pool->size();
}
ModelFacts Model::facts() const {
  return impl_->facts;
}

void Model::save(const std::string& path) const {
  internal::unwrap(plan::save(*impl_->plan, path));
}

std::vector<NamedTensor> Model::run(const std::vector<NamedTensor>& inputs) const {
  const std::vector<const Tensor*> ordered = internal::match_inputs(impl_->inputs, inputs);
  std::vector<v1::Shape> shapes;
  std::vector<plan::InputView> input_views;
  for (const Tensor* tensor : ordered) {
    shapes.push_back(tensor->shape());
    input_views.push_back({tensor->data(), internal::to_room(tensor->dtype()), tensor->shape()});
  }
  const Borrowed context(*impl_);
  const plan::BoundPlan* bound = internal::unwrap((*context).prepare(shapes));
  std::vector<NamedTensor> outputs;
  std::vector<plan::OutputView> output_views;
  for (std::size_t i = 0; i < impl_->outputs.size(); ++i) {
    outputs.push_back({impl_->outputs[i].name, Tensor::zeros(impl_->outputs[i].dtype, bound->output_shapes[i])});
    output_views.push_back({outputs.back().tensor.data(), outputs.back().tensor.byte_count()});
  }
  internal::unwrap((*context).run(input_views, output_views));
  return outputs;
}

Model compile(const std::string& path, const CompileOptions& options) {
  return internal::compile_model(path, options);
}

Model load(const std::string& path, const LoadOptions& options) {
  return internal::load_model(path, options);
}

Expected<Model> try_compile(const std::string& path, const CompileOptions& options) {
  try {
    return internal::compile_model(path, options);
  } catch (const v1::Error& error) {
    return error;
  }
}

Expected<Model> try_load(const std::string& path, const LoadOptions& options) {
  try {
    return internal::load_model(path, options);
  } catch (const v1::Error& error) {
    return error;
  }
}

Model open(const std::string& path, const CompileOptions& options) {
  if (!plan::looks_like_plan(path)) return internal::compile_model(path, options);
  return internal::load_model(path, {options.threads, false, options.require, options.huge_pages});
}

std::vector<std::string> pass_names() {
  std::vector<std::string> names;
  for (const passes::Pass& pass : passes::all_passes()) names.emplace_back(pass.name);
  return names;
}

}  // namespace v1
}  // namespace intaglio
