// Internal to ops/: every family adds one declaration here and one row in families.cc.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "ops/candidate.h"

namespace intaglio::ops {

struct Family {
  std::string_view name;
  std::unique_ptr<Descriptor> (*make_descriptor)();
  void (*add_candidates)(std::vector<const Candidate*>& out);  // pointers to objects with static storage
};

}  // namespace intaglio::ops
