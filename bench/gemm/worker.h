// gemm_bench as a worker that a driver times beside other processes: one linear of ours at a time.
#pragma once

namespace intaglio::bench {

// Answers requests on stdin, a line of JSON each, until `quit` or the end (bench/README.md). The exit code.
int serve();

}  // namespace intaglio::bench
