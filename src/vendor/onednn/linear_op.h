// The prepared op of "onednn.linear", and the names of its blobs. Internal to this folder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ops/linear.h"
#include "vendor/onednn/matmul_primitive.h"

namespace intaglio::vendor::onednn {

// Blobs: the packed weight (layout: weight_layout()), then those that the descriptor needs.
inline constexpr const char* kBlobWeightZero = "onednn_weight_zero_i32";    // one, if not 0
inline constexpr const char* kBlobWeightScale = "onednn_weight_scale_f32";  // [N]
inline constexpr const char* kBlobBias = "onednn_bias_f32";                 // [N]

// The layout's name: oneDNN's version, its instruction set and what it says of the memory. Other versions and machines
// have other names, and a plan packed there is refused rather than misread.
std::string weight_layout(const dnnl::memory::desc& desc);

// Errors (file): blobs that are missing, of another layout or size.
Result<std::unique_ptr<ops::PreparedOp>> prepare_linear(const ops::LinearDescriptor& descriptor,
                                                        std::vector<ops::Blob> blobs);

}  // namespace intaglio::vendor::onednn
