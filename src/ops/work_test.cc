// What bindings say of their work: operations, bytes and the split of threads, for every family, against numbers
// counted by hand.
#include <gtest/gtest.h>

#include <set>

#include "ops/attention.h"
#include "ops/copy.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/generic_test_util.h"
#include "ops/linear.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/reduce.h"
#include "ops/rotary.h"
#include "ops/softmax.h"

namespace intaglio::ops {
namespace {

struct Problem {
  std::string name;
  std::unique_ptr<Descriptor> descriptor;
  std::vector<Operand> inputs, outputs;
  std::vector<std::pair<DType, Shape>> constants;
  double flops = 0, bytes = 0;
  Products products = Products::none;
};

template <class D>
std::unique_ptr<Descriptor> made(const std::function<void(D&)>& fill) {
  auto descriptor = std::make_unique<D>();
  fill(*descriptor);
  return descriptor;
}

constexpr DType f32 = DType::f32;

void add_products(std::vector<Problem>& out) {
  out.push_back({"linear",
                 made<LinearDescriptor>([](auto& d) {
                   d.k = 64, d.n = 32;
                   d.bias = d.residual = true;
                 }),
                 {{f32, {2, 5, 64}}, {f32, {2, 5, 32}}},
                 {{f32, {2, 5, 32}}},
                 {{f32, {32, 64}}, {}, {}, {f32, {32}}},
                 2.0 * 10 * 64 * 32,
                 4.0 * (10 * 64 + 2 * 10 * 32 + 64 * 32 + 32),
                 Products::f32});
  out.push_back({"int8 linear",
                 made<LinearDescriptor>([](auto& d) {
                   d.k = 64, d.n = 32;
                   d.weight = DType::i8;
                   d.dynamic = Dynamic::token_symmetric;
                   d.weight_scale = true;
                 }),
                 {{f32, {10, 64}}},
                 {{f32, {10, 32}}},
                 {{DType::i8, {32, 64}}, {}, {f32, {32}}, {}},
                 2.0 * 10 * 64 * 32,
                 4.0 * (10 * 64 + 10 * 32) + 64 * 32 + 4 * 32 + 4 * 32,  // scales and column sums
                 Products::int8});
  out.push_back({"matmul",
                 made<MatmulDescriptor>([](auto&) {}),
                 {{f32, {3, 100, 64}}, {f32, {1, 64, 80}}},
                 {{f32, {3, 100, 80}}},
                 {},
                 2.0 * 3 * 100 * 64 * 80,
                 4.0 * (3 * 100 * 64 + 64 * 80 + 3 * 100 * 80),
                 Products::f32});
  out.push_back({"matmul of few rows",
                 made<MatmulDescriptor>([](auto&) {}),
                 {{f32, {1, 64}}, {f32, {64, 80}}},
                 {{f32, {1, 80}}},
                 {},
                 2.0 * 64 * 80,
                 4.0 * (64 + 64 * 80 + 80),
                 Products::f32});
  out.push_back({"matmul of f64",
                 made<MatmulDescriptor>([](auto& d) { d.a = d.b = d.output = DType::f64; }),
                 {{DType::f64, {5, 6}}, {DType::f64, {6, 7}}},
                 {{DType::f64, {5, 7}}},
                 {},
                 2.0 * 5 * 6 * 7,
                 8.0 * (30 + 42 + 35),
                 Products::f64});
  for (const bool causal : {false, true}) {
    const Operand heads{f32, {2, 3, 40, 64}};
    out.push_back({causal ? "causal attention" : "attention",
                   made<AttentionDescriptor>([&](auto& d) { d.causal = causal; }),
                   {heads, heads, heads},
                   {heads},
                   {},
                   2.0 * 6 * (causal ? 40 * 41 / 2 : 40 * 40) * 128,
                   4.0 * 4 * 2 * 3 * 40 * 64,
                   Products::f32});
  }
}

void add_rows(std::vector<Problem>& out) {
  out.push_back({"norm",
                 made<NormDescriptor>([](auto& d) {
                   d.axis = 1;
                   d.residual = d.gamma = d.beta = true;
                 }),
                 {{f32, {10, 64}}, {f32, {10, 64}}, {f32, {64}}, {f32, {64}}},
                 {{f32, {10, 64}}},
                 {},
                 8.0 * 640,
                 4.0 * (3 * 640 + 2 * 64)});
  out.push_back({"rotary",
                 made<RotaryDescriptor>([](auto&) {}),
                 {{f32, {2, 5, 3, 64}}, {f32, {5, 1, 16}}, {f32, {5, 1, 16}}},
                 {{f32, {2, 5, 3, 64}}},
                 {},
                 6.0 * 2 * 5 * 3 * 16,
                 4.0 * (2 * 2 * 5 * 3 * 64 + 2 * 5 * 16)});
  out.push_back({"softmax",
                 made<SoftmaxDescriptor>([](auto& d) { d.axis = 1; }),
                 {{f32, {10, 64}}},
                 {{f32, {10, 64}}},
                 {},
                 8.0 * 640,
                 4.0 * 2 * 640});
  out.push_back({"reduce",
                 made<ReduceDescriptor>([](auto& d) { d.axes = {1}; }),
                 {{f32, {10, 64}}},
                 {{f32, {10}}},
                 {},
                 640,
                 4.0 * (640 + 10)});
  out.push_back({"quantize",
                 made<QuantizeDescriptor>([](auto& d) { d.kind = QuantizeKind::quantize; }),
                 {{f32, {10, 64}}, {f32, {}}},
                 {{DType::u8, {10, 64}}},
                 {},
                 4.0 * 640,
                 5.0 * 640 + 4});
  out.push_back({"dynamic quantize",
                 made<QuantizeDescriptor>([](auto&) {}),
                 {{f32, {10, 64}}},
                 {{DType::u8, {10, 64}}, {f32, {}}, {DType::u8, {}}},
                 {},
                 6.0 * 640,
                 5.0 * 640 + 5});
}

void add_others(std::vector<Problem>& out) {
  const DType two[] = {f32, f32};
  out.push_back({"elementwise",
                 single_elementwise(ElementwiseOp::add, two).clone(),
                 {{f32, {10, 64}}, {f32, {64}}},
                 {{f32, {10, 64}}},
                 {},
                 640,
                 4.0 * (2 * 640 + 64)});
  out.push_back({"gather of few rows",
                 made<GatherDescriptor>([](auto&) {}),
                 {{f32, {1000, 64}}, {DType::i64, {10}}},
                 {{f32, {10, 64}}},
                 {},
                 0,
                 4.0 * 2 * 640 + 80});
  out.push_back({"gather of one row again and again",
                 made<GatherDescriptor>([](auto&) {}),
                 {{f32, {1, 64}}, {DType::i64, {10}}},
                 {{f32, {10, 64}}},
                 {},
                 0,
                 4.0 * (640 + 64) + 80});
  out.push_back({"copy",
                 made<CopyDescriptor>([](auto& d) { d.perm = {1, 0}; }),
                 {{f32, {10, 64}}},
                 {{f32, {64, 10}}},
                 {},
                 0,
                 4.0 * 2 * 640});
  out.push_back({"copy that repeats",
                 made<CopyDescriptor>([](auto& d) { d.kind = CopyKind::expand; }),
                 {{f32, {1, 64}}},
                 {{f32, {10, 64}}},
                 {},
                 0,
                 4.0 * (640 + 64)});
  out.push_back({"create", made<CreateDescriptor>([](auto&) {}), {}, {{f32, {10, 64}}}, {}, 0, 4.0 * 640});
}

std::vector<Problem> problems() {
  std::vector<Problem> out;
  add_products(out);
  add_rows(out);
  add_others(out);
  return out;
}

Result<std::unique_ptr<PreparedOp>> prepared(const Problem& p, const Target& target) {
  const Candidate* chosen = nullptr;
  for (const Candidate* candidate : own_candidates()) {
    if (candidate->family() != p.descriptor->family() || candidate->refuses(*p.descriptor, target)) continue;
    chosen = candidate;
    break;
  }
  if (chosen == nullptr) return fail(ErrorCode::internal, p.name + ": no candidate takes it");
  std::vector<std::vector<std::byte>> data;
  std::vector<Constant> constants;
  for (const auto& [dtype, shape] : p.constants) {
    constants.push_back({dtype, shape, nullptr, 0});
    if (shape.empty()) continue;  // absent
    data.emplace_back(*byte_count(shape, dtype));
    constants.back().data = data.back().data();
    constants.back().bytes = data.back().size();
  }
  INTAGLIO_TRY(auto blobs, chosen->pack(*p.descriptor, constants, target));
  return chosen->prepare(*p.descriptor, std::move(blobs), target);
}

TEST(Work, IsToldByEveryFamily) {
  std::set<std::string_view> told;
  for (const Problem& p : problems()) {
    SCOPED_TRACE(p.name);
    told.insert(p.descriptor->family());
    for (const Target& target : test_targets()) {
      auto op = prepared(p, target);
      ASSERT_TRUE(op) << op.error().message;
      auto bound = (*op)->bind({p.inputs, p.outputs, {}, 2});
      ASSERT_TRUE(bound) << bound.error().message;
      const Binding& binding = **bound;
      EXPECT_EQ(binding.flops, p.flops);
      EXPECT_EQ(binding.bytes, p.bytes);
      EXPECT_STRNE(binding.split.what, "");
      EXPECT_GE(binding.split.total, 1);
      EXPECT_GE(binding.split.grain, 1);
      EXPECT_EQ((*op)->facts().products, p.products);
      EXPECT_EQ(binding.kernel == nullptr, binding.isa == nullptr);
      EXPECT_TRUE(binding.isa == nullptr || parse_isa(binding.isa).has_value());
    }
  }
#define INTAGLIO_FAMILY(token) EXPECT_TRUE(told.contains(#token)) << #token << " has no problem here";
#include "ops/families.inc"
#undef INTAGLIO_FAMILY
}

TEST(Work, ProductsOfBf16AreF32WithoutTheInstructions) {
  auto problem = made<LinearDescriptor>([](auto& d) {
    d.k = 64, d.n = 32;
    d.input = d.weight = DType::bf16;
  });
  const Problem p{"bf16", std::move(problem), {}, {}, {{f32, {32, 64}}, {}, {}, {}}};
  for (const Isa level : {Isa::avx2, Isa::avx512, Isa::avx512_bf16}) {
    const Target target{closure_of(level)};
    const auto op = prepared(p, target);
    ASSERT_TRUE(op) << op.error().message;
    EXPECT_EQ((*op)->facts().products, level == Isa::avx512_bf16 ? Products::bf16 : Products::f32) << name_of(level);
  }
}

}  // namespace
}  // namespace intaglio::ops
