// A candidate for families that pack nothing and run everywhere: the descriptor and the prepared op are all they have.
#pragma once

#include <memory>
#include <string_view>

#include "ops/candidate.h"

namespace intaglio::ops {

// D: the descriptor. P: a PreparedOp constructible from (D, const Target&).
template <class D, class P>
class SimpleCandidate final : public Candidate {
 public:
  SimpleCandidate(std::string_view name, std::string_view family) : name_(name), family_(family) {}
  std::string_view name() const override { return name_; }
  std::string_view family() const override { return family_; }
  std::unique_ptr<Descriptor> make_descriptor() const override { return std::make_unique<D>(); }
  std::optional<std::string> refuses(const Descriptor& descriptor, const Target&) const override {
    if (auto status = descriptor.validate(); !status) return status.error().message;
    return std::nullopt;
  }
  Result<std::vector<Blob>> pack(const Descriptor&, std::span<const Constant>, const Target&) const override {
    return std::vector<Blob>{};
  }
  Result<std::unique_ptr<PreparedOp>> prepare(const Descriptor& descriptor, std::vector<Blob>,
                                              const Target& target) const override {
    INTAGLIO_CHECK(descriptor.validate());
    return std::make_unique<P>(static_cast<const D&>(descriptor), target);
  }

 private:
  std::string_view name_, family_;
};

// A binding with nothing but members.
template <class B>
Result<std::unique_ptr<const Binding>> bound(B binding) {
  return std::unique_ptr<const Binding>(std::make_unique<B>(std::move(binding)));
}

}  // namespace intaglio::ops
