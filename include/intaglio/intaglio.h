// The whole C++ API of Intaglio:
//
//   #include <intaglio/intaglio.h>
//   intaglio::Model model = intaglio::compile("model.onnx");
//   auto outputs = model.run({{"input_ids", intaglio::Tensor::of<std::int64_t>({1, 3}, ids)}});
#pragma once

#include "intaglio/model.h"   // IWYU pragma: export
#include "intaglio/report.h"  // IWYU pragma: export
#include "intaglio/types.h"   // IWYU pragma: export
