// What --require amx says, without AMX: on steps by hand, and on a plan that was compiled for AMX and is never run.
#include "api/requirements.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "compile/compile.h"
#include "ir/text.h"

namespace intaglio::internal {
namespace {

using ops::Products;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

const cpu::Amx kUsable{true, "the permission was given"};
const cpu::Amx kAbsent{false, "the CPU lacks it"};

StepKernel amx_step(const char* node, Products products) {
  return {node, "linear", products, "gemm_1x16x64_amx", "amx"};
}
StepKernel other_step(const char* node, Products products, const char* op = "linear") {
  return {node, op, products, "gemm_avx512", "avx512"};
}

TEST(RequireAmx, HoldsIfAllProductsRunOnIt) {
  const std::vector<StepKernel> steps{amx_step("q; k; v", Products::bf16), amx_step("up", Products::int8),
                                      other_step("norm", Products::none, "layer_norm")};
  EXPECT_THAT(shortfalls("amx", steps, {}, kUsable), IsEmpty());
  EXPECT_THAT(shortfalls("amx", {}, {}, kAbsent), IsEmpty());
}

TEST(RequireAmx, NamesEachNodeThatDoesNot) {
  const std::vector<StepKernel> steps{amx_step("q; k; v", Products::bf16),
                                      other_step("scores", Products::bf16, "attention"), amx_step("up", Products::int8),
                                      other_step("out; act", Products::f32)};
  plan::Report report;
  const auto attention = AllOf(StartsWith("scores (attention: bf16 products, kernel gemm_avx512, isa avx512"),
                               HasSubstr("no kernel of AMX for these types and shapes"));
  EXPECT_THAT(shortfalls("amx", steps, report, kUsable), ElementsAre(attention, StartsWith("out; act (linear: f32")));
  // What the compiler noted about a merged node is the better reason.
  report.fallbacks.push_back({"act", "the kernel was refused"});
  EXPECT_THAT(shortfalls("amx", steps, report, kUsable), ElementsAre(attention, HasSubstr("the kernel was refused")));
}

TEST(RequireAmx, SaysIfThisProcessMayNotUseIt) {
  const std::vector<StepKernel> steps{other_step("up", Products::bf16)};
  EXPECT_THAT(shortfalls("amx", steps, {}, kAbsent), ElementsAre(HasSubstr("AMX is not usable: the CPU lacks it")));
  EXPECT_THAT(shortfalls("amx", steps, {}, {false, ""}), ElementsAre(Not(HasSubstr("usable:"))));
}

constexpr const char* kLayers = R"(graph "layers" {
  symbol s in [1, 512]
  input "x" %x: f32[s, 64]
  const %w1: f32[64, 128] = random 1
  const %w2: f32[128, 64] = random 2
  %h = linear(%x, %w1) @"up"
  %n = relu(%h) @"between"
  %y = linear(%n, %w2) @"down"
  output "y" %y
}
)";

// Packed for AMX, which nothing of this executes.
std::shared_ptr<const plan::Plan> compiled_for_amx(const passes::Precision& precision) {
  compile::CompileOptions options;
  options.passes.precision = precision;
  options.target = ops::Target();
  options.target->isa = closure_of(Isa::amx);
  options.target->isa.bits |= isa_bit(Isa::avx512_bf16);
  auto graph = ir::parse(kLayers);
  if (!graph) throw std::runtime_error(graph.error().to_string());
  return *compile::compile_graph(*std::move(graph), "layers", "", options);
}

std::vector<std::string> shortfalls_at(const plan::Plan& plan, std::int64_t rows) {
  const Shape shape{rows, 64};
  const auto bound = *plan::bind(plan, {&shape, 1}, {});
  return shortfalls("amx", step_kernels(plan, bound.get()), plan.report, kUsable);
}

TEST(RequireAmx, OfACompiledPlanBySteps) {
  for (const passes::Precision& precision :
       {passes::Precision{.dtype = DType::bf16}, passes::Precision{.quantize = passes::Quantize::dynamic}}) {
    const auto plan = compiled_for_amx(precision);
    EXPECT_THAT(shortfalls("amx", step_kernels(*plan, nullptr), plan->report, kUsable), IsEmpty());
    EXPECT_THAT(shortfalls_at(*plan, 128), IsEmpty());
    // Few rows leave its tiles empty: they get another kernel of the same packed weights.
    EXPECT_THAT(shortfalls_at(*plan, 1), ElementsAre(StartsWith("up"), StartsWith("down")));
  }
  // There are no products of f32 on AMX.
  const auto plan = compiled_for_amx({});
  EXPECT_THAT(shortfalls_at(*plan, 128), ElementsAre(AllOf(StartsWith("up"), HasSubstr("f32 products")),
                                                     AllOf(StartsWith("down"), HasSubstr("f32 products"))));
}

}  // namespace
}  // namespace intaglio::internal
