#include "bench/gemm/layer.h"

#include <fmt/format.h>

#include <cstring>

namespace intaglio::bench {

namespace {

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// What an elementwise pass can do as well: scales of rows, bias, activation.
Recipe with_finish(Recipe recipe) {
  recipe.finish = true;
  recipe.linear.input_scale = false;
  recipe.linear.bias = false;
  recipe.linear.activation = ops::Activation::none;
  recipe.linear.output = DType::f32;
  return recipe;
}

}  // namespace

Recipe own_recipe(const Weights& weights) {
  Recipe recipe;
  recipe.linear = weights.descriptor;
  return recipe;
}

std::vector<Recipe> peer_recipes(const Weights& weights) {
  Recipe recipe = own_recipe(weights);
  ops::LinearDescriptor& linear = recipe.linear;
  if (linear.weight_bits != 0) return {recipe};  // no pass around a product turns it into one of integers
  const bool token = linear.dynamic == ops::Dynamic::token_symmetric;
  if (linear.dynamic != ops::Dynamic::none) {
    recipe.quantise_first = true;
    linear.dynamic = ops::Dynamic::none;
    linear.input = token ? DType::i8 : DType::u8;
    linear.input_zero = !token;
    linear.input_scale = true;
  }
  if (linear.row_max) {
    recipe.requantise = true;
    linear.row_max = false;
    linear.output = DType::f32;
    linear.output_scale = 1;
  }
  if (token || weights.scenario.scale == Scale::row) return {recipe, with_finish(recipe)};
  return {recipe};
}

Result<Arena> Arena::create(std::size_t bytes) {
  Arena arena;
  INTAGLIO_TRY(arena.memory_, Buffer::allocate_zeroed(bytes));
  std::memset(arena.memory_.data(), 1, bytes);  // fresh pages would all be the same page of zeros when read
  return arena;
}

std::optional<std::vector<ops::Blob>> Arena::clone(const std::vector<ops::Blob>& blobs) {
  std::size_t needed = 0;
  for (const ops::Blob& blob : blobs) needed += aligned(blob.bytes);
  if (needed > memory_.size() - used_) return std::nullopt;
  std::vector<ops::Blob> copies;
  for (const ops::Blob& blob : blobs) {
    std::byte* place = memory_.data() + used_;
    if (blob.bytes != 0) std::memcpy(place, blob.data, blob.bytes);
    used_ += aligned(blob.bytes);
    copies.push_back({blob.layout, place, blob.bytes, nullptr});
  }
  return copies;
}

Result<Layer> Layer::pack(const Engine& engine, const Recipe& recipe, const Weights& weights) {
  if (const auto why = engine.candidate->refuses(recipe.linear, engine.target)) {
    return fail(ErrorCode::unsupported, *why);
  }
  Layer layer;
  layer.engine_ = engine;
  layer.recipe_ = recipe;
  const auto constants = weights.constants(recipe.linear);
  INTAGLIO_TRY(layer.blobs_, engine.candidate->pack(recipe.linear, constants, engine.target));
  for (const ops::Blob& blob : layer.blobs_) layer.packed_bytes_ += aligned(blob.bytes);
  INTAGLIO_TRY(layer.op_, engine.candidate->prepare(recipe.linear, layer.blobs_, engine.target));
  return layer;
}

Status Layer::make_copies(Arena& arena, std::size_t bytes) {
  copies_.clear();
  arena.clear();
  const std::size_t count = std::max<std::size_t>(2, (bytes + packed_bytes_ - 1) / packed_bytes_);
  for (std::size_t i = 0; i < count; ++i) {
    auto blobs = arena.clone(blobs_);
    if (!blobs) return fail(ErrorCode::internal, fmt::format("no room for {} copies of the weights", count));
    INTAGLIO_TRY(copies_.emplace_back(), engine_.candidate->prepare(recipe_.linear, std::move(*blobs), engine_.target));
  }
  return {};
}

std::vector<const ops::PreparedOp*> Layer::turns(bool cold) const {
  std::vector<const ops::PreparedOp*> ops;
  for (const auto& op : copies_) ops.push_back(op.get());
  if (!cold) ops = {op_.get()};
  return ops;
}

}  // namespace intaglio::bench
