// "onednn.linear" against a reference in double and against our own candidate.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "threads/pool.h"
#include "vendor/onednn/linear_reference_test.h"

namespace intaglio::vendor::onednn {
namespace {

using testing::HasSubstr;

const Candidate& vendor() {
  return *ops::find_candidate("onednn.linear", candidates());
}
const Candidate& own() {
  return *ops::find_candidate("intaglio.linear", ops::own_candidates());
}
// Runs the rows on both candidates and compares both with the reference.
void check(const PreparedOp& op, const PreparedOp& ours, const Problem& p) {
  const auto y = run_op(op, p.inputs(), p.outputs());
  ASSERT_TRUE(y) << y.error().to_string() << " for " << ops::to_string(p.d) << ", M " << p.m;
  const std::vector<Expected> expected = expected_of(p);
  expect_close(p, expected, (*y)[0], op.facts().kernel);
  const auto z = run_op(ours, p.inputs(), p.outputs());
  ASSERT_TRUE(z) << z.error().to_string();
  expect_close(p, expected, (*z)[0], ours.facts().kernel);
}

struct Types {
  DType input, weight, output;
};
constexpr Types kTypes[] = {
    {DType::f32, DType::f32, DType::f32}, {DType::u8, DType::i8, DType::f32}, {DType::i8, DType::i8, DType::f32},
    {DType::u8, DType::i8, DType::i32},   {DType::i8, DType::i8, DType::i32},
};
// More than every machine or version has kernels for.
constexpr Types kMoreTypes[] = {
    {DType::bf16, DType::bf16, DType::f32}, {DType::bf16, DType::bf16, DType::bf16},
    {DType::f16, DType::f16, DType::f32},   {DType::f16, DType::f16, DType::f16},
    {DType::f32, DType::bf16, DType::f32},  {DType::f32, DType::f16, DType::f32},
    {DType::u8, DType::i8, DType::u8},      {DType::i8, DType::i8, DType::i8},
    {DType::i8, DType::i8, DType::bf16},    {DType::u8, DType::i8, DType::f16},
    {DType::f32, DType::f32, DType::i8},
};

// Why 8-bit products are refused on this machine, below VNNI; empty if they are not.
std::string lacks_bytes() {
  LinearDescriptor d;
  d.k = d.n = 64;
  d.input = d.weight = DType::i8;
  return vendor().refuses(d, host()).value_or("");
}

LinearDescriptor random_descriptor(TestRandom& random, const Types& types, int choice) {
  LinearDescriptor d;
  d.k = static_cast<std::int64_t>(random.size(1, 300));
  d.n = static_cast<std::int64_t>(random.size(1, 200));
  d.input = types.input;
  d.weight = types.weight;
  d.output = types.output;
  d.weight_nk = choice % 2 == 0;
  const bool bytes = d.integer_input();
  d.input_zero = bytes && choice % 3 != 1;
  if (types.output == DType::i32) return d;
  d.input_scale = bytes && choice % 4 != 3;
  d.weight_scale = bytes && choice % 5 != 4;
  d.bias = choice % 3 != 0;
  d.activation = static_cast<Activation>(choice % ops::kActivationCount);
  d.residual = choice % 4 == 1;
  d.clamp = choice % 5 == 2;
  d.clamp_low = -0.5;
  d.clamp_high = 2;
  d.output_scale = 0.0625 / 3;
  d.output_zero = d.output == DType::u8 ? 100 : choice % 2 == 0 ? -3 : 0;
  // Sums of unscaled bytes would leave the interesting range of the activations; they stay exact without one.
  if (bytes && !(d.input_scale && d.weight_scale)) d.activation = Activation::none;
  return d;
}

// Odd shapes, every part of the epilogue, several M with one prepared op whose weight is packed once.
TEST(OneDnnLinear, EqualsTheReferenceForEveryM) {
  TestRandom random(1);
  for (const Types& types : kTypes) {
    if (size_of(types.input) == 1 && !lacks_bytes().empty()) continue;  // other tests skip with the reason
    for (int choice = 0; choice < 21; ++choice) {
      Problem p(random_descriptor(random, types, choice), random);
      const auto before = ops::pack_counters();
      const auto op = make(vendor(), p);
      ASSERT_TRUE(op) << op.error().to_string() << " for " << ops::to_string(p.d);
      EXPECT_EQ(ops::pack_counters().packs, before.packs + 1);
      const auto ours = make(own(), p);
      ASSERT_TRUE(ours);
      const auto packs = ops::pack_counters().packs;
      for (const std::size_t m : {std::size_t{1}, random.size(2, 9), random.size(10, 90)}) {
        p.make_rows(random, m);
        check(**op, **ours, p);
        if (HasFatalFailure()) return;
      }
      EXPECT_EQ(ops::pack_counters().packs, packs);
    }
  }
}

// Narrow inputs, weights, outputs and residuals, where oneDNN has kernels for them; else its refusal has a reason.
TEST(OneDnnLinear, NarrowTypesEqualTheReferenceOrAreRefused) {
  TestRandom random(14);
  for (const Types& types : kMoreTypes) {
    int made = 0;
    std::string why;
    for (int choice = 0; choice < 16; ++choice) {
      LinearDescriptor d = random_descriptor(random, types, choice);
      d.residual_multiply = choice % 8 == 5;
      if (choice % 3 == 0 && size_of(d.output) != 4) d.residual_type = d.output;
      Problem p(d, random);
      const auto op = make(vendor(), p);
      if (!op) {
        why = op.error().message;
        EXPECT_EQ(op.error().code, ErrorCode::unsupported) << why;
        EXPECT_THAT(why, HasSubstr("oneDNN"));
        continue;
      }
      ++made;
      const auto ours = make(own(), p);
      ASSERT_TRUE(ours) << ours.error().to_string();
      for (const std::size_t m : {1, 13}) {
        p.make_rows(random, m);
        check(**op, **ours, p);
        if (HasFatalFailure()) return;
      }
    }
    std::cout << name_of(types.input) << " x " << name_of(types.weight) << " -> " << name_of(types.output) << ": "
              << made << " of 16" << (why.empty() ? "" : ", e.g. not: " + why) << "\n";
  }
}

// Weights narrower than their file: rounded when packed.
TEST(OneDnnLinear, NarrowsFloatWeights) {
  TestRandom random(15);
  LinearDescriptor d;
  d.k = 45;
  d.n = 20;
  d.input = d.weight = DType::bf16;
  Problem p(d, random);
  if (const auto why = vendor().refuses(d, host())) GTEST_SKIP() << *why;
  const Numbers wide = random_numbers(random, DType::f32, Shape{d.n, d.k}, -1, 1);
  std::vector<BFloat16> narrow;
  for (const double value : wide.values) narrow.push_back(to_bfloat16(static_cast<float>(value)));
  p.weight = numbers_of(Shape{d.n, d.k}, narrow);
  auto constants = p.constants();
  constants[0] = wide.tensor.constant();
  auto blobs = vendor().pack(d, constants, host());
  ASSERT_TRUE(blobs) << blobs.error().to_string();
  const auto op = vendor().prepare(d, std::move(*blobs), host()), ours = make(own(), p);
  ASSERT_TRUE(op);
  p.make_rows(random, 5);
  check(**op, **ours, p);
}

TEST(OneDnnLinear, AlphaScalesTheProduct) {
  TestRandom random(2);
  LinearDescriptor d;
  d.k = 70;
  d.n = 33;
  d.alpha = 0.5;
  d.bias = true;
  Problem p(d, random);
  const auto op = make(vendor(), p), ours = make(own(), p);
  ASSERT_TRUE(op) << op.error().to_string();
  p.make_rows(random, 19);
  check(**op, **ours, p);
}

// One scale for each row of x, with everything that follows; one row is the case of one scale.
TEST(OneDnnLinear, ScaleOfEachRow) {
  if (const std::string why = lacks_bytes(); !why.empty()) GTEST_SKIP() << why;
  TestRandom random(3);
  for (int choice = 0; choice < 14; ++choice) {
    LinearDescriptor d = random_descriptor(random, kTypes[1 + choice % 2], choice);
    d.input_scale = d.weight_scale = true;
    d.bias = choice % 3 != 0;
    d.activation = static_cast<Activation>(choice % ops::kActivationCount);
    Problem p(d, random);
    const auto op = make(vendor(), p), ours = make(own(), p);
    ASSERT_TRUE(op) << op.error().to_string();
    for (const std::size_t m : {1, 7, 40}) {
      p.make_rows(random, m, true);
      check(**op, **ours, p);
      if (HasFatalFailure()) return;
    }
  }
}

// u8 weights are packed 128 less with a zero point of that; a zero point of 0 is none.
TEST(OneDnnLinear, ZeroPointOfTheWeight) {
  if (const std::string why = lacks_bytes(); !why.empty()) GTEST_SKIP() << why;
  TestRandom random(4);
  for (const DType weight : {DType::u8, DType::i8}) {
    for (int choice = 0; choice < 8; ++choice) {
      LinearDescriptor d =
          random_descriptor(random, {DType::u8, weight, choice % 4 < 2 ? DType::i32 : DType::f32}, choice);
      d.weight_zero = choice % 2 == 0;
      Problem p(d, random, weight == DType::i8 && choice == 4);
      const auto op = make(vendor(), p), ours = make(own(), p);
      if (!op) GTEST_SKIP() << op.error().to_string();
      p.make_rows(random, random.size(1, 30));
      check(**op, **ours, p);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(OneDnnLinear, RefusesZeroPointsOfColumnsAndRows) {
  if (const std::string why = lacks_bytes(); !why.empty()) GTEST_SKIP() << why;
  TestRandom random(5);
  LinearDescriptor d;
  d.k = 8;
  d.n = 3;
  d.input = d.weight = DType::i8;
  d.output = DType::i32;
  d.weight_zero = d.input_zero = true;
  Problem p(d, random);
  p.weight_zero = numbers_of(Shape{3}, std::vector<std::int8_t>{1, 2, 1});
  const auto op = make(vendor(), p);
  ASSERT_FALSE(op);
  EXPECT_EQ(op.error().code, ErrorCode::unsupported);
  EXPECT_THAT(op.error().message, HasSubstr("one zero point for all columns"));

  p.weight_zero = numbers_of(Shape{3}, std::vector<std::int8_t>{0, 0, 0});
  const auto symmetric = make(vendor(), p);
  ASSERT_TRUE(symmetric) << symmetric.error().to_string();
  p.make_rows(random, 2);
  p.x_zero = numbers_of(Shape{2, 1}, std::vector<std::int8_t>{1, 2});
  const auto y = run_op(**symmetric, p.inputs(), p.outputs());
  ASSERT_FALSE(y);
  EXPECT_THAT(y.error().message, HasSubstr("one zero point for all rows"));
}

TEST(OneDnnLinear, RefusesWithReason) {
  LinearDescriptor d;
  d.k = 0;
  d.n = 4;
  EXPECT_THAT(vendor().refuses(d, host()).value_or(""), HasSubstr("without elements"));
  d.k = 4;
  EXPECT_EQ(vendor().refuses(d, host()), std::nullopt);
  Target older = host();
  older.isa = IsaSet{0};
  EXPECT_THAT(vendor().refuses(d, older).value_or(""), HasSubstr("instruction sets of this machine"));
  d.row_max = true;
  EXPECT_THAT(vendor().refuses(d, host()).value_or(""), HasSubstr("maxima of rows"));
  d.row_max = false;
  d.residual = true;
  d.residual_type = DType::i8;
  d.residual_scale = 0.5;
  EXPECT_THAT(vendor().refuses(d, host()).value_or(""), HasSubstr("8-bit residual"));
  d.residual = false;
  d.weight = DType::i8;
  d.weight_scale = true;
  EXPECT_THAT(vendor().refuses(d, host()).value_or(""), HasSubstr("codes"));
  d.dynamic = ops::Dynamic::token_symmetric;
  EXPECT_THAT(vendor().refuses(d, host()).value_or(""), HasSubstr("quantise"));
  d.input = DType::f64;
  EXPECT_THAT(vendor().refuses(d, host()).value_or(""), HasSubstr("f64"));
}

TEST(OneDnnLinear, RefusesForeignBlobsAndOperands) {
  TestRandom random(6);
  LinearDescriptor d;
  d.k = 40;
  d.n = 24;
  d.bias = true;
  Problem p(d, random);
  const auto foreign = own().pack(d, p.constants(), host());
  ASSERT_TRUE(foreign);
  const auto op = vendor().prepare(d, *foreign, host());
  ASSERT_FALSE(op);
  EXPECT_EQ(op.error().code, ErrorCode::file);
  EXPECT_THAT(op.error().hint, HasSubstr("recompile"));
  auto blobs = vendor().pack(d, p.constants(), host());
  ASSERT_TRUE(blobs) << blobs.error().to_string();
  auto cut = *blobs;
  cut[0].bytes -= 4;
  EXPECT_FALSE(vendor().prepare(d, cut, host()));
  cut = *blobs;
  cut.pop_back();
  EXPECT_FALSE(vendor().prepare(d, cut, host()));
  const auto good = vendor().prepare(d, *blobs, host());
  ASSERT_TRUE(good) << good.error().to_string();
  p.make_rows(random, 3);
  std::vector<TestTensor> wrong = p.inputs();
  wrong[0].type.shape = {40, 3};
  EXPECT_FALSE(run_op(**good, wrong, p.outputs()));
  EXPECT_FALSE(run_op(**good, p.inputs(), {{DType::i32, {3, 24}}}));

  auto short_constants = p.constants();
  short_constants[0].bytes -= 4;
  EXPECT_FALSE(vendor().pack(d, short_constants, host()));
}

TEST(OneDnnLinear, NoRowsIsNoWork) {
  TestRandom random(7);
  LinearDescriptor d;
  d.k = 5;
  d.n = 6;
  Problem p(d, random);
  const auto op = make(vendor(), p);
  ASSERT_TRUE(op);
  p.make_rows(random, 0);
  const auto y = run_op(**op, p.inputs(), p.outputs());
  ASSERT_TRUE(y) << y.error().to_string();
}

// The weight starts at an odd address, as files have it.
TEST(OneDnnLinear, PacksUnalignedWeights) {
  TestRandom random(8);
  LinearDescriptor d;
  d.k = 31;
  d.n = 17;
  Problem p(d, random);
  std::vector<std::byte> moved(p.weight.tensor.bytes.size() + 1);
  std::ranges::copy(p.weight.tensor.bytes, moved.begin() + 1);
  auto constants = p.constants();
  constants[0].data = moved.data() + 1;
  auto blobs = vendor().pack(d, constants, host());
  ASSERT_TRUE(blobs) << blobs.error().to_string();
  const auto op = vendor().prepare(d, std::move(*blobs), host()), ours = make(own(), p);
  ASSERT_TRUE(op);
  p.make_rows(random, 4);
  check(**op, **ours, p);
}

// Several callers with one prepared op and one binding, each with operands of its own.
TEST(OneDnnLinear, ManyCallersShareOneBinding) {
  TestRandom random(9);
  LinearDescriptor d;
  d.k = 64;
  d.n = 48;
  d.bias = true;
  d.activation = Activation::relu;
  Problem p(d, random);
  const auto op = make(vendor(), p);
  ASSERT_TRUE(op);
  constexpr std::size_t kCallers = 4, kRounds = 50;
  std::vector<Problem> problems(kCallers, p);
  for (Problem& q : problems) q.make_rows(random, 12);
  const std::vector<Operand> in_types{problems[0].x.tensor.type}, out_types = problems[0].outputs();
  const auto binding = (*op)->bind({in_types, out_types, {}, 1});
  ASSERT_TRUE(binding) << binding.error().to_string();
  std::vector<TestTensor> results;
  for (const Problem& q : problems) {
    results.push_back({q.outputs()[0], std::vector<std::byte>(q.m * static_cast<std::size_t>(d.n) * 4)});
  }
  std::vector<std::thread> team;
  for (std::size_t c = 0; c < kCallers; ++c) {
    team.emplace_back([&, c] {
      const auto shared = Buffer::allocate((*binding)->shared_scratch_bytes + 64),
                 mine = Buffer::allocate((*binding)->thread_scratch_bytes + 64);
      for (std::size_t round = 0; round < kRounds; ++round) {
        std::ranges::fill(results[c].bytes, std::byte{0xA5});
        const void* in[] = {problems[c].x.tensor.bytes.data()};
        void* out[] = {results[c].bytes.data()};
        (*op)->run(**binding, ops::RunArgs{in, out, mine->data(), shared->data()}, ops::Worker{});
      }
    });
  }
  for (std::thread& t : team) t.join();
  for (std::size_t c = 0; c < kCallers; ++c)
    expect_close(problems[c], expected_of(problems[c]), results[c], "caller " + std::to_string(c));
}

// Layers of one shape bind once: a binding holds nothing of the op that made it.
TEST(OneDnnLinear, EqualOpsRunEachOthersBindings) {
  if (const std::string why = lacks_bytes(); !why.empty()) GTEST_SKIP() << why;
  TestRandom random(13);
  LinearDescriptor d = random_descriptor(random, kTypes[1], 0);
  d.bias = true;
  const Problem first(d, random);
  Problem second(d, random);
  const auto op = make(vendor(), first), other = make(vendor(), second);
  ASSERT_TRUE(op && other);
  second.make_rows(random, 9);
  std::vector<const void*> in;
  std::vector<Operand> in_types;
  const std::vector<TestTensor> inputs = second.inputs();
  for (const TestTensor& t : inputs) {
    in.push_back(t.bytes.data());
    in_types.push_back(t.type);
  }
  const auto outputs = second.outputs();
  const auto binding = (*op)->bind({in_types, outputs, {}, 1});
  ASSERT_TRUE(binding) << binding.error().to_string();
  const auto shared = Buffer::allocate((*binding)->shared_scratch_bytes + 64);
  TestTensor y{outputs[0], std::vector<std::byte>(second.m * static_cast<std::size_t>(d.n) * 4)};
  void* out[] = {y.bytes.data()};
  (*other)->run(**binding, ops::RunArgs{in.data(), out, nullptr, shared->data()}, ops::Worker{});
  expect_close(second, expected_of(second), y, "by another's binding");
}

// A region of several threads, and a binding for several that runs alone, as when a pool is contested.
TEST(OneDnnLinear, RegionsOfSeveralThreads) {
  TestRandom random(10);
  for (const Types& types : {kTypes[0], kTypes[1]}) {
    if (size_of(types.input) == 1 && !lacks_bytes().empty()) continue;  // other tests skip with the reason
    LinearDescriptor d = random_descriptor(random, types, 8);
    d.k = 200;
    d.n = 150;
    Problem p(d, random);
    const auto op = make(vendor(), p);
    ASSERT_TRUE(op);
    p.make_rows(random, 70);
    const std::vector<Expected> expected = expected_of(p);
    std::vector<const void*> in;
    std::vector<Operand> in_types;
    const std::vector<TestTensor> inputs = p.inputs();
    for (const TestTensor& t : inputs) {
      in.push_back(t.bytes.data());
      in_types.push_back(t.type);
    }
    const auto outputs = p.outputs();
    for (const int threads : {1, 2, 3}) {
      const auto pool = threads::Pool::create(threads);
      ASSERT_TRUE(pool);
      const auto binding = (*op)->bind({in_types, outputs, {}, threads});
      ASSERT_TRUE(binding) << binding.error().to_string();
      const auto shared = Buffer::allocate((*binding)->shared_scratch_bytes + 64);
      TestTensor y{outputs[0], std::vector<std::byte>(p.m * static_cast<std::size_t>(d.n) * 4)};
      void* out[] = {y.bytes.data()};
      const ops::RunArgs args{in.data(), out, nullptr, shared->data()};
      for (int round = 0; round < 20; ++round) {
        std::ranges::fill(y.bytes, std::byte{0xA5});
        auto region = [&](const threads::RegionThread& thread) noexcept {
          for (int phase = 0; phase < (*binding)->phases; ++phase) {
            (*op)->run(**binding, args, ops::Worker{thread.index, thread.count, phase});
            thread.barrier();
          }
        };
        (*pool)->run(region);
        expect_close(p, expected, y, std::to_string(threads) + " threads");
        if (HasFatalFailure()) return;
      }
      std::ranges::fill(y.bytes, std::byte{0xA5});
      for (int phase = 0; phase < (*binding)->phases; ++phase) {
        (*op)->run(**binding, args, ops::Worker{0, 1, phase});
      }
      expect_close(p, expected, y, "alone, bound for " + std::to_string(threads));
    }
  }
}

// The layout that was chosen for one M serves oneDNN's fast kernels at every M: a rival that is not its best would be
// none.
TEST(OneDnnLinear, NoMFallsBackToReferenceLoops) {
  TestRandom random(11);
  for (const Types& types : kTypes) {
    if (size_of(types.input) == 1 && !lacks_bytes().empty()) continue;  // other tests skip with the reason
    for (const auto& [n, k] : {std::pair{768, 768}, {3072, 768}, {768, 3072}, {2, 768}, {50, 30}}) {
      LinearDescriptor d = random_descriptor(random, types, 8);
      d.n = n;
      d.k = k;
      Problem p(d, random);
      const auto op = make(vendor(), p);
      ASSERT_TRUE(op) << op.error().to_string();
      for (const std::size_t m : {1, 2, 5, 8, 16, 31, 64, 128, 512}) {
        p.make_rows(random, m);
        std::vector<Operand> in;
        for (const TestTensor& t : p.inputs()) in.push_back(t.type);
        const auto out = p.outputs();
        const auto binding = (*op)->bind({in, out, {}, 1});
        ASSERT_TRUE(binding) << binding.error().to_string();
        EXPECT_FALSE((*binding)->blocking.starts_with("ref"))
            << (*binding)->blocking << " M " << m << " N " << n << " K " << k << ", " << ops::to_string(p.d);
      }
    }
  }
}

TEST(OneDnnLinear, SaysWhatItIs) {
  EXPECT_THAT(description(), HasSubstr("oneDNN 3."));
  TestRandom random(12);
  LinearDescriptor d;
  d.k = d.n = 64;
  d.bias = true;
  Problem p(d, random);
  const auto op = make(vendor(), p);
  ASSERT_TRUE(op);
  EXPECT_EQ((*op)->facts().epilogue, "bias");
  EXPECT_FALSE((*op)->facts().kernel.empty());
  EXPECT_FALSE((*op)->may_run_in_place(0));
}

}  // namespace
}  // namespace intaglio::vendor::onednn
