// Packed weights and the steps that use them: preparing steps on blobs, wherever these are, and moving blobs to huge
// pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "ops/candidate.h"
#include "plan/plan.h"

namespace intaglio::plan {

// Prepares every step on its blobs. Errors: file (unknown candidate, invalid descriptor, blobs that do not fit,
// "recompile for this machine"); they name the step.
Status prepare_steps(Plan& plan, std::span<const ops::Candidate* const> candidates, const ops::Target& target);

struct HugePageOptions {
  bool wanted = false;
  std::size_t most_bytes = SIZE_MAX;  // packed weights larger than this are an error: nobody has that much memory
};

// Copies all packed weights into one buffer of this process on huge pages, releases what held them before, and prepares
// all steps again (prepared ops know the addresses of their weights). Tables that steps read as operands stay where
// they are. What came of it is in plan.huge_weights and in the log: where the system has no huge pages, or the weights
// fill none, nothing moves and nothing fails. `copied` is called with the bytes of each blob once they are no longer
// needed. Errors: usage (over most_bytes), unsupported (out of memory), those of prepare_steps. The plan is then
// unusable. Precondition: validate().
Status use_huge_pages(Plan& plan, std::span<const ops::Candidate* const> candidates, const ops::Target& target,
                      std::size_t most_bytes, const std::function<void(std::span<const std::byte>)>& copied = {});

// Distinct packed operands of the steps: how many, and their bytes with all that was packed along (sums, scales, bias).
struct PackedWeights {
  std::size_t count = 0;
  std::size_t bytes = 0;
};
PackedWeights packed_weights(const Plan& plan);

}  // namespace intaglio::plan
