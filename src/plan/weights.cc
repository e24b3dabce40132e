#include "plan/weights.h"

#include <fmt/format.h>

#include <cstring>
#include <set>

#include "base/alloc.h"
#include "base/huge_pages.h"
#include "base/log.h"

namespace intaglio::plan {

namespace {

constexpr const char* kWithout = "without the option for huge pages the weights stay where they are";

std::set<std::uint32_t> packed_blobs(const Plan& plan) {
  std::set<std::uint32_t> blobs;
  for (const Step& step : plan.steps) blobs.insert(step.blobs.begin(), step.blobs.end());
  return blobs;
}

// Where each blob goes, 64-byte aligned one after the other. A hostile plan may name the same bytes again and again.
Result<std::size_t> room_for(const Plan& plan, const std::set<std::uint32_t>& blobs, std::size_t most_bytes) {
  std::size_t total = 0;
  for (std::uint32_t id : blobs) {
    const std::size_t bytes = plan.blobs[id].bytes;
    const std::size_t padded = bytes > SIZE_MAX / 4 ? bytes : (bytes + kAlignment - 1) / kAlignment * kAlignment;
    if (__builtin_add_overflow(total, padded, &total)) total = SIZE_MAX;
    if (total > most_bytes || total == SIZE_MAX) {
      return fail(ErrorCode::usage,
                  fmt::format("the packed weights need more memory on huge pages than there is: {} bytes", most_bytes),
                  "huge pages", kWithout);
    }
  }
  return total;
}

// Why it would be useless to move them; empty if it is not.
std::string useless(std::size_t total) {
  if (total < kHugePage)
    return fmt::format("the packed weights ({} bytes) do not fill one huge page of {}", total, kHugePage);
  return huge_pages_refused().value_or("");
}

Status move_blobs(Plan& plan, const std::set<std::uint32_t>& blobs, std::size_t total,
                  const std::function<void(std::span<const std::byte>)>& copied) {
  auto allocated = Buffer::allocate(total, true);
  if (!allocated) {
    Error error = std::move(allocated).error();
    error.hint = kWithout;
    return fail(std::move(error).at("packed weights on huge pages"));
  }
  const auto buffer = std::make_shared<Buffer>(*std::move(allocated));
  std::byte* to = buffer->data();
  for (std::uint32_t id : blobs) {
    ops::Blob& blob = plan.blobs[id];
    if (blob.bytes != 0) std::memcpy(to, blob.data, blob.bytes);
    if (copied) copied({blob.data, blob.bytes});
    blob.data = to;
    blob.owner = buffer;  // gives the old memory back, blob by blob: both are never held as a whole
    to += (blob.bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  plan.huge_weights.bytes = bytes_on_huge_pages(buffer->data(), total);
  if (plan.huge_weights.bytes / kHugePage < total / kHugePage) {
    plan.huge_weights.refused =
        fmt::format("the kernel had huge pages for {} of {} bytes only: memory is short or in pieces",
                    plan.huge_weights.bytes, total);
  }
  return {};
}

}  // namespace

Status prepare_steps(Plan& plan, std::span<const ops::Candidate* const> candidates, const ops::Target& target) {
  for (Step& step : plan.steps) {
    const std::string origin = "step '" + step.node + "'";
    const ops::Candidate* candidate = ops::find_candidate(step.candidate, candidates);
    if (candidate == nullptr) return fail(ErrorCode::file, "unknown candidate '" + step.candidate + "'", origin);
    if (auto valid = step.descriptor->validate(); !valid) {
      return fail(ErrorCode::file, valid.error().message, origin, valid.error().hint);  // whatever it is to a compiler
    }
    if (auto why = candidate->refuses(*step.descriptor, target)) {
      return fail(ErrorCode::file, step.candidate + " cannot run here: " + *why, origin,
                  "recompile the model for this machine");
    }
    std::vector<ops::Blob> blobs;
    for (std::uint32_t index : step.blobs) blobs.push_back(plan.blobs[index]);
    auto prepared = candidate->prepare(*step.descriptor, std::move(blobs), target);
    if (!prepared) return fail(std::move(prepared).error().at(origin));
    step.prepared = *std::move(prepared);
  }
  return {};
}

Status use_huge_pages(Plan& plan, std::span<const ops::Candidate* const> candidates, const ops::Target& target,
                      std::size_t most_bytes, const std::function<void(std::span<const std::byte>)>& copied) {
  for (Step& step : plan.steps) step.prepared.reset();  // they hold on to the old memory
  plan.huge_weights = {};
  plan.huge_weights.wanted = true;
  const std::set<std::uint32_t> blobs = packed_blobs(plan);
  INTAGLIO_TRY(const std::size_t total, room_for(plan, blobs, most_bytes));
  plan.huge_weights.refused = useless(total);
  if (plan.huge_weights.refused.empty()) INTAGLIO_CHECK(move_blobs(plan, blobs, total, copied));
  if (plan.huge_weights.refused.empty())
    log(LogLevel::info, fmt::format("huge pages: {} of {} bytes of packed weights", plan.huge_weights.bytes, total));
  else
    log(LogLevel::warning, "huge pages: " + plan.huge_weights.refused);
  return prepare_steps(plan, candidates, target);
}

PackedWeights packed_weights(const Plan& plan) {
  std::set<std::vector<std::uint32_t>> operands;
  for (const Step& step : plan.steps) {
    if (!step.blobs.empty()) operands.insert(step.blobs);
  }
  PackedWeights out{operands.size(), 0};
  for (std::uint32_t id : packed_blobs(plan)) out.bytes += plan.blobs[id].bytes;
  return out;
}

}  // namespace intaglio::plan
