// Random expressions: a Dim must agree with a plain evaluation of the expression that it was built from.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/dim.h"

namespace intaglio {
namespace {

const char* const kNames[] = {"a", "b", "c"};

struct Sample {
  Dim dim;
  // The value by plain arithmetic for each of the bindings; nullopt where a division by zero happened.
  std::vector<std::optional<std::int64_t>> values;
};

struct Bindings {
  std::vector<SymbolValues> all;
};

// Exact: the numbers here are far below 2^53.
std::int64_t python_floordiv(std::int64_t x, std::int64_t y) {
  return static_cast<std::int64_t>(std::floor(static_cast<double>(x) / static_cast<double>(y)));
}

class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {
    for (int i = 0; i < 12; ++i) {
      SymbolValues values;
      for (const char* name : kNames) values[name] = pick(-6, 12);
      bindings_.all.push_back(values);
    }
  }

  const Bindings& bindings() const { return bindings_; }

  Sample leaf() {
    Sample sample;
    if (pick(0, 2) == 0) {
      const std::int64_t constant = pick(-5, 9);
      sample.dim = constant;
      sample.values.assign(bindings_.all.size(), constant);
      return sample;
    }
    const char* name = kNames[pick(0, 2)];
    sample.dim = Dim::symbol(name);
    for (const SymbolValues& values : bindings_.all) sample.values.push_back(values.at(name));
    return sample;
  }

  Sample expression(int depth) {
    if (depth == 0) return leaf();
    const int kind = static_cast<int>(pick(0, 7));
    const Sample x = expression(depth - 1);
    const Sample y = pick(0, 1) == 0 ? leaf() : expression(depth - 1);
    Sample result;
    switch (kind) {
      case 0:
        result.dim = x.dim - y.dim;
        break;
      case 1:
      case 2:
        result.dim = x.dim * y.dim;
        break;
      case 3:
        result.dim = Dim::floordiv(x.dim, y.dim);
        break;
      case 4:
        result.dim = Dim::mod(x.dim, y.dim);
        break;
      case 5:
        result.dim = Dim::min(x.dim, y.dim);
        break;
      case 6:
        result.dim = Dim::max(x.dim, y.dim);
        break;
      default:
        result.dim = x.dim + y.dim;
        break;
    }
    for (std::size_t i = 0; i < x.values.size(); ++i) result.values.push_back(apply(kind, x.values[i], y.values[i]));
    return result;
  }

 private:
  std::int64_t pick(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }

  static std::optional<std::int64_t> apply(int kind, std::optional<std::int64_t> x, std::optional<std::int64_t> y) {
    if (!x || !y) return std::nullopt;
    switch (kind) {
      case 0:
        return *x - *y;
      case 1:
      case 2:
        return *x * *y;
      case 3:
        return *y == 0 ? std::nullopt : std::optional(python_floordiv(*x, *y));
      case 4:
        return *y == 0 ? std::nullopt : std::optional(*x - python_floordiv(*x, *y) * *y);
      case 5:
        return std::min(*x, *y);
      case 6:
        return std::max(*x, *y);
      default:
        return *x + *y;
    }
  }

  std::mt19937 random_;
  Bindings bindings_;
};

TEST(DimProperty, AgreesWithPlainArithmeticAndRoundTrips) {
  int evaluated = 0, divided_by_zero = 0;
  for (unsigned seed = 0; seed < 6000; ++seed) {
    Generator generator(seed);
    const Sample sample = generator.expression(static_cast<int>(seed % 4));
    const std::string text = sample.dim.to_string();
    SCOPED_TRACE(testing::Message() << "seed " << seed << ": " << text);
    const auto again = Dim::parse(text);
    ASSERT_TRUE(again) << again.error().to_string();
    ASSERT_EQ(*again, sample.dim) << "parsed as " << again->to_string();
    ASSERT_EQ(hash_of(*again), hash_of(sample.dim));
    ASSERT_EQ(sample.dim.substitute({}), sample.dim);
    for (std::size_t i = 0; i < sample.values.size(); ++i) {
      const SymbolValues& values = generator.bindings().all[i];
      if (!sample.values[i]) {
        ++divided_by_zero;
        continue;
      }
      const auto value = sample.dim.evaluate(values);
      ASSERT_TRUE(value) << value.error().to_string();
      ASSERT_EQ(*value, *sample.values[i]);
      ++evaluated;
      // A substitution of all symbols is an evaluation.
      std::map<std::string, Dim, std::less<>> constants;
      for (const auto& [name, number] : values) constants[name] = number;
      ASSERT_EQ(sample.dim.substitute(constants), Dim(*value));
      // The bounds hold at each point and over the box of all points.
      SymbolRanges point, box;
      for (const auto& [name, number] : values) {
        point[name] = {number, number};
        box[name] = {-6, 12};
      }
      const SymbolRange wide = sample.dim.bounds(box), narrow = sample.dim.bounds(point);
      ASSERT_LE(wide.min, *value);
      ASSERT_GE(wide.max, *value);
      ASSERT_LE(narrow.min, *value);
      ASSERT_GE(narrow.max, *value);
    }
  }
  EXPECT_GT(evaluated, 30000);
  EXPECT_GT(divided_by_zero, 100);  // the generator does reach that case
}

TEST(DimProperty, ExactDivisionUndoesMultiplication) {
  int divided = 0;
  for (unsigned seed = 0; seed < 3000; ++seed) {
    Generator generator(seed);
    const Dim x = generator.expression(2).dim, y = generator.expression(2).dim;
    if (y == Dim(0) || !Dim::exact_div(y, 1) || !Dim::exact_div(x, 1)) continue;
    const auto quotient = Dim::exact_div(x * y, y);
    ASSERT_TRUE(quotient) << "seed " << seed << ": " << x.to_string() << " times " << y.to_string();
    ASSERT_EQ(*quotient, x) << "seed " << seed;
    ++divided;
  }
  EXPECT_GT(divided, 1500);
}

TEST(DimProperty, OrderIsTotalAndConsistent) {
  std::vector<Dim> dims;
  for (unsigned seed = 0; seed < 60; ++seed) dims.push_back(Generator(seed).expression(2).dim);
  for (const Dim& x : dims) {
    for (const Dim& y : dims) {
      EXPECT_EQ(x == y, (x <=> y) == 0);
      EXPECT_EQ(x<y, y> x);
      for (const Dim& z : dims) {
        EXPECT_TRUE(!(x < y && y < z) || x < z);
      }
    }
  }
}

}  // namespace
}  // namespace intaglio
