// Internal: the structure section, described once for both directions.
#pragma once

#include "plan/archive.h"
#include "plan/plan.h"

namespace intaglio::plan {

struct BlobRecord {
  std::string layout;
  std::uint64_t offset = 0;  // from the start of the weights section
  std::uint64_t bytes = 0;
  std::uint64_t hash = 0;
};

// Reading: steps get descriptors (made by `make`, from the candidate's name) but no prepared ops, and the plan no
// blobs.
using DescriptorMaker = std::unique_ptr<ops::Descriptor> (*)(const void* context, std::string_view candidate);
struct FormatContext {
  DescriptorMaker make = nullptr;
  const void* context = nullptr;
};
void io_structure(Writer& archive, Plan& plan, std::vector<BlobRecord>& blobs, const FormatContext& context);
void io_structure(Reader& archive, Plan& plan, std::vector<BlobRecord>& blobs, const FormatContext& context);

}  // namespace intaglio::plan
