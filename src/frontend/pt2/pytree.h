// Names of outputs from torch's pytree of the call signature.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace intaglio::frontend::pt2 {

// One name per leaf, in flattening order: the keys of dicts and the fields of model output classes joined by dots
// ("past_key_values.0"), "output_<i>" for leaves that have only positions. Unique. A spec that is absent, unreadable or
// has another number of leaves gives "output_<i>" for all.
std::vector<std::string> output_names(std::string_view out_spec, std::size_t count);

}  // namespace intaglio::frontend::pt2
