#include "vendor/onednn/matmul_primitive.h"

#include <fmt/format.h>

#include "vendor/onednn/team.h"

namespace intaglio::vendor::onednn {

namespace {

using Desc = dnnl::memory::desc;
using Type = dnnl::memory::data_type;
using Tag = dnnl::memory::format_tag;
using ops::Activation;

// oneDNN's function for an activation, with its two parameters; none for Activation::none.
struct Eltwise {
  dnnl::algorithm algorithm = dnnl::algorithm::undef;
  float alpha = 0, beta = 0;
};
std::optional<Eltwise> eltwise_of(Activation activation) {
  switch (activation) {
    case Activation::none:
      return Eltwise{};
    case Activation::relu:
      return Eltwise{dnnl::algorithm::eltwise_relu};
    case Activation::gelu_erf:
      return Eltwise{dnnl::algorithm::eltwise_gelu_erf};
    case Activation::gelu_tanh:
      return Eltwise{dnnl::algorithm::eltwise_gelu_tanh};
    case Activation::silu:
      return Eltwise{dnnl::algorithm::eltwise_swish, 1};
    case Activation::sigmoid:
      return Eltwise{dnnl::algorithm::eltwise_logistic};
    case Activation::tanh:
      return Eltwise{dnnl::algorithm::eltwise_tanh};
    case Activation::hard_swish:
      return Eltwise{dnnl::algorithm::eltwise_hardswish, 1.0F / 6, 0.5F};
  }
  return std::nullopt;
}

// Collects attributes and arguments side by side, so that neither can be forgotten.
class Builder {
 public:
  Builder(const MatmulSpec& spec) : spec_(spec), d_(spec.d) {}

  Matmul build(const std::optional<Desc>& weight) {
    attributes_.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    add_scales();
    add_zero_points();
    add_post_ops();
    add_output();
    attributes_.set_post_ops(post_ops_);
    const Desc x = matrix(spec_.m, d_.k, to_dnnl(d_.input));
    const Desc y = matrix(spec_.m, d_.n, to_dnnl(d_.output));
    // u8 weights are packed as i8, 128 less.
    const Type packed = d_.weight == DType::u8 ? Type::s8 : to_dnnl(d_.weight);  // u8 is packed 128 less
    const Desc w = weight ? *weight : Desc(dims(d_.k, d_.n), packed, Tag::any);
    const bool bias = d_.bias && !spec_.scale_by_row;
    plan_for_threads(spec_.threads);
    const dnnl::engine& e = engine();
    Matmul out;
    out.primitive = bias ? dnnl::matmul::primitive_desc(e, x, w, row_of_n(), y, attributes_)
                         : dnnl::matmul::primitive_desc(e, x, w, y, attributes_);
    add(DNNL_ARG_SRC, x, Role::x);
    add(DNNL_ARG_WEIGHTS, out.primitive.weights_desc(), Role::weight);
    if (bias) add(DNNL_ARG_BIAS, row_of_n(), Role::bias);
    add(DNNL_ARG_DST, y, Role::y);
    add(DNNL_ARG_SCRATCHPAD, out.primitive.scratchpad_desc(), Role::scratchpad);
    out.arguments = std::move(arguments_);
    return out;
  }

 private:
  // A matrix, or a batch of one: only among three dimensions do oneDNN's kernels take a factor for each row.
  dnnl::memory::dims dims(std::int64_t rows, std::int64_t columns) const {
    return spec_.scale_by_row ? dnnl::memory::dims{1, rows, columns} : dnnl::memory::dims{rows, columns};
  }
  Desc matrix(std::int64_t rows, std::int64_t columns, Type type) const {
    return Desc(dims(rows, columns), type, spec_.scale_by_row ? Tag::abc : Tag::ab);
  }
  static Desc vector(std::int64_t count, Type type = Type::f32) { return Desc({count}, type, Tag::a); }
  Desc row_of_n() const { return matrix(1, d_.n, Type::f32); }
  void add(int name, const Desc& desc, Role role) { arguments_.push_back({name, desc, role}); }

  void add_scales() {
    const auto scale_input = [&](Role role) {
      attributes_.set_scales_mask(DNNL_ARG_SRC, 0);
      add(DNNL_ARG_ATTR_SCALES | DNNL_ARG_SRC, vector(1), role);
    };
    if (d_.input_scale && !spec_.scale_by_row) scale_input(Role::x_scale);
    if (d_.alpha != 1.0) scale_input(Role::alpha);
    if (d_.weight_scale) {
      attributes_.set_scales_mask(DNNL_ARG_WEIGHTS, 1 << (spec_.scale_by_row ? 2 : 1));  // along N
      add(DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, vector(d_.n), Role::weight_scale);
    }
  }

  void add_output() {
    if (size_of(d_.output) != 1) return;
    attributes_.set_scales_mask(DNNL_ARG_DST, 0);
    add(DNNL_ARG_ATTR_SCALES | DNNL_ARG_DST, vector(1), Role::output_scale);
    if (d_.output_zero == 0) return;
    attributes_.set_zero_points_mask(DNNL_ARG_DST, 0);
    add(DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_DST, vector(1, Type::s32), Role::output_zero);
  }

  void add_zero_points() {
    if (d_.input_zero) {
      attributes_.set_zero_points_mask(DNNL_ARG_SRC, 0);
      add(DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_SRC, vector(1, Type::s32), Role::x_zero);
    }
    if (spec_.weight_zero) {
      attributes_.set_zero_points_mask(DNNL_ARG_WEIGHTS, 0);
      add(DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_WEIGHTS, vector(1, Type::s32), Role::weight_zero);
    }
  }

  void add_binary(dnnl::algorithm algorithm, const Desc& operand, Role role) {
    const int index = post_ops_.len();
    post_ops_.append_binary(algorithm, operand);
    add(DNNL_ARG_ATTR_MULTIPLE_POST_OP(index) | DNNL_ARG_SRC_1, operand, role);
  }

  void add_post_ops() {
    if (spec_.scale_by_row) {
      // oneDNN's kernels scale the input by one number only; a column of factors is a post-op, and the bias, which
      // comes after the scales, becomes one too.
      add_binary(dnnl::algorithm::binary_mul, matrix(spec_.m, 1, Type::f32), Role::x_scale);
      if (d_.bias) add_binary(dnnl::algorithm::binary_add, row_of_n(), Role::bias);
    }
    const Eltwise unary = eltwise_of(d_.activation).value();
    if (unary.algorithm != dnnl::algorithm::undef) post_ops_.append_eltwise(unary.algorithm, unary.alpha, unary.beta);
    if (d_.residual) {
      add_binary(d_.residual_multiply ? dnnl::algorithm::binary_mul : dnnl::algorithm::binary_add,
                 matrix(spec_.m, d_.n, to_dnnl(d_.residual_type)), Role::residual);
    }
    if (d_.clamp) {
      post_ops_.append_eltwise(dnnl::algorithm::eltwise_clip, static_cast<float>(d_.clamp_low),
                               static_cast<float>(d_.clamp_high));
    }
  }

  const MatmulSpec& spec_;
  const ops::LinearDescriptor& d_;
  dnnl::primitive_attr attributes_;
  dnnl::post_ops post_ops_;
  std::vector<Argument> arguments_;
};

}  // namespace

std::string Matmul::implementation() const {
  return primitive.impl_info_str();
}

bool Matmul::reference() const {
  return implementation().starts_with("ref");
}

Matmul make_matmul(const MatmulSpec& spec, const std::optional<dnnl::memory::desc>& weight) {
  return Builder(spec).build(weight);
}

std::optional<Desc> batched_weight(const MatmulSpec& spec, const Desc& weight) {
  MatmulSpec batched = spec;
  batched.m = kPackingRows;
  batched.scale_by_row = true;
  const Desc desc = make_matmul(batched, std::nullopt).primitive.weights_desc();
  const auto tail = [](dnnl::memory::dims dims) { return dnnl::memory::dims(dims.end() - 2, dims.end()); };
  auto inner = desc.get_inner_idxs();
  for (auto& index : inner) index -= 1;
  const bool same = desc.get_size() == weight.get_size() && desc.get_inner_blks() == weight.get_inner_blks() &&
                    inner == weight.get_inner_idxs() && tail(desc.get_strides()) == weight.get_strides() &&
                    tail(desc.get_padded_dims()) == weight.get_padded_dims();
  return same ? std::optional(desc) : std::nullopt;
}

namespace {

// What no attribute or post-op of oneDNN can say.
std::optional<std::string> refuse_meaning(const ops::LinearDescriptor& d) {
  for (const DType dtype : {d.input, d.weight, d.output, d.residual_type}) {
    if (to_dnnl(dtype) == Type::undef) return fmt::format("oneDNN has no {}", name_of(dtype));
  }
  if (d.k == 0 || d.n == 0) return "oneDNN leaves products without elements undone";
  if (d.dynamic != ops::Dynamic::none) return "oneDNN's matmul does not quantise its input";
  if (d.weight_only() || d.weight_bits != 0) return "codes of weights alone are not made use of here";
  if (d.row_max) return "oneDNN's matmul has no maxima of rows";
  if (!eltwise_of(d.activation)) return fmt::format("oneDNN has no activation {}", ops::name_of(d.activation));
  if (d.residual && size_of(d.residual_type) == 1 && (d.residual_scale != 1 || d.residual_zero != 0)) {
    return "oneDNN takes an 8-bit residual as it is, without scale and zero point";
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> refuse_matmul(const ops::LinearDescriptor& d, bool weight_zero) {
  if (auto why = refuse_meaning(d)) return why;
  const auto types = [&] {
    return fmt::format("{} x {} -> {}{}", name_of(d.input), name_of(d.weight), name_of(d.output),
                       weight_zero ? " with a zero point of the weight" : "");
  };
  const auto answer = guarded("matmul", [&]() -> Result<std::string> {
    if (size_of(d.input) == 1 && !sums_bytes_exactly()) {
      return fmt::format("oneDNN on {} saturates sums of 8-bit products", isa_name());
    }
    const Matmul matmul = make_matmul({.d = d, .weight_zero = weight_zero, .m = kPackingRows}, std::nullopt);
    if (!matmul.reference()) return std::string();
    return fmt::format("oneDNN {} has only its reference loops ({}) for {} and this epilogue on {}", version(),
                       matmul.implementation(), types(), isa_name());
  });
  if (!answer) return fmt::format("{} and this epilogue: {}", types(), answer.error().message);
  if (!answer->empty()) return *answer;
  return std::nullopt;
}

}  // namespace intaglio::vendor::onednn
