#include "vendor/onednn/linear_op.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "vendor/onednn/team.h"

namespace intaglio::vendor::onednn {

using ops::LinearDescriptor;
using ops::Operand;

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// Positions of the run-time operands.
struct Operands {
  explicit Operands(const LinearDescriptor& d) {
    std::size_t next = 1;
    if (d.input_zero) zero = next++;
    if (d.input_scale) scale = next++;
    if (d.residual) residual = next++;
    count = next;
  }
  std::size_t zero = kNone, scale = kNone, residual = kNone, count = 1;
};

// The shared scratch: who calls oneDNN, the zero point as oneDNN wants it, oneDNN's scratchpad.
constexpr std::size_t kCallerOffset = 0, kZeroOffset = 64, kScratchpadOffset = 128;

// What a prepared op holds itself. A binding knows none of it: equal ops run each other's bindings.
struct Held {
  const std::byte* weight = nullptr;
  const std::byte* weight_zero = nullptr;
  const std::byte* weight_scale = nullptr;
  const std::byte* bias = nullptr;
  float alpha = 1, output_scale = 1;
  std::int32_t output_zero = 0;
};

// Where a run finds the memory of an argument. oneDNN has no memory that is only read.
void* find(Role role, const Operands& at, const Held& held, const ops::RunArgs& args) noexcept {
  const auto unconst = [](const void* data) { return const_cast<void*>(data); };
  switch (role) {
    case Role::x:
      return unconst(args.inputs[0]);
    case Role::x_scale:
      return unconst(args.inputs[at.scale]);
    case Role::residual:
      return unconst(args.inputs[at.residual]);
    case Role::y:
      return args.outputs[0];
    case Role::x_zero:
      return args.shared_scratch + kZeroOffset;
    case Role::scratchpad:
      return args.shared_scratch + kScratchpadOffset;
    case Role::weight:
      return unconst(held.weight);
    case Role::bias:
      return unconst(held.bias);
    case Role::weight_scale:
      return unconst(held.weight_scale);
    case Role::weight_zero:
      return unconst(held.weight_zero);
    case Role::alpha:
      return unconst(&held.alpha);
    case Role::output_scale:
      return unconst(&held.output_scale);
    case Role::output_zero:
      return unconst(&held.output_zero);
  }
  return nullptr;
}

// oneDNN's objects for the arguments of one run at a time; only the addresses in them change.
class Handles {
 public:
  // Throws dnnl::error, std::bad_alloc.
  explicit Handles(const std::vector<Argument>& arguments) {
    for (const Argument& a : arguments) {
      memories_.emplace_back(a.desc, engine(), nullptr);
      list_.push_back({a.name, memories_.back().get()});
    }
  }
  bool point(const std::vector<Argument>& arguments, const Operands& at, const Held& held,
             const ops::RunArgs& args) noexcept {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      void* data = find(arguments[i].role, at, held, args);
      if (dnnl_memory_set_data_handle(list_[i].memory, data) != dnnl_success) return false;
    }
    return true;
  }
  std::span<const dnnl_exec_arg_t> list() const noexcept { return list_; }

 private:
  std::vector<dnnl::memory> memories_;
  std::vector<dnnl_exec_arg_t> list_;
};

struct LinearBinding final : ops::Binding {
  std::size_t m = 0;
  Matmul matmul;
  dnnl::matmul primitive;
  // Of one run at a time; a run that finds them taken makes its own.
  mutable std::atomic_flag taken;
  mutable std::optional<Handles> handles;
  int threads = 1;
};

class PreparedLinear final : public ops::PreparedOp {
 public:
  PreparedLinear(const LinearDescriptor& descriptor, std::vector<ops::Blob> blobs)
      : d_(descriptor), blobs_(std::move(blobs)) {
    held_.alpha = static_cast<float>(d_.alpha);
    held_.output_scale = static_cast<float>(d_.output_scale);
    held_.output_zero = static_cast<std::int32_t>(d_.output_zero);
  }

  // Finds the blobs by layout and checks their sizes. Throws dnnl::error.
  Status take_blobs() {
    const auto find = [&](std::string_view layout, std::size_t bytes, bool required) -> Result<const std::byte*> {
      for (const ops::Blob& blob : blobs_) {
        if (blob.layout != layout) continue;
        if (blob.bytes == bytes && reinterpret_cast<std::uintptr_t>(blob.data) % 64 == 0) return blob.data;
        return fail(ErrorCode::file,
                    fmt::format("linear: {} has {} bytes, expected {} aligned to 64", layout, blob.bytes, bytes));
      }
      if (!required) return nullptr;
      return fail(ErrorCode::file, fmt::format("linear: the plan holds no {}", layout), {},
                  "recompile for this machine and this version of oneDNN");
    };
    const std::size_t vector_bytes = static_cast<std::size_t>(d_.n) * sizeof(float);
    INTAGLIO_TRY(held_.weight_zero, find(kBlobWeightZero, sizeof(std::int32_t), false));
    const MatmulSpec spec{.d = d_, .weight_zero = held_.weight_zero != nullptr, .m = kPackingRows};
    Matmul matmul = make_matmul(spec, std::nullopt);
    packed_ = matmul.primitive.weights_desc();
    implementation_ = matmul.implementation();
    INTAGLIO_TRY(held_.weight, find(weight_layout(packed_), packed_.get_size(), true));
    INTAGLIO_TRY(held_.weight_scale, find(kBlobWeightScale, vector_bytes, d_.weight_scale));
    INTAGLIO_TRY(held_.bias, find(kBlobBias, vector_bytes, d_.bias));
    return {};
  }

  Result<std::unique_ptr<const ops::Binding>> bind(const ops::BindRequest& request) const override {
    const Operands at(d_);
    INTAGLIO_TRY(const std::size_t m, check_operands(request, at));
    auto binding = std::make_unique<LinearBinding>();
    binding->m = m;
    binding->threads = request.threads;
    const auto n = static_cast<double>(d_.n), k = static_cast<double>(d_.k), rows = static_cast<double>(m);
    binding->flops = 2.0 * rows * n * k;
    binding->bytes = rows * k * static_cast<double>(size_of(d_.input)) +
                     rows * n * static_cast<double>(size_of(d_.output)) + static_cast<double>(packed_.get_size());
    if (m == 0) return binding;
    const auto by_row = [&](std::size_t index) {
      return index != kNone && m != 1 && *element_count(request.inputs[index].shape) != 1;
    };
    if (by_row(at.zero)) return fail(ErrorCode::unsupported, "linear: oneDNN takes one zero point for all rows of x");
    return guarded("matmul", [&]() -> Result<std::unique_ptr<const ops::Binding>> {
      const MatmulSpec spec{.d = d_,
                            .weight_zero = held_.weight_zero != nullptr,
                            .m = static_cast<std::int64_t>(m),
                            .scale_by_row = by_row(at.scale),
                            .threads = request.threads};
      const auto weight = spec.scale_by_row ? batched_weight(spec, packed_) : packed_;
      if (!weight) return fail(ErrorCode::unsupported, "linear: oneDNN packs other weights for one scale a row of x");
      binding->matmul = make_matmul(spec, weight);
      if (binding->matmul.reference()) {
        return fail(
            ErrorCode::unsupported,
            fmt::format("linear: oneDNN {} has only its reference loops ({}) for M {}{}", version(),
                        binding->matmul.implementation(), m, spec.scale_by_row ? " and one scale a row of x" : ""));
      }
      binding->primitive = dnnl::matmul(binding->matmul.primitive);
      binding->handles.emplace(binding->matmul.arguments);
      binding->shared_scratch_bytes = kScratchpadOffset + binding->matmul.primitive.scratchpad_desc().get_size();
      binding->phases = kThreadpool && request.threads > 1 ? 2 : 1;
      binding->blocking = binding->matmul.implementation();
      return std::unique_ptr<const ops::Binding>(std::move(binding));
    });
  }

  ops::RunStatus run(const ops::Binding& base, const ops::RunArgs& args,
                     const ops::Worker& worker) const noexcept override {
    const auto& binding = static_cast<const LinearBinding&>(base);
    if (binding.m == 0) return ops::RunStatus::ok;
    auto** shared = reinterpret_cast<Caller**>(args.shared_scratch + kCallerOffset);
    if (binding.phases == 2 && worker.phase == 0) {
      if (worker.index == 0) {
        *shared = &caller_of_this_thread();
        (*shared)->open(worker.count);
      }
    } else if (worker.index == 0) {
      Caller& caller = caller_of_this_thread();
      execute(binding, args, caller);
      caller.close();
    } else if (binding.phases == 2) {
      (*shared)->serve(worker.index);
    }
    return ops::RunStatus::ok;
  }

  // Never in place: oneDNN may keep partial sums in the output while the residual is still to be read.
  bool may_run_in_place(std::size_t) const override { return false; }

  Facts facts() const override {
    std::string epilogue;
    const auto add = [&](bool present, std::string_view what) {
      if (present) epilogue += (epilogue.empty() ? "" : ", ") + std::string(what);
    };
    add(d_.input_zero || held_.weight_zero != nullptr, "zero points");
    add(d_.input_scale || d_.weight_scale || d_.alpha != 1.0, "scale");
    add(d_.bias, "bias");
    add(d_.activation != ops::Activation::none, ops::name_of(d_.activation));
    add(d_.residual, "residual");
    add(d_.clamp, "clamp");
    return {implementation_, isa_name(), epilogue};
  }

 private:
  Result<std::size_t> check_operands(const ops::BindRequest& request, const Operands& at) const {
    const auto bad = [](std::string message) { return fail(ErrorCode::usage, "linear: " + message); };
    if (request.inputs.size() != at.count || request.outputs.size() != 1 || request.threads < 1) {
      return bad(fmt::format("{} inputs and {} outputs, expected {} and 1", request.inputs.size(),
                             request.outputs.size(), at.count));
    }
    const Operand& x = request.inputs[0];
    if (x.dtype != d_.input || x.shape.empty() || x.shape.back() != d_.k) {
      return bad(fmt::format("x is {} {}, expected {} [..., {}]", name_of(x.dtype), intaglio::to_string(x.shape),
                             name_of(d_.input), d_.k));
    }
    INTAGLIO_CHECK(byte_count(x.shape, x.dtype));
    INTAGLIO_TRY(const std::int64_t m, element_count(std::span(x.shape).first(x.shape.size() - 1)));
    Shape y_shape = x.shape;
    y_shape.back() = d_.n;
    INTAGLIO_TRY(const std::int64_t elements, element_count(y_shape));
    INTAGLIO_CHECK(byte_count(y_shape, d_.output));
    const auto check = [&](const Operand& operand, std::string_view what, DType dtype, std::int64_t count,
                           bool one) -> Status {
      INTAGLIO_TRY(const std::int64_t got, element_count(operand.shape));
      if (operand.dtype == dtype && (got == count || (one && got == 1))) return {};
      return bad(fmt::format("{} is {} {}, expected {} with {} elements", what, name_of(operand.dtype),
                             intaglio::to_string(operand.shape), name_of(dtype), count));
    };
    INTAGLIO_CHECK(check(request.outputs[0], "y", d_.output, elements, false));
    if (at.zero != kNone) INTAGLIO_CHECK(check(request.inputs[at.zero], "x_zero", d_.input, m, true));
    if (at.scale != kNone) INTAGLIO_CHECK(check(request.inputs[at.scale], "x_scale", DType::f32, m, true));
    if (at.residual != kNone) {
      INTAGLIO_CHECK(check(request.inputs[at.residual], "residual", d_.residual_type, elements, false));
    }
    return static_cast<std::size_t>(m);
  }

  void execute(const LinearBinding& binding, const ops::RunArgs& args, Caller& caller) const noexcept {
    if (d_.input_zero) {
      const void* from = args.inputs[Operands(d_).zero];
      const std::int32_t zero =
          d_.input == DType::i8 ? *static_cast<const std::int8_t*>(from) : *static_cast<const std::uint8_t*>(from);
      std::memcpy(args.shared_scratch + kZeroOffset, &zero, sizeof(zero));
    }
    bool done = false;
    if (!binding.taken.test_and_set(std::memory_order_acquire)) {
      done = execute_on(*binding.handles, binding, args, caller);
      binding.taken.clear(std::memory_order_release);
    } else {
      try {
        Handles own(binding.matmul.arguments);
        done = execute_on(own, binding, args, caller);
      } catch (...) {
        done = false;
      }
    }
    // What oneDNN could not do (it is out of memory) must not pass for a result: every float is NaN.
    if (!done) std::memset(args.outputs[0], 0xFF, binding.m * static_cast<std::size_t>(d_.n) * size_of(d_.output));
  }

  bool execute_on(Handles& handles, const LinearBinding& binding, const ops::RunArgs& args,
                  Caller& caller) const noexcept {
    if (caller.stream() == nullptr) return false;
    if (!handles.point(binding.matmul.arguments, Operands(d_), held_, args)) return false;
    const auto list = handles.list();
    return dnnl_primitive_execute(binding.primitive.get(), caller.stream(), static_cast<int>(list.size()),
                                  list.data()) == dnnl_success;
  }

  LinearDescriptor d_;
  std::vector<ops::Blob> blobs_;
  Held held_;
  std::string implementation_;
  dnnl::memory::desc packed_;
};

}  // namespace

std::string weight_layout(const dnnl::memory::desc& desc) {
  std::string text = fmt::format("onednn {} {} {}", version(), isa_name(), static_cast<int>(desc.get_data_type()));
  const auto list = [&](char letter, const dnnl::memory::dims& values) {
    text += fmt::format(" {}{}", letter, fmt::join(values, ","));
  };
  list('d', desc.get_padded_dims());
  list('s', desc.get_strides());
  list('b', desc.get_inner_blks());
  list('i', desc.get_inner_idxs());
  return text;
}

Result<std::unique_ptr<ops::PreparedOp>> prepare_linear(const LinearDescriptor& descriptor,
                                                        std::vector<ops::Blob> blobs) {
  INTAGLIO_CHECK(descriptor.validate());
  return guarded("preparing", [&]() -> Result<std::unique_ptr<ops::PreparedOp>> {
    auto op = std::make_unique<PreparedLinear>(descriptor, std::move(blobs));
    INTAGLIO_CHECK(op->take_blobs());
    return std::unique_ptr<ops::PreparedOp>(std::move(op));
  });
}

}  // namespace intaglio::vendor::onednn
