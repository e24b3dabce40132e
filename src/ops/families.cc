#include "ops/families.h"

#include <atomic>

namespace intaglio::ops {

// One row a family: name, descriptor factory, candidates.
#define INTAGLIO_FAMILY(token)                             \
  std::unique_ptr<Descriptor> make_##token##_descriptor(); \
  void add_##token##_candidates(std::vector<const Candidate*>& out);
#include "ops/families.inc"
#undef INTAGLIO_FAMILY

namespace {

constexpr Family kFamilies[] = {
#define INTAGLIO_FAMILY(token) {#token, make_##token##_descriptor, add_##token##_candidates},
#include "ops/families.inc"
#undef INTAGLIO_FAMILY
    {"", nullptr, nullptr},
};

std::atomic<std::uint64_t> packs{0};
std::atomic<std::uint64_t> packed_bytes{0};

}  // namespace

std::span<const Candidate* const> own_candidates() {
  static const std::vector<const Candidate*> all = [] {
    std::vector<const Candidate*> out;
    for (const Family& family : kFamilies) {
      if (family.add_candidates != nullptr) family.add_candidates(out);
    }
    return out;
  }();
  return all;
}

const Candidate* find_candidate(std::string_view name, std::span<const Candidate* const> among) {
  for (const Candidate* candidate : among) {
    if (candidate->name() == name) return candidate;
  }
  return nullptr;
}

std::unique_ptr<Descriptor> make_descriptor(std::string_view family) {
  for (const Family& row : kFamilies) {
    if (row.make_descriptor != nullptr && row.name == family) return row.make_descriptor();
  }
  return nullptr;
}

std::unique_ptr<Descriptor> Candidate::make_descriptor() const {
  return ops::make_descriptor(family());
}

PackCounters pack_counters() {
  return {packs.load(), packed_bytes.load()};
}

void count_pack(std::size_t bytes) {
  packs.fetch_add(1, std::memory_order_relaxed);
  packed_bytes.fetch_add(bytes, std::memory_order_relaxed);
}

}  // namespace intaglio::ops
