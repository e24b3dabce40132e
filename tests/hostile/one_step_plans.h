// Plans of one step for every form that a step can have: each candidate, each value of each enumeration and flag of its
// descriptor (mutated_plan_test.cc checks that none is missing). They need not be sensible, only valid.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/elementwise/table.h"
#include "ops/attention.h"
#include "ops/copy.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/linear.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/quantize.h"
#include "ops/reduce.h"
#include "ops/rotary.h"
#include "ops/softmax.h"
#include "plan/plan.h"

namespace intaglio::hostile {

struct NamedPlan {
  std::string name;
  plan::Plan plan;
};

class OneStepPlans {
 public:
  std::vector<NamedPlan> all() {
    elementwise();
    movement();
    reductions();
    products();
    linears();
    linears_of_codes();
    norms();
    attentions();
    rotaries();
    quantisations();
    return std::move(plans_);
  }

 private:
  struct Port {
    DType dtype;
    Dims shape;
  };
  static Dim seq() { return Dim::symbol("seq"); }  // 3 where the tests run a plan

  static plan::DimId dim(plan::Plan& plan, const Dim& value) {
    for (plan::DimId id = 0; id < plan.dims.size(); ++id) {
      if (plan.dims[id] == value) return id;
    }
    plan.dims.push_back(value);
    return static_cast<plan::DimId>(plan.dims.size() - 1);
  }
  static plan::ValueId value(plan::Plan& plan, std::string name, const Port& port, plan::ValueKind kind,
                             std::size_t source) {
    plan::PlanValue value{std::move(name), port.dtype, {}, kind, static_cast<std::uint32_t>(source)};
    for (const Dim& each : port.shape) value.shape.push_back(dim(plan, each));
    plan.values.push_back(std::move(value));
    return static_cast<plan::ValueId>(plan.values.size() - 1);
  }

  void add(const ops::Descriptor& descriptor, const std::vector<Port>& inputs, const std::vector<Port>& outputs,
           const Dims& params = {}, std::vector<ops::Blob> blobs = {}, std::string candidate = {}) {
    plan::Plan plan;
    plan::Step step;
    step.op = std::string(descriptor.family());
    step.candidate = candidate.empty() ? "intaglio." + step.op : std::move(candidate);
    step.descriptor = descriptor.clone();
    plan.symbols["seq"] = {0, 4096};
    for (const Port& port : inputs) {
      const std::size_t i = plan.inputs.size();
      step.inputs.push_back(value(plan, fmt::format("x{}", i), port, plan::ValueKind::input, i));
      plan.inputs.push_back({fmt::format("x{}", i), step.inputs.back()});
    }
    for (const Port& port : outputs) {
      const std::string name = fmt::format("y{}", plan.outputs.size());
      step.outputs.push_back(value(plan, name, port, plan::ValueKind::temporary, 0));
      plan.outputs.push_back({name, step.outputs.back()});
    }
    for (const Dim& each : params) step.params.push_back(dim(plan, each));
    for (std::size_t i = 0; i < blobs.size(); ++i) step.blobs.push_back(static_cast<std::uint32_t>(i));
    plan.blobs = std::move(blobs);
    plan.steps.push_back(std::move(step));
    plans_.push_back({fmt::format("{} {}", plans_.size(), ops::to_string(descriptor)), std::move(plan)});
  }

  // Every op of the table, on the first types that it is defined for.
  void elementwise() {
    for (std::size_t i = 0; i < kernels::elementwise::kOpCount; ++i) {
      const auto op = static_cast<ops::ElementwiseOp>(i);
      for (const DType type : {DType::f32, DType::i64, DType::boolean, DType::f16}) {
        std::vector<DType> types(static_cast<std::size_t>(ops::source_count(op)), type);
        if (op == ops::ElementwiseOp::where) types[0] = DType::boolean;
        auto d = ops::single_elementwise(op, types);
        d.program[0].to = DType::bf16;
        if (!d.validate()) continue;
        std::vector<Port> inputs;
        const Dims shape{types.empty() ? Dim(4) : seq(), 5, 7};  // a symbol needs an input
        for (const DType each : types) inputs.push_back({each, inputs.empty() ? shape : Dims{5, 1}});
        add(d, inputs, {{d.result_type(), shape}});
        break;
      }
    }
    // A chain through 16-bit floats, with rows that are long enough to be read in place.
    ops::ElementwiseDescriptor d;
    const auto a = d.add_operand(DType::bf16), b = d.add_operand(DType::bf16);
    const auto sum = d.add_instruction({.op = ops::ElementwiseOp::add, .source = {a, b, -1}});
    const auto two = d.add_instruction({.op = ops::ElementwiseOp::constant, .to = DType::bf16, .alpha = 2});
    const auto less = d.add_instruction({.op = ops::ElementwiseOp::lt, .source = {sum, two, -1}});
    d.add_instruction({.op = ops::ElementwiseOp::where, .source = {less, sum, a}});
    add(d, {{DType::bf16, {seq(), 300}}, {DType::bf16, {seq(), 1}}}, {{DType::bf16, {seq(), 300}}});
  }

  void movement() {
    const Port x{DType::f32, {seq(), 4, 6}};
    ops::CopyDescriptor copy;
    copy.perm = {2, 0, 1};
    add(copy, {x}, {{DType::f32, {6, seq(), 4}}});
    copy.perm = {};
    copy.kind = ops::CopyKind::expand;
    add(copy, {{DType::u8, {seq(), 1}}}, {{DType::u8, {4, seq(), 6}}});
    copy.kind = ops::CopyKind::slice;
    copy.axes = {1, 2};
    copy.steps = {2, -1};
    add(copy, {x}, {{DType::f32, {seq(), 2, 3}}}, {0, 4, 4, 1});
    copy.axes = copy.steps = {};
    copy.kind = ops::CopyKind::concat;
    copy.axis = 1;
    add(copy, {{DType::i64, {seq(), 4}}, {DType::i64, {seq(), 2}}}, {{DType::i64, {seq(), 6}}});
    copy.kind = ops::CopyKind::pad;
    copy.axis = 0;
    copy.value = 1.5;
    add(copy, {{DType::f16, {seq(), 4}}}, {{DType::f16, {seq() + 3, 3}}}, {1, -1});

    ops::GatherDescriptor gather;
    add(gather, {{DType::f32, {10, 8}}, {DType::i64, {2, seq()}}}, {{DType::f32, {2, seq(), 8}}});
    gather.axis = 1;
    add(gather, {{DType::bf16, {4, 10, 3}}, {DType::i32, {seq()}}}, {{DType::bf16, {4, seq(), 3}}});
    gather.kind = ops::GatherKind::elements;
    add(gather, {{DType::u8, {4, 10}}, {DType::i64, {4, seq()}}}, {{DType::u8, {4, seq()}}});
    gather.kind = ops::GatherKind::nd;
    gather.axis = 0;
    gather.batch_dims = 1;
    add(gather, {{DType::f32, {seq(), 4, 5, 6}}, {DType::i64, {seq(), 7, 2}}}, {{DType::f32, {seq(), 7, 6}}});

    ops::CreateDescriptor create;
    create.kind = ops::CreateKind::iota;
    add(create, {}, {{DType::i64, {40}}}, {5, 3});
    add(create, {}, {{DType::f32, {40}}}, {5, -3});
    create.kind = ops::CreateKind::full;
    create.value = 2.5;
    add(create, {}, {{DType::f16, {5, 8}}});
    create.kind = ops::CreateKind::dims;
    add(create, {}, {{DType::i64, {3}}}, {7, 8, 9});
  }

  void reductions() {
    for (int i = 0; i < ops::kReduceKinds; ++i) {
      ops::ReduceDescriptor d;
      d.kind = static_cast<ops::ReduceKind>(i);
      const bool truth = d.kind == ops::ReduceKind::any || d.kind == ops::ReduceKind::all;
      const DType type = truth ? DType::boolean : DType::f32;
      d.axes = {1};
      if (d.kind == ops::ReduceKind::argmax) {
        d.take_last = d.smallest = true;
        add(d, {{type, {seq(), 5, 4}}}, {{DType::i64, {seq(), 1, 4}}});
      } else if (d.kind == ops::ReduceKind::cumsum) {
        d.exclusive = d.reverse = true;
        add(d, {{type, {seq(), 5, 4}}}, {{type, {seq(), 5, 4}}});
      } else {
        d.axes = {0, 2};
        add(d, {{type, {seq(), 5, 4}}}, {{type, {5}}});
      }
    }
    for (const bool log : {false, true}) {
      ops::SoftmaxDescriptor d;
      d.log = log;
      d.axis = log ? 1 : 2;
      d.dtype = log ? DType::bf16 : DType::f32;
      add(d, {{d.dtype, {seq(), 5, 70}}}, {{d.dtype, {seq(), 5, 70}}});
    }
  }

  void products() {
    ops::MatmulDescriptor d;
    for (const DType type : {DType::f32, DType::bf16, DType::f16, DType::i64, DType::f64}) {
      d.a = d.b = d.output = type;
      for (const bool turned : {false, true}) {
        d.transpose_a = d.transpose_b = turned;
        d.alpha = type == DType::f32 && turned ? 0.5 : 1.0;
        const bool plain = type == DType::i64 || type == DType::f64;
        add(d, {{type, turned ? Dims{2, 20, 18} : Dims{2, 18, 20}}, {type, turned ? Dims{33, 20} : Dims{20, 33}}},
            {{type, {2, 18, 33}}}, {}, {}, plain ? "intaglio.matmul_plain" : "");
      }
    }
    ops::MatmulDescriptor few;
    few.transpose_b = true;
    add(few, {{DType::f32, {seq(), 20}}, {DType::f32, {33, 20}}}, {{DType::f32, {seq(), 33}}});
    ops::MatmulDescriptor bytes;
    bytes.a = DType::u8;
    bytes.b = DType::i8;
    bytes.output = DType::i32;
    bytes.a_zero = bytes.b_zero = true;
    add(bytes, {{DType::u8, {seq(), 2, 20}}, {DType::i8, {20, 18}}, {DType::u8, {2}}, {DType::i8, {18}}},
        {{DType::i32, {seq(), 2, 18}}});
    bytes.b = DType::u8;
    bytes.a_zero = bytes.b_zero = false;
    add(bytes, {{DType::u8, {seq(), 20}}, {DType::u8, {20, 18}}}, {{DType::i32, {seq(), 18}}});
  }

  // Bytes that are legal for a dtype, as a constant operand.
  ops::Constant constant(DType dtype, const Shape& shape, int most = 127) {
    std::vector<std::byte>& bytes = constants_.emplace_back(*byte_count(shape, dtype));
    const std::size_t size = size_of(dtype);
    for (std::size_t i = 0; i < bytes.size() / size; ++i) {
      const auto small = static_cast<float>(i * 7 % 11) * 0.125f - 0.5f;
      if (dtype == DType::f32) std::memcpy(bytes.data() + i * size, &small, size);
      if (size == 1) bytes[i] = static_cast<std::byte>(i * 29 % (static_cast<std::size_t>(most) + 1));
    }
    return {dtype, shape, bytes.data(), bytes.size()};
  }

  // K and N are no multiples of anything. `more`: operands behind x; `rows`: dims of x before K.
  void linear(ops::LinearDescriptor d, const std::vector<Port>& more = {}, const Dims& rows = {2, seq()}) {
    d.k = d.k == 0 ? 37 : d.k;
    d.n = d.n == 0 ? 21 : d.n;
    const bool float_weight = !d.codes();
    const std::int64_t k = d.weight_bits == 4 ? (d.k + 1) / 2 : d.k;
    const std::int64_t group = d.group == 0 ? d.k : d.group, groups = (d.k + group - 1) / group;
    const Shape per_column = d.grouped() ? Shape{d.n, groups} : Shape{d.n};
    const std::vector<ops::Constant> constants{
        constant(float_weight ? DType::f32 : d.weight, d.weight_nk ? Shape{d.n, k} : Shape{k, d.n}),
        d.weight_zero ? constant(d.weight, per_column, 15) : ops::Constant{},
        d.weight_scale ? constant(DType::f32, per_column) : ops::Constant{},
        d.bias ? constant(DType::f32, {d.n}) : ops::Constant{}};
    const ops::Candidate* candidate = ops::find_candidate("intaglio.linear", ops::own_candidates());
    auto blobs = candidate->pack(d, constants, {});
    ASSERT_TRUE(blobs) << ops::to_string(d) << ": " << blobs.error().to_string();
    const auto of = [&](const Dim& last) {
      Dims shape = rows;
      shape.push_back(last);
      return shape;
    };
    std::vector<Port> inputs{{d.input, of(d.k)}};
    inputs.insert(inputs.end(), more.begin(), more.end());
    std::vector<Port> outputs{{d.output, of(d.n)}};
    if (d.row_max) outputs.push_back({DType::f32, of(1)});
    add(d, inputs, outputs, {}, *std::move(blobs));
  }

  void linears() {
    for (int i = 0; i < ops::kActivationCount; ++i) {
      ops::LinearDescriptor d;
      d.activation = static_cast<ops::Activation>(i);
      d.weight_nk = i % 2 == 0;
      d.bias = i > 2;
      linear(d);
    }
    const Dims y{2, seq(), 21};
    ops::LinearDescriptor gate;  // clamped, times a residual
    gate.residual = gate.residual_multiply = gate.clamp = gate.row_max = true;
    gate.clamp_low = -1;
    gate.clamp_high = 2;
    gate.alpha = 0.5;
    linear(gate, {{DType::f32, y}});
    for (const DType type : {DType::bf16, DType::f16}) {
      ops::LinearDescriptor half;
      half.input = half.weight = half.output = half.residual_type = type;
      half.residual = half.bias = true;
      linear(half, {{type, y}});
      half.input = DType::f32;
      linear(half, {{type, y}});
    }
    ops::LinearDescriptor many;  // several K ranges, several blocks of rows
    many.k = 2100;
    many.n = 40;
    linear(many, {}, {seq(), 11});
    ops::LinearDescriptor bytes;
    bytes.input = DType::u8;
    bytes.weight = DType::i8;
    bytes.output = DType::i32;
    linear(bytes);
    bytes.input_zero = bytes.weight_zero = true;
    linear(bytes, {{DType::u8, {}}});
    bytes.input = DType::i8;
    bytes.weight = bytes.output = DType::u8;
    bytes.input_scale = bytes.weight_scale = bytes.bias = bytes.residual = true;
    bytes.residual_type = DType::u8;
    bytes.output_scale = 0.1;
    bytes.output_zero = 7;
    linear(bytes, {{DType::i8, {2, seq(), 1}}, {DType::f32, {2, seq(), 1}}, {DType::u8, y}});
  }

  void linears_of_codes() {
    const Dims y{2, seq(), 21};
    for (int i = 1; i < ops::kDynamicCount; ++i) {
      for (const DType input : {DType::f32, DType::bf16}) {
        ops::LinearDescriptor d;
        d.dynamic = static_cast<ops::Dynamic>(i);
        d.input = d.output = d.residual_type = input;
        d.weight = DType::i8;
        d.weight_scale = true;
        d.bias = d.residual = d.row_max = i % 2 == 0;
        d.residual_multiply = d.weight_zero = i > 2;
        d.input_max = d.dynamic == ops::Dynamic::token_symmetric && input == DType::f32;
        d.rule.by_reciprocal = d.symmetric() && input == DType::bf16;
        std::vector<Port> more;
        if (d.input_max) more.push_back({DType::f32, {2, seq(), 1}});
        if (d.residual) more.push_back({input, y});
        linear(d, more);
      }
    }
    for (const bool four : {false, true}) {
      for (const std::int64_t group : {0, 32}) {
        ops::LinearDescriptor d;  // weight-only
        d.k = 70;
        d.weight = four ? DType::u8 : DType::i8;
        d.weight_bits = four ? 4 : 0;
        d.group = group;
        d.weight_scale = true;
        d.weight_zero = group != 0;
        linear(d);
        if (!four) continue;
        d.dynamic = ops::Dynamic::token_symmetric;
        linear(d);
      }
    }
  }

  void norms() {
    for (const ops::NormKind kind : {ops::NormKind::layer, ops::NormKind::rms}) {
      for (int i = 0; i < ops::kNormQuantizes; ++i) {
        ops::NormDescriptor d;
        d.kind = kind;
        d.axis = 2;
        d.quantize = static_cast<ops::NormQuantize>(i);
        d.dtype = i == 1 && kind == ops::NormKind::rms ? DType::bf16 : DType::f32;
        d.rule.by_reciprocal = i == 1;
        d.gamma = true;
        d.beta = kind == ops::NormKind::layer;
        d.residual = d.absmax = i != 1;
        d.keep_float = d.beta || d.quantize == ops::NormQuantize::none;
        const Dims shape{2, seq(), 37}, rows{2, seq(), 1};
        std::vector<Port> inputs{{d.dtype, shape}}, outputs;
        if (d.residual) inputs.push_back({d.dtype, shape});
        inputs.push_back({DType::f32, {37}});
        if (d.beta) inputs.push_back({DType::bf16, {37}});
        if (d.keep_float) outputs.push_back({d.dtype, shape});
        if (d.quantize != ops::NormQuantize::none) {
          outputs.push_back({DType::u8, shape});
          outputs.push_back({DType::f32, rows});
        }
        if (d.quantize == ops::NormQuantize::asymmetric) outputs.push_back({DType::u8, rows});
        if (d.absmax) outputs.push_back({DType::f32, rows});
        add(d, inputs, outputs);
      }
    }
    for (const DType type : {DType::f16, DType::f64}) {
      ops::NormDescriptor d;
      d.dtype = type;
      d.axis = 1;
      add(d, {{type, {seq(), 5, 6}}}, {{type, {seq(), 5, 6}}});
    }
  }

  void attentions() {
    int form = 0;
    for (const DType type : {DType::f32, DType::bf16}) {
      for (const ops::AttentionCompute compute : {ops::AttentionCompute::plain, ops::AttentionCompute::int8}) {
        for (const ops::AttentionLayout layout :
             {ops::AttentionLayout::bhsd, ops::AttentionLayout::bshd, ops::AttentionLayout::packed}) {
          ops::AttentionDescriptor d;
          d.dtype = type;
          d.compute = compute;
          d.layout = layout;
          d.mask = static_cast<ops::AttentionMask>(form % 3);
          d.causal = form % 2 == 0;
          d.blind = static_cast<ops::AttentionBlind>(form / 2 % 3);
          ++form;
          attention(d, 7, 9);
          d.mask = static_cast<ops::AttentionMask>(form % 3);
          attention(d, 3, 3);  // few query rows
        }
      }
    }
    ops::AttentionDescriptor far;  // several blocks of keys
    far.causal = true;
    far.mask = ops::AttentionMask::kept;
    attention(far, 2, 530);
    far.compute = ops::AttentionCompute::int8;
    far.dtype = DType::bf16;
    attention(far, 20, 530);
  }
  // Four heads, two of keys, depth 5.
  void attention(ops::AttentionDescriptor d, const Dim& queries, const Dim& keys) {
    std::vector<Port> inputs;
    const Dim all = d.layout == ops::AttentionLayout::packed ? queries : keys;
    const auto heads = [&](const Dim& count, const Dim& rows) -> Dims {
      if (d.layout == ops::AttentionLayout::bhsd) return {seq(), count, rows, 5};
      return {seq(), rows, count, 5};
    };
    Dims y = heads(4, queries);
    if (d.layout == ops::AttentionLayout::packed) {
      d.heads = 4;
      d.kv_heads = 2;
      inputs.push_back({d.dtype, {seq(), queries, 40}});
      y = {seq(), queries, 20};
    } else {
      inputs = {{d.dtype, heads(4, queries)}, {d.dtype, heads(2, keys)}, {d.dtype, heads(2, keys)}};
    }
    if (d.mask == ops::AttentionMask::kept) inputs.push_back({DType::boolean, {seq(), 1, 1, all}});
    if (d.mask == ops::AttentionMask::added) inputs.push_back({DType::f32, {4, queries, all}});
    add(d, inputs, {{d.dtype, y}});
  }

  void rotaries() {
    for (const DType type : {DType::f32, DType::bf16, DType::f16, DType::f64}) {
      for (const bool interleaved : {false, true}) {
        ops::RotaryDescriptor d;
        d.dtype = type;
        d.table = interleaved ? type : DType::f32;
        d.interleaved = interleaved;
        d.heads = interleaved ? 3 : 0;
        const Dims table = interleaved ? Dims{seq(), 1, 3} : Dims{seq(), 4, 4};
        add(d, {{type, {2, seq(), 4, 9}}, {d.table, table}, {d.table, table}}, {{type, {2, seq(), 4, 9}}});
      }
    }
  }

  void quantisations() {
    const Dims shape{seq(), 4, 37};
    for (int i = 0; i < ops::kQuantizeKinds; ++i) {
      ops::QuantizeDescriptor d;
      d.kind = static_cast<ops::QuantizeKind>(i);
      if (d.kind == ops::QuantizeKind::quantize || d.kind == ops::QuantizeKind::dequantize) {
        d.axis = 1;
        d.zero = true;
        if (d.kind == ops::QuantizeKind::dequantize) std::swap(d.input, d.output);
        const DType narrow = d.kind == ops::QuantizeKind::quantize ? d.output : d.input;
        add(d, {{d.input, shape}, {DType::f32, {4}}, {narrow, {}}}, {{d.output, shape}});
        continue;
      }
      const bool rows = d.kind == ops::QuantizeKind::rows_symmetric || d.kind == ops::QuantizeKind::rows_asymmetric;
      const bool symmetric =
          d.kind == ops::QuantizeKind::rows_symmetric || d.kind == ops::QuantizeKind::tensor_symmetric;
      d.rule.by_reciprocal = symmetric;
      if (rows) d.input = DType::bf16;
      const Dims scale = rows ? Dims{seq(), 4} : Dims{};
      std::vector<Port> outputs{{DType::u8, shape}, {DType::f32, scale}};
      if (!symmetric) outputs.push_back({DType::u8, scale});
      add(d, {{d.input, shape}}, outputs);
    }
    ops::QuantizeDescriptor sums;
    sums.kind = ops::QuantizeKind::dequantize;
    sums.input = DType::i32;
    sums.output = DType::f32;
    sums.axis = 2;
    add(sums, {{DType::i32, shape}, {DType::f32, {37}}}, {{DType::f32, shape}});
  }

  std::vector<NamedPlan> plans_;
  std::vector<std::vector<std::byte>> constants_;
};

}  // namespace intaglio::hostile
