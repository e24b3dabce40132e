// Before:  %q = reshape(linear(%x, %wq, %bq)) {[B,S,H,D]}     (%k, %v: the same %x, Hk heads each)
//          %y = attention(%q, %k, %v, %mask) {layout="bshd"}
// After:   %p = linear(%x, concat(%wq, %wk, %wv), concat(%bq, %bk, %bv))
//          %y = reshape(attention_packed(%p, %mask)) {[B,S,H,D]}
// Also where %q, %k and %v are reshaped slices, in this order, of one tensor [B,S,(H+2Hk)D] (GPT-2): it is read in
// place. Exact: every output of the wide product is the same sum of the same terms. A missing bias is zeros if another
// is there (x + 0 differs from x in the sign of a zero only). Where q and k go through `rotary` with the same
// tables, one rotary on the first H + Hk heads of the packed rows does both.
#include <array>
#include <cstring>

#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> fuse_qkv(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "qkv";

// What q, k and v are made of, behind the reshape that splits the heads.
struct Operands {
  std::array<ir::Value*, 3> flat{};   // [.., heads * D]
  std::array<ir::Node*, 2> rotary{};  // of q and k; nullptr: none
  Dims batch;                         // B, S
  std::int64_t heads = 0, kv_heads = 0, depth = 0;
};

// The value behind a reshape of [.., h*d] to [B,S,h,d], or nullptr.
ir::Value* before_split(const ir::Value* value) {
  const ir::Node* reshape = made_by(value, ir::Op::reshape);
  if (reshape == nullptr || value->rank() != 4) return nullptr;
  const Dims& shape = value->shape();
  ir::Value* flat = reshape->input(0);
  return flat->rank() > 0 && flat->shape().back() == shape[2] * shape[3] ? flat : nullptr;
}

std::optional<Operands> match_operands(const ir::Node& attention) {
  if (attention.op() != ir::Op::attention || attention.attrs().s("layout") != "bshd") return std::nullopt;
  Operands out;
  for (std::size_t i = 0; i < 3; ++i) {
    ir::Value* operand = attention.input(i);
    ir::Node* rotary = i < 2 ? made_by(operand, ir::Op::rotary) : nullptr;
    if (rotary != nullptr && rotary->attrs().i("heads") == 0) {
      out.rotary[i] = rotary;
      operand = rotary->input(0);
    }
    out.flat[i] = before_split(operand);
    if (out.flat[i] == nullptr) return std::nullopt;
  }
  return out;
}

// Why one rotary cannot do the work of both, or empty.
std::string_view unfit_rotary(const Operands& of) {
  const auto& [q, k] = of.rotary;
  if ((q == nullptr) != (k == nullptr)) return "only one of q and k is rotated";
  if (q == nullptr) return {};
  if (q->input(1) != k->input(1) || q->input(2) != k->input(2) || !(q->attrs() == k->attrs()))
    return "q and k are rotated by different tables";
  const Dims& table = q->input(1)->shape();
  if (table.size() > 1 && table[table.size() - 2] != Dim(1)) return "the rotation differs from head to head";
  if (!q->input(0)->has_one_use() || !k->input(0)->has_one_use()) return "q or k is used before the rotation too";
  return {};
}

// Why the shapes cannot be those of one packed row, or empty; fills the rest of `out` in.
std::string_view unfit_shapes(const ir::Node& attention, Operands& out) {
  const Dims &q = attention.input(0)->shape(), &k = attention.input(1)->shape(), &v = attention.input(2)->shape();
  if (q[1] != k[1]) return "q has another length than k and v";
  if (v[3] != q[3]) return "the head size of v differs from that of q and k";
  const auto heads = q[2].constant(), kv_heads = k[2].constant(), depth = q[3].constant();
  if (!heads || !kv_heads || !depth || *heads < 1 || *kv_heads < 1 || *depth < 1)
    return "the number of heads or their size is not constant";
  if (const std::string_view why = unfit_rotary(out); !why.empty()) return why;
  out.batch = {q[0], q[1]};
  out.heads = *heads;
  out.kv_heads = *kv_heads;
  out.depth = *depth;
  return {};
}

// ---- slices of one tensor

// The tensor of which `flat` are q, k and v in order, or nullptr.
ir::Value* match_slices(const Operands& of) {
  ir::Value* whole = nullptr;
  const std::int64_t widths[3] = {of.heads * of.depth, of.kv_heads * of.depth, of.kv_heads * of.depth};
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const ir::Node* slice = made_by(of.flat[i], ir::Op::slice);
    if (slice == nullptr || (whole != nullptr && slice->input(0) != whole)) return nullptr;
    whole = slice->input(0);
    const auto& attrs = slice->attrs();
    const bool rows = attrs.ints("axes") == ir::Ints{whole->rank() - 1} && attrs.ints("steps") == ir::Ints{1} &&
                      attrs.dims("starts") == Dims{begin} && attrs.dims("ends") == Dims{begin + widths[i]};
    if (!rows) return nullptr;
    begin += widths[i];
  }
  return whole->shape().back() == Dim(begin) ? whole : nullptr;
}

// ---- three products of one tensor

// Why three nodes are not products that can become one, or empty. nullopt: not even three linears.
std::optional<std::string_view> unfit_linears(const Operands& of, const ir::Node& attention) {
  const ir::Node* first = made_by(of.flat[0], ir::Op::linear);
  for (const ir::Value* flat : of.flat) {
    if (made_by(flat, ir::Op::linear) == nullptr) return std::nullopt;
  }
  for (std::size_t i = 0; i < 3; ++i) {
    const ir::Node& linear = *of.flat[i]->producer();
    if (linear.input(0) != first->input(0)) return "q, k and v are products of different tensors";
    if (!of.flat[i]->has_one_use() || !attention.input(i)->has_one_use()) return "q, k or v is used elsewhere too";
    if (linear.input(3) != nullptr) return "q, k or v has a residual";
    if (linear.attrs().s("activation") != "none") return "q, k or v has an activation";
    const ir::Value *weight = linear.input(1), *bias = linear.input(2);
    if (!weight->is_constant() || (bias != nullptr && !bias->is_constant())) return "a weight or bias is not constant";
    if (weight->dtype() != first->input(1)->dtype()) return "the weights differ in dtype";
    for (const ir::Value* other : of.flat) {
      const ir::Value* another = other->producer()->input(2);
      if (bias != nullptr && another != nullptr && bias->dtype() != another->dtype())
        return "the biases differ in dtype";
    }
  }
  return std::string_view{};
}

// [K, N] matrices side by side, or [N, K] ones below one another, as `transposed` says of the result; each part says so
// of itself.
struct Part {
  const ir::Tensor* tensor = nullptr;
  bool transposed = false;
};
Result<ir::Tensor> join_weights(const std::array<Part, 3>& parts, bool transposed) {
  std::int64_t n = 0, k = 0;
  for (const Part& part : parts) {
    k = part.tensor->shape[part.transposed ? 1 : 0];
    n += part.tensor->shape[part.transposed ? 0 : 1];
  }
  std::byte* out = nullptr;
  const DType dtype = parts[0].tensor->dtype;
  INTAGLIO_TRY(ir::Tensor whole, ir::Tensor::allocate(dtype, transposed ? Shape{n, k} : Shape{k, n}, &out));
  const std::size_t size = size_of(dtype);
  const auto at = [size](std::int64_t index) { return static_cast<std::size_t>(index) * size; };
  std::int64_t column = 0;
  for (const Part& part : parts) {
    const std::int64_t width = part.tensor->shape[part.transposed ? 0 : 1];
    const std::byte* from = part.tensor->data;
    if (part.transposed && transposed) {
      if (part.tensor->bytes != 0) std::memcpy(out + at(column * k), from, part.tensor->bytes);
    } else if (!part.transposed && !transposed) {
      for (std::int64_t i = 0; i < k && width != 0; ++i)
        std::memcpy(out + at(i * n + column), from + at(i * width), at(width));
    } else {
      for (std::int64_t i = 0; i < k; ++i) {
        for (std::int64_t j = 0; j < width; ++j) {
          const std::int64_t to = transposed ? (column + j) * k + i : i * n + column + j;
          std::memcpy(out + at(to), from + at(part.transposed ? j * k + i : i * width + j), size);
        }
      }
    }
    column += width;
  }
  return whole;
}

// Null if no part has a bias.
Result<ir::Value*> join_biases(ir::Graph& graph, const Operands& of) {
  const ir::Value* some = nullptr;
  std::int64_t count = 0;
  for (const ir::Value* flat : of.flat) {
    if (flat->producer()->input(2) != nullptr) some = flat->producer()->input(2);
    count += *flat->shape().back().constant();
  }
  if (some == nullptr) return nullptr;
  std::byte* out = nullptr;
  INTAGLIO_TRY(ir::Tensor whole, ir::Tensor::allocate(some->dtype(), Shape{count}, &out));
  for (const ir::Value* flat : of.flat) {
    const auto bytes = static_cast<std::size_t>(*flat->shape().back().constant()) * size_of(some->dtype());
    const ir::Value* bias = flat->producer()->input(2);
    if (bias == nullptr)
      std::memset(out, 0, bytes);
    else if (bytes != 0)
      std::memcpy(out, bias->constant().data, bytes);
    out += bytes;
  }
  return graph.add_constant(std::move(whole), "qkv_bias");
}

Result<ir::Value*> join_linears(ir::Graph& graph, const Operands& of, ir::Node& before) {
  std::array<Part, 3> parts;
  std::array<ir::Node*, 3> linears{};
  for (std::size_t i = 0; i < 3; ++i) {
    linears[i] = of.flat[i]->producer();
    parts[i] = {&linears[i]->input(1)->constant(), linears[i]->attrs().b("transposed")};
  }
  INTAGLIO_TRY(ir::Tensor weight, join_weights(parts, parts[0].transposed));
  for (const Part& part : parts) graph.release_pages(*part.tensor);
  INTAGLIO_TRY(ir::Value * bias, join_biases(graph, of));
  std::vector<ir::Value*> inputs{linears[0]->input(0), graph.add_constant(std::move(weight), "qkv_weight")};
  if (bias != nullptr) inputs.push_back(bias);
  INTAGLIO_TRY(ir::Value * qkv, graph.add1({ir::Op::linear,
                                            std::move(inputs),
                                            linears[0]->attrs(),
                                            merge_origins({linears[0], linears[1], linears[2]}),
                                            "qkv",
                                            {}},
                                           &before));
  graph.remember_parts(qkv, of.flat);
  return qkv;
}

// The heads of q and k of the packed rows rotated.
Result<ir::Value*> rotate(ir::Graph& graph, ir::Node& before, const Operands& of, ir::Value* qkv) {
  const ir::Node& rotary = *of.rotary[0];
  const ir::Origin origin = merge_origins({of.rotary[0], of.rotary[1]});
  const Dims heads{of.batch[0], of.batch[1], Dim(of.heads + 2 * of.kv_heads), Dim(of.depth)};
  INTAGLIO_TRY(ir::Value * split,
               graph.add1({ir::Op::reshape, {qkv}, {{"shape", heads}}, origin, qkv->name(), {}}, &before));
  ir::Attrs attrs = rotary.attrs();
  attrs.set("heads", of.heads + of.kv_heads);
  std::vector<ir::Value*> inputs{split, rotary.input(1), rotary.input(2)};
  INTAGLIO_TRY(ir::Value * rotated,
               graph.add1({ir::Op::rotary, std::move(inputs), std::move(attrs), origin, qkv->name(), {}}, &before));
  return graph.add1({ir::Op::reshape, {rotated}, {{"shape", qkv->shape()}}, origin, qkv->name(), {}}, &before);
}

// attention_packed on `qkv`, and the reshape that gives its result the shape of the attention's.
Status pack(ir::Graph& graph, PassContext& context, ir::Node& attention, const Operands& of, ir::Value* qkv) {
  const Dims packed{of.batch[0], of.batch[1], Dim((of.heads + 2 * of.kv_heads) * of.depth)};
  if (qkv->shape() != packed) {
    INTAGLIO_TRY(qkv,
                 graph.add1({ir::Op::reshape, {qkv}, {{"shape", packed}}, attention.origin(), "qkv", {}}, &attention));
  }
  if (of.rotary[0] != nullptr) {
    INTAGLIO_TRY(qkv, rotate(graph, attention, of, qkv));
  }
  ir::Attrs attrs = attention.attrs();
  attrs.erase("layout");
  attrs.set("heads", of.heads);
  attrs.set("kv_heads", of.kv_heads);
  std::vector<ir::Value*> inputs{qkv};
  if (attention.input(3) != nullptr) inputs.push_back(attention.input(3));
  const std::string name = attention.output()->name();
  INTAGLIO_TRY(ir::Value * y,
               graph.add1({ir::Op::attention_packed, std::move(inputs), std::move(attrs), attention.origin(), name, {}},
                          &attention));
  ir::Attrs shape{{"shape", attention.output()->shape()}};
  INTAGLIO_TRY(ir::Node * split, replace(graph, context, kPattern, attention,
                                         {ir::Op::reshape, {y}, std::move(shape), attention.origin()}));
  static_cast<void>(split);
  return {};
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& node) {
  auto operands = match_operands(node);
  if (!operands) return false;
  const std::string_view shapes = unfit_shapes(node, *operands);
  if (shapes.empty()) {
    if (ir::Value* whole = match_slices(*operands)) {
      INTAGLIO_CHECK(pack(graph, context, node, *operands, whole));
      return true;
    }
  }
  const auto linears = unfit_linears(*operands, node);
  if (!linears) return false;
  if (const std::string_view why = linears->empty() ? shapes : *linears; !why.empty()) {
    context.near_miss(kPattern, node, why);
    return false;
  }
  INTAGLIO_TRY(ir::Value * qkv, join_linears(graph, *operands, node));
  INTAGLIO_CHECK(pack(graph, context, node, *operands, qkv));
  return true;
}

}  // namespace

Result<int> fuse_qkv(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
