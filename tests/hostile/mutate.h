// Plans changed field by field: what a checksum cannot hide from somebody who writes plans. A number (the seed) stands
// for one change, so that each can be made again.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "ops/candidate.h"
#include "plan/plan.h"

namespace intaglio::hostile {

class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : random_(seed) {}

  // One to three changes; now and then one that keeps sizes consistent in all places.
  void change(plan::Plan& plan) {
    for (std::size_t n = 1 + (pick(3) == 0 ? pick(3) : 0); n > 0; --n) change_once(plan);
  }

  std::size_t pick(std::size_t n) { return n == 0 ? 0 : random_() % n; }

  // A number that breaks rules about numbers like `old`.
  std::int64_t number(std::int64_t old) {
    static constexpr std::int64_t kEdges[] = {0,
                                              1,
                                              2,
                                              3,
                                              4,
                                              7,
                                              8,
                                              15,
                                              16,
                                              17,
                                              31,
                                              32,
                                              33,
                                              48,
                                              63,
                                              64,
                                              65,
                                              127,
                                              128,
                                              255,
                                              256,
                                              511,
                                              512,
                                              513,
                                              1023,
                                              1024,
                                              4096,
                                              65536,
                                              1 << 20,
                                              INT32_MAX,
                                              std::int64_t{1} << 31,
                                              std::int64_t{1} << 32,
                                              std::int64_t{1} << 40,
                                              std::int64_t{1} << 60,
                                              std::int64_t{1} << 62,
                                              INT64_MAX,
                                              INT64_MIN,
                                              -1,
                                              -2,
                                              INT32_MIN};
    const auto wide = static_cast<std::uint64_t>(old);
    switch (pick(8)) {
      case 0:
        return static_cast<std::int64_t>(wide + 1);
      case 1:
        return static_cast<std::int64_t>(wide - 1);
      case 2:
        return static_cast<std::int64_t>(wide * 2);
      case 3:
        return old / 2;
      case 4:
        return static_cast<std::int64_t>(pick(80));
      default:
        return kEdges[pick(std::size(kEdges))];
    }
  }

  double real(double old) {
    const double edges[] = {0.0,     -0.0,   1.0,   -1.0, 0.5,       255.0,      1e-300,  1e-45,
                            1e38,    3.5e38, 1e300, NAN,  INFINITY,  -INFINITY,  -1e30,   2147483648.0,
                            1024.01, 0.999,  127.5, 1e9,  old * 2.0, -old * 1e9, old + 1, old * 1e-20};
    return edges[pick(std::size(edges))];
  }

 private:
  // Changes the `target`-th field, or counts the fields if target is -1.
  class Fields final : public ops::FieldVisitor {
   public:
    Fields(Mutator& mutator, std::int64_t target) : mutator_(mutator), target_(target) {}
    void field(std::string_view, std::int64_t& value) override {
      if (hit()) value = mutator_.number(value);
    }
    void field(std::string_view, double& value) override {
      if (hit()) value = mutator_.real(value);
    }
    void field(std::string_view, bool& value) override {
      if (hit()) value = !value;
    }
    void field(std::string_view, std::string& value) override {
      if (hit()) value += 'x';
    }
    void field(std::string_view, DType& value) override {
      if (hit()) value = static_cast<DType>(mutator_.pick(kDTypeCount));
    }
    void field(std::string_view, std::vector<std::int64_t>& value) override {
      if (hit()) mutator_.change_list(value, [&] { return mutator_.number(value.empty() ? 0 : value[0]); });
    }
    void reject(std::string_view) override {}  // some values are illegal: the other enumeration value 0 stands for them
    std::int64_t seen = 0;

   private:
    bool hit() { return seen++ == target_; }
    Mutator& mutator_;
    std::int64_t target_;
  };

  // Every number `from` and every dtype `from` becomes `to`.
  class Replace final : public ops::FieldVisitor {
   public:
    std::int64_t from = 0, to = 0;
    DType from_type = DType::f32, to_type = DType::f32;
    void field(std::string_view, std::int64_t& value) override { value = value == from ? to : value; }
    void field(std::string_view, double&) override {}
    void field(std::string_view, bool&) override {}
    void field(std::string_view, std::string&) override {}
    void field(std::string_view, DType& value) override { value = value == from_type ? to_type : value; }
    void field(std::string_view name, std::vector<std::int64_t>& value) override {
      for (std::int64_t& each : value) field(name, each);
    }
    void reject(std::string_view) override {}
  };

  template <class T, class Make>
  void change_list(std::vector<T>& list, Make&& make) {
    const std::size_t a = pick(list.size()), b = pick(list.size());
    switch (list.empty() ? 0 : pick(6)) {
      case 0:
        list.push_back(make());
        break;
      case 1:
        list.erase(list.begin() + static_cast<std::ptrdiff_t>(a));
        break;
      case 2:
        list.push_back(list[a]);
        break;
      case 3:
        std::swap(list[a], list[b]);
        break;
      case 4:
        list[a] = list[b];
        break;
      default:
        list[a] = make();
        break;
    }
  }

  std::uint32_t id(std::size_t count) {  // mostly one that exists
    return static_cast<std::uint32_t>(pick(20) == 0 ? static_cast<std::size_t>(number(0)) : pick(count));
  }
  plan::DimId new_dim(plan::Plan& plan, std::int64_t near) {
    if (pick(3) == 0) return id(plan.dims.size());
    plan.dims.emplace_back(number(near));
    return static_cast<plan::DimId>(plan.dims.size() - 1);
  }
  void edit_descriptor(plan::Step& step, ops::FieldVisitor& visitor) {
    std::shared_ptr<ops::Descriptor> changed = step.descriptor->clone();
    changed->fields(visitor);
    step.descriptor = std::move(changed);
  }

  void change_once(plan::Plan& plan) {
    switch (pick(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return change_descriptor(plan);
      case 4:
      case 5:
        return change_number_everywhere(plan);
      case 6:
        return change_type_everywhere(plan);
      case 7:
      case 8:
      case 9:
        return change_value(plan);
      case 10:
      case 11:
        return change_operands(plan);
      case 12:
        return change_step(plan);
      case 13:
        return change_blob(plan);
      case 14:
        return change_contents(plan);
      default:
        return change_rest(plan);
    }
  }

  void change_descriptor(plan::Plan& plan) {
    if (plan.steps.empty()) return;
    plan::Step& step = plan.steps[pick(plan.steps.size())];
    Fields count(*this, -1);
    step.descriptor->clone()->fields(count);
    Fields one(*this, static_cast<std::int64_t>(pick(static_cast<std::size_t>(count.seen))));
    edit_descriptor(step, one);
  }

  void change_number_everywhere(plan::Plan& plan) {
    if (plan.dims.empty()) return;
    const auto from = plan.dims[pick(plan.dims.size())].constant();
    if (!from) return;
    Replace replace;
    replace.from = *from;
    replace.to = number(*from);
    for (Dim& dim : plan.dims) {
      if (dim == Dim(replace.from)) dim = Dim(replace.to);
    }
    for (plan::Step& step : plan.steps) edit_descriptor(step, replace);
  }

  void change_type_everywhere(plan::Plan& plan) {
    if (plan.values.empty()) return;
    Replace replace;
    replace.from = INT64_MIN;
    replace.to = INT64_MIN;
    replace.from_type = plan.values[pick(plan.values.size())].dtype;
    replace.to_type = static_cast<DType>(pick(kDTypeCount));
    for (plan::PlanValue& value : plan.values) {
      if (value.dtype == replace.from_type) value.dtype = replace.to_type;
    }
    for (plan::Step& step : plan.steps) edit_descriptor(step, replace);
  }

  void change_value(plan::Plan& plan) {
    if (plan.values.empty()) return;
    plan::PlanValue& value = plan.values[pick(plan.values.size())];
    switch (pick(6)) {
      case 0:
        value.dtype = static_cast<DType>(pick(kDTypeCount));
        break;
      case 1:
        value.kind = static_cast<plan::ValueKind>(pick(plan::kValueKinds));
        value.source = id(plan.values.size());
        break;
      case 2:
        value.source = id(plan.values.size());
        break;
      case 3:
        if (!plan.dims.empty()) plan.dims[pick(plan.dims.size())] = Dim(number(3));
        break;
      default:
        change_list(value.shape, [&] { return new_dim(plan, 3); });
        break;
    }
  }

  void change_operands(plan::Plan& plan) {
    if (plan.steps.empty()) return;
    plan::Step& step = plan.steps[pick(plan.steps.size())];
    const auto a_value = [&] { return id(plan.values.size()); };
    switch (pick(4)) {
      case 0:
        return change_list(step.inputs, a_value);
      case 1:
        return change_list(step.outputs, a_value);
      case 2:
        return change_list(step.params, [&] { return new_dim(plan, 3); });
      default:
        return change_list(step.blobs, [&] { return id(plan.blobs.size()); });
    }
  }

  void change_step(plan::Plan& plan) {
    if (plan.steps.empty()) return;
    const std::size_t a = pick(plan.steps.size());
    switch (pick(4)) {
      case 0:
        return std::swap(plan.steps[a], plan.steps[pick(plan.steps.size())]);
      case 1:
        plan.steps.push_back(plan.steps[a]);
        return;
      case 2:
        plan.steps.erase(plan.steps.begin() + static_cast<std::ptrdiff_t>(a));
        return;
      default: {
        const auto all = ops::own_candidates();
        const ops::Candidate* other = all[pick(all.size())];
        plan.steps[a].candidate = std::string(other->name());
        if (other->family() != plan.steps[a].descriptor->family()) plan.steps[a].descriptor = other->make_descriptor();
      }
    }
  }

  void change_blob(plan::Plan& plan) {
    if (plan.blobs.empty()) return;
    ops::Blob& blob = plan.blobs[pick(plan.blobs.size())];
    const ops::Blob& other = plan.blobs[pick(plan.blobs.size())];
    switch (pick(4)) {
      case 0:
        blob.layout = other.layout;
        break;
      case 1:
        blob = other;
        break;
      case 2:
        blob.bytes = pick(blob.bytes + 1);  // more than there are: bytes of the file do that
        break;
      default:
        blob.bytes -= std::min<std::size_t>(blob.bytes, pick(65));
        break;
    }
  }

  // Numbers inside packed weights: scales, sums, zero points, codes.
  void change_contents(plan::Plan& plan) {
    if (plan.blobs.empty()) return;
    ops::Blob& blob = plan.blobs[pick(plan.blobs.size())];
    if (blob.bytes == 0) return;
    auto bytes = std::make_shared<std::vector<std::byte>>(blob.data, blob.data + blob.bytes);
    for (std::size_t n = 1 + pick(8); n > 0; --n) {
      const std::uint32_t words[] = {0,
                                     0x7F800000,
                                     0xFF800000,
                                     0x7FC00000,
                                     0x7F7FFFFF,
                                     0x80000000,
                                     0x00000001,
                                     0xFFFFFFFF,
                                     0x7FFFFFFF,
                                     0x43000000,
                                     static_cast<std::uint32_t>(random_())};
      const std::uint32_t word = words[pick(std::size(words))];
      const std::size_t at = pick(blob.bytes) / 4 * 4;
      std::memcpy(bytes->data() + at, &word, std::min<std::size_t>(4, blob.bytes - at));
    }
    blob.data = bytes->data();
    blob.owner = std::move(bytes);
  }

  void change_rest(plan::Plan& plan) {
    const auto value = [&] { return id(plan.values.size()); };
    switch (pick(5)) {
      case 0:
        return change_list(plan.outputs, [&] { return plan::Port{"more", value()}; });
      case 1:
        return change_list(plan.inputs, [&] { return plan::Port{"more", value()}; });
      case 2:
        plan.guards.push_back({id(plan.dims.size()), id(plan.dims.size()), "guard"});
        return;
      case 3:
        for (auto& [name, range] : plan.symbols) (pick(2) == 0 ? range.min : range.max) = number(range.min);
        return;
      default:
        if (plan.dims.size() < 2) return;
        Dim& dim = plan.dims[pick(plan.dims.size())];
        const Dim& other = plan.dims[pick(plan.dims.size())];
        const Dim forms[] = {dim + other,           dim * other,          dim - other, Dim::floordiv(dim, other),
                             Dim::mod(dim, other),  Dim::min(dim, other), other,       Dim::max(dim, other),
                             Dim::symbol("unbound")};
        dim = forms[pick(std::size(forms))];
    }
  }

  std::mt19937 random_;
};

}  // namespace intaglio::hostile
