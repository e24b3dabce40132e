#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace intaglio {
namespace {
namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "intaglio_file_test_XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    fail_write_after(std::nullopt);
    fs::remove_all(folder_);
  }
  fs::path put(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  static std::string get(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return (std::stringstream() << in.rdbuf()).str();
  }
  std::size_t files() const { return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), {})); }

  fs::path folder_;
};

TEST_F(FileTest, MapsContents) {
  const auto file = MappedFile::open(put("a", "hello"));
  ASSERT_TRUE(file);
  EXPECT_EQ((*file)->text(), "hello");
  EXPECT_EQ((*file)->bytes().size(), 5u);
  EXPECT_EQ((*file)->path(), folder_ / "a");
}

TEST_F(FileTest, EmptyFileIsFine) {
  const auto file = MappedFile::open(put("a", ""));
  ASSERT_TRUE(file);
  EXPECT_TRUE((*file)->bytes().empty());
  EXPECT_TRUE((*file)->range(0, 0, "nothing"));
  EXPECT_FALSE((*file)->range(0, 1, "something"));
}

TEST_F(FileTest, RefusesWhatIsNoRegularFile) {
  ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  for (const fs::path& path : {folder_, folder_ / "fifo", fs::path("/dev/null"), folder_ / "missing", fs::path(),
                               folder_ / std::string("a\0b", 3)}) {
    const auto file = MappedFile::open(path);
    ASSERT_FALSE(file) << path;
    EXPECT_EQ(file.error().code, ErrorCode::file);
  }
}

TEST_F(FileTest, RangesAreChecked) {
  const auto file = MappedFile::open(put("a", "0123456789")).value();
  EXPECT_EQ(file->range(2, 3, "x").value().size(), 3u);
  EXPECT_EQ(static_cast<char>(file->range(9, 1, "x").value()[0]), '9');
  EXPECT_TRUE(file->range(10, 0, "x"));
  EXPECT_FALSE(file->range(11, 0, "x"));
  EXPECT_FALSE(file->range(10, 1, "x"));
  const auto wrapped = file->range(8, UINT64_MAX - 4, "the weight 'w'");
  ASSERT_FALSE(wrapped);
  EXPECT_NE(wrapped.error().message.find("the weight 'w'"), std::string::npos);
  EXPECT_NE(wrapped.error().origin.find("offset 8"), std::string::npos);
}

TEST_F(FileTest, ResolvesInsideOnly) {
  fs::create_directories(folder_ / "model/sub");
  put("outside", "secret");
  put("model/w", "weights");
  fs::create_symlink(folder_ / "outside", folder_ / "model/link_out");
  fs::create_symlink("w", folder_ / "model/link_in");
  fs::create_directory_symlink(folder_, folder_ / "model/dir_out");
  fs::create_symlink("loop", folder_ / "model/loop");
  const fs::path model = folder_ / "model";
  EXPECT_EQ(get(resolve_inside(model, "w").value()), "weights");
  EXPECT_EQ(get(resolve_inside(model, "./w").value()), "weights");
  EXPECT_EQ(get(resolve_inside(model, "link_in").value()), "weights");
  EXPECT_TRUE(resolve_inside(model, "not_yet/there"));
  for (const std::string& location :
       {std::string(), std::string("../outside"), std::string("sub/../w"), (folder_ / "outside").string(),
        std::string("link_out"), std::string("dir_out/outside"), std::string("loop"), std::string("."),
        std::string("w\0x", 3)}) {
    const auto path = resolve_inside(model, location);
    ASSERT_FALSE(path) << location << " became " << *path;
    EXPECT_EQ(path.error().code, ErrorCode::file);
  }
}

TEST_F(FileTest, ASiblingWithTheSamePrefixIsOutside) {
  fs::create_directories(folder_ / "model");
  fs::create_directories(folder_ / "model2");
  put("model2/w", "other");
  fs::create_symlink(folder_ / "model2/w", folder_ / "model/w");
  EXPECT_FALSE(resolve_inside(folder_ / "model", "w"));
}

TEST_F(FileTest, AtomicWriteReplaces) {
  const fs::path path = put("a", "old");
  auto file = AtomicFile::create(path).value();
  ASSERT_TRUE(file.write("abc"));
  ASSERT_TRUE(file.pad_to(64));
  EXPECT_EQ(file.position(), 64u);
  ASSERT_TRUE(file.pad_to(64));
  EXPECT_EQ(file.position(), 64u);
  ASSERT_TRUE(file.write("d"));
  ASSERT_TRUE(file.pad_to(10000));
  EXPECT_FALSE(file.pad_to(0));
  EXPECT_EQ(get(path), "old");
  ASSERT_TRUE(file.commit());
  const std::string text = get(path);
  EXPECT_EQ(text.size(), 10000u);
  EXPECT_EQ(text.substr(0, 4), std::string("abc\0", 4));
  EXPECT_EQ(text[64], 'd');
  EXPECT_EQ(files(), 1u);
  EXPECT_FALSE(file.write("x"));
  EXPECT_FALSE(file.commit());
}

TEST_F(FileTest, AbandonedOrFailedWritesLeaveNothing) {
  const fs::path path = put("a", "old");
  {
    auto file = AtomicFile::create(path).value();
    ASSERT_TRUE(file.write("new"));
    auto moved = std::move(file);
    EXPECT_EQ(files(), 2u);
  }
  EXPECT_EQ(files(), 1u);
  {
    auto file = AtomicFile::create(path).value();
    fail_write_after(2);
    ASSERT_TRUE(file.write("first"));
    const auto status = file.write("second");
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::file);
    EXPECT_EQ(status.error().origin, path.string());
  }
  EXPECT_EQ(files(), 1u);
  EXPECT_EQ(get(path), "old");
}

TEST_F(FileTest, AtomicWriteKeepsPermissions) {
  const fs::path path = put("a", "old");
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  auto file = AtomicFile::create(path).value();
  ASSERT_TRUE(file.commit());
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(FileTest, AtomicWriteRefusesWhatItWouldDestroy) {
  for (const fs::path& path : {folder_, fs::path("/dev/null"), folder_ / "missing/a", folder_ / ""}) {
    const auto file = AtomicFile::create(path);
    ASSERT_FALSE(file) << path;
    EXPECT_EQ(file.error().code, ErrorCode::file);
  }
  EXPECT_EQ(files(), 0u);
}

TEST_F(FileTest, AFullDiskIsAnErrorAfterAShortWrite) {
  auto file = AtomicFile::create(folder_ / "a").value();
  fail_write_after(1);
  const auto status = file.write(std::string(1000, 'x'));
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("No space left"), std::string::npos);
  EXPECT_EQ(file.position(), 500u);
}

}  // namespace
}  // namespace intaglio
