// Contents of tensors: mapped raw bytes, every typed field in both spellings, external data and attacks through it.
#include "frontend/onnx/tensor_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontend/onnx/test_model.h"

namespace intaglio::frontend::onnx {
namespace {

using namespace testing;
using ::testing::HasSubstr;

// One initialiser in a model file, loaded.
struct Loaded {
  Folder folder;
  std::shared_ptr<const MappedFile> file;
  Result<ir::Tensor> tensor = fail(ErrorCode::internal, "not loaded");

  explicit Loaded(const Bytes& tensor_bytes) { load(tensor_bytes); }
  Loaded() = default;
  void load(const Bytes& tensor_bytes) {
    Model m;
    m.initializers = {tensor_bytes};
    m.outputs = {value_info("t", kFloat, {})};
    file = MappedFile::open(folder.write("m.onnx", m.bytes())).value();
    const auto model = parse_model(*file, {});
    ASSERT_TRUE(model) << model.error().to_string();
    TensorStore store(file);
    tensor = store.load(model->graph->initializers.front());
  }
  void expect_error(ErrorCode code, std::string_view text) const {
    ASSERT_FALSE(tensor);
    EXPECT_EQ(tensor.error().code, code) << tensor.error().to_string();
    EXPECT_THAT(tensor.error().to_string(), HasSubstr(std::string(text)));
  }
};

TEST(OnnxTensor, PointsIntoTheMapping) {
  const Loaded l(raw_tensor("w", kFloat, {2, 1}, raw<float>({1.5f, -2})));
  ASSERT_TRUE(l.tensor);
  const auto mapped = l.file->bytes();
  EXPECT_GE(l.tensor->data, mapped.data());
  EXPECT_LT(l.tensor->data, mapped.data() + mapped.size());
  EXPECT_EQ(l.tensor->shape, (Shape{2, 1}));
  EXPECT_EQ(l.tensor->as_double(1), -2);
}

struct TypedCase {
  int type;
  std::uint32_t field;
  DType dtype;
  std::vector<std::int64_t> wire;  // varints as written
  std::vector<double> want;
};

TEST(OnnxTensor, DecodesIntegersOfEveryTypePackedAndUnpacked) {
  const TypedCase cases[] = {{2, 5, DType::u8, {0, 255}, {0, 255}},
                             {3, 5, DType::i8, {-1, 127}, {-1, 127}},
                             {4, 5, DType::u16, {65535, 1}, {65535, 1}},
                             {5, 5, DType::i16, {-300, 2}, {-300, 2}},
                             {6, 5, DType::i32, {-70000, 5}, {-70000, 5}},
                             {7, 7, DType::i64, {-5, 1LL << 40}, {-5, 1099511627776.0}},
                             {9, 5, DType::boolean, {1, 0}, {1, 0}},
                             {10, 5, DType::f16, {0x3C00, 0xC000}, {1, -2}},
                             {16, 5, DType::bf16, {0x3F80, 0xC000}, {1, -2}},
                             {12, 11, DType::u32, {4000000000, 1}, {4000000000.0, 1}},
                             {13, 11, DType::u64, {7, 1LL << 50}, {7, 1125899906842624.0}}};
  for (const TypedCase& test : cases) {
    for (const bool packed : {true, false}) {
      const Loaded l(message([&](Writer& w) {
        put_dims(w, {2});
        w.add_int32(2, test.type);
        if (packed) {
          w.add_packed_int64(test.field, test.wire.begin(), test.wire.end());
        } else {
          for (const std::int64_t value : test.wire) w.add_int64(test.field, value);
        }
      }));
      ASSERT_TRUE(l.tensor) << name_of(test.dtype) << ": " << l.tensor.error().to_string();
      EXPECT_EQ(l.tensor->dtype, test.dtype);
      for (std::int64_t i = 0; i < 2; ++i)
        EXPECT_EQ(l.tensor->as_double(i), test.want[static_cast<std::size_t>(i)]) << name_of(test.dtype);
    }
  }
}

TEST(OnnxTensor, DecodesFloatsPackedAndUnpacked) {
  const std::vector<float> floats{0.25f, -8};
  const std::vector<double> doubles{0.25, -8};
  for (const bool packed : {true, false}) {
    const Loaded f(message([&](Writer& w) {
      put_dims(w, {2});
      w.add_int32(2, kFloat);
      if (packed) return w.add_packed_float(4, floats.begin(), floats.end());
      for (const float value : floats) w.add_float(4, value);
    }));
    const Loaded d(message([&](Writer& w) {
      put_dims(w, {2});
      w.add_int32(2, kDouble);
      if (packed) return w.add_packed_double(10, doubles.begin(), doubles.end());
      for (const double value : doubles) w.add_double(10, value);
    }));
    ASSERT_TRUE(f.tensor && d.tensor);
    for (std::int64_t i = 0; i < 2; ++i) {
      EXPECT_EQ(f.tensor->as_double(i), doubles[static_cast<std::size_t>(i)]);
      EXPECT_EQ(d.tensor->as_double(i), doubles[static_cast<std::size_t>(i)]);
    }
  }
}

TEST(OnnxTensor, MakesBoolsZeroOrOne) {
  const Loaded l(raw_tensor("b", kBool, {3}, std::string("\x00\x01\x07", 3)));
  ASSERT_TRUE(l.tensor);
  EXPECT_EQ(static_cast<int>(l.tensor->data[2]), 1);
}

TEST(OnnxTensor, RefusesSizesThatDoNotMatch) {
  Loaded(raw_tensor("w", kFloat, {3}, raw<float>({1, 2}))).expect_error(ErrorCode::file, "tensor 'w'");
  Loaded(raw_tensor("w", kFloat, {-3}, raw<float>({1, 2}))).expect_error(ErrorCode::file, "tensor 'w'");
  Loaded(raw_tensor("w", kFloat, {1LL << 40, 1LL << 40}, {})).expect_error(ErrorCode::file, "tensor 'w'");
  const auto typed = [](std::vector<std::int64_t> dims) {
    return message([&](Writer& w) {
      put_dims(w, dims);
      w.add_int32(2, kInt64);
      w.add_packed_int64(7, dims.begin(), dims.end());
    });
  };
  Loaded(typed({3})).expect_error(ErrorCode::file, "elements");
  Loaded(typed({1LL << 40})).expect_error(ErrorCode::file, "elements");
  EXPECT_TRUE(Loaded(raw_tensor("w", kFloat, {0, 5}, {})).tensor);
}

TEST(OnnxTensor, NamesTypesItDoesNotHave) {
  Loaded(raw_tensor("s", 8, {1}, "x")).expect_error(ErrorCode::unsupported, "string");
  Loaded(raw_tensor("s", 22, {2}, "x")).expect_error(ErrorCode::unsupported, "int4");
  Loaded(raw_tensor("s", 99, {2}, "x")).expect_error(ErrorCode::unsupported, "type 99");
}

// ---- external data

TEST(OnnxExternalData, IsMappedAtAnyOffset) {
  Loaded l;
  l.folder.write("w.bin", "abc" + raw<float>({3, 4}) + "tail");
  l.load(external_tensor("w", {2}, {{"location", "w.bin"}, {"offset", "3"}, {"length", "8"}}));
  ASSERT_TRUE(l.tensor) << l.tensor.error().to_string();
  EXPECT_EQ(l.tensor->as_double(1), 4);
  l.load(external_tensor("w", {2}, {{"location", "w.bin"}, {"offset", "3"}}));
  EXPECT_TRUE(l.tensor) << "length may be left out";
}

TEST(OnnxExternalData, StaysInsideItsFile) {
  Loaded l;
  l.folder.write("w.bin", raw<float>({3, 4}));
  const auto refused = [&](std::vector<std::pair<std::string, std::string>> entries, std::string_view text) {
    l.load(external_tensor("w", {2}, entries));
    l.expect_error(ErrorCode::file, text);
  };
  refused({{"location", "w.bin"}, {"offset", "1"}}, "w.bin");
  refused({{"location", "w.bin"}, {"offset", "18446744073709551615"}}, "w.bin");
  refused({{"location", "w.bin"}, {"offset", "99999999999999999999"}}, "offset");
  refused({{"location", "w.bin"}, {"offset", "-4"}}, "offset");
  refused({{"location", "w.bin"}, {"length", "4"}}, "needs 8");
  refused({{"location", "w.bin"}, {"length", "8x"}}, "length");
  refused({{"location", "missing.bin"}}, "missing.bin");
  refused({}, "tensor 'w'");
}

TEST(OnnxExternalData, StaysInsideTheFolder) {
  Loaded l;
  const Folder outside;
  const auto secret = outside.write("secret.bin", raw<float>({1, 2}));
  std::filesystem::create_directories(l.folder.path() / "sub");
  std::filesystem::create_symlink(secret, l.folder.path() / "link.bin");
  std::filesystem::create_directory_symlink(outside.path(), l.folder.path() / "linked");
  const std::string up = "../" + outside.path().filename().string() + "/secret.bin";
  for (const std::string& location : {secret.string(), up, "sub/../" + up, std::string("link.bin"),
                                      std::string("linked/secret.bin"), std::string("sub")}) {
    l.load(external_tensor("w", {2}, {{"location", location}}));
    ASSERT_FALSE(l.tensor) << location;
    EXPECT_EQ(l.tensor.error().code, ErrorCode::file) << l.tensor.error().to_string();
  }
  std::filesystem::copy_file(secret, l.folder.path() / "sub" / "w.bin");
  l.load(external_tensor("w", {2}, {{"location", "sub/w.bin"}}));
  EXPECT_TRUE(l.tensor) << l.tensor.error().to_string();
}

}  // namespace
}  // namespace intaglio::frontend::onnx
