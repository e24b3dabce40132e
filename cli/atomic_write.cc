#include "cli/atomic_write.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "intaglio/types.h"

namespace intaglio::cli {

namespace {

// Removes the temporary file unless it was kept.
class Temporary {
 public:
  explicit Temporary(const std::string& path) : target_(path), name_(path + ".XXXXXX") {
    fd_ = ::mkstemp(name_.data());
    if (fd_ < 0) fail_with("cannot create a file here");
    ::fchmod(fd_, 0644);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    if (fd_ >= 0) ::close(fd_);
    if (!kept_) ::unlink(name_.c_str());
  }
  void write(const std::string& bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t wrote = ::write(fd_, bytes.data() + done, bytes.size() - done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) fail_with("cannot write");
      done += static_cast<std::size_t>(wrote);
    }
  }
  void keep() {
    if (::fsync(fd_) != 0) fail_with("cannot write");
    if (::rename(name_.c_str(), target_.c_str()) != 0) fail_with("cannot rename the finished file");
    kept_ = true;
  }

 private:
  [[noreturn]] void fail_with(const char* what) const {
    throw Error(ErrorCode::file, std::string(what) + ": " + std::strerror(errno), target_);
  }
  std::string target_, name_;
  int fd_ = -1;
  bool kept_ = false;
};

}  // namespace

void atomic_write(const std::string& path, const std::vector<std::string>& pieces) {
  Temporary file(path);
  for (const std::string& piece : pieces) file.write(piece);
  file.keep();
}

}  // namespace intaglio::cli
