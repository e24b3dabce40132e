// Candidates: ways to do what a descriptor asks, ours or a vendor's. accepts → pack (once per weight) → prepare.
// Loading a plan is prepare() on packed bytes that are mapped from the file.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/isa.h"
#include "ops/descriptor.h"
#include "ops/prepared_op.h"

namespace intaglio::ops {

// What prepared ops need to know of the machine (a value, so that a test can ask what another machine would get).
struct Target {
  IsaSet isa;
  std::size_t l1_bytes = 32 * 1024;
  std::size_t l2_bytes = 1024 * 1024;
  std::size_t l3_bytes = 32 * 1024 * 1024;
};
// This machine, capped by INTAGLIO_MAX_ISA if set.
Result<Target> host_target();

// A constant operand as the model has it (row-major, possibly unaligned).
struct Constant {
  DType dtype = DType::f32;
  Shape shape;
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
};

// Packed bytes: immutable, 64-byte aligned; saved in the plan as they are and mapped back.
struct Blob {
  std::string layout;  // the layout family's name, "gemm_f32_n16"; prepare() checks it
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
  std::shared_ptr<const void> owner;
};

class Candidate {
 public:
  virtual ~Candidate() = default;
  virtual std::string_view name() const = 0;    // "intaglio.linear_f32"
  virtual std::string_view family() const = 0;  // of the descriptors it looks at
  // A default-constructed descriptor of the family, to read fields into.
  virtual std::unique_ptr<Descriptor> make_descriptor() const;
  // nullopt: yes; else why not, for people ("needs avx512_vnni").
  virtual std::optional<std::string> refuses(const Descriptor& descriptor, const Target& target) const = 0;
  // Packs the constant operands, in the family's documented order (absent ones: data == nullptr). Everything that
  // depends only on weights is done here, once: transposes, column sums, scales. Families without constants return {}.
  // Errors: constants of the wrong shape or dtype (internal: the compiler checked them), out of memory.
  virtual Result<std::vector<Blob>> pack(const Descriptor& descriptor, std::span<const Constant> constants,
                                         const Target& target) const = 0;
  // Errors (file): blobs of another layout or of the wrong size; "recompile for this machine" when no kernel of the
  // layout family can run on the target.
  virtual Result<std::unique_ptr<PreparedOp>> prepare(const Descriptor& descriptor, std::vector<Blob> blobs,
                                                      const Target& target) const = 0;
};

// All candidates of this room, best first within a family. Families register by one row in ops/families.cc.
std::span<const Candidate* const> own_candidates();
const Candidate* find_candidate(std::string_view name, std::span<const Candidate* const> among);
// A default-constructed descriptor of a family, to read fields into; nullptr for an unknown name.
std::unique_ptr<Descriptor> make_descriptor(std::string_view family);

// Counts what must happen once per weight: asserted in tests, shown by explain.
struct PackCounters {
  std::uint64_t packs = 0;
  std::uint64_t bytes = 0;
};
PackCounters pack_counters();
void count_pack(std::size_t bytes);

}  // namespace intaglio::ops
