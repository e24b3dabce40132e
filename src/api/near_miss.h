// What of a run a fusion that was nearly made has to do with. Internal to api/.
#pragma once

#include <optional>
#include <string_view>

#include "plan/binding.h"

namespace intaglio::internal {

// Bytes of the largest value that the steps of `node` (the names in "a; b" of the nodes that were merged to it so far)
// read from other steps; if they read none, of the largest that they write for others; 0 if they exchange nothing with
// any. nullopt: no step holds one of these names.
std::optional<double> bytes_exchanged(const plan::Plan& plan, const plan::BoundPlan& bound, std::string_view node);

}  // namespace intaglio::internal
