// Contract of the softmax kernels, f32, over an axis of `n` elements.
//
//   y = e^(x - max) / sum(e^(x - max))        log: y = (x - max) - ln(sum(e^(x - max)))
//
// Group rows: one row of n neighbouring elements (columns and pitch are not used). Group columns: `columns`
// neighbouring problems at once, the elements of each `pitch` apart. ONNX Softmax, LogSoftmax; ATen _softmax. out may
// be exactly source; nothing else may overlap. No other byte than the n x columns elements is read or written. The
// order of the sums depends on n and on the row of the table only, not on `columns` or the position of a column. NaN in
// a problem makes all of it NaN; so do +inf, and -inf everywhere. n = 0: nothing happens.
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::softmax {

struct Args {
  const float* source = nullptr;
  float* out = nullptr;
  std::size_t n = 0;
  std::size_t columns = 1;
  std::size_t pitch = 1;
  bool log = false;
};

using Kernel = void (*)(const Args& args);

}  // namespace intaglio::kernels::softmax
