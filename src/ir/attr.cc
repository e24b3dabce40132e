#include "ir/attr.h"

#include <algorithm>
#include <stdexcept>

namespace intaglio::ir {

namespace {

// A missing attribute here is a bug of the caller (see attr.h): nothing that a file can cause.
template <class T>
const T& get(const Attrs& attrs, std::string_view name) {
  const Attr* attr = attrs.find(name);
  const T* value = attr == nullptr ? nullptr : std::get_if<T>(attr);
  if (value == nullptr) throw std::logic_error("no attribute '" + std::string(name) + "' of the wanted kind");
  return *value;
}

constexpr auto kByName = [](const std::pair<std::string, Attr>& item, std::string_view name) {
  return item.first < name;
};

}  // namespace

Attrs::Attrs(std::initializer_list<std::pair<std::string_view, Attr>> items) {
  for (const auto& [name, value] : items) set(name, value);
}

void Attrs::set(std::string_view name, Attr value) {
  const auto place = std::lower_bound(items_.begin(), items_.end(), name, kByName);
  if (place != items_.end() && place->first == name) {
    place->second = std::move(value);
  } else {
    items_.emplace(place, std::string(name), std::move(value));
  }
}

void Attrs::erase(std::string_view name) {
  const auto place = std::lower_bound(items_.begin(), items_.end(), name, kByName);
  if (place != items_.end() && place->first == name) items_.erase(place);
}

const Attr* Attrs::find(std::string_view name) const {
  const auto place = std::lower_bound(items_.begin(), items_.end(), name, kByName);
  return place != items_.end() && place->first == name ? &place->second : nullptr;
}

std::int64_t Attrs::i(std::string_view name) const {
  return get<std::int64_t>(*this, name);
}
double Attrs::f(std::string_view name) const {
  return get<double>(*this, name);
}
bool Attrs::b(std::string_view name) const {
  return get<bool>(*this, name);
}
const std::string& Attrs::s(std::string_view name) const {
  return get<std::string>(*this, name);
}
DType Attrs::dtype(std::string_view name) const {
  return get<DType>(*this, name);
}
const Ints& Attrs::ints(std::string_view name) const {
  return get<Ints>(*this, name);
}
const Dim& Attrs::dim(std::string_view name) const {
  return get<Dim>(*this, name);
}
const Dims& Attrs::dims(std::string_view name) const {
  return get<Dims>(*this, name);
}

}  // namespace intaglio::ir
