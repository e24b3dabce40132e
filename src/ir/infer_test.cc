// Shape functions through the text form: a call on typed operands gives a type or an error. Every op has both kinds.
#include <gtest/gtest.h>

#include <set>

#include "ir/text.h"

namespace intaglio::ir {
namespace {

struct Case {
  const char* operands;  // types, ';' between; they are called %a, %b, %c, ...
  const char* call;
  const char* want;  // the types of the results, or a part of the error message
};

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(';'), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

Result<Graph> build(const Case& c) {
  std::string text = "graph \"g\" {\nsymbol s\nsymbol t\nsymbol n in [4, 8]\n";
  char name = 'a';
  for (const std::string& type : split(c.operands)) {
    text += std::string("input \"") + name + "\" %" + name + ": " + type + "\n";
    ++name;
  }
  const std::string call = c.call;
  const auto op = parse_op(call.substr(0, call.find('(')));
  text += op && schema(*op).outputs.size() == 3 ? "%x, %y, %z = " : "%x = ";
  return parse(text + call + "\noutput \"o\" %x\n}");
}

std::string op_of(const Case& c) {
  return std::string(c.call).substr(0, std::string(c.call).find('('));
}

const Case kGood[] = {
    {"i8[2]", "neg(%a)", "i8[2]"},
    {"f16[2, s]", "abs(%a)", "f16[2, s]"},
    {"i64[]", "sign(%a)", "i64[]"},
    {"f32[0]", "exp(%a)", "f32[0]"},
    {"f64[3]", "log(%a)", "f64[3]"},
    {"bf16[3]", "sqrt(%a)", "bf16[3]"},
    {"f32[3]", "rsqrt(%a)", "f32[3]"},
    {"f32[3]", "reciprocal(%a)", "f32[3]"},
    {"f32[3]", "erf(%a)", "f32[3]"},
    {"f32[3]", "tanh(%a)", "f32[3]"},
    {"f32[3]", "sin(%a)", "f32[3]"},
    {"f32[3]", "cos(%a)", "f32[3]"},
    {"f32[3]", "floor(%a)", "f32[3]"},
    {"f32[3]", "ceil(%a)", "f32[3]"},
    {"f32[3]", "round(%a)", "f32[3]"},
    {"f32[3]", "sigmoid(%a)", "f32[3]"},
    {"i32[3]", "relu(%a)", "i32[3]"},
    {"f32[3]", "gelu(%a) {approximate=\"tanh\"}", "f32[3]"},
    {"f32[3]", "silu(%a)", "f32[3]"},
    {"f32[3]", "hard_swish(%a)", "f32[3]"},
    {"f32[3]", "hard_sigmoid(%a) {alpha=0.5}", "f32[3]"},
    {"i64[3]", "clamp(%a) {min=0}", "i64[3]"},
    {"bool[3]", "logical_not(%a)", "bool[3]"},
    {"f32[3]", "isnan(%a)", "bool[3]"},
    {"f16[3]", "isinf(%a)", "bool[3]"},
    {"f32[2, 1]; f32[3]", "add(%a, %b)", "f32[2, 3]"},
    {"f32[s, 1]; f32[t]", "add(%a, %b)", "f32[s, t]"},
    {"f32[s]; f32[7]", "add(%a, %b)", "f32[7]"},
    {"u8[2]; u8[]", "sub(%a, %b)", "u8[2]"},
    {"f32[0]; f32[1]", "mul(%a, %b)", "f32[0]"},
    {"i32[2]; i32[2]", "div(%a, %b)", "i32[2]"},
    {"f32[2]; f32[2]", "pow(%a, %b)", "f32[2]"},
    {"i64[2]; i64[2]", "mod(%a, %b)", "i64[2]"},
    {"f32[2]; f32[2]", "minimum(%a, %b)", "f32[2]"},
    {"f32[2]; f32[2]", "maximum(%a, %b)", "f32[2]"},
    {"bool[2]; bool[1]", "eq(%a, %b)", "bool[2]"},
    {"i64[2]; i64[1]", "ne(%a, %b)", "bool[2]"},
    {"f32[2]; f32[]", "lt(%a, %b)", "bool[2]"},
    {"f32[2]; f32[]", "le(%a, %b)", "bool[2]"},
    {"f32[2]; f32[]", "gt(%a, %b)", "bool[2]"},
    {"f32[2]; f32[]", "ge(%a, %b)", "bool[2]"},
    {"bool[2]; bool[]", "logical_and(%a, %b)", "bool[2]"},
    {"u8[2]; u8[]", "logical_or(%a, %b)", "u8[2]"},
    {"i32[2]; i32[]", "logical_xor(%a, %b)", "i32[2]"},
    {"bool[2, 1]; f32[3]; f32[]", "where(%a, %b, %c)", "f32[2, 3]"},
    {"f32[2]", "cast(%a) {to=i8}", "i8[2]"},
    {"f32[2, s, 12]", "reshape(%a) {shape=[2, s, 3, 4]}", "f32[2, s, 3, 4]"},
    {"f32[s]", "reshape(%a) {shape=[t, 2]}", "f32[t, 2]"},
    {"f32[0, 3]", "reshape(%a) {shape=[5, 0]}", "f32[5, 0]"},
    {"f32[2, s, 4]", "transpose(%a) {perm=[2, 0, 1]}", "f32[4, 2, s]"},
    {"f32[]", "transpose(%a) {perm=[]}", "f32[]"},
    {"f32[3, 1]", "expand(%a) {shape=[s, 3, t]}", "f32[s, 3, t]"},
    {"f32[10, s]", "slice(%a) {axes=[0, 1], starts=[1, 0], ends=[8, min(5, s)], steps=[3, 1]}", "f32[3, min(s, 5)]"},
    {"f32[10]", "slice(%a) {axes=[0], starts=[9], ends=[-1], steps=[-2]}", "f32[5]"},
    {"f32[10]", "slice(%a) {axes=[0], starts=[7], ends=[3], steps=[1]}", "f32[0]"},
    {"f32[2, s]; f32[2, t]; f32[2, 3]", "concat(%a, %b, %c) {axis=1}", "f32[2, s + t + 3]"},
    {"f32[2, s]", "pad(%a) {before=[1, 0], after=[0, t], value=1}", "f32[3, s + t]"},
    {"f32[30522, 768]; i64[s, t]", "gather(%a, %b) {axis=0}", "f32[s, t, 768]"},
    {"f32[2, 5]; i32[]", "gather(%a, %b) {axis=1}", "f32[2]"},
    {"f32[2, 5]; i64[2, 9]", "gather_elements(%a, %b) {axis=1}", "f32[2, 9]"},
    {"f32[2, 5, 7]; i64[2, 3, 1]", "gather_nd(%a, %b) {batch_dims=1}", "f32[2, 3, 7]"},
    {"f32[2, 5, 7]; i64[4, 3]", "gather_nd(%a, %b)", "f32[4]"},
    {"", "iota() {count=s, start=t, step=1, to=i64}", "i64[s]"},
    {"", "full() {shape=[s, 2], value=0.5, to=bf16}", "bf16[s, 2]"},
    {"", "dims() {values=[s, t*2, 5]}", "i64[3]"},
    {"f32[2, s, 4]", "reduce(%a) {kind=\"mean\", axes=[2, 0]}", "f32[1, s, 1]"},
    {"i32[2, s, 4]", "reduce(%a) {kind=\"sum\", axes=[1], keepdims=false}", "i32[2, 4]"},
    {"bool[2]", "reduce(%a) {kind=\"any\", axes=[0], keepdims=false}", "bool[]"},
    {"f32[2, s]", "argmax(%a) {axis=1}", "i64[2, 1]"},
    {"f32[2, s]", "argmax(%a) {axis=0, keepdims=false}", "i64[s]"},
    {"i64[s]", "cumsum(%a) {axis=0}", "i64[s]"},
    {"f32[s, 0]", "softmax(%a) {axis=1}", "f32[s, 0]"},
    {"f32[2, s, 8]; f32[8]; f32[1]", "layer_norm(%a, %b, %c) {axis=2}", "f32[2, s, 8]"},
    {"f32[2, s, 8]; f32[8]", "layer_norm(%a, _, %b) {axis=1}", "f32[2, s, 8]"},
    {"f32[2, 8]", "rms_norm(%a) {axis=1}", "f32[2, 8]"},
    {"f32[5, 1, s, 4]; f32[2, 4, t]", "matmul(%a, %b)", "f32[5, 2, s, t]"},
    {"f32[4]; f32[4]", "matmul(%a, %b)", "f32[]"},
    {"f32[4]; f32[7, 4, 3]", "matmul(%a, %b)", "f32[7, 3]"},
    {"i32[7, 3, 4]; i32[4]", "matmul(%a, %b)", "i32[7, 3]"},
    {"f32[2, s, 4]; f32[4, 6]; f32[6]; f32[2, s, 6]", "linear(%a, %b, %c, %d) {activation=\"gelu\"}", "f32[2, s, 6]"},
    {"f32[4]; f32[6, 4]", "linear(%a, %b) {transposed=true}", "f32[6]"},
    {"u8[2, s, 4]; i8[4, 6]; u8[]; i8[6]", "matmul_integer(%a, %b, %c, %d)", "i32[2, s, 6]"},
    {"u8[2, s, 4]; i8[4, 6]; u8[2, s, 1]", "matmul_integer(%a, %b, %c)", "i32[2, s, 6]"},
    {"u8[s, 4]; i8[4, 6]; f32[]; u8[]; f32[6]; f32[6]", "quantized_linear(%a, %b, %c, %d, %e, _, %f)", "f32[s, 6]"},
    {"f32[2, 8, s, 16]; f32[2, 4, t, 16]; f32[2, 4, t, 32]; bool[2, 1, 1, t]", "attention(%a, %b, %c, %d) {scale=0.25}",
     "f32[2, 8, s, 32]"},
    {"f32[2, s, 8, 16]; f32[2, t, 8, 16]; f32[2, t, 8, 16]; f32[s, t]",
     "attention(%a, %b, %c, %d) {scale=1, layout=\"bshd\"}", "f32[2, s, 8, 16]"},
    {"bf16[2, s, 8, 16]; bf16[2, t, 8, 16]; bf16[2, t, 8, 16]; f32[s, t]",
     "attention(%a, %b, %c, %d) {scale=1, layout=\"bshd\", compute=\"int8\"}", "bf16[2, s, 8, 16]"},
    {"f32[2, s, 96]; bool[2, 1, 1, s]", "attention_packed(%a, %b) {heads=4, kv_heads=1, scale=1}", "f32[2, s, 64]"},
    {"f32[2, s, 0]", "attention_packed(%a) {heads=4, kv_heads=1, scale=1}", "f32[2, s, 0]"},
    {"bf16[2, s, 4]; i8[6, 4]; f32[6]; bf16[2, s, 6]",
     "quantized_linear(%a, %b, _, _, %c, _, _, %d) {transposed=true, dynamic=\"token_symmetric\", to=bf16}",
     "bf16[2, s, 6]"},
    {"u8[2, s, 4]; i8[4, 6]; f32[2, s, 1]; f32[6]", "quantized_linear(%a, %b, %c, _, %d)", "f32[2, s, 6]"},
    {"bf16[2, s, 8]; f32[8]", "norm_quantize(%a, %b) {axis=2, kind=\"layer\"}",
     "bf16[2, s, 8], u8[2, s, 8], f32[2, s, 1]"},
    {"f32[2, s, 8, 16]; f32[1, s, 1, 8]; f32[1, s, 1, 8]", "rotary(%a, %b, %c)", "f32[2, s, 8, 16]"},
    {"bf16[2, 8, s, 16]; f32[s, 4]; f32[s, 4]", "rotary(%a, %b, %c) {interleaved=true, heads=5}", "bf16[2, 8, s, 16]"},
    {"f32[2, s]", "dynamic_quantize(%a)", "u8[2, s], f32[], u8[]"},
    {"f32[2, s]; f32[2]; i8[2]", "quantize(%a, %b, %c) {to=i8}", "i8[2, s]"},
    {"f32[]; f32[]", "quantize(%a, %b)", "u8[]"},
    {"i32[2, s]; f16[1]", "dequantize(%a, %b) {axis=1}", "f16[2, s]"},
};

const Case kBad[] = {
    {"bool[2]", "neg(%a)", "'x' is bool"},
    {"bool[2]", "abs(%a)", "is bool"},
    {"bool[2]", "sign(%a)", "is bool"},
    {"i32[2]", "exp(%a)", "'x' has dtype i32, wanted a floating-point one"},
    {"i32[2]", "log(%a)", "floating-point"},
    {"i32[2]", "sqrt(%a)", "floating-point"},
    {"i32[2]", "rsqrt(%a)", "floating-point"},
    {"i32[2]", "reciprocal(%a)", "floating-point"},
    {"i32[2]", "erf(%a)", "floating-point"},
    {"i32[2]", "tanh(%a)", "floating-point"},
    {"i32[2]", "sin(%a)", "floating-point"},
    {"i32[2]", "cos(%a)", "floating-point"},
    {"i32[2]", "floor(%a)", "floating-point"},
    {"i32[2]", "ceil(%a)", "floating-point"},
    {"i32[2]", "round(%a)", "floating-point"},
    {"i32[2]", "sigmoid(%a)", "floating-point"},
    {"bool[2]", "relu(%a)", "is bool"},
    {"f32[2]", "gelu(%a) {approximate=\"fast\"}", "'fast' is not one of: none, tanh"},
    {"i32[2]", "silu(%a)", "floating-point"},
    {"i32[2]", "hard_swish(%a)", "floating-point"},
    {"i32[2]", "hard_sigmoid(%a)", "floating-point"},
    {"bool[2]", "clamp(%a)", "is bool"},
    {"f32[2]", "logical_not(%a)", "wanted: bool"},
    {"i32[2]", "isnan(%a)", "floating-point"},
    {"i32[2]", "isinf(%a)", "floating-point"},
    {"f32[2]; f32[3]", "add(%a, %b)", "add: shapes [2] and [3] do not broadcast"},
    {"f32[s]; f32[s + 1]", "add(%a, %b)", "do not broadcast"},
    {"f32[n]; f32[2]", "add(%a, %b)", "do not broadcast"},
    {"f32[2]; i64[2]", "sub(%a, %b)", "'b' has dtype i64, but 'a' has f32"},
    {"f32[2]", "mul(%a)", "the operand 'b' is missing"},
    {"f32[2]; f32[2]; f32[2]", "mul(%a, %b, %c)", "3 operands"},
    {"bool[2]; bool[2]", "div(%a, %b)", "is bool"},
    {"bool[2]; bool[2]", "pow(%a, %b)", "is bool"},
    {"bool[2]; bool[2]", "mod(%a, %b)", "is bool"},
    {"bool[2]; bool[2]", "minimum(%a, %b)", "is bool"},
    {"bool[2]; bool[2]", "maximum(%a, %b)", "is bool"},
    {"f32[2]; f16[2]", "eq(%a, %b)", "dtype"},
    {"f32[2]; f16[2]", "ne(%a, %b)", "dtype"},
    {"f32[2]; f32[3]", "lt(%a, %b)", "broadcast"},
    {"f32[2]; f32[3]", "le(%a, %b)", "broadcast"},
    {"f32[2]; f32[3]", "gt(%a, %b)", "broadcast"},
    {"f32[2]; f32[3]", "ge(%a, %b)", "broadcast"},
    {"f32[2]; f32[2]", "logical_and(%a, %b)", "bool or integers"},
    {"f32[2]; f32[2]", "logical_or(%a, %b)", "bool or integers"},
    {"f32[2]; f32[2]", "logical_xor(%a, %b)", "bool or integers"},
    {"u8[2]; f32[2]; f32[2]", "where(%a, %b, %c)", "wanted: bool"},
    {"bool[2]; f32[2]; f16[2]", "where(%a, %b, %c)", "dtype"},
    {"bool[2]; f32[3]; f32[3]", "where(%a, %b, %c)", "broadcast"},
    {"f32[2]", "cast(%a)", "'to' is missing"},
    {"f32[2, 3]", "reshape(%a) {shape=[7]}", "element counts differ"},
    {"f32[2*s]", "reshape(%a) {shape=[2*s + 1]}", "element counts differ"},
    {"f32[6]", "reshape(%a) {shape=[-2, -3]}", "negative dimension"},
    {"f32[2, 3]", "transpose(%a) {perm=[0]}", "not a permutation"},
    {"f32[2, 3]", "transpose(%a) {perm=[0, 0]}", "not a permutation"},
    {"f32[2, 3]", "transpose(%a) {perm=[0, 2]}", "not a permutation"},
    {"f32[2, 3]", "expand(%a) {shape=[3]}", "does not broadcast"},
    {"f32[2]", "expand(%a) {shape=[3]}", "does not broadcast"},
    {"f32[1]", "expand(%a) {shape=[-1]}", "negative dimension"},
    {"f32[5]", "slice(%a) {axes=[0], starts=[0], ends=[6], steps=[1]}", "ends after the dimension"},
    {"f32[5]", "slice(%a) {axes=[0], starts=[-1], ends=[5], steps=[1]}", "starts before 0"},
    {"f32[5]", "slice(%a) {axes=[0], starts=[5], ends=[-1], steps=[-1]}", "starts after the dimension"},
    {"f32[5]", "slice(%a) {axes=[0], starts=[4], ends=[-2], steps=[-1]}", "ends before -1"},
    {"f32[5]", "slice(%a) {axes=[0], starts=[0], ends=[5], steps=[0]}", "step 0"},
    {"f32[5]", "slice(%a) {axes=[1], starts=[0], ends=[5], steps=[1]}", "axis 1 is outside rank 1"},
    {"f32[5]", "slice(%a) {axes=[0, 0], starts=[0, 0], ends=[5, 5], steps=[1, 1]}", "given twice"},
    {"f32[5]", "slice(%a) {axes=[0], starts=[0, 0], ends=[5], steps=[1]}", "different lengths"},
    {"f32[2, 3]; f32[3, 3]", "concat(%a, %b) {axis=1}", "parts differ in dimension 0"},
    {"f32[2]; i32[2]", "concat(%a, %b) {axis=0}", "part 1 is i32[2]"},
    {"f32[2]", "concat(%a) {axis=1}", "axis 1 is outside rank 1"},
    {"f32[2]", "concat(_) {axis=0}", "'parts' is missing"},
    {"f32[2]", "pad(%a) {before=[-1], after=[0]}", "negative padding"},
    {"f32[2]", "pad(%a) {before=[1, 1], after=[0]}", "must have 1 entries"},
    {"f32[2]; f32[2]", "gather(%a, %b) {axis=0}", "wanted: i64, i32"},
    {"f32[]; i64[2]", "gather(%a, %b) {axis=0}", "outside rank 0"},
    {"f32[2, 3]; i64[2]", "gather_elements(%a, %b) {axis=0}", "has rank 1, wanted 2"},
    {"f32[2, 3]; i64[3, 3]", "gather_elements(%a, %b) {axis=1}", "past data"},
    {"f32[2, 3]; i64[2, s]", "gather_nd(%a, %b)", "must be constant"},
    {"f32[2, 3]; i64[2, 3]", "gather_nd(%a, %b)", "3 coordinates into rank 2"},
    {"f32[2, 3]; i64[3, 1]", "gather_nd(%a, %b) {batch_dims=1}", "batch dimension 0 differs"},
    {"f32[2, 3]; i64[]", "gather_nd(%a, %b)", "rank 1 or more"},
    {"", "iota() {count=3, start=0, step=1, to=u8}", "wanted: i64, i32, f32"},
    {"", "iota() {count=-3, start=0, step=1, to=i64}", "negative dimension"},
    {"", "full() {shape=[-1], value=0, to=f32}", "negative dimension"},
    {"", "full() {shape=[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1], value=0, to=f32}", "over the limit of 16"},
    {"f32[1]", "dims(%a) {values=[]}", "1 operands"},
    {"f32[2]", "reduce(%a) {kind=\"median\", axes=[0]}", "'median' is not one of"},
    {"f32[2]", "reduce(%a) {kind=\"sum\", axes=[1]}", "axis 1 is outside rank 1"},
    {"f32[2]", "reduce(%a) {kind=\"sum\", axes=[0, 0]}", "given twice"},
    {"f32[2]", "reduce(%a) {kind=\"any\", axes=[0]}", "wanted: bool"},
    {"i32[2]", "reduce(%a) {kind=\"mean\", axes=[0]}", "floating-point"},
    {"bool[2]", "reduce(%a) {kind=\"sum\", axes=[0]}", "is bool"},
    {"f32[2]", "argmax(%a) {axis=-1}", "axis -1 is outside"},
    {"f32[2]", "cumsum(%a) {axis=1}", "axis 1 is outside"},
    {"i32[2]", "softmax(%a) {axis=0}", "floating-point"},
    {"f32[2]", "softmax(%a) {axis=1}", "axis 1 is outside"},
    {"f32[2, 8]; f32[7]", "layer_norm(%a, %b) {axis=1}", "gamma does not fit"},
    {"f32[2, 8]; f32[2, 8]", "layer_norm(%a, %b) {axis=1}", "does not broadcast"},
    {"f32[2, 8]; f16[8]", "rms_norm(%a, %b) {axis=1}", "dtype"},
    {"f32[2, 8]", "rms_norm(%a) {axis=3}", "axis 3 is outside"},
    {"f32[2, 3]; f32[4, 5]", "matmul(%a, %b)", "inner dimensions"},
    {"f32[2, 2, 3]; f32[3, 3, 5]", "matmul(%a, %b)", "do not broadcast"},
    {"f32[]; f32[3]", "matmul(%a, %b)", "rank 0"},
    {"f32[2, 3]; f32[4, 5]", "linear(%a, %b)", "not K of weight"},
    {"f32[2, 3]; f32[3, 5]; f32[4]", "linear(%a, %b, %c)", "not N"},
    {"f32[2, 3]; f32[3, 5]; f32[2, 1]", "linear(%a, %b, _, %c)", "residual"},
    {"f32[2, 3]; f32[3, 5]", "linear(%a, %b) {activation=\"swish\"}", "not one of"},
    {"f32[2, 3]; f32[1, 3, 5]", "linear(%a, %b)", "rank 3, wanted 2"},
    {"u8[2, 3]; f32[3, 5]", "matmul_integer(%a, %b)", "wanted: u8, i8"},
    {"u8[2, 3]; i8[3, 5]; i8[]", "matmul_integer(%a, %b, %c)", "dtype"},
    {"u8[2, 3]; i8[3, 5]; u8[3]", "matmul_integer(%a, %b, %c)", "length of a_zp"},
    {"u8[2, 3]; i8[3, 5]; u8[2, 3]", "matmul_integer(%a, %b, %c)", "unusable shape"},
    {"u8[2, 3]; i8[3, 5]; f32[2]; f32[]", "quantized_linear(%a, %b, %c, _, %d)", "rank 1, wanted 2"},
    {"u8[2, 3]; i8[3, 5]; f32[3, 1]; f32[]", "quantized_linear(%a, %b, %c, _, %d)", "one element nor one a row"},
    {"u8[2, 3]; i8[3, 5]; f32[]", "quantized_linear(%a, %b, _, _, %c)", "x_scale is missing"},
    {"u8[2, 3]; i8[3, 5]; f32[]", "quantized_linear(%a, %b, _, _, %c) {dynamic=\"token_symmetric\"}",
     "wanted: f32, bf16"},
    {"f32[2, 3]; i8[3, 5]; f32[]", "quantized_linear(%a, %b, %c, _, %c) {dynamic=\"token_symmetric\"}", "are computed"},
    {"f32[2, 3]; i8[3, 5]; f32[]", "quantized_linear(%a, %b, _, _, %c) {dynamic=\"static\"}", "not one of"},
    {"f32[2, 3]; i8[3, 5]; f32[]", "quantized_linear(%a, %b, _, _, %c) {dynamic=\"token_symmetric\", to=f16}",
     "wanted: f32, bf16"},
    {"f32[2, 8]; f32[8]", "norm_quantize(%a, %b, %b) {axis=1, kind=\"rms\"}", "has no beta"},
    {"f16[2, 8]", "norm_quantize(%a) {axis=1, kind=\"rms\"}", "wanted: f32, bf16"},
    {"u8[2, 3]; i8[3, 5]; f32[]; f32[4]", "quantized_linear(%a, %b, %c, _, %d)", "length of w_scale"},
    {"u8[2, 3]; i8[3, 5]; f32[]", "quantized_linear(%a, %b, %c)", "'w_scale' is missing"},
    {"f32[2, 8, 5, 16]; f32[2, 3, 5, 16]; f32[2, 3, 5, 16]", "attention(%a, %b, %c) {scale=1}", "no multiple"},
    {"f32[2, 8, 5, 16]; f32[2, 8, 5, 8]; f32[2, 8, 5, 16]", "attention(%a, %b, %c) {scale=1}", "head size"},
    {"f32[2, 8, 5, 16]; f32[2, 8, 6, 16]; f32[2, 8, 7, 16]", "attention(%a, %b, %c) {scale=1}", "lengths of k and v"},
    {"f32[2, 8, 5, 16]; f32[2, 8, 5, 16]; f32[2, 8, 5, 16]; i8[5, 5]", "attention(%a, %b, %c, %d) {scale=1}",
     "wanted: bool, f32"},
    {"f32[2, 8, 5, 16]; f32[2, 8, 5, 16]; f32[2, 8, 5, 16]; f32[5, 4]", "attention(%a, %b, %c, %d) {scale=1}",
     "mask does not fit"},
    {"f32[2, 8, 5, 16]; f32[2, 8, 5, 16]; f32[2, 8, 5, 16]", "attention(%a, %b, %c)", "'scale' is missing"},
    {"f32[2, 8, 5, 16]; f32[2, 8, 5, 16]; f32[2, 8, 5, 16]", "attention(%a, %b, %c) {scale=1, compute=\"i4\"}",
     "not one of"},
    {"f32[2, 5, 96]", "attention_packed(%a) {heads=4, kv_heads=3, scale=1}", "no multiple"},
    {"f32[2, 5, 96]", "attention_packed(%a) {heads=0, kv_heads=0, scale=1}", "no multiple"},
    {"f32[2, 5, 97]", "attention_packed(%a) {heads=4, kv_heads=1, scale=1}", "do not divide"},
    {"f32[2, 5, 4, 24]", "attention_packed(%a) {heads=4, kv_heads=1, scale=1}", "wanted 3"},
    {"f32[2, 5, 96]; f32[4, 5]", "attention_packed(%a, %b) {heads=4, kv_heads=1, scale=1}", "mask does not fit"},
    {"f32[2, 5, 96]; i8[5]", "attention_packed(%a, %b) {heads=4, kv_heads=1, scale=1}", "wanted: bool"},
    {"f32[2, 3]; f32[3, 5]", "linear(%a, %b) {residual_op=\"sub\"}", "not one of"},
    {"i32[2, 8]; f32[4]; f32[4]", "rotary(%a, %b, %c)", "floating-point"},
    {"f32[8]; f32[4]; f32[4]", "rotary(%a, %b, %c)", "rank below 2"},
    {"f32[2, 8]; f32[4]; f32[1, 4]", "rotary(%a, %b, %c)", "differ in rank"},
    {"f32[2, 8]; f32[4]; f32[3]", "rotary(%a, %b, %c)", "differ in shape"},
    {"f32[2, 8]; f32[5]; f32[5]", "rotary(%a, %b, %c)", "more than half"},
    {"f32[2, 8]; f32[3, 4]; f32[3, 4]", "rotary(%a, %b, %c)", "does not fit the leading"},
    {"f32[2, 8]; bf16[4]; bf16[4]", "rotary(%a, %b, %c)", "wanted: f32"},
    {"f32[2, 8]; f32[4]; f32[4]", "rotary(%a, %b, %c) {heads=3}", "heads exceeds"},
    {"f64[2]", "dynamic_quantize(%a)", "wanted: f32"},
    {"f32[2, 3]; f32[4]", "quantize(%a, %b) {axis=1}", "length of scale"},
    {"f32[2, 3]; f32[]; i8[]", "quantize(%a, %b, %c)", "wanted: u8"},
    {"f32[2, 3]; f32[]", "quantize(%a, %b) {to=i32}", "wanted: u8, i8"},
    {"i16[2, 3]; f32[]", "dequantize(%a, %b)", "wanted: i8, u8, i32"},
    {"i8[2, 3]; i32[]", "dequantize(%a, %b)", "floating-point"},
};

TEST(Infer, GoodCallsHaveTheWantedTypes) {
  for (const Case& c : kGood) {
    const auto graph = build(c);
    ASSERT_TRUE(graph) << c.call << " on " << c.operands << ": " << graph.error().to_string();
    std::string types;
    for (const Value* output : graph->nodes().front().outputs()) {
      types += (types.empty() ? "" : ", ") + to_string(output->type());
    }
    EXPECT_EQ(types, c.want) << c.call;
  }
}

TEST(Infer, BadCallsSayWhy) {
  for (const Case& c : kBad) {
    const auto graph = build(c);
    ASSERT_FALSE(graph) << c.call << " on " << c.operands;
    EXPECT_NE(graph.error().message.find(c.want), std::string::npos) << c.call << ": " << graph.error().to_string();
    EXPECT_EQ(graph.error().code, ErrorCode::file);
    EXPECT_NE(graph.error().origin.find("line "), std::string::npos);
  }
}

TEST(Infer, EveryOpHasGoodAndBadCases) {
  std::set<std::string> good, bad;
  for (const Case& c : kGood) good.insert(op_of(c));
  for (const Case& c : kBad) bad.insert(op_of(c));
  for (int i = 0; i < kOpCount; ++i) {
    const std::string name(name_of(static_cast<Op>(i)));
    EXPECT_TRUE(good.count(name)) << name;
    EXPECT_TRUE(bad.count(name)) << name;
  }
}

// What the shape functions cannot prove they ask for at run time, and no more than that.
TEST(Infer, GuardsAreTheUnprovedFacts) {
  const struct {
    Case c;
    std::vector<std::string> guards;
  } kCases[] = {
      {{"f32[s]; f32[7]", "add(%a, %b)", ""}, {"s == 7"}},
      {{"f32[s]; f32[1]", "add(%a, %b)", ""}, {}},
      {{"f32[2, s, 12]", "reshape(%a) {shape=[2*s, 12]}", ""}, {}},
      {{"f32[s]", "reshape(%a) {shape=[t, 2]}", ""}, {"s == 2*t"}},
      {{"f32[s]", "slice(%a) {axes=[0], starts=[0], ends=[min(s, 5)], steps=[1]}", ""}, {}},
      {{"f32[s]", "slice(%a) {axes=[0], starts=[0], ends=[5], steps=[1]}", ""}, {"min(s, 5) == 5"}},
      {{"f32[n]", "slice(%a) {axes=[0], starts=[0], ends=[4], steps=[1]}", ""}, {}},
      {{"f32[s]", "slice(%a) {axes=[0], starts=[0], ends=[s - 1], steps=[1]}", ""}, {"min(s - 1, 0) == 0"}},
      {{"f32[n]", "slice(%a) {axes=[0], starts=[1], ends=[n], steps=[1]}", ""}, {}},
      {{"f32[2, s]; f32[2, t]", "concat(%a, %b) {axis=0}", ""}, {"s == t"}},
  };
  for (const auto& [c, want] : kCases) {
    const auto graph = build(c);
    ASSERT_TRUE(graph) << c.call << ": " << graph.error().to_string();
    std::vector<std::string> guards;
    for (const DimGuard& guard : graph->guards) guards.push_back(guard.a.to_string() + " == " + guard.b.to_string());
    EXPECT_EQ(guards, want) << c.call;
  }
}

}  // namespace
}  // namespace intaglio::ir
