// Barriers: by hand, against a byte by byte replay of random runs, and in real runs (TSan judges those).
#include "plan/barriers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "plan/plan_test_util.h"

namespace intaglio::plan {
namespace {

using ops::Division;
using ops::Touch;

// Steps over a small arena and two outputs, made by hand.
struct Scene {
  BoundPlan bound;
  std::vector<std::size_t> bytes;

  ValueId value(Location location, std::size_t size) {
    bound.locations.push_back(location);
    bytes.push_back(size);
    return static_cast<ValueId>(bytes.size() - 1);
  }
  ValueId arena(std::size_t offset, std::size_t size) { return value({Home::arena, 0, offset, nullptr}, size); }
  void step(const std::vector<ValueId>& in, const std::vector<ValueId>& out, std::optional<std::vector<Touch>> touches,
            int phases = 1, std::size_t scratch = 0) {
    auto binding = std::make_shared<ops::Binding>();
    binding->touches = std::move(touches);
    binding->phases = phases;
    binding->shared_scratch_bytes = scratch;
    BoundStep step;
    step.binding = std::move(binding);
    step.first_input = static_cast<std::uint32_t>(bound.arguments.size());
    bound.arguments.insert(bound.arguments.end(), in.begin(), in.end());
    step.first_output = static_cast<std::uint32_t>(bound.arguments.size());
    bound.arguments.insert(bound.arguments.end(), out.begin(), out.end());
    bound.steps.push_back(std::move(step));
  }
  std::vector<bool> place(int threads) {
    bound.threads = threads;
    place_barriers(bound, bytes);
    std::vector<bool> waits;
    for (const BoundStep& step : bound.steps) waits.push_back(step.waits);
    return waits;
  }
};

Division rows(std::int64_t count, std::size_t bytes) {
  return {.units = count, .item_bytes = bytes};
}

TEST(Barriers, EqualRowsNeedNone) {
  Scene s;
  const ValueId a = s.arena(0, 640), b = s.arena(640, 320);
  s.step({}, {a}, {{ops::writes(0, 0, rows(10, 64))}});
  s.step({a}, {b}, {{ops::reads(0, 0, rows(10, 64)), ops::writes(0, 0, rows(10, 32))}});
  s.step({b}, {b}, {{ops::reads(0, 0, rows(10, 32)), ops::writes(0, 0, rows(10, 32))}});
  EXPECT_EQ(s.place(3), (std::vector{false, false, false}));
  EXPECT_EQ(s.bound.barriers, 0u);
}

TEST(Barriers, OtherRowsOrAllOfThemNeedOne) {
  for (const bool whole : {false, true}) {
    Scene s;
    const ValueId a = s.arena(0, 640), b = s.arena(640, 640);
    s.step({}, {a}, {{ops::writes(0, 0, rows(10, 64))}});
    const auto read = whole ? ops::reads(0, 0) : ops::reads(0, 0, Division{.units = 10, .grain = 4, .item_bytes = 64});
    s.step({a}, {b}, {{read, ops::writes(0, 0, rows(10, 64))}});
    EXPECT_EQ(s.place(2), (std::vector{false, true}));
    EXPECT_EQ(s.place(1), (std::vector{false, false}));
  }
}

TEST(Barriers, UntoldIsTouchedByAll) {
  Scene s;
  const ValueId a = s.arena(0, 64), b = s.arena(64, 64), c = s.arena(128, 64);
  s.step({}, {a}, std::nullopt);
  s.step({}, {b}, std::nullopt);   // another place
  s.step({a}, {c}, std::nullopt);  // reads what a thread may still be writing
  EXPECT_EQ(s.place(2), (std::vector{false, false, true}));
}

TEST(Barriers, MemoryThatIsUsedAgainWaitsForItsReaders) {
  Scene s;
  const ValueId in = s.value({Home::input, 0, 0, nullptr}, 64), a = s.arena(0, 64),
                out = s.value({Home::output, 0}, 64), b = s.arena(0, 64);
  s.step({in}, {a}, {{ops::reads(0, 0), ops::writes(0, 0, rows(2, 32))}});
  s.step({a}, {out}, {{ops::reads(0, 0), ops::writes(0, 0, rows(2, 32))}});
  s.step({in}, {b}, {{ops::reads(0, 0), ops::writes(0, 0, rows(2, 32))}});  // over a, read by the step before
  EXPECT_EQ(s.place(2), (std::vector{false, true, true}));
}

TEST(Barriers, WorkOfOneThreadNeedsNone) {
  Scene s;  // each step is one unit: thread 0 does them all
  const ValueId a = s.arena(0, 8), b = s.arena(64, 8);
  const Division one{.units = 1, .grain = 64, .item_bytes = 8};
  s.step({}, {a}, {{ops::writes(0, 0, one)}});
  s.step({a}, {b}, {{ops::reads(0, 0, one), ops::writes(0, 0, one)}});
  EXPECT_EQ(s.place(4), (std::vector{false, false}));
}

TEST(Barriers, ColumnsOfOneMatrix) {
  Scene s;
  const ValueId a = s.arena(0, 4 * 64), b = s.arena(256, 256);
  const Division columns{.units = 16, .grain = 4, .item_bytes = 4, .pitch = 64};
  const Division heads{.units = 8, .group = 2, .item_bytes = 16, .pitch = 64};
  s.step({}, {a}, {{ops::writes(0, 0, columns)}});
  s.step({a}, {b}, {{ops::reads(0, 0, heads), ops::writes(0, 0, columns)}});
  EXPECT_EQ(s.place(2), (std::vector{false, false}));
  EXPECT_EQ(s.place(3), (std::vector{false, true}));  // three threads share heads
}

TEST(Barriers, PhasesAreSeparatedAndDoForWhatCameBefore) {
  Scene s;
  const ValueId a = s.arena(0, 64), b = s.arena(64, 64), c = s.arena(128, 64);
  s.step({}, {a}, {{ops::writes(0, 0, rows(2, 32))}});
  // Reads a only in its second phase, so the barrier between the phases is enough.
  s.step({a}, {b}, {{ops::reads(0, 1), ops::writes(0, 1, rows(2, 32))}}, 2);
  s.step({b}, {c}, {{ops::reads(0, 0, rows(2, 32)), ops::writes(0, 0, rows(2, 32))}});
  EXPECT_EQ(s.place(2), (std::vector{false, false, false}));
  EXPECT_EQ(s.bound.barriers, 1u);
}

TEST(Barriers, SharedScratchIsOneMemory) {
  Scene s;
  const ValueId a = s.arena(0, 64), b = s.arena(64, 64);
  const Touch scratch{Touch::Of::shared_scratch, 0, 0, true, std::nullopt};
  s.step({}, {a}, {{scratch, ops::writes(0, 0, rows(2, 32))}}, 1, 100);
  s.step({}, {b}, {{scratch, ops::writes(0, 0, rows(2, 32))}}, 1, 50);
  EXPECT_EQ(s.place(2), (std::vector{false, true}));
}

// Every byte that a thread touched since the last barrier.
class Replay {
 public:
  explicit Replay(const Scene& scene) : s_(scene) {}

  bool conflict() {
    for (std::size_t i = 0; i < s_.bound.steps.size(); ++i) {
      const BoundStep& step = s_.bound.steps[i];
      if (step.waits) seen_.clear();
      for (int phase = 0; phase < step.binding->phases; ++phase) {
        if (phase > 0) seen_.clear();
        std::map<std::size_t, std::vector<int>> now;  // of the step: its own threads do not meet
        for (int thread = 0; thread < s_.bound.threads; ++thread) touch(i, phase, thread, now);
        for (const auto& [byte, marks] : now) {
          if (meets(seen_[byte], marks)) return true;
        }
        for (const auto& [byte, marks] : now) merge(seen_[byte], marks);
      }
    }
    return false;
  }

 private:
  static bool meets(const std::vector<int>& a, const std::vector<int>& b) {
    for (std::size_t t = 0; t < a.size(); ++t) {
      for (std::size_t u = 0; u < b.size(); ++u) {
        if (t != u && a[t] != 0 && b[u] != 0 && (a[t] == 2 || b[u] == 2)) return true;
      }
    }
    return false;
  }
  static void merge(std::vector<int>& into, const std::vector<int>& from) {
    into.resize(from.size());
    for (std::size_t t = 0; t < from.size(); ++t) into[t] = std::max(into[t], from[t]);
  }

  void touch(std::size_t index, int phase, int thread, std::map<std::size_t, std::vector<int>>& now) {
    const BoundStep& step = s_.bound.steps[index];
    const std::size_t end =
        index + 1 < s_.bound.steps.size() ? s_.bound.steps[index + 1].first_input : s_.bound.arguments.size();
    const auto mark = [&](ValueId id, bool writes, const std::optional<Division>& division) {
      const Location& location = s_.bound.locations[id];
      if (location.home == Home::input) return;
      const std::size_t base = location.home == Home::arena ? location.offset : 100000 * (location.index + 1);
      const std::size_t pitch = division && division->pitch != 0 ? division->pitch : s_.bytes[id];
      const auto range = division ? ops::touched(*division, pitch, thread, s_.bound.threads) : ops::ByteRange{0, pitch};
      for (std::size_t i = 0; i < s_.bytes[id]; ++i) {
        if (i % pitch < range.begin || i % pitch >= range.end) continue;
        auto& marks = now[base + i];
        marks.resize(static_cast<std::size_t>(s_.bound.threads));
        int& of = marks[static_cast<std::size_t>(thread)];
        of = std::max(of, writes ? 2 : 1);
      }
    };
    if (!step.binding->touches) {
      for (std::size_t a = step.first_input; a < end; ++a)
        mark(s_.bound.arguments[a], a >= step.first_output, std::nullopt);
      return;
    }
    for (const Touch& t : *step.binding->touches) {
      if (t.phase != phase) continue;
      const std::size_t first = t.of == Touch::Of::input ? step.first_input : step.first_output;
      mark(s_.bound.arguments[first + static_cast<std::size_t>(t.index)], t.writes, t.division);
    }
  }

  const Scene& s_;
  std::map<std::size_t, std::vector<int>> seen_;
};

TEST(Barriers, NoThreadsMeetInRandomRuns) {
  std::mt19937 random(7);
  const auto upto = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::size_t placed = 0, possible = 0, needed = 0;
  for (int round = 0; round < 400; ++round) {
    Scene s;
    const std::size_t row_bytes[] = {8, 16, 24};
    for (int v = 0; v < 8; ++v) {
      const std::size_t bytes = row_bytes[upto(3)] * static_cast<std::size_t>(1 + upto(8));
      if (upto(5) == 0)
        s.value({Home::output, static_cast<std::uint32_t>(v)}, bytes);
      else
        s.arena(static_cast<std::size_t>(upto(20)) * 16, bytes);
    }
    const auto any = [&] { return static_cast<ValueId>(upto(8)); };
    const auto divide = [&](ValueId id) -> std::optional<Division> {
      const std::size_t bytes = s.bytes[id];
      const auto item = row_bytes[upto(3)];
      switch (upto(5)) {
        case 0:
          return std::nullopt;
        case 1:  // columns
          return Division{
              .units = static_cast<std::int64_t>(item), .grain = 1 + upto(4), .item_bytes = 1, .pitch = item};
        case 2:  // one thread
          return Division{.units = 1, .item_bytes = bytes};
        case 3:  // groups, from an offset on
          return Division{.units = static_cast<std::int64_t>(2 * bytes / item),
                          .group = 2,
                          .item_bytes = item,
                          .offset = static_cast<std::size_t>(upto(3))};
        default:
          return Division{
              .units = static_cast<std::int64_t>((bytes + item - 1) / item), .grain = 1 + upto(2), .item_bytes = item};
      }
    };
    for (int i = 0; i < 12; ++i) {
      const ValueId in = any(), out = any();
      const int phases = upto(6) == 0 ? 2 : 1;
      if (upto(6) == 0)
        s.step({in}, {out}, std::nullopt, phases);
      else
        s.step({in}, {out}, {{ops::reads(0, 0, divide(in)), ops::writes(0, phases - 1, divide(out))}}, phases);
    }
    const std::vector<bool> waits = s.place(2 + upto(4));
    EXPECT_FALSE(Replay(s).conflict()) << "round " << round;
    // And few are needless: hulls of columns and gaps may ask for one.
    for (std::size_t i = 1; i < waits.size(); ++i) {
      ++possible;
      if (!waits[i]) continue;
      ++placed;
      s.bound.steps[i].waits = false;
      needed += Replay(s).conflict() ? 1 : 0;
      s.bound.steps[i].waits = true;
    }
  }
  EXPECT_LT(placed, possible);
  EXPECT_GT(static_cast<double>(needed), 0.8 * static_cast<double>(placed));
}

// A chain of real steps of which most need no barrier, with the bits of one thread. Under TSan this judges what the
// families tell.
TEST(Barriers, ChainsOfRealSteps) {
  PlanBuilder b;
  const Dim rows = Dim::symbol("rows");
  const ValueId x = b.input("x", {rows, 32});
  ValueId last = x;
  std::vector<ValueId> all = {x};
  for (int i = 0; i < 6; ++i) {
    const std::string n = std::to_string(i);
    const ValueId a = b.elementwise("tanh" + n, "tanh", {last}, {rows, 32});
    const ValueId p = b.linear("p" + n, a, 32, 32, {rows, 32});
    last = b.elementwise("add" + n, "add", {p, a}, {rows, 32});
  }
  b.output("y", last);
  const auto plan = b.finish();
  for (const std::int64_t count : {1, 3, 31, 64, 257}) {
    std::vector<std::vector<std::byte>> expected;
    for (const int threads : {1, 2, 3, 4}) {
      Runner runner(plan, threads);
      runner.add<float>({count, 32}, ramp(static_cast<std::size_t>(count) * 32, -1.0f, 0.01f));
      for (int round = 0; round < 5; ++round) {
        ASSERT_TRUE(runner.run().has_value());
        if (expected.empty()) expected = runner.outputs();
        EXPECT_EQ(runner.outputs(), expected) << count << " rows, " << threads << " threads";
      }
      EXPECT_LT(runner.context().bound()->barriers, plan->steps.size());
    }
  }
}

}  // namespace
}  // namespace intaglio::plan
