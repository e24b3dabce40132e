#include "cli/tool.h"

int main(int argc, char** argv) {
  return intaglio::cli::run_tool(argc, argv);
}
