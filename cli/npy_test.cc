#include "cli/npy.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "intaglio/types.h"

namespace intaglio::cli {
namespace {

namespace fs = std::filesystem;

class Npy : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "intaglio-npy-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  std::string put(const std::string& bytes, const std::string& name = "a.npy") const {
    std::ofstream(at(name), std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return at(name);
  }
  std::string get(const std::string& name) const {
    std::ifstream in(at(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // The bytes of a file as the format's specification lays them out.
  static std::string file(const std::string& dict, const std::string& data, int version = 1) {
    std::string out = "\x93NUMPY";
    out += static_cast<char>(version);
    out += '\0';
    const std::size_t length = dict.size();
    for (int i = 0; i < (version == 1 ? 2 : 4); ++i) out += static_cast<char>(length >> (8 * i) & 0xff);
    return out + dict + data;
  }
  void refused(const std::string& bytes, const std::string& word) const {
    const std::string path = put(bytes);
    try {
      read_npy(path);
      ADD_FAILURE() << "accepted; expected a refusal that says '" << word << "'";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::file);
      EXPECT_EQ(error.origin(), path);
      EXPECT_NE(error.message().find(word), std::string::npos) << error.message();
    }
  }
  fs::path folder_;
};

std::string raw(std::initializer_list<float> values) {
  std::string out(values.size() * sizeof(float), '\0');
  std::memcpy(out.data(), values.begin(), out.size());
  return out;
}

TEST_F(Npy, ReadsWhatTheSpecificationSays) {
  for (const int version : {1, 2}) {
    const Tensor read = read_npy(put(file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n",
                                          raw({1, 2, 3, 4, 5, 6}), version)));
    EXPECT_EQ(read.dtype(), DType::f32);
    EXPECT_EQ(read.shape(), (Shape{2, 3}));
    EXPECT_EQ(read.values<float>()[5], 6.0f);
  }
}

TEST_F(Npy, ReadsScalarsEmptyArraysAndVectors) {
  EXPECT_EQ(read_npy(put(file("{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n", raw({7})))).shape(),
            Shape{});
  EXPECT_EQ(read_npy(put(file("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 5), }\n", ""))).shape(),
            (Shape{0, 5}));
  EXPECT_EQ(
      read_npy(put(file("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }\n", "\1" + std::string(1, '\0'))))
          .dtype(),
      DType::boolean);
}

TEST_F(Npy, RefusesWhatItCannotRead) {
  const std::string six = raw({1, 2, 3, 4, 5, 6});
  refused("not an array", "not a .npy");
  refused("", "not a .npy");
  refused(file("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }\n", six), "big endian");
  refused(file("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", six), "Fortran");
  refused(file("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", six), "'|O'");
  refused(file("{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }\n", six), "'<c8'");
  refused(file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }\n", six), "shorter");
  refused(file("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }\n", six), "shape");
  refused(file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, x), }\n", six), "shape");
  refused(file("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }\n", six), "shape");
  refused(
      file("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4611686018427387904), }\n", six),
      "shorter");
  refused(file("{'descr': '<f4', 'fortran_order': False, }\n", six), "'shape'");
  refused(file("{}", six), "'descr'");
  refused(file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", six, 3), "version 3");
}

TEST_F(Npy, EveryTruncationIsRefused) {
  const std::string whole =
      file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", raw({1, 2, 3, 4, 5, 6}));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::string path = put(whole.substr(0, length));
    EXPECT_THROW(read_npy(path), Error) << length;
  }
}

TEST_F(Npy, AMissingFileIsNamed) {
  try {
    read_npy(at("none.npy"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::file);
    EXPECT_EQ(error.origin(), at("none.npy"));
  }
}

TEST_F(Npy, WritesTheBytesThatNumPyWrites) {
  const float values[] = {1, 2};
  const std::string bytes = npy_bytes(Tensor::of<float>({2}, values));
  // numpy.save of numpy.array([1, 2], "f4"): the data starts at 128 and the header is padded with spaces.
  std::string dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
  dict.resize(117, ' ');
  dict += '\n';
  EXPECT_EQ(bytes, file(dict, raw({1, 2})));
}

TEST_F(Npy, RoundTripsEveryDType) {
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::i8, DType::u8, DType::i16, DType::u16,
                            DType::i32, DType::u32, DType::i64, DType::u64, DType::boolean}) {
    const Tensor zeros = Tensor::zeros(dtype, {3, 0, 2});
    write_outputs(at("a.npy"), {{"y", zeros}});
    EXPECT_EQ(read_npy(at("a.npy")).dtype(), dtype);
    EXPECT_EQ(read_npy(at("a.npy")).shape(), zeros.shape());
  }
}

TEST_F(Npy, OneArrayPerNpyFile) {
  const Tensor one = Tensor::zeros(DType::f32, {1});
  EXPECT_THROW(write_outputs(at("a.npy"), {{"x", one}, {"y", one}}), Error);
  EXPECT_THROW(write_outputs(at("a.txt"), {{"x", one}}), Error);
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Npy, ArchivesHaveTheMembersStored) {
  const float values[] = {1, 2};
  const Tensor tensor = Tensor::of<float>({2}, values);
  write_outputs(at("a.npz"), {{"x", tensor}, {"last/state", tensor}});
  const std::string bytes = get("a.npz");
  const std::string member = npy_bytes(tensor);
  EXPECT_EQ(bytes.substr(0, 4), "PK\x03\x04");
  EXPECT_NE(bytes.find("last/state.npy"), std::string::npos);
  const auto first = bytes.find(member);
  ASSERT_NE(first, std::string::npos);
  EXPECT_NE(bytes.find(member, first + member.size()), std::string::npos);
}

TEST_F(Npy, AFullDiskLeavesTheOldFile) {
  put("old", "a.npy");
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_THROW(write_outputs(at("a.npy"), {{"y", Tensor::zeros(DType::f32, {10000})}}), Error);
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(get("a.npy"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(Npy, ReadsTheArchivesThatItWrites) {
  const float values[] = {1, 2, 3};
  write_outputs(at("a.npz"), {{"x", Tensor::of<float>({3}, values)}, {"none", Tensor::zeros(DType::i64, {0, 2})}});
  const std::vector<NamedTensor> read = read_npz(at("a.npz"));
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].name, "x");
  EXPECT_EQ(read[0].tensor.values<float>()[2], 3.0f);
  EXPECT_EQ(read[1].tensor.shape(), (Shape{0, 2}));
}

TEST_F(Npy, DamagedArchivesAreRefused) {
  const float values[] = {1, 2, 3};
  write_outputs(at("a.npz"), {{"x", Tensor::of<float>({3}, values)}});
  const std::string whole = get("a.npz");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THROW(read_npz(put(whole.substr(0, length), "b.npz")), Error) << length;
  }
  int refusals = 0;
  for (std::size_t place = 0; place < whole.size(); ++place) {
    std::string damaged = whole;
    damaged[place] = static_cast<char>(damaged[place] ^ 0x55);
    try {
      // A flip in a field that nobody needs, or in a name, may be read; the values are then right.
      const auto read = read_npz(put(damaged, "b.npz"));
      ASSERT_LE(read.size(), 1u);
      if (read.size() == 1) {
        EXPECT_EQ(read[0].tensor.values<float>()[2], 3.0f);
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::file);
      ++refusals;
    }
  }
  EXPECT_GT(refusals, static_cast<int>(npy_bytes(Tensor::of<float>({3}, values)).size()));
}

}  // namespace
}  // namespace intaglio::cli
