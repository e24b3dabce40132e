// Plan files. Layout, all little endian:
//
//   0    FileHeader (magic, version, section offsets and sizes, checksums)
//   +    structure: dims, symbols, guards, values, ports, blob table, steps with descriptors, report
//   +    weights: starts at a multiple of 4096; every blob starts at a multiple of 64; mapped, and copied only for
//        LoadOptions::huge_pages
//
// A plan holds no machine code: it names candidates and layouts; kernels are bound to the machine at load.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "ops/candidate.h"
#include "plan/plan.h"
#include "plan/weights.h"

namespace intaglio::plan {

inline constexpr std::uint32_t kPlanVersion = 5;

// Writes atomically: an interrupted or failed save leaves no partial file and the old one intact. The bytes depend on
// nothing but the plan (no dates, no paths). Errors: file.
Status save(const Plan& plan, const std::filesystem::path& path);

struct LoadOptions {
  bool verify_weights = false;  // also check the checksums of all weights (INTAGLIO_VERIFY=1, inspect --verify)
  // Copies the packed weights to huge pages of this process; else they are pages of the file that processes share.
  HugePageOptions huge_pages = {};
};

// Maps the file, checks header and structure (checksums always), binds kernels to the target. Milliseconds: weights are
// not touched unless verified. Errors: file (missing, truncated, corrupted, other version, "recompile for this
// machine").
Result<std::shared_ptr<const Plan>> load(const std::filesystem::path& path,
                                         std::span<const ops::Candidate* const> candidates, const ops::Target& target,
                                         const LoadOptions& options = {});

// Does the file begin like a plan? (false also when it cannot be read)
bool looks_like_plan(const std::filesystem::path& path);

}  // namespace intaglio::plan
