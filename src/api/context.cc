// Contexts of the API over contexts of plans.
#include "api/model_impl.h"

namespace intaglio {
inline namespace v1 {

Context::Context(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;
Context::~Context() = default;

Context Model::make_context() const {
  auto impl = std::make_unique<Context::Impl>();
  impl->context = internal::new_context(*impl_);
  impl->inputs.resize(impl_->inputs.size());
  impl->outputs.resize(impl_->outputs.size());
  return Context(std::move(impl));
}

std::vector<v1::Shape> Context::prepare(std::span<const v1::Shape> input_shapes) {
  return internal::unwrap(impl_->context->prepare(input_shapes))->output_shapes;
}

void Context::Impl::set_views(std::span<const TensorView> in, std::span<const MutableView> out) {
  inputs.resize(in.size());  // allocates only when a caller passes a wrong number
  outputs.resize(out.size());
  for (std::size_t i = 0; i < in.size(); ++i) inputs[i] = {in[i].data, internal::to_room(in[i].dtype), in[i].shape};
  for (std::size_t i = 0; i < out.size(); ++i) outputs[i] = {out[i].data, out[i].bytes};
}

const v1::Error* Context::run_into(std::span<const TensorView> inputs, std::span<const MutableView> outputs) noexcept {
  try {
    impl_->set_views(inputs, outputs);
    auto status = impl_->context->run(impl_->inputs, impl_->outputs);
    if (status) return nullptr;
    impl_->error = internal::to_public(std::move(status).error());
  } catch (const std::exception& problem) {
    try {
      impl_->error.emplace(v1::ErrorCode::internal, problem.what());
    } catch (...) {
      static const v1::Error kOutOfMemory(v1::ErrorCode::unsupported, "out of memory");
      return &kOutOfMemory;
    }
  }
  return &*impl_->error;
}

std::size_t Context::arena_bytes() const {
  return impl_->context->arena_bytes();
}

}  // namespace v1
}  // namespace intaglio
