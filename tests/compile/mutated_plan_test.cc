// Plans of a compiled encoder layer in bf16 and int8 with any byte of their structure changed and the checksums made to
// fit: an error, or a plan that runs within its memory. src/plan/file_test.cc does it to plans of the other ops.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "compile/compile.h"
#include "ir/text.h"
#include "plan/file.h"
#include "plan/mutation_test_util.h"

namespace intaglio {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLayer = R"(graph "layer" {
  symbol batch in [1, 8]
  symbol seq in [1, 16]
  input "x" %x: f32[batch, seq, 32]
  input "mask" %m: f32[batch, 1, 1, seq]
  const %wq: f32[32, 32] = random 1
  const %wk: f32[32, 32] = random 2
  const %wv: f32[32, 32] = random 3
  const %w1: f32[32, 64] = random 4
  const %b1: f32[64] = random 5
  const %w2: f32[64, 32] = random 6
  const %gamma: f32[32] = random 7
  const %beta: f32[32] = random 8
  %n = layer_norm(%x, %gamma, %beta) {axis=2}
  %pq = linear(%n, %wq)
  %pk = linear(%n, %wk)
  %pv = linear(%n, %wv)
  %q = reshape(%pq) {shape=[batch, seq, 4, 8]}
  %k = reshape(%pk) {shape=[batch, seq, 4, 8]}
  %v = reshape(%pv) {shape=[batch, seq, 4, 8]}
  %a = attention(%q, %k, %v, %m) {layout="bshd", scale=0.3}
  %joined = reshape(%a) {shape=[batch, seq, 32]}
  %sum = add(%joined, %n)
  %norm = layer_norm(%sum, %gamma, %beta) {axis=2}
  %m1 = linear(%norm, %w1, %b1) {activation="gelu"}
  %y = linear(%m1, %w2, _, %norm)
  output "y" %y
}
)";

class MutatedPrecisionPlan : public testing::TestWithParam<passes::Precision> {
 protected:
  MutatedPrecisionPlan()
      : path_(fs::path(testing::TempDir()) /
              ("intaglio_mutated_" + std::to_string(reinterpret_cast<std::uintptr_t>(this)) + ".plan")) {}
  ~MutatedPrecisionPlan() override { fs::remove(path_); }

  std::string saved_plan() const {
    auto graph = ir::parse(kLayer);
    compile::CompileOptions options;
    options.passes.precision = GetParam();
    const auto plan = compile::compile_graph(*std::move(graph), "layer", "test", options);
    EXPECT_TRUE(plan) << plan.error().to_string();
    EXPECT_TRUE(plan::save(**plan, path_));
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  void change_every(std::size_t stride) const {
    const std::string bytes = saved_plan();
    const auto target = ops::host_target();
    const std::size_t end = plan::kHeaderBytes + plan::number_at(bytes, plan::kStructureBytesAt);
    std::size_t refused = 0, accepted = 0;
    for (std::size_t at = plan::kHeaderBytes; at < end; at += stride) {
      for (const int mask : {0x01, 0x80, 0xFF, 0x06}) {
        std::string changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ mask);
        changed = plan::rehashed(changed);
        std::ofstream(path_, std::ios::binary).write(changed.data(), static_cast<std::streamsize>(changed.size()));
        const auto loaded = plan::load(path_, ops::own_candidates(), *target);
        if (loaded) {
          ++accepted;
          plan::exercise(*loaded);
        } else {
          ++refused;
          ASSERT_EQ(loaded.error().code, ErrorCode::file) << at << ": " << loaded.error().to_string();
        }
      }
    }
    EXPECT_GT(refused, 500 / stride);
    EXPECT_GT(accepted, 100 / stride);  // names, mostly
  }

 private:
  fs::path path_;
};

TEST_P(MutatedPrecisionPlan, SampledBytesNeverCrash) {
  change_every(11);
}
TEST_P(MutatedPrecisionPlan, SlowEveryByteNeverCrashes) {
  change_every(1);
}

INSTANTIATE_TEST_SUITE_P(Precisions, MutatedPrecisionPlan,
                         testing::Values(passes::Precision{.dtype = DType::bf16},
                                         passes::Precision{.quantize = passes::Quantize::dynamic},
                                         passes::Precision{.dtype = DType::bf16, .quantize = passes::Quantize::dynamic},
                                         passes::Precision{.quantize = passes::Quantize::dynamic,
                                                           .activations = passes::Activations::tensor}));

}  // namespace
}  // namespace intaglio
