// A peer engine in a process of its own, which speaks the worker protocol of bench/README.md.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

#include "cli/report.h"

namespace intaglio::cli {

// The engines that bench/peers.py offers for a .onnx file.
const std::vector<std::string>& peer_engines();

class Peer {
 public:
  // Starts the engine by the Python of INTAGLIO_PYTHON (python3 if that is not set). Throws Error (usage) without
  // Python or the engine's package, Error (file) without peers.py.
  Peer(const std::string& engine, const std::string& model, int threads);
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer();  // asks it to quit, and waits

  const Json& ready() const { return ready_; }
  // The answer to a request. Throws Error (internal) if the peer refuses or is gone.
  Json request(const Json& request);
  // Hands these inputs over, in files.
  void load(const std::vector<PortInfo>& ports, const std::vector<Tensor>& inputs);
  std::vector<std::int64_t> run(std::int64_t iterations);
  // The outputs of its latest run.
  std::vector<NamedTensor> outputs();

 private:
  explicit Peer(const std::string& engine);
  void start(std::vector<std::string> command, int threads);
  Json answer();
  std::string log_text() const;
  std::string engine_, python_, folder_;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
  pid_t process_ = -1;
  Json ready_;
};

}  // namespace intaglio::cli
