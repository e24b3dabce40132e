#include "base/dim.h"

#include <gtest/gtest.h>

#include <unordered_set>

namespace intaglio {
namespace {

const Dim b = Dim::symbol("b"), s = Dim::symbol("s"), t = Dim::symbol("t");

Dim parsed(std::string_view text) {
  auto d = Dim::parse(text);
  EXPECT_TRUE(d) << text << ": " << d.error().to_string();
  return d ? *d : Dim();
}

TEST(Dim, CanonicalForm) {
  EXPECT_EQ(b * s, s * b);
  EXPECT_EQ((b + 1) * (b - 1), b * b - 1);
  EXPECT_EQ(b + s - b, s);
  EXPECT_EQ(b - b, Dim(0));
  EXPECT_TRUE((b - b).is_constant());
  EXPECT_EQ((b + s) * (b + s), b * b + 2 * b * s + s * s);
  EXPECT_NE(b, s);
  EXPECT_EQ(b * 0, Dim(0));
  EXPECT_EQ((b * s).as_symbol(), std::nullopt);
  EXPECT_EQ(s.as_symbol(), "s");
  EXPECT_EQ((s + 1).as_symbol(), std::nullopt);
  EXPECT_EQ((2 * s).as_symbol(), std::nullopt);
  EXPECT_EQ((s - s + 7).constant(), 7);
}

TEST(Dim, Text) {
  EXPECT_EQ(Dim(12).to_string(), "12");
  EXPECT_EQ(Dim().to_string(), "0");
  EXPECT_EQ((b * s + 3).to_string(), "b*s + 3");
  EXPECT_EQ((3 - 2 * b - s * s).to_string(), "-s*s - 2*b + 3");
  EXPECT_EQ(Dim::floordiv(s + 1, 2).to_string(), "floordiv(s + 1, 2)");
  EXPECT_EQ(Dim::min(s, b).to_string(), "min(b, s)");
  EXPECT_EQ(to_string(Dims{Dim::symbol("batch"), 128, 64 * Dim::symbol("h")}), "[batch, 128, 64*h]");
  EXPECT_EQ(to_string(Dims{}), "[]");
}

TEST(Dim, Parse) {
  EXPECT_EQ(parsed("b*s + 3"), b * s + 3);
  EXPECT_EQ(parsed(" ( b + 1 )*( s - 2 ) "), (b + 1) * (s - 2));
  EXPECT_EQ(parsed("floordiv(s, 2) + mod(s, 2)"), Dim::floordiv(s, 2) + Dim::mod(s, 2));
  EXPECT_EQ(parsed("-9223372036854775808"), Dim(INT64_MIN));
  EXPECT_EQ(parsed("b - 9223372036854775808*s").to_string(), "b - 9223372036854775808*s");
  EXPECT_EQ(parsed("min"), Dim::symbol("min"));
  for (const char* text : {"", "+", "b +", "b s", "1 2", "b**s", "f(b, s)", "min(b)", "min(b, s", "min(b, s, t)", "(b",
                           "b)", "9223372036854775808", "99999999999999999999", "b/s", "b%2", "1.5", "b\n", "\xff"}) {
    const auto d = Dim::parse(text);
    EXPECT_FALSE(d) << text << " became " << d->to_string();
  }
}

TEST(Dim, ParseSurvivesHostileText) {
  EXPECT_FALSE(Dim::parse(std::string(100000, '(')));
  EXPECT_FALSE(Dim::parse(std::string(2000000, 'a')));
  EXPECT_FALSE(Dim::parse(std::string(5000, 'a')));
  std::string power = "s";
  for (int i = 0; i < 10000; ++i) power += "*s";
  EXPECT_FALSE(parsed(power).evaluate({{"s", 1}}));
  std::string product = "(a+b+c+d+e+f)", nested = "s";
  for (int i = 0; i < 40; ++i) product += "*(a+b+c+d+e+f)";
  EXPECT_FALSE(parsed(product).evaluate({{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}, {"f", 1}}));
}

TEST(Dim, GrowthIsBoundedByTheFailingDim) {
  Dim d = s;  // each step doubles the written-out expression
  for (int i = 0; i < 1000; ++i) d = Dim::max(Dim::floordiv(d * t + b, d + 2), Dim::mod(d, 3 + b * b));
  EXPECT_LT(d.to_string().size(), 1000u);
  EXPECT_FALSE(d.evaluate({{"s", 5}, {"t", 5}, {"b", 1}}));
}

TEST(Dim, OverflowFailsInEvaluateAndIsNeverUndone) {
  const Dim big = Dim(INT64_MAX) * s;
  const SymbolValues values{{"s", 0}, {"t", 0}};
  EXPECT_EQ(big.evaluate(values).value(), 0);
  for (const Dim& d : {big + s, big * 2, big * big, Dim(INT64_MAX) + 1, Dim(INT64_MIN) - 1, Dim(INT64_MIN) * -1,
                       Dim(INT64_MIN) * s * -1, s * 2 + (big - 1)}) {
    const auto value = d.evaluate(values);
    ASSERT_FALSE(value) << d.to_string();
    EXPECT_EQ(parsed(d.to_string()), d);
    // Nothing brings it back.
    EXPECT_FALSE((d * 0).evaluate(values));
    EXPECT_FALSE((d - d).evaluate(values));
    EXPECT_FALSE((t + d).evaluate(values));
    EXPECT_FALSE(Dim::min(d, 0).evaluate(values));
    EXPECT_FALSE(Dim::floordiv(d, d).evaluate(values));
    EXPECT_FALSE(Dim::mod(s, d).evaluate(values));
    EXPECT_FALSE(element_count(Dims{0, d}).evaluate(values));
    EXPECT_EQ(d.bounds({}), (SymbolRange{INT64_MIN, INT64_MAX}));
    EXPECT_FALSE(Dim::exact_div(d, d));
  }
}

TEST(Dim, EvaluateIsChecked) {
  EXPECT_EQ((b * s + 3).evaluate({{"b", 2}, {"s", 128}}).value(), 259);
  const auto unbound = (b * s).evaluate({{"b", 0}});
  ASSERT_FALSE(unbound);
  EXPECT_NE(unbound.error().message.find("'s'"), std::string::npos);
  EXPECT_FALSE((b * s).evaluate({{"b", INT64_MAX}, {"s", 2}}));
  EXPECT_FALSE((b + s).evaluate({{"b", INT64_MAX}, {"s", 1}}));
  // A zero factor wins over an overflow, in whatever order.
  EXPECT_EQ((b * s * t).evaluate({{"b", INT64_MAX}, {"s", INT64_MAX}, {"t", 0}}).value(), 0);
  EXPECT_EQ((b * s * t).evaluate({{"b", 0}, {"s", INT64_MAX}, {"t", INT64_MAX}}).value(), 0);
  EXPECT_FALSE((b * b * s * s * t * t).evaluate({{"b", INT64_MAX}, {"s", INT64_MAX}, {"t", INT64_MAX}}));
  EXPECT_EQ((s * s * s).evaluate({{"s", -3}}).value(), -27);
  EXPECT_FALSE(Dim::floordiv(b, s).evaluate({{"b", 1}, {"s", 0}}));
  EXPECT_FALSE(Dim::mod(b, s).evaluate({{"b", 1}, {"s", 0}}));
  EXPECT_FALSE(Dim::floordiv(b, s).evaluate({{"b", INT64_MIN}, {"s", -1}}));
  EXPECT_EQ(Dim::mod(b, s).evaluate({{"b", INT64_MIN}, {"s", -1}}).value(), 0);
}

TEST(Dim, DivisionFollowsPython) {
  const std::int64_t cases[][4] = {{7, 2, 3, 1}, {-7, 2, -4, 1}, {7, -2, -4, -1}, {-7, -2, 3, -1}, {6, -3, -2, 0}};
  for (const auto& [x, y, quotient, rest] : cases) {
    EXPECT_EQ(Dim::floordiv(x, y), Dim(quotient));
    EXPECT_EQ(Dim::mod(x, y), Dim(rest));
    const SymbolValues values{{"b", x}, {"s", y}};
    EXPECT_EQ(Dim::floordiv(b, s).evaluate(values).value(), quotient);
    EXPECT_EQ(Dim::mod(b, s).evaluate(values).value(), rest);
    EXPECT_EQ(Dim::floordiv(b, y).evaluate(values).value(), quotient);
    EXPECT_EQ(Dim::mod(b, y).evaluate(values).value(), rest);
  }
  EXPECT_FALSE(Dim::floordiv(s, 0).evaluate({{"s", 1}}));
  EXPECT_FALSE(Dim::mod(0, 0).evaluate({}));
}

TEST(Dim, FloordivAndModSimplify) {
  EXPECT_EQ(Dim::floordiv(64 * s, 64), s);
  EXPECT_EQ(Dim::floordiv(64 * s + 3, 64), s);
  EXPECT_EQ(Dim::floordiv(64 * s + 65, 64), s + 1);
  EXPECT_EQ(Dim::floordiv(s, 1), s);
  EXPECT_EQ(Dim::floordiv(s, -1), -1 * s);
  EXPECT_EQ(Dim::floordiv(b * s, s), b);
  EXPECT_EQ(Dim::floordiv(b * s * 64, b * s), Dim(64));
  EXPECT_EQ(Dim::floordiv(s - 1, 2) + 1, Dim::floordiv(s + 1, 2));
  EXPECT_EQ(Dim::floordiv(Dim::floordiv(s, 2), 2), Dim::floordiv(s, 4));
  EXPECT_EQ(Dim::floordiv(Dim::floordiv(s + 1, 2) + 1, 2), Dim::floordiv(s + 3, 4));
  EXPECT_EQ(Dim::floordiv(2 * s + 2, 4), Dim::floordiv(s + 1, 2));
  EXPECT_EQ(Dim::floordiv(b * s + b, 2 * b), Dim::floordiv(s + 1, 2));
  EXPECT_EQ(Dim::floordiv(b * s + 1, b), s + Dim::floordiv(1, b));
  EXPECT_EQ(Dim::mod(64 * s + 3, 64), Dim(3));
  EXPECT_EQ(Dim::mod(s, 1), Dim(0));
  EXPECT_EQ(Dim::mod(b * s, s), Dim(0));
  EXPECT_EQ(Dim::mod(2 * s, 4), 2 * Dim::mod(s, 2));
  EXPECT_EQ(Dim::mod(Dim::mod(s, 8), 4), Dim::mod(s, 4));
  EXPECT_EQ(Dim::mod(Dim::mod(s, 4), 8), Dim::mod(s, 4));
  EXPECT_EQ(Dim::mod(s + 64, 64), Dim::mod(s, 64));
}

TEST(Dim, MinMaxSimplify) {
  EXPECT_EQ(Dim::min(2, 3), Dim(2));
  EXPECT_EQ(Dim::max(s, s), s);
  EXPECT_EQ(Dim::max(s, s + 1), s + 1);
  EXPECT_EQ(Dim::min(s, s - 1), s - 1);
  EXPECT_EQ(Dim::min(b, s), Dim::min(s, b));
  EXPECT_EQ(Dim::min(Dim::min(b, s), b), Dim::min(b, s));
  EXPECT_EQ(Dim::min(Dim::max(b, s), b), b);
  EXPECT_EQ(Dim::min(Dim::min(s, 8), 4), Dim::min(s, 4));
  EXPECT_EQ(Dim::max(4, Dim::max(s, 8)), Dim::max(s, 8));
}

TEST(Dim, ExactDivision) {
  EXPECT_EQ(Dim::exact_div(b * s * 64, 64), b * s);
  EXPECT_EQ(Dim::exact_div(b * s * 64, b * s), Dim(64));
  EXPECT_EQ(Dim::exact_div(b * s + b, s + 1), b);
  EXPECT_EQ(Dim::exact_div((b + 1) * (s + 2) * 3, b + 1), 3 * s + 6);
  EXPECT_EQ(Dim::exact_div(b * b - 1, b - 1), b + 1);
  EXPECT_EQ(Dim::exact_div(0, s), Dim(0));
  EXPECT_EQ(Dim::exact_div(12, -4), Dim(-3));
  EXPECT_EQ(Dim::exact_div(b * Dim::floordiv(s, 2), Dim::floordiv(s, 2)), b);
  for (const auto& [x, y] : {std::pair(b, s), std::pair(64 * b, Dim(3)), std::pair(b + 1, b), std::pair(b, Dim(0)),
                             std::pair(Dim(0), Dim(0)), std::pair(b, b * b), std::pair(Dim(INT64_MIN), Dim(-1))}) {
    EXPECT_FALSE(Dim::exact_div(x, y)) << x.to_string() << " / " << y.to_string();
  }
}

TEST(Dim, Bounds) {
  const SymbolRanges ranges{{"b", {1, 8}}, {"s", {-3, 5}}, {"t", {2, INT64_MAX}}};
  EXPECT_EQ((b + 1).bounds(ranges), (SymbolRange{2, 9}));
  EXPECT_EQ((b * s).bounds(ranges), (SymbolRange{-24, 40}));
  EXPECT_EQ((s * s).bounds(ranges), (SymbolRange{0, 25}));
  EXPECT_EQ((b - t).bounds(ranges), (SymbolRange{INT64_MIN, 6}));
  EXPECT_EQ((t * t + b).bounds(ranges), (SymbolRange{5, INT64_MAX}));
  EXPECT_EQ((t - 5).bounds(ranges), (SymbolRange{-3, INT64_MAX}));  // unbounded stays unbounded
  EXPECT_EQ(Dim::floordiv(s, 2).bounds(ranges), (SymbolRange{-2, 2}));
  EXPECT_EQ(Dim::floordiv(b, t).bounds(ranges), (SymbolRange{0, 4}));
  EXPECT_EQ(Dim::mod(s, 4).bounds(ranges), (SymbolRange{0, 3}));
  EXPECT_EQ(Dim::mod(b, 100).bounds(ranges), (SymbolRange{1, 8}));
  EXPECT_EQ(Dim::min(b, s).bounds(ranges), (SymbolRange{-3, 5}));
  EXPECT_EQ(Dim::max(b, s).bounds(ranges), (SymbolRange{1, 8}));
  EXPECT_EQ(Dim::symbol("unknown").bounds(ranges), (SymbolRange{0, INT64_MAX}));
  EXPECT_EQ(Dim(7).bounds({}), (SymbolRange{7, 7}));
}

TEST(Dim, Substitute) {
  const Dim d = b * s + Dim::floordiv(s + b, 2);
  EXPECT_EQ(d.substitute({{"s", 4}}), 4 * b + Dim::floordiv(b + 4, 2));
  EXPECT_EQ(d.substitute({{"s", b}}), b * b + b);
  EXPECT_EQ(d.substitute({}), d);
  EXPECT_EQ((s * s).substitute({{"s", b + 1}}), b * b + 2 * b + 1);
  EXPECT_EQ((b + s).substitute({{"b", s}, {"s", b}}), b + s);  // simultaneous
  EXPECT_EQ((b - s).substitute({{"b", s}, {"s", b}}), s - b);
}

TEST(Dim, SymbolsAndHash) {
  std::vector<std::string> names{"b"};
  (Dim::max(s, t * b) + s).collect_symbols(names);
  EXPECT_EQ(names, (std::vector<std::string>{"b", "s", "t"}));
  std::unordered_set<Dim> set{b * s, s * b, b + s, s + b};
  EXPECT_EQ(set.size(), 2u);
}

TEST(Dim, Lists) {
  EXPECT_EQ(element_count(Dims{}), Dim(1));
  EXPECT_EQ(element_count(Dims{b, 2, s}), 2 * b * s);
  const std::vector<std::int64_t> values{2, 0, 5};
  EXPECT_EQ(constant_values(constant_dims(values)), values);
  EXPECT_FALSE(constant_values(Dims{2, b}));
}

TEST(Dim, SanitisedNames) {
  EXPECT_EQ(sanitise_symbol("past_seq + 1"), "past_seq_1");
  EXPECT_EQ(sanitise_symbol(""), "d");
  EXPECT_EQ(sanitise_symbol("???"), "d");
  EXPECT_EQ(sanitise_symbol("0axis"), "d0axis");
  EXPECT_EQ(sanitise_symbol("batch"), "batch");
  for (const std::string& text : {std::string(5000, 'x'), std::string("\0\xff", 2), std::string("a b\nc")}) {
    EXPECT_EQ(parsed(Dim::symbol(text).to_string()), Dim::symbol(text));
  }
}

}  // namespace
}  // namespace intaglio
