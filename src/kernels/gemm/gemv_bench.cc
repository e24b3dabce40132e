// Few rows by weights far beyond the caches: how much of memory's read bandwidth the rows of kernels.inc use. Each
// round reads the whole of the weights by the probe of kernels/probe and then multiplies by them, strip by strip as ops
// does, so that both meet the same neighbours; the counters are medians over the rounds, in thread CPU time:
//   GBs    bytes of weights (with the scales of their groups) per second        read    the probe's
//   share  GBs / read of the same round
// In 4 KiB pages the share may exceed 1: the probe reads one stream, and prefetchers stop at pages; a strip is four.
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "base/half.h"
#include "kernels/gemm/gemm_test_util.h"
#include "kernels/gemm/stream.h"
#include "kernels/gemm/table.h"
#include "kernels/probe/table.h"

namespace intaglio::kernels::gemm {
namespace {

constexpr std::size_t kWeightBytes = std::size_t{512} << 20;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kStrip = 64;         // columns of one pass
constexpr std::size_t kOutColumns = 4096;  // of an output; the weights are many matrices, and outputs stay in caches
constexpr std::size_t kGroup = 128;
constexpr std::size_t kRangeBytes = std::size_t{64} << 10;  // of a panel: a strip's range is a quarter of an L2
constexpr int kRounds = 9;

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}
double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Random elements of a type, of about 1 in size where they are floats.
void fill(DType type, void* to, std::size_t bytes) {
  auto* p = static_cast<unsigned char*>(to);
  for (std::size_t i = 0; i < std::min(bytes, kHugePage); i += 4) {
    const float value = random_float();
    std::uint32_t bits = static_cast<std::uint32_t>(random_source()());
    if (type == DType::f32) std::memcpy(&bits, &value, sizeof(bits));
    if (type == DType::bf16) bits = to_bfloat16(value).bits * 0x10001u;
    if (type == DType::f16) bits = to_float16(value).bits * 0x10001u;
    std::memcpy(p + i, &bits, std::min<std::size_t>(sizeof(bits), bytes - i));
  }
  for (std::size_t i = kHugePage; i < bytes; i += kHugePage) std::memcpy(p + i, p, std::min(bytes - i, kHugePage));
}

// The weights of all cases: one mapping per size of pages, filled when the type of the elements changes.
class WeightMemory {
 public:
  explicit WeightMemory(bool huge) {
    mapped_ = mmap(nullptr, kWeightBytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const auto at = reinterpret_cast<std::uintptr_t>(mapped_);
    data_ = static_cast<char*>(mapped_) + (round_up(at, kHugePage) - at);
    madvise(data_, kWeightBytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  }
  ~WeightMemory() { munmap(mapped_, kWeightBytes + kHugePage); }
  WeightMemory(const WeightMemory&) = delete;
  WeightMemory& operator=(const WeightMemory&) = delete;

  const char* filled(DType type) {
    if (!filled_ || type != type_) fill(type, data_, kWeightBytes);
    filled_ = true;
    type_ = type;
    return data_;
  }

 private:
  void* mapped_;
  char* data_;
  bool filled_ = false;
  DType type_ = DType::f32;
};
WeightMemory& weight_memory(bool huge) {
  static WeightMemory pages[2] = {WeightMemory(false), WeightMemory(true)};
  return pages[huge ? 1 : 0];
}

DType weight_type(Layout layout) {
  return layout == Layout::panels16_f32      ? DType::f32
         : layout == Layout::panels16_f16    ? DType::f16
         : layout == Layout::panels16x2_bf16 ? DType::bf16
                                             : DType::i8;
}
DType activation_type(Types types) {
  return facts_of(types).a_bytes == 4 ? DType::f32
         : types == Types::bf16       ? DType::bf16
         : types == Types::f16        ? DType::f16
                                      : DType::i8;
}

struct Problem {
  Problem(const KernelRow& r, std::size_t rows, std::size_t depth, bool huge)
      : row(r),
        facts(facts_of(r.types)),
        m(rows),
        k(depth),
        panel(panel_bytes(facts.layout, depth)),
        n(kWeightBytes / panel / (kStrip / kPanelWidth) * kStrip),
        groups(group_count(depth, kGroup)),
        b(weight_memory(huge).filled(weight_type(facts.layout))),
        a(m * k * facts.a_bytes),
        scale(facts.grouped ? group_elements(depth, n, kGroup) : 0),
        row_sums(m * groups),
        partial(m * kStrip),
        out(m * kOutColumns) {
    fill(activation_type(row.types), a.data(), a.size());
    for (float& x : scale) x = random_float(0.01f, 0.2f);
    for (std::size_t i = 0; row.types == Types::s8w4 && i < m; ++i) {
      for (std::size_t at = 0; at < k; ++at) {
        row_sums[i * groups + at / kGroup] += static_cast<std::int8_t>(a[i * k + at]);
      }
    }
    epilogue.out_type = facts.integer ? DType::i32 : DType::f32;
  }
  // The call for columns [j, j + columns) and rows [i, i + height), all of K.
  Args call(std::size_t i, std::size_t height, std::size_t j, std::size_t columns) const {
    Args args;
    args.m = height;
    args.n = columns;
    args.k = k;
    args.a = a.data() + i * k * facts.a_bytes;
    args.a_pitch = k;
    args.b = b + j / kPanelWidth * panel;
    args.b_panel = panel;
    args.groups = {scale.data() + (facts.grouped ? j / kPanelWidth * groups * kPanelWidth : 0),
                   nullptr,
                   facts.layout == Layout::panels16x8_u4 ? 8.0f : 0.0f,
                   groups * kPanelWidth,
                   kGroup,
                   row_sums.data() + i * groups,
                   groups};
    args.partial = partial.data() + i * kStrip;
    args.partial_pitch = kStrip;
    args.out = out.data() + i * kOutColumns + j % kOutColumns;
    args.out_pitch = kOutColumns;
    args.epilogue = &epilogue;
    args.row = i;
    args.column = j;
    return args;
  }
  std::size_t bytes() const { return n / kPanelWidth * panel + scale.size() * sizeof(float); }

  const KernelRow& row;
  TypeFacts facts;
  std::size_t m, k, panel, n, groups;
  const char* b;
  std::vector<unsigned char> a;
  std::vector<float> scale;
  std::vector<std::int32_t> row_sums;
  mutable std::vector<std::int32_t> partial, out;
  Epilogue epilogue;
};

// One strip: all of K by one block of rows; with more blocks range by range, so that a range stays in L2 for them.
void multiply_strip(const Problem& p, std::size_t j) {
  const LayoutFacts facts = facts_of(p.facts.layout);
  const std::size_t blocks = (p.m + p.row.block_m - 1) / p.row.block_m;
  const std::size_t fits = kRangeBytes / facts.bytes * facts.group / kGroup * kGroup;
  const std::size_t range = blocks == 1 ? p.k : std::min(p.k, fits);
  for (std::size_t k0 = 0; k0 < p.k; k0 += range) {
    const bool ends = k0 + range >= p.k;
    for (std::size_t block = 0; block < blocks; ++block) {
      const std::size_t low = p.m * block / blocks;
      for (std::size_t column = j; column < j + kStrip; column += p.row.block_n) {
        Args args = p.call(low, p.m * (block + 1) / blocks - low, column, p.row.block_n);
        args.k = std::min(range, p.k - k0);
        args.a = static_cast<const char*>(args.a) + k0 * p.facts.a_bytes;
        args.b = static_cast<const char*>(args.b) + k_bytes(p.facts.layout, k0);
        args.groups.scale += p.facts.grouped ? k0 / kGroup * kPanelWidth : 0;
        args.groups.row_sums += k0 / kGroup;
        args.load_partial = k0 != 0;
        if (!ends) args.epilogue = nullptr;
        const std::size_t panels = (blocks == 1 ? p.row.block_n : kStrip) / kPanelWidth;
        const char* next = p.b + ((column / kPanelWidth + panels) * p.panel);
        if (!ends) next = static_cast<const char*>(args.b) + k_bytes(p.facts.layout, range);
        set_prefetch(args, p.facts.layout, next < p.b + p.n / kPanelWidth * p.panel ? next : nullptr, block, blocks);
        p.row.kernel(args);
      }
    }
  }
}

// The first columns against the scalar row.
bool is_right(const Problem& p) {
  multiply_strip(p, 0);
  const KernelRow* scalar = kKernels;
  while (scalar->types != p.row.types || std::string_view(scalar->isa) != "scalar") ++scalar;
  const std::vector<std::int32_t> got = p.out;
  for (std::size_t i = 0; i < p.m; ++i) {
    scalar->kernel(p.call(i, 1, 0, kPanelWidth));
    for (std::size_t j = 0; j < kPanelWidth; ++j) {
      std::uint32_t offset = 0;  // what a row with an a_offset has added
      for (std::size_t at = 0; at < p.k && p.row.a_offset != 0; ++at) {
        offset +=
            static_cast<std::uint32_t>(p.row.a_offset * static_cast<std::int8_t>(p.b[at / 4 * 64 + j * 4 + at % 4]));
      }
      const std::int32_t expected = p.out[i * kOutColumns + j] + static_cast<std::int32_t>(offset),
                         value = got[i * kOutColumns + j];
      if (p.facts.integer && value != expected) return false;
      float x, y;
      std::memcpy(&x, &expected, sizeof(x));
      std::memcpy(&y, &value, sizeof(y));
      if (!p.facts.integer && !(std::abs(x - y) <= 1e-3f * static_cast<float>(p.k))) return false;
    }
  }
  return true;
}

void run(benchmark::State& state, const KernelRow& row, probe::ReadKernel read) {
  const Problem p(row, static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)),
                  state.range(2) != 0);
  if (row.enter != nullptr) row.enter();
  if (!is_right(p)) return state.SkipWithError("wrong answer");
  const auto size = static_cast<double>(p.bytes());
  const std::size_t read_bytes = kWeightBytes / probe::kReadGranule * probe::kReadGranule;
  std::vector<double> rates, shares, reads;
  for (auto _ : state) {
    const double start = cpu_seconds();
    benchmark::DoNotOptimize(read(p.b, read_bytes));
    const double between = cpu_seconds();
    for (std::size_t j = 0; j < p.n; j += kStrip) multiply_strip(p, j);
    const double end = cpu_seconds();
    reads.push_back(static_cast<double>(read_bytes) / (between - start));
    rates.push_back(size / (end - between));
    shares.push_back(rates.back() / reads.back());
  }
  if (row.leave != nullptr) row.leave();
  state.counters["GBs"] = median(rates) / 1e9;
  state.counters["read"] = median(reads) / 1e9;
  state.counters["share"] = median(shares);
}

// The widest probe and the rows that this machine has, but for the scalar ones.
const bool registered = [] {
  probe::ReadKernel read = nullptr;
  for (std::size_t i = 0; i < probe::kReadProbeCount; ++i) {
    if (machine_has(probe::kReadProbes[i].isa)) read = probe::kReadProbes[i].kernel;
  }
  for (std::size_t i = 0; i < kKernelCount && read != nullptr; ++i) {
    const KernelRow& row = kKernels[i];
    if (std::string_view(row.isa) == "scalar" || !machine_has(row.isa)) continue;
    benchmark::RegisterBenchmark((std::string("gemv/") + row.name).c_str(),
                                 [&row, read](benchmark::State& state) { run(state, row, read); })
        ->ArgNames({"M", "K", "huge"})
        ->ArgsProduct({{1, 4, 8}, {768, 4096}, {0, 1}})
        ->Iterations(kRounds)
        ->Unit(benchmark::kMillisecond);
  }
  return true;
}();

}  // namespace
}  // namespace intaglio::kernels::gemm
