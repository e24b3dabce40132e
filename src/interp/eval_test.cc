// Every op against PyTorch and the ONNX reference (torch_cases.inc), and what those cannot say.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "interp/interp.h"
#include "ir/text.h"

namespace intaglio::interp {
namespace {

using ir::Tensor;

struct Expected {
  Shape shape;
  std::vector<double> values;
};
struct Case {
  const char* constants;
  const char* call;
  std::vector<Expected> results;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
#include "interp/torch_cases.inc"
  };
  return kCases;
}

Result<ir::Graph> graph_of(const std::string& constants, const std::string& call, std::size_t results) {
  std::string names, outputs;
  for (std::size_t i = 0; i < results; ++i) {
    names += (i == 0 ? "%r" : ", %r") + std::to_string(i);
    outputs += "output \"" + std::to_string(i) + "\" %r" + std::to_string(i) + "\n";
  }
  return ir::parse("graph \"case\" {\n" + constants + names + " = " + call + "\n" + outputs + "}");
}

Result<std::vector<Tensor>> evaluate(const std::string& constants, const std::string& call,
                                     Precision precision = Precision::f32, std::size_t results = 1) {
  INTAGLIO_TRY(const ir::Graph graph, graph_of(constants, call, results));
  return run(graph, {}, Options{precision});
}

void expect_values(const Case& c, Precision precision, double tolerance) {
  const auto got = evaluate(c.constants, c.call, precision, c.results.size());
  ASSERT_TRUE(got) << c.call << ": " << got.error().to_string();
  for (std::size_t r = 0; r < c.results.size(); ++r) {
    const Tensor& y = (*got)[r];
    ASSERT_EQ(y.shape, c.results[r].shape) << c.call;
    EXPECT_TRUE(precision == Precision::f32 || !is_floating(y.dtype) || y.dtype == DType::f64) << c.call;
    for (std::int64_t i = 0; i < y.element_count(); ++i) {
      const double want = c.results[r].values[static_cast<std::size_t>(i)], have = y.as_double(i);
      if (std::isnan(want) || std::isinf(want)) {
        EXPECT_TRUE(have == want || (std::isnan(have) && std::isnan(want))) << c.call << " [" << i << "]: " << have;
      } else {
        const double allowed = is_floating(y.dtype) ? tolerance * std::max(1.0, std::fabs(want)) : 0.0;
        EXPECT_LE(std::fabs(have - want), allowed) << c.call << " [" << i << "]: " << have << " for " << want << "\n"
                                                   << c.constants;
      }
    }
  }
}

TEST(Eval, AgreesWithTorchInDouble) {
  for (const Case& c : cases()) {
    if (std::string(c.call).rfind("dynamic_quantize", 0) == 0) continue;  // its judge computes in f32; see below
    expect_values(c, Precision::f64, 1e-14);
  }
}

TEST(Eval, AgreesWithTorchInFloat) {
  for (const Case& c : cases()) expect_values(c, Precision::f32, 4 * 0x1p-23);  // four units in the last place
}

TEST(Eval, EveryOpIsJudged) {
  std::set<std::string> judged;
  for (const Case& c : cases()) judged.insert(std::string(c.call).substr(0, std::string(c.call).find('(')));
  for (int i = 0; i < ir::kOpCount; ++i) {
    EXPECT_TRUE(judged.count(std::string(name_of(static_cast<ir::Op>(i))))) << name_of(static_cast<ir::Op>(i));
  }
}

// ---- helpers for single cases
std::vector<double> numbers(const Result<std::vector<Tensor>>& got, std::size_t r = 0) {
  if (!got) return {-12345, static_cast<double>(got.error().code)};
  std::vector<double> values;
  for (std::int64_t i = 0; i < (*got)[r].element_count(); ++i) values.push_back((*got)[r].as_double(i));
  return values;
}
using Numbers = std::vector<double>;

TEST(Eval, HalfTypesComputeInFloatAndRound) {
  // 2048 + 1 and + 3 lie between two f16 numbers: ties to even.
  EXPECT_EQ(numbers(evaluate("const %a: f16[2] = [2048, 2048]\nconst %b: f16[2] = [1, 3]\n", "add(%a, %b)")),
            (Numbers{2048, 2052}));
  EXPECT_EQ(numbers(evaluate("const %a: bf16[2] = [256, 256]\nconst %b: bf16[2] = [1, 3]\n", "add(%a, %b)")),
            (Numbers{256, 260}));
  EXPECT_EQ(numbers(evaluate("const %a: f16[1] = [60000]\n", "add(%a, %a)")), (Numbers{INFINITY}));
  // The sum of 4096 ones would stick at 2048 if it ran in f16.
  EXPECT_EQ(numbers(evaluate("const %a: f16[4096] = splat 1\n", "reduce(%a) {kind=\"sum\", axes=[0]}")),
            (Numbers{4096}));
  EXPECT_EQ(numbers(evaluate("const %a: f16[1, 4096] = splat 1\nconst %b: f16[4096, 1] = splat 1\n", "matmul(%a, %b)")),
            (Numbers{4096}));
  const auto y = evaluate("const %a: f16[1] = [1]\n", "exp(%a)");
  ASSERT_TRUE(y);
  EXPECT_EQ((*y)[0].dtype, DType::f16);
  EXPECT_EQ((*y)[0].as_double(0), 2.71875);  // the f16 nearest to e
}

TEST(Eval, DoublePrecisionHoldsEveryFloatInDouble) {
  const auto y = evaluate("const %a: f16[1] = [2048]\nconst %b: f16[1] = [1]\n", "add(%a, %b)", Precision::f64);
  ASSERT_TRUE(y);
  EXPECT_EQ((*y)[0].dtype, DType::f64);
  EXPECT_EQ(numbers(y), (Numbers{2049}));
  const auto cast = evaluate("const %a: f64[1] = [0.1]\n", "cast(%a) {to=f16}", Precision::f64);
  EXPECT_EQ(numbers(cast), (Numbers{0.1}));
  const auto q = evaluate("const %a: f32[2] = [-1, 1.55]\n", "dynamic_quantize(%a)", Precision::f64, 3);
  ASSERT_TRUE(q);
  const double scale = (static_cast<double>(1.55f) + 1) / 255;
  EXPECT_EQ(numbers(q, 1), (Numbers{scale}));
  EXPECT_EQ(numbers(q, 2), (Numbers{100}));
  EXPECT_EQ(numbers(q, 0), (Numbers{0, 255}));
}

TEST(Eval, FloatSumsAreRoundedOnce) {
  // In float arithmetic 1e8 + 1 + ... loses every 1.
  EXPECT_EQ(numbers(evaluate("const %a: f32[5] = [1e8, 1, 1, 1, -1e8]\n", "reduce(%a) {kind=\"sum\", axes=[0]}")),
            (Numbers{3}));
  EXPECT_EQ(
      numbers(evaluate("const %a: f32[1, 3] = [1e8, 1, -1e8]\nconst %b: f32[3, 1] = [1, 1, 1]\n", "matmul(%a, %b)")),
      (Numbers{1}));
}

// In asymmetric activations too it is stored as 0, as DynamicQuantizeLinear does, not as what stands for 0.
TEST(Eval, ANanOfDynamicActivationsIsTheByteZero) {
  const std::string constants =
      "const %x: f32[1, 4] = [nan, 1, -2, 3]\nconst %w: i8[4, 1] = [100, 10, 1, 7]\nconst %s: f32[] = [1]\n";
  const auto parts = evaluate(constants, "dynamic_quantize(%x)", Precision::f32, 3);
  const std::vector<double> q = numbers(parts, 0);
  const double scale = numbers(parts, 1)[0], zero = numbers(parts, 2)[0];
  EXPECT_EQ(q[0], 0);
  const double weights[] = {100, 10, 1, 7};
  double sum = 0;
  for (std::size_t i = 0; i < 4; ++i) sum += (q[i] - zero) * weights[i];
  const auto whole = evaluate(constants, "quantized_linear(%x, %w, _, _, %s) {dynamic=\"tensor_asymmetric\"}");
  EXPECT_FLOAT_EQ(static_cast<float>(numbers(whole)[0]), static_cast<float>(sum * scale));
}

TEST(Eval, CastsRoundOnce) {
  // 1 + 2^-11 + 2^-40: just above a tie of f16. Through f32 the tie would win and round to even, to 1.
  EXPECT_EQ(numbers(evaluate("const %a: f64[1] = [1.000488281250909]\n", "cast(%a) {to=f16}")),
            (Numbers{1.0009765625}));
  // The same for bf16: 1 + 2^-8 + 2^-40.
  EXPECT_EQ(numbers(evaluate("const %a: f64[1] = [1.003906250000909]\n", "cast(%a) {to=bf16}")), (Numbers{1.0078125}));
  EXPECT_EQ(numbers(evaluate("const %a: f32[1] = [1.00390625]\n", "cast(%a) {to=bf16}")), (Numbers{1.0}));
  EXPECT_EQ(numbers(evaluate("const %a: f32[3] = [nan, inf, -inf]\n", "cast(%a) {to=i16}")),
            (Numbers{0, 32767, -32768}));
  EXPECT_EQ(numbers(evaluate("const %a: f32[3] = [-1, 1e30, 3e9]\n", "cast(%a) {to=u32}")),
            (Numbers{0, 4294967295.0, 3e9}));
  const auto u64 = evaluate("const %a: f64[2] = [1e30, 1.8e19]\n", "cast(%a) {to=u64}");
  ASSERT_TRUE(u64);
  EXPECT_EQ((*u64)[0].load<std::uint64_t>(0), UINT64_MAX);
  EXPECT_EQ((*u64)[0].load<std::uint64_t>(1), 18000000000000000000u);
  EXPECT_EQ(numbers(evaluate("const %a: u64[1] = [18446744073709551615]\n", "cast(%a) {to=f32}")), (Numbers{0x1p64}));
  // 2^24 + 1 is a tie of f32; one more bit far below decides.
  EXPECT_EQ(numbers(evaluate("const %a: i64[1] = [9007199791611905]\n", "cast(%a) {to=f32}")),
            (Numbers{9007200328482816.0}));
}

TEST(Eval, IntegersWrapAndNeverTrap) {
  const std::string low =
      "const %a: i64[1] = [-9223372036854775808]\nconst %b: i64[1] = [-1]\nconst %z: i64[1] = [0]\n";
  EXPECT_EQ(numbers(evaluate(low, "div(%a, %b)")), (Numbers{-0x1p63}));
  EXPECT_EQ(numbers(evaluate(low, "mod(%a, %b)")), (Numbers{0}));
  EXPECT_EQ(numbers(evaluate(low, "neg(%a)")), (Numbers{-0x1p63}));
  EXPECT_EQ(numbers(evaluate(low, "abs(%a)")), (Numbers{-0x1p63}));
  EXPECT_EQ(numbers(evaluate(low, "mul(%a, %b)")), (Numbers{-0x1p63}));
  EXPECT_EQ(numbers(evaluate(low, "div(%b, %z)")), (Numbers{0}));
  EXPECT_EQ(numbers(evaluate(low, "mod(%b, %z)")), (Numbers{0}));
  EXPECT_EQ(numbers(evaluate(low, "pow(%a, %b)")), (Numbers{0}));
  const std::string u = "const %a: u64[2] = [18446744073709551615, 3]\nconst %b: u64[2] = [2, 18446744073709551615]\n";
  EXPECT_EQ(numbers(evaluate(u, "gt(%a, %b)")), (Numbers{1, 0}));
  EXPECT_EQ(numbers(evaluate(u, "div(%a, %b)")), (Numbers{9223372036854775807.0, 0}));
  EXPECT_EQ(numbers(evaluate(u, "mod(%a, %b)")), (Numbers{1, 3}));
  EXPECT_EQ(numbers(evaluate("const %a: i8[2] = [-128, 127]\n", "abs(%a)")), (Numbers{-128, 127}));
  EXPECT_EQ(numbers(evaluate("const %a: i32[2] = [2147483647, 7]\n", "clamp(%a) {min=-inf, max=1e30}")),
            (Numbers{2147483647, 7}));
  EXPECT_EQ(numbers(evaluate("const %a: u8[3] = [0, 100, 255]\n", "clamp(%a) {min=10, max=200}")),
            (Numbers{10, 100, 200}));
}

TEST(Eval, EmptyReductionsGiveTheIdentity) {
  EXPECT_EQ(numbers(evaluate("const %a: i8[0] = []\n", "reduce(%a) {kind=\"max\", axes=[0]}")), (Numbers{-128}));
  EXPECT_EQ(numbers(evaluate("const %a: u8[0] = []\n", "reduce(%a) {kind=\"max\", axes=[0]}")), (Numbers{0}));
  EXPECT_EQ(numbers(evaluate("const %a: i64[0] = []\n", "reduce(%a) {kind=\"min\", axes=[0]}")), (Numbers{0x1p63}));
  EXPECT_EQ(numbers(evaluate("const %a: f32[0] = []\n", "reduce(%a) {kind=\"max\", axes=[0]}")), (Numbers{-INFINITY}));
  EXPECT_EQ(numbers(evaluate("const %a: bool[0] = []\n", "reduce(%a) {kind=\"all\", axes=[0]}")), (Numbers{1}));
  EXPECT_EQ(numbers(evaluate("const %a: f32[2] = [-3, 2]\n", "reduce(%a) {kind=\"l1\", axes=[]}")), (Numbers{3, 2}));
}

TEST(Eval, EmptyShapesCostNothing) {
  // The other dims multiply to more than 64 bits; nothing may loop over them.
  const std::string big = "const %a: f32[1099511627776, 1099511627776, 0] = []\n";
  for (const char* call : {"softmax(%a) {axis=2}", "cumsum(%a) {axis=0}", "neg(%a)", "add(%a, %a)",
                           "layer_norm(%a) {axis=1}", "transpose(%a) {perm=[2, 1, 0]}", "argmax(%a) {axis=1}",
                           "concat(%a, %a) {axis=2}", "reshape(%a) {shape=[0]}"}) {
    const auto y = evaluate(big, call);
    ASSERT_TRUE(y) << call << ": " << y.error().to_string();
    EXPECT_EQ((*y)[0].bytes, 0u);
  }
  EXPECT_EQ(numbers(evaluate(big, "reduce(%a) {kind=\"sum\", axes=[0, 1, 2], keepdims=false}")), (Numbers{0}));
  EXPECT_FALSE(evaluate(big, "argmax(%a) {axis=2}"));
  EXPECT_FALSE(evaluate("const %a: f32[2, 0] = []\n", "argmax(%a) {axis=1}"));
  EXPECT_EQ(numbers(evaluate("const %a: f32[0] = []\n", "dynamic_quantize(%a)", Precision::f32, 3), 1), (Numbers{1}));
}

TEST(Eval, IndexesOutOfRangeAreDataErrors) {
  const std::string data =
      "const %d: f32[2, 3] = [1, 2, 3, 4, 5, 6]\nconst %i: i64[1] = [3]\nconst %j: i32[1] = [-4]\n"
      "const %k: i64[2, 1] = [0, -5]\nconst %n: i64[1, 2] = [1, 3]\nconst %e: f32[0, 2] = []\n";
  for (const char* call : {"gather(%d, %i) {axis=1}", "gather(%d, %j) {axis=1}", "gather_elements(%d, %k) {axis=1}",
                           "gather_nd(%d, %n)", "gather(%e, %i) {axis=0}"}) {
    const auto y = evaluate(data, call);
    ASSERT_FALSE(y) << call;
    EXPECT_EQ(y.error().code, ErrorCode::data) << call;
    EXPECT_NE(y.error().message.find("is outside [-"), std::string::npos) << y.error().message;
  }
  EXPECT_NE(evaluate(data, "gather(%d, %i) {axis=1}")
                .error()
                .message.find("index 3 (element 0 of the indices) is outside [-3, 3)"),
            std::string::npos);
}

TEST(Eval, FoldingRefusesDivisionByZero) {
  const auto g = graph_of("const %a: i32[2] = [4, 4]\nconst %b: i32[2] = [2, 0]\n", "div(%a, %b)", 1);
  ASSERT_TRUE(g);
  const ir::Node& node = g->nodes().front();
  const Tensor* operands[] = {&node.input(0)->constant(), &node.input(1)->constant()};
  const auto folded = eval(node, operands, {});
  ASSERT_FALSE(folded);
  EXPECT_NE(folded.error().message.find("division by zero"), std::string::npos);
  EXPECT_EQ(numbers(run(*g, {})), (Numbers{2, 0}));
}

TEST(Eval, FoldingTakesConcreteOperandsAndSymbols) {
  const auto g = ir::parse(
      "graph \"\" { symbol s in [1, 9]\ninput \"x\" %x: f32[s]\n%y = expand(%x) {shape=[2, s]}\noutput \"y\" %y }");
  ASSERT_TRUE(g);
  const Tensor x = *Tensor::from<float>({2}, {1, 2});
  const Tensor* operands[] = {&x};
  const auto& node = g->nodes().front();
  EXPECT_EQ(numbers(eval(node, operands, {{"s", 2}})), (Numbers{1, 2, 1, 2}));
  EXPECT_FALSE(eval(node, operands, {}));          // s has no value
  EXPECT_FALSE(eval(node, operands, {{"s", 3}}));  // and x is not f32[3]
  const Tensor wrong = *Tensor::from<double>({2}, {1, 2});
  const Tensor* bad[] = {&wrong};
  EXPECT_EQ(eval(node, bad, {{"s", 2}}).error().code, ErrorCode::internal);
  EXPECT_FALSE(eval(node, {}, {{"s", 2}}));
  const Tensor* absent[] = {nullptr};
  EXPECT_FALSE(eval(node, absent, {{"s", 2}}));
}

TEST(Eval, QuantizedLinearRoundsInTheWrittenOrder) {
  // f32(2^24 + 1) is 2^24: the sum is rounded before it is scaled.
  const std::string text =
      "const %x: u8[1, 2] = [255, 255]\nconst %w: i8[2, 1] = [127, 1]\nconst %s: f32[] = [0.1]\nconst %t: f32[] = "
      "[0.3]\n"
      "const %b: f32[1] = [0.7]\n";
  const float product = 0.1f * 0.3f;  // scales first
  const float want = static_cast<float>(255 * 127 + 255) * product + 0.7f;
  const auto y = evaluate(text, "quantized_linear(%x, %w, %s, _, %t, _, %b)");
  ASSERT_TRUE(y) << y.error().to_string();
  EXPECT_EQ((*y)[0].load<float>(0), want);
}

}  // namespace
}  // namespace intaglio::interp
