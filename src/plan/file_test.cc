// Plan files: the same bits after a round trip, the same bytes on every save, and no file that is not refused or safe.
#include "plan/file.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "base/file.h"
#include "plan/mutation_test_util.h"
#include "plan/plan_test_util.h"

namespace intaglio::plan {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class PlanFile : public testing::Test {
 protected:
  PlanFile() {
    folder_ =
        fs::path(testing::TempDir()) / ("intaglio_plan_" + std::to_string(reinterpret_cast<std::uintptr_t>(this)) +
                                        "_" + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    path_ = folder_ / "model.plan";
  }
  ~PlanFile() override {
    fail_write_after(std::nullopt);
    fail_allocation_after(std::nullopt);
    fs::remove_all(folder_);
  }

  static Result<std::shared_ptr<const Plan>> load_from(const fs::path& path, bool verify = false) {
    return load(path, ops::own_candidates(), test_target(), {verify});
  }
  Result<std::shared_ptr<const Plan>> reload(bool verify = false) const { return load_from(path_, verify); }
  void expect_refused(const std::string& text, bool verify = false) const {
    const auto loaded = reload(verify);
    ASSERT_FALSE(loaded.has_value()) << text;
    EXPECT_EQ(loaded.error().code, ErrorCode::file) << loaded.error().to_string();
    EXPECT_THAT(loaded.error().to_string(), HasSubstr(text));
    EXPECT_THAT(loaded.error().origin, HasSubstr("model.plan"));
  }
  std::string save_model() {
    const Status saved = save(*small_model().finish(), path_);
    EXPECT_TRUE(saved.has_value()) << saved.error().to_string();
    return read();
  }
  std::string read() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  fs::path folder_, path_;
};

std::vector<std::vector<std::byte>> outputs_of(std::shared_ptr<const Plan> plan, int threads) {
  Runner runner(std::move(plan), threads);
  runner.add<std::int64_t>({2, 3}, {0, 9, -1, 4, 4, 2});
  runner.add<float>({8}, ramp(8, -0.75f));
  const Status status = runner.run();
  EXPECT_TRUE(status.has_value()) << status.error().to_string();
  return runner.outputs();
}

TEST_F(PlanFile, RoundTripRunsTheSameBits) {
  const auto plan = small_model().finish();
  ASSERT_TRUE(save(*plan, path_).has_value());
  for (const bool verify : {false, true}) {
    const auto loaded = reload(verify);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().to_string();
    for (const int threads : {1, 2}) EXPECT_EQ(outputs_of(*loaded, threads), outputs_of(plan, threads));
    EXPECT_EQ((*loaded)->weight_bytes(), plan->weight_bytes());
    EXPECT_EQ((*loaded)->report.fusions.at(0).pattern, "pattern");
    EXPECT_EQ((*loaded)->report.model, "small.onnx");
    EXPECT_EQ((*loaded)->symbols, plan->symbols);
    EXPECT_EQ((*loaded)->dims, plan->dims);
    EXPECT_EQ((*loaded)->steps.at(0).node, "embed");
  }
  EXPECT_TRUE(looks_like_plan(path_));
}

TEST_F(PlanFile, SavingTwiceAndAfterLoadingGivesTheSameBytes) {
  const std::string first = save_model();
  EXPECT_EQ(save_model(), first);
  const auto loaded = reload();
  ASSERT_TRUE(loaded.has_value());
  ASSERT_TRUE(save(**loaded, path_).has_value());  // over the file that is mapped
  EXPECT_EQ(read(), first);
}

TEST_F(PlanFile, NotPlans) {
  expect_refused("model.plan");  // missing
  EXPECT_FALSE(looks_like_plan(path_));
  EXPECT_FALSE(looks_like_plan(folder_));
  for (const char* text :
       {"", "INTAGLI",
        "PK\3\4 a zip archive of more than seventy-two bytes, so that the header would fit into it........."}) {
    write(text);
    expect_refused("plan");
    EXPECT_FALSE(looks_like_plan(path_));
  }
}

TEST_F(PlanFile, OtherVersion) {
  std::string bytes = save_model();
  bytes[kVersionAt] = static_cast<char>(kPlanVersion + 1);
  write(rehashed(bytes));
  expect_refused("version " + std::to_string(kPlanVersion + 1) + "; this build reads version " +
                 std::to_string(kPlanVersion));
  const auto loaded = reload();
  EXPECT_THAT(loaded.error().hint, HasSubstr("compile the model again"));
}

TEST_F(PlanFile, EveryTruncation) {
  const std::string bytes = save_model();
  for (std::size_t size = bytes.size(); size-- > 0;) {
    fs::resize_file(path_, size);
    const auto loaded = reload();
    ASSERT_FALSE(loaded.has_value()) << size;
    ASSERT_EQ(loaded.error().code, ErrorCode::file) << size;
  }
  write(bytes + '\0');
  expect_refused("bytes appended");
}

TEST_F(PlanFile, EveryFlippedByteOfHeaderAndStructure) {
  const std::string bytes = save_model();
  const std::size_t end = kHeaderBytes + number_at(bytes, kStructureBytesAt);
  std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
  const auto put_byte = [&](std::size_t at, char value) {
    file.seekp(static_cast<std::streamoff>(at));
    file.put(value);
    file.flush();
  };
  for (std::size_t at = 0; at < end; ++at) {
    put_byte(at, static_cast<char>(bytes[at] ^ (1 << (at % 8))));
    const auto loaded = reload();
    ASSERT_FALSE(loaded.has_value()) << at;
    ASSERT_EQ(loaded.error().code, ErrorCode::file) << at;
    put_byte(at, bytes[at]);
  }
  EXPECT_TRUE(reload().has_value());
}

TEST_F(PlanFile, FlippedWeightsAreFoundUnderVerification) {
  std::string bytes = save_model();
  const std::size_t weights = number_at(bytes, kWeightsOffsetAt);
  ASSERT_EQ(weights % 4096, 0u);
  bytes[weights + 5] = static_cast<char>(bytes[weights + 5] ^ 4);
  write(bytes);
  EXPECT_TRUE(reload(false).has_value());
  expect_refused("weights 0 ('row_major') do not match their checksum", true);
}

// Changes that validate() must notice, since save() writes what it is given, and what the error says.
struct Hostile {
  const char* text;
  std::function<void(Plan&)> change;
};
// Values: 0 ids, 1 bias, 2 table, 3 embedded, 4 add, 5 tanh, 6 flat (alias of 5), 7 project, 8 turn, 9 tail.
std::vector<Hostile> hostile_values() {
  const auto value = [](std::size_t i, auto change) { return [=](Plan& plan) { change(plan.values[i]); }; };
  return {
      {"illegal dtype", value(3, [](PlanValue& v) { v.dtype = static_cast<DType>(kDTypeCount); })},
      {"illegal kind of value", value(3, [](PlanValue& v) { v.kind = static_cast<ValueKind>(kValueKinds); })},
      {"a dim refers outside", value(3, [](PlanValue& v) { v.shape[0] = 1000; })},
      {"rank is over", value(3, [](PlanValue& v) { v.shape.assign(kMaxRank + 1, 0); })},
      {"an alias must refer to an earlier value", value(6, [](PlanValue& v) { v.source = 6; })},
      {"an alias must refer to an earlier value", value(6, [](PlanValue& v) { v.source = 7; })},
      {"an alias must refer to an earlier value", value(6, [](PlanValue& v) { v.source = UINT32_MAX; })},
      {"an alias cannot change the dtype", value(6, [](PlanValue& v) { v.source = 0; })},
      {"refers to an input that does not exist", value(0, [](PlanValue& v) { v.source = 2; })},
      {"refers to an input that does not exist", value(0, [](PlanValue& v) { v.source = 1; })},
      {"refers to an input that does not exist", value(3, [](PlanValue& v) { v.kind = ValueKind::input; })},
      {"the input and its value do not agree",
       [](Plan& p) {
         p.inputs[1].value = 5;
         p.values[1].kind = ValueKind::temporary;
       }},
      {"refers to bytes that do not exist", value(2, [](PlanValue& v) { v.source = 99; })},
      {"needs more bytes than its data has", value(2, [](PlanValue& v) { v.dtype = DType::f64; })},
      {"symbolic dim", value(2, [](PlanValue& v) { v.shape[0] = 0; })},
      {"too many",
       [](Plan& p) {
         p.dims.emplace_back(INT64_MAX);
         p.values[2].shape[0] = static_cast<DimId>(p.dims.size() - 1);
       }},
      {"negative",
       [](Plan& p) {
         p.dims.emplace_back(-1);
         p.values[2].shape[0] = static_cast<DimId>(p.dims.size() - 1);
       }},
  };
}
std::vector<Hostile> hostile_steps() {
  const auto step = [](std::size_t i, auto change) { return [=](Plan& plan) { change(plan.steps[i]); }; };
  return {
      {"reads a value that does not exist yet", step(0, [](Step& s) { s.inputs[0] = 4; })},
      {"reads a value that does not exist yet", step(0, [](Step& s) { s.inputs[0] = 6; })},
      {"reads a value that does not exist yet", step(0, [](Step& s) { s.inputs[0] = UINT32_MAX; })},
      {"must not write", step(0, [](Step& s) { s.outputs[0] = 0; })},
      {"must not write", step(0, [](Step& s) { s.outputs[0] = 6; })},
      {"must not write", step(0, [](Step& s) { s.outputs[0] = 1000; })},
      {"must not write", step(1, [](Step& s) { s.outputs[0] = 3; })},
      {"writes nothing", step(0, [](Step& s) { s.outputs.clear(); })},
      {"source 2 must be -1", step(1,
                                   [](Step& s) {
                                     auto d = std::make_shared<ops::ElementwiseDescriptor>(
                                         static_cast<const ops::ElementwiseDescriptor&>(*s.descriptor));
                                     d->program[0].source[2] = 1000;
                                     s.descriptor = d;
                                   })},
      {"missing weights", step(3, [](Step& s) { s.blobs[0] = 77; })},
      {"linear", step(3, [](Step& s) { s.blobs.clear(); })},
      {"linear", step(3, [](Step& s) { s.blobs[0] = 0; })},
      {"a parameter refers outside", step(5, [](Step& s) { s.params[0] = 1000; })},
      {"unknown candidate 'intaglio.nothing'", step(0, [](Step& s) { s.candidate = "intaglio.nothing"; })},
      {"nothing writes this output", [](Plan& p) { p.outputs[0].value = 1000; }},
      {"nothing writes this output", [](Plan& p) { p.steps.pop_back(); }},
      {"a guard refers outside", [](Plan& p) { p.guards.push_back({0, 1000, "here"}); }},
  };
}

TEST_F(PlanFile, HostileStructures) {
  for (const auto& list : {hostile_values(), hostile_steps()}) {
    for (const Hostile& each : list) {
      Plan plan = small_model().plan;
      each.change(plan);
      ASSERT_TRUE(save(plan, path_).has_value());
      expect_refused(each.text);
    }
  }
}

TEST_F(PlanFile, CountsBeyondTheFile) {
  const std::string good = save_model();
  for (const std::uint64_t count :
       {std::uint64_t{1} << 20, std::uint64_t{1} << 40, std::uint64_t{1} << 62, UINT64_MAX}) {
    std::string bytes = good;
    put(bytes, kHeaderBytes, count);  // of dims
    write(rehashed(bytes));
    expect_refused("a list is longer than the file");
    bytes = good;
    put(bytes, kHeaderBytes + 8, count);  // of characters of the first dim
    write(rehashed(bytes));
    expect_refused("a string is longer than the file");
    for (const std::size_t at : {std::size_t{24}, kStructureBytesAt, kWeightsOffsetAt, kWeightsBytesAt}) {
      bytes = good;
      put(bytes, at, count);
      put(bytes, kHeaderHashAt, XXH3_64bits(bytes.data(), kHeaderHashAt));
      write(bytes);
      expect_refused("");
    }
  }
}

// Any byte of the structure with right checksums around it: an error or a plan that runs within its memory.
class MutatedPlan : public PlanFile {
 protected:
  void change_every(std::size_t stride);
};

void MutatedPlan::change_every(std::size_t stride) {
  const std::string bytes = save_model();
  const std::size_t end = kHeaderBytes + number_at(bytes, kStructureBytesAt);
  std::size_t refused = 0, accepted = 0;
  for (std::size_t at = kHeaderBytes; at < end; at += stride) {
    for (const int mask : {0x01, 0x80, 0xFF, 0x06}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ mask);
      write(rehashed(changed));
      const auto loaded = reload();
      if (loaded) {
        ++accepted;
        exercise(*loaded);
      } else {
        ++refused;
        ASSERT_EQ(loaded.error().code, ErrorCode::file) << at << ": " << loaded.error().to_string();
      }
    }
  }
  EXPECT_GT(refused, 500 / stride);
  EXPECT_GT(accepted, 100 / stride);  // names, mostly
}

TEST_F(MutatedPlan, EverySeventhByteNeverCrashes) {
  change_every(7);
}
TEST_F(MutatedPlan, SlowEveryByteNeverCrashes) {
  change_every(1);
}

TEST_F(PlanFile, FailedWritesLeaveTheOldFile) {
  write("the old file");
  const auto plan = small_model().finish();
  std::size_t failures = 0;
  for (std::size_t n = 1; n < 100; ++n) {
    fail_write_after(n);
    const Status saved = save(*plan, path_);
    fail_write_after(std::nullopt);
    if (saved) break;
    ++failures;
    EXPECT_EQ(saved.error().code, ErrorCode::file);
    EXPECT_EQ(read(), "the old file");
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << n;
  }
  EXPECT_GE(failures, 5u);  // header, structure, padding, two blobs
  EXPECT_TRUE(reload().has_value());
}

TEST_F(PlanFile, FailedAllocationsAreErrors) {
  save_model();
  for (std::size_t n = 0; n < 20; ++n) {
    fail_allocation_after(n);
    const auto loaded = reload();
    fail_allocation_after(std::nullopt);
    if (loaded) continue;
    EXPECT_THAT(loaded.error().message, HasSubstr("out of memory"));
  }
  EXPECT_TRUE(reload().has_value());
}

TEST_F(PlanFile, EmptyPlan) {
  ASSERT_TRUE(save(Plan(), path_).has_value());
  const auto loaded = reload(true);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().to_string();
  Runner runner(*loaded);
  EXPECT_TRUE(runner.run().has_value());
}

}  // namespace
}  // namespace intaglio::plan
