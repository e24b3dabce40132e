// The command line tool, apart from main() so that tests can link it.
#pragma once

namespace intaglio::cli {

// Parses the arguments, does what they say and returns the exit code (0 to 5). Reports every failure on stderr; does
// not throw.
int run_tool(int argc, char** argv) noexcept;

}  // namespace intaglio::cli
