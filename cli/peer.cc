#include "cli/peer.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/npy.h"

namespace intaglio::cli {

namespace {

namespace fs = std::filesystem;

constexpr const char* kPythonVariable = "INTAGLIO_PYTHON";

// Installed: ../share/intaglio beside the tool's folder. Built: bench/ in a folder above the tool.
fs::path find_peers_script() {
  std::error_code ignored;
  const fs::path tool = fs::read_symlink("/proc/self/exe", ignored);
  fs::path installed = tool.parent_path().parent_path() / "share" / "intaglio" / "peers.py";
  if (fs::is_regular_file(installed, ignored)) return installed;
  for (fs::path folder = tool.parent_path(); folder.has_relative_path(); folder = folder.parent_path()) {
    fs::path script = folder / "bench" / "peers.py";
    if (fs::is_regular_file(script, ignored)) return script;
  }
  throw Error(ErrorCode::file,
              "the script that runs the peers is neither installed nor in a source tree around the tool", "peers.py",
              "run the tool of a build folder inside the source tree, or install it");
}

std::string python() {
  const char* named = std::getenv(kPythonVariable);
  return named == nullptr || *named == '\0' ? "python3" : named;
}

std::vector<std::string> environment_of(int threads) {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, "OMP_NUM_THREADS=", 16) != 0) entries.emplace_back(*entry);
  }
  entries.push_back("OMP_NUM_THREADS=" + std::to_string(threads));
  entries.emplace_back("ORT_DISABLE_TELEMETRY=1");
  return entries;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

const std::vector<std::string>& peer_engines() {
  static const std::vector<std::string> kEngines = {"onnxruntime"};
  return kEngines;
}

// A constructor of its own, so that the destructor cleans up after the one below.
Peer::Peer(const std::string& engine) : engine_(engine), python_(python()) {
  std::string name = (fs::temp_directory_path() / "intaglio-peer-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw Error(ErrorCode::file, std::string("cannot make a folder: ") + std::strerror(errno), name);
  folder_ = name;
}

Peer::Peer(const std::string& engine, const std::string& model, int threads) : Peer(engine) {
  const std::string script = find_peers_script().string();
  std::signal(SIGPIPE, SIG_IGN);  // a peer that is gone is told by its missing answer
  start({python_, script, "--engine", engine, "--model", model, "--threads", std::to_string(threads)}, threads);
  ready_ = answer();
}

Peer::~Peer() {
  if (to_ != nullptr) {
    std::fputs("{\"cmd\": \"quit\"}\n", to_);
    std::fclose(to_);
  }
  if (from_ != nullptr) std::fclose(from_);
  if (process_ > 0) ::waitpid(process_, nullptr, 0);
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void Peer::start(std::vector<std::string> command, int threads) {
  int requests[2] = {-1, -1}, answers[2] = {-1, -1};
  if (::pipe2(requests, O_CLOEXEC) != 0) throw Error(ErrorCode::internal, std::strerror(errno), "pipe");
  to_ = ::fdopen(requests[1], "w");
  if (::pipe2(answers, O_CLOEXEC) != 0) {
    ::close(requests[0]);
    throw Error(ErrorCode::internal, std::strerror(errno), "pipe");
  }
  from_ = ::fdopen(answers[0], "r");
  const std::string log = folder_ + "/log";
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, requests[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, answers[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  std::vector<std::string> environment = environment_of(threads);
  const int failed = ::posix_spawnp(&process_, command[0].c_str(), &actions, nullptr, pointers(command).data(),
                                    pointers(environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(requests[0]);
  ::close(answers[1]);
  if (failed == 0) return;
  process_ = -1;
  throw Error(ErrorCode::usage, "cannot start the Python '" + python_ + "': " + std::strerror(failed), kPythonVariable,
              std::string("set ") + kPythonVariable + " to a Python that has " + engine_);
}

std::string Peer::log_text() const {
  std::ifstream in(folder_ + "/log");
  std::string text{std::istreambuf_iterator<char>(in), {}};
  text.erase(text.find_last_not_of(" \n") + 1);
  return text.substr(text.rfind('\n') + 1);  // Python's last line names the exception
}

Json Peer::answer() {
  char* line = nullptr;
  std::size_t capacity = 0;
  const ssize_t length = ::getline(&line, &capacity, from_);
  const std::string text = length > 0 ? std::string(line, static_cast<std::size_t>(length)) : std::string();
  std::free(line);
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) {
    const std::string reason = log_text();
    throw Error(ErrorCode::usage, "the peer ended" + (reason.empty() ? std::string() : ": " + reason),
                "--against " + engine_,
                std::string("set ") + kPythonVariable + " to a Python that has numpy and " + engine_);
  }
  if (json.value("ok", false)) return json;
  throw Error(ErrorCode::usage, "the peer refused: " + json.value("error", Json::object()).value("message", ""),
              "--against " + engine_);
}

Json Peer::request(const Json& request) {
  std::fputs(one_line(request).c_str(), to_);
  std::fflush(to_);
  return answer();
}

void Peer::load(const std::vector<PortInfo>& ports, const std::vector<Tensor>& inputs) {
  Json files = Json::object();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string path = folder_ + "/" + std::to_string(i) + ".npy";
    write_outputs(path, {{ports[i].name, inputs[i]}});
    files[ports[i].name] = path;
  }
  request({{"cmd", "load"}, {"inputs", files}});
}

std::vector<std::int64_t> Peer::run(std::int64_t iterations) {
  return request({{"cmd", "run"}, {"iterations", iterations}}).at("latency_ns").get<std::vector<std::int64_t>>();
}

std::vector<NamedTensor> Peer::outputs() {
  const std::string path = folder_ + "/outputs.npz";
  request({{"cmd", "outputs"}, {"path", path}});
  return read_npz(path);
}

}  // namespace intaglio::cli
