// Hostile plans: every form of step that a plan can hold and whole layers, changed field by field and byte by byte,
// with checksums that fit. Each is refused with an error of code `file`, or runs within its memory. Under the
// sanitizers (./dev asan) this is the hunt; the guards of plan/mutation_test_util.h see writes elsewhere too.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>

#include "compile/compile.h"
#include "ir/text.h"
#include "ops/linear_test_util.h"
#include "plan/file.h"
#include "plan/mutation_test_util.h"
#include "tests/hostile/mutate.h"
#include "tests/hostile/one_step_plans.h"

namespace intaglio {
namespace {

namespace fs = std::filesystem;

// What a step is made of: every value that its enumerations and flags have, as "linear.dynamic" -> 3.
using Forms = std::map<std::string, std::set<std::int64_t>>;

class FormsOf final : public ops::FieldVisitor {
 public:
  FormsOf(const ops::Descriptor& descriptor, Forms& forms)
      : prefix_(std::string(descriptor.family()) + "."), forms_(forms) {
    descriptor.clone()->fields(*this);
  }
  void field(std::string_view name, std::int64_t& value) override { add(name, value); }
  void field(std::string_view, double&) override {}
  void field(std::string_view name, bool& value) override { add(name, value ? 1 : 0); }
  void field(std::string_view, std::string&) override {}
  void field(std::string_view, DType&) override {}
  void field(std::string_view, std::vector<std::int64_t>&) override {}
  void reject(std::string_view) override {}

 private:
  void add(std::string_view name, std::int64_t value) { forms_[prefix_ + std::string(name)].insert(value); }
  std::string prefix_;
  Forms& forms_;
};

// Offers one number to every field: enumerations say whether they have it.
class Offer final : public ops::FieldVisitor {
 public:
  explicit Offer(std::int64_t number) : number_(number) {}
  void field(std::string_view, std::int64_t& value) override { value = number_; }
  void field(std::string_view, double&) override {}
  void field(std::string_view name, bool&) override { flags.emplace(name); }
  void field(std::string_view, std::string&) override {}
  void field(std::string_view, DType&) override {}
  void field(std::string_view, std::vector<std::int64_t>&) override {}
  void reject(std::string_view name) override { rejected.emplace(name); }
  std::set<std::string> flags, rejected;

 private:
  std::int64_t number_;
};

// Every value of every enumeration and flag of a family's descriptor.
Forms all_forms_of(const ops::Candidate& candidate) {
  const std::string prefix = std::string(candidate.family()) + ".";
  Forms forms;
  Offer most(4096);  // more than any enumeration has, and no more than a list may have
  candidate.make_descriptor()->fields(most);
  for (const std::string& flag : most.flags) forms[prefix + flag] = {0, 1};
  std::set<std::string> choices = most.rejected;
  for (std::int64_t number = 0; !choices.empty(); ++number) {
    Offer offer(number);
    candidate.make_descriptor()->fields(offer);
    for (const std::string& name : offer.rejected) choices.erase(name);
    for (const std::string& name : choices) forms[prefix + name].insert(number);
  }
  return forms;
}

constexpr const char* kEncoder = R"(graph "layer" {
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

// Embeddings and positions, rotary q and k of shared heads, causal attention, a gate, the last token's logits.
constexpr const char* kDecoder = R"(graph "decoder" {
  symbol batch in [1, 8]
  symbol seq in [1, 16]
  input "ids" %ids: i64[batch, seq]
  input "kept" %kept: bool[batch, 1, 1, seq]
  const %table: f32[40, 32] = random 1
  const %cos: f32[16, 1, 4] = random 2
  const %sin: f32[16, 1, 4] = random 3
  const %wqkv: f32[32, 64] = random 4
  const %wo: f32[32, 32] = random 5
  const %wg: f32[32, 48] = random 6
  const %wu: f32[32, 48] = random 7
  const %wd: f32[48, 32] = random 8
  const %gamma: f32[32] = random 9
  %x = gather(%table, %ids) {axis=0}
  %n = rms_norm(%x, %gamma) {axis=2}
  %qkv = linear(%n, %wqkv)
  %heads = reshape(%qkv) {shape=[batch, seq, 8, 8]}
  %c = slice(%cos) {axes=[0], starts=[0], ends=[seq], steps=[1]}
  %s = slice(%sin) {axes=[0], starts=[0], ends=[seq], steps=[1]}
  %turned = rotary(%heads, %c, %s) {heads=6}
  %flat = reshape(%turned) {shape=[batch, seq, 64]}
  %a = attention_packed(%flat, %kept) {heads=4, kv_heads=2, scale=0.35, causal=true}
  %h = linear(%a, %wo, _, %x)
  %m = rms_norm(%h, %gamma) {axis=2}
  %g = linear(%m, %wg) {activation="silu"}
  %u = linear(%m, %wu, _, %g) {residual_op="mul"}
  %d = linear(%u, %wd, _, %h)
  %last = slice(%d) {axes=[1], starts=[seq - 1], ends=[seq], steps=[1]}
  %logits = linear(%last, %wg)
  %p = softmax(%logits) {axis=2}
  output "p" %p
  output "h" %h
}
)";

struct Layer {
  const char* name;
  passes::Precision precision;
};
const Layer kLayers[] = {
    {"f32", {}},
    {"bf16", {.dtype = DType::bf16}},
    {"int8", {.quantize = passes::Quantize::dynamic}},
    {"bf16 int8", {.dtype = DType::bf16, .quantize = passes::Quantize::dynamic}},
    {"int8 by tensor", {.quantize = passes::Quantize::dynamic, .activations = passes::Activations::tensor}},
};

std::vector<hostile::NamedPlan> all_plans() {
  std::vector<hostile::NamedPlan> plans = hostile::OneStepPlans().all();
  for (const auto& [name, text] : {std::pair{"encoder", kEncoder}, std::pair{"decoder", kDecoder}}) {
    for (const Layer& layer : kLayers) {
      compile::CompileOptions options;
      options.passes.precision = layer.precision;
      auto graph = ir::parse(text);
      EXPECT_TRUE(graph) << name << ": " << graph.error().to_string();
      if (!graph) continue;
      const auto plan = compile::compile_graph(*std::move(graph), name, "test", options);
      EXPECT_TRUE(plan) << name << ": " << plan.error().to_string();
      if (plan) plans.push_back({fmt::format("{} {}", name, layer.name), **plan});
    }
  }
  return plans;
}

class HostilePlan : public testing::Test {
 protected:
  HostilePlan()
      : path_(folder() / fmt::format("intaglio_hostile_{}_{}.plan", getpid(), reinterpret_cast<std::uintptr_t>(this))),
        targets_(ops::test_targets()) {
    std::erase_if(targets_, [](const ops::Target& t) {  // emulated: too slow for millions of plans
      return !contains(cpu::detect().isa, t.isa);
    });
  }
  ~HostilePlan() override { fs::remove(path_); }

  // Saving waits for the disk; memory is faster, where the system has such a folder.
  static fs::path folder() { return fs::is_directory("/dev/shm") ? "/dev/shm" : testing::TempDir(); }

  const ops::Target& target(std::size_t i) const { return targets_[i % targets_.size()]; }

  std::string bytes_of(const plan::Plan& plan) const {
    const Status saved = plan::save(plan, path_);
    EXPECT_TRUE(saved) << saved.error().to_string();
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  // The file: refused as it should be, or run. Returns whether it was loaded.
  bool judge(const ops::Target& target, int threads) const {
    const auto loaded = plan::load(path_, ops::own_candidates(), target);
    if (!loaded) {
      EXPECT_EQ(loaded.error().code, ErrorCode::file) << loaded.error().to_string();
      EXPECT_FALSE(loaded.error().message.empty());
      return false;
    }
    plan::exercise(*loaded);
    plan::StepByStep steps(**loaded, ops::own_candidates(), target);
    steps.run(threads, [](const plan::Step&) {});
    return true;
  }

  // Change number `change` of a plan.
  bool judge_change(const hostile::NamedPlan& seed, std::uint32_t change) const {
    // Not the same kind of change in all plans.
    hostile::Mutator mutator(change + static_cast<std::uint32_t>(std::hash<std::string>()(seed.name)));
    plan::Plan plan = seed.plan;
    mutator.change(plan);
    plan.report.model =
        fmt::format("change {} of plan {}", change, seed.name);  // for whoever finds the file of a crash
    std::string bytes = bytes_of(plan);
    if (mutator.pick(8) == 0) {
      const std::size_t at = plan::kHeaderBytes + mutator.pick(plan::number_at(bytes, plan::kStructureBytesAt));
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << mutator.pick(8)));
      write(plan::rehashed(bytes));
    }
    return judge(target(change), 1 + static_cast<int>(change % 3));
  }

  // So many changes of every plan.
  void hunt(std::uint32_t first, std::uint32_t count) const {
    std::size_t loaded = 0, refused = 0;
    const std::vector<hostile::NamedPlan> plans = all_plans();
    for (std::uint32_t change = first; change < first + count; ++change) {
      for (const hostile::NamedPlan& seed : plans) {
        SCOPED_TRACE(fmt::format("change {} of plan {}", change, seed.name));
        ++(judge_change(seed, change) ? loaded : refused);
        if (HasFailure()) return;  // the file is gone, the numbers make it again
      }
    }
    EXPECT_GT(loaded, refused / 50);
    EXPECT_GT(refused, loaded / 50);
  }

  // Single bytes of the structure, every `stride`-th.
  void flip(std::size_t stride) const {
    std::size_t loaded = 0, refused = 0, n = 0;
    for (const hostile::NamedPlan& seed : all_plans()) {
      const std::string bytes = bytes_of(seed.plan);
      const std::size_t end = plan::kHeaderBytes + plan::number_at(bytes, plan::kStructureBytesAt);
      for (std::size_t at = plan::kHeaderBytes + n % stride; at < end; at += stride) {
        for (const int mask : {0x01, 0x80, 0xFF, 0x06}) {
          SCOPED_TRACE(fmt::format("byte {} xor {} of plan {}", at, mask, seed.name));
          std::string changed = bytes;
          changed[at] = static_cast<char>(changed[at] ^ mask);
          write(plan::rehashed(changed));
          ++n;
          ++(judge(target(n), 1 + static_cast<int>(n % 3)) ? loaded : refused);
          if (HasFailure()) return;
        }
      }
    }
    EXPECT_GT(refused, 500 / stride);
    EXPECT_GT(loaded, 100 / stride);  // names, mostly
  }

  fs::path path_;
  std::vector<ops::Target> targets_;
};

// The registry decides what there must be: a new candidate, or a new form of an old one, needs a plan here.
TEST_F(HostilePlan, EveryFormOfEveryStepIsAmongThem) {
  Forms ran;
  for (const hostile::NamedPlan& seed : all_plans()) {
    bytes_of(seed.plan);
    for (const ops::Target& each : targets_) {
      const auto loaded = plan::load(path_, ops::own_candidates(), each);
      ASSERT_TRUE(loaded) << seed.name << ", " << to_string(each.isa) << ": " << loaded.error().to_string();
      ASSERT_TRUE(plan::exercise(*loaded)) << seed.name << " does not run";
      for (const int threads : {1, 3}) {
        std::size_t steps = 0;
        plan::StepByStep(**loaded, ops::own_candidates(), each).run(threads, [&](const plan::Step& step) {
          ran["candidate." + step.candidate].insert(1);
          FormsOf(*step.descriptor, ran);
          ++steps;
        });
        ASSERT_EQ(steps, seed.plan.steps.size()) << "not every step of " << seed.name << " runs by itself";
      }
    }
  }
  for (const ops::Candidate* candidate : ops::own_candidates()) {
    EXPECT_TRUE(ran.contains("candidate." + std::string(candidate->name()))) << "no plan ran " << candidate->name();
    for (const auto& [field, values] : all_forms_of(*candidate)) {
      for (const std::int64_t value : values)
        EXPECT_TRUE(ran[field].contains(value)) << "no plan ran a step with " << field << " = " << value;
    }
  }
}

TEST_F(HostilePlan, ChangedFieldsNeverCrash) {
  hunt(0, 100);
}
TEST_F(HostilePlan, FlippedBytesNeverCrash) {
  flip(29);
}
TEST_F(HostilePlan, DISABLED_FullSweepOfChangedFields) {
  hunt(1000, 10'000);
}
TEST_F(HostilePlan, DISABLED_FullSweepOfFlippedBytes) {
  flip(1);
}

}  // namespace
}  // namespace intaglio
