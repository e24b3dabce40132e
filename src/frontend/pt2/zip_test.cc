#include "frontend/pt2/zip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "frontend/pt2/test_archive.h"

namespace intaglio::frontend::pt2 {
namespace {

using testing::bytes_of;
using testing::EndFields;
using testing::EntryFields;
using ::testing::HasSubstr;
using testing::ZipWriter;

std::string text(const ZipEntry* entry) {
  return {reinterpret_cast<const char*>(entry->bytes.data()), entry->bytes.size()};
}

std::string error_of(const std::string& archive, const ZipLimits& limits = {}) {
  const auto zip = ZipArchive::parse(bytes_of(archive), limits);
  if (zip) return "no error";
  EXPECT_EQ(zip.error().code, ErrorCode::file);
  return zip.error().message;
}

std::string with_entry(const std::function<void(EntryFields&)>& falsify) {
  return ZipWriter().add("a/one", "first").add("a/two", "second", falsify).finish();
}
std::string with_end(const std::function<void(EndFields&)>& falsify, bool zip64 = true) {
  return ZipWriter().add("a/one", "first").finish(falsify, zip64);
}

TEST(Zip, ReadsEntriesWithoutCopying) {
  const std::string archive = ZipWriter().add("bert/b", "second").add("bert/a/c", "").add("bert/a/a", "first").finish();
  const auto zip = ZipArchive::parse(bytes_of(archive));
  ASSERT_TRUE(zip) << zip.error().to_string();
  EXPECT_EQ(zip->root(), "bert");
  EXPECT_EQ(zip->entries().size(), 3u);
  EXPECT_EQ(text(zip->find("bert/b")), "second");
  EXPECT_EQ(text(zip->find("bert/a/a")), "first");
  EXPECT_EQ(text(zip->find("bert/a/c")), "");
  EXPECT_EQ(zip->find("bert/a"), nullptr);
  const auto* data = reinterpret_cast<const char*>(zip->find("bert/b")->bytes.data());
  EXPECT_TRUE(data > archive.data() && data < archive.data() + archive.size());
  EXPECT_EQ((data - archive.data()) % 64, 0);
}

TEST(Zip, ReadsArchivesWithoutZip64) {
  const std::string archive = with_end({}, false);
  ASSERT_TRUE(ZipArchive::parse(bytes_of(archive)));
}

TEST(Zip, ReadsZip64Fields) {
  const std::string archive = with_entry([](EntryFields& e) { e.zip64 = true; });
  const auto zip = ZipArchive::parse(bytes_of(archive));
  ASSERT_TRUE(zip) << zip.error().to_string();
  EXPECT_EQ(text(zip->find("a/two")), "second");
}

TEST(Zip, LimitsEntries) {
  const std::string archive = ZipWriter().add("a/one", "").add("a/two", "").finish();
  EXPECT_EQ(error_of(archive, {.max_entries = 2}), "no error");
  EXPECT_THAT(error_of(archive, {.max_entries = 1}), HasSubstr("2 entries"));
}

TEST(Zip, RefusesWhatTorchDoesNotWrite) {
  EXPECT_THAT(error_of(with_entry([](EntryFields& e) { e.method = 8; })), HasSubstr("compressed (method 8)"));
  EXPECT_THAT(error_of(with_entry([](EntryFields& e) { e.flags |= 1; })), HasSubstr("encrypted"));
  EXPECT_THAT(error_of(with_entry([](EntryFields& e) { e.name = "a/one"; })), HasSubstr("two entries have the name"));
  EXPECT_THAT(error_of(with_entry([](EntryFields& e) { e.local_name = "a/other"; })), HasSubstr("two names"));
  EXPECT_THAT(error_of(with_entry([](EntryFields& e) { e.header = 0, e.name = "a/one"; })), HasSubstr("overlap"));
  EXPECT_THAT(error_of(with_entry([](EntryFields& e) { e.stored = 7; })), HasSubstr("two sizes differ"));
  EXPECT_THAT(error_of(with_entry([](EntryFields& e) { e.stored = e.size = 1 << 20; })), HasSubstr("runs over"));
  EXPECT_THAT(error_of(with_entry([](EntryFields& e) { e.zip64 = true, e.stored = e.size = UINT64_MAX - 8; })),
              HasSubstr("runs over"));
  EXPECT_THAT(error_of(with_entry([](EntryFields& e) { e.zip64 = true, e.header = UINT64_MAX - 8; })),
              HasSubstr("outside"));
  EXPECT_THAT(error_of(with_entry([](EntryFields& e) { e.header += 2; })), HasSubstr("no header"));
  for (const char* name : {"/a", "a/../b", "..", "a//b", "a/./b", "a\\b", "", "a/"}) {
    EXPECT_THAT(error_of(with_entry([&](EntryFields& e) { e.name = name; })), HasSubstr("name")) << name;
  }
}

TEST(Zip, RefusesFalseEnds) {
  EXPECT_THAT(error_of(with_end([](EndFields& e) { e.disk = 1; })), HasSubstr("several parts"));
  EXPECT_THAT(error_of(with_end([](EndFields& e) { e.offset += 1; })), HasSubstr("outside"));
  EXPECT_THAT(error_of(with_end([](EndFields& e) { e.offset = UINT64_MAX - 1; })), ::testing::Not("no error"));
  EXPECT_THAT(error_of(with_end([](EndFields& e) { e.size = 0; })), HasSubstr("too small"));
  EXPECT_THAT(error_of(with_end([](EndFields& e) { e.entries = 2; })), HasSubstr("small"));
  EXPECT_THAT(error_of(with_end([](EndFields& e) { e.entries = 0; })), HasSubstr("longer than its entries"));
  EXPECT_THAT(error_of(with_end([](EndFields& e) { e.entries = 0xffff, e.size = 0xffffffff; }, false)),
              HasSubstr("zip64 end record is missing"));
  EXPECT_THAT(error_of(""), HasSubstr("truncated"));
}

TEST(Zip, EveryTruncationIsAnError) {
  const std::string archive = ZipWriter().add("a/one", "first").add("a/two", "second").finish();
  for (std::size_t size = 0; size < archive.size(); ++size) {
    const std::vector<char> exact(archive.begin(),
                                  archive.begin() + static_cast<std::ptrdiff_t>(size));  // no slack behind
    EXPECT_FALSE(ZipArchive::parse(bytes_of({exact.data(), exact.size()}))) << size;
  }
}

TEST(Zip, RandomBytesNeverCrash) {
  const std::string archive =
      ZipWriter().add("a/one", "first").add("a/two", "second", [](EntryFields& e) { e.zip64 = true; }).finish();
  std::mt19937 random(1);
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::vector<char> damaged(archive.begin(), archive.end());
    for (unsigned k = 0; k <= random() % 4; ++k) damaged[random() % damaged.size()] = static_cast<char>(random());
    const auto zip = ZipArchive::parse(bytes_of({damaged.data(), damaged.size()}));
    if (!zip) continue;
    ++accepted;
    for (const ZipEntry& entry : zip->entries()) {
      EXPECT_GE(reinterpret_cast<const char*>(entry.bytes.data()), damaged.data());
      EXPECT_LE(reinterpret_cast<const char*>(entry.bytes.data()) + entry.bytes.size(),
                damaged.data() + damaged.size());
    }
  }
  EXPECT_GT(accepted, 0);  // damage in padding and data is not the container's business
}

}  // namespace
}  // namespace intaglio::frontend::pt2
