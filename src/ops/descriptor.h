// What an operator has to do, without weights and without concrete shapes: the key by which candidates accept or
// refuse, and what a plan file stores of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/error.h"
#include "base/isa.h"
#include "base/shape.h"

namespace intaglio::ops {

// Visits the fields of a descriptor in a fixed order: writes them to a plan, reads them back, or prints them. A reader
// reports bad data (an enum or dtype out of range, a truncated record) through its own status.
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;
  virtual void field(std::string_view name, std::int64_t& value) = 0;
  virtual void field(std::string_view name, double& value) = 0;
  virtual void field(std::string_view name, bool& value) = 0;
  virtual void field(std::string_view name, std::string& value) = 0;
  virtual void field(std::string_view name, DType& value) = 0;
  virtual void field(std::string_view name, std::vector<std::int64_t>& value) = 0;
  // An enum with `count` values starting at 0.
  template <class E>
  void choice(std::string_view name, E& value, int count) {
    auto raw = static_cast<std::int64_t>(value);
    field(name, raw);
    if (raw < 0 || raw >= count) {
      reject(name);
      raw = 0;
    }
    value = static_cast<E>(raw);
  }
  // A list of records; the reader limits the count. `element` visits one record.
  template <class T, class F>
  void list(std::string_view name, std::vector<T>& items, F&& element) {
    auto count = static_cast<std::int64_t>(items.size());
    field(name, count);
    if (count < 0 || count > 4096) {
      reject(name);
      count = 0;
    }
    items.resize(static_cast<std::size_t>(count));
    for (T& item : items) element(item);
  }
  virtual void reject(std::string_view name) = 0;  // the field holds no legal value
};

// One subclass a family ("linear", "attention", "elementwise", ...), declared in the family's header.
class Descriptor {
 public:
  virtual ~Descriptor() = default;
  virtual std::string_view family() const = 0;
  virtual void fields(FieldVisitor& visitor) = 0;
  // Rules between fields; called after reading one from a file and before candidates see it. Errors: usage or file.
  virtual Status validate() const = 0;
  virtual std::unique_ptr<Descriptor> clone() const = 0;
};

// "linear {k=768, n=3072, activation=1}" for logs and explain.
using intaglio::to_string;
std::string to_string(const Descriptor& descriptor);

}  // namespace intaglio::ops
