// For tests: writes small ONNX files field by field with protozero's writer, well-formed or broken on purpose.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <protozero/pbf_writer.hpp>

namespace intaglio::frontend::onnx::testing {

using Bytes = std::string;
using Writer = protozero::pbf_writer;

inline Bytes message(const std::function<void(Writer&)>& fill) {
  Bytes out;
  Writer writer(out);
  fill(writer);
  return out;
}

enum ElemType : int {
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11
};

template <class T>
Bytes raw(const std::vector<T>& values) {
  Bytes out(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(out.data(), values.data(), out.size());
  return out;
}

inline void put_dims(Writer& w, const std::vector<std::int64_t>& dims) {
  w.add_packed_int64(1, dims.begin(), dims.end());
}

inline Bytes raw_tensor(std::string_view name, int type, const std::vector<std::int64_t>& dims, const Bytes& data) {
  return message([&](Writer& w) {
    put_dims(w, dims);
    w.add_int32(2, type);
    w.add_string(8, name.data(), name.size());
    w.add_bytes(9, data);
  });
}

inline Bytes i64_tensor(std::string_view name, const std::vector<std::int64_t>& values) {
  return raw_tensor(name, kInt64, {static_cast<std::int64_t>(values.size())}, raw(values));
}

inline Bytes external_tensor(std::string_view name, const std::vector<std::int64_t>& dims,
                             const std::vector<std::pair<std::string, std::string>>& entries) {
  return message([&](Writer& w) {
    put_dims(w, dims);
    w.add_int32(2, kFloat);
    w.add_string(8, name.data(), name.size());
    for (const auto& [key, value] : entries) {
      w.add_message(13, message([&](Writer& e) {
                      e.add_string(1, key);
                      e.add_string(2, value);
                    }));
    }
    w.add_enum(14, 1);
  });
}

// A dim is a number, a name, or "" (unknown).
inline Bytes value_info(std::string_view name, int type, const std::vector<std::string>& dims) {
  const Bytes shape = message([&](Writer& w) {
    for (const std::string& dim : dims) {
      w.add_message(1, message([&](Writer& d) {
                      if (dim.empty()) return;
                      if (dim.find_first_not_of("0123456789-") == std::string::npos) {
                        d.add_int64(1, std::stoll(dim));
                      } else {
                        d.add_string(2, dim);
                      }
                    }));
    }
  });
  const Bytes tensor_type = message([&](Writer& w) {
    w.add_int32(1, type);
    w.add_message(2, shape);
  });
  return message([&](Writer& w) {
    w.add_string(1, name.data(), name.size());
    w.add_message(2, message([&](Writer& t) { t.add_message(1, tensor_type); }));
  });
}

inline Bytes int_attribute(std::string_view name, std::int64_t value) {
  return message([&](Writer& w) {
    w.add_string(1, name.data(), name.size());
    w.add_int64(3, value);
    w.add_enum(20, 2);
  });
}
inline Bytes float_attribute(std::string_view name, float value) {
  return message([&](Writer& w) {
    w.add_string(1, name.data(), name.size());
    w.add_float(2, value);
    w.add_enum(20, 1);
  });
}
inline Bytes string_attribute(std::string_view name, std::string_view value) {
  return message([&](Writer& w) {
    w.add_string(1, name.data(), name.size());
    w.add_bytes(4, value.data(), value.size());
    w.add_enum(20, 3);
  });
}
inline Bytes ints_attribute(std::string_view name, const std::vector<std::int64_t>& values, bool packed = true) {
  return message([&](Writer& w) {
    w.add_string(1, name.data(), name.size());
    if (packed) {
      w.add_packed_int64(8, values.begin(), values.end());
    } else {
      for (const std::int64_t value : values) w.add_int64(8, value);
    }
    w.add_enum(20, 7);
  });
}
inline Bytes tensor_attribute(std::string_view name, const Bytes& tensor) {
  return message([&](Writer& w) {
    w.add_string(1, name.data(), name.size());
    w.add_message(5, tensor);
    w.add_enum(20, 4);
  });
}
inline Bytes graph_attribute(std::string_view name, const Bytes& graph) {
  return message([&](Writer& w) {
    w.add_string(1, name.data(), name.size());
    w.add_message(6, graph);
    w.add_enum(20, 5);
  });
}
// Inside functions: takes the call's attribute.
inline Bytes reference_attribute(std::string_view name, std::string_view refers_to) {
  return message([&](Writer& w) {
    w.add_string(1, name.data(), name.size());
    w.add_enum(20, 2);
    w.add_string(21, refers_to.data(), refers_to.size());
  });
}

struct Node {
  std::string op;
  std::vector<std::string> inputs = {}, outputs = {};
  std::vector<Bytes> attributes = {};
  std::string name = {};
  std::string domain = {};
};

inline Bytes node(const Node& n) {
  return message([&](Writer& w) {
    for (const auto& input : n.inputs) w.add_string(1, input);
    for (const auto& output : n.outputs) w.add_string(2, output);
    if (!n.name.empty()) w.add_string(3, n.name);
    w.add_string(4, n.op);
    for (const auto& attribute : n.attributes) w.add_message(5, attribute);
    if (!n.domain.empty()) w.add_string(7, n.domain);
  });
}

struct Function {
  std::string name, domain;
  std::vector<std::string> inputs, outputs, attributes;
  std::vector<Bytes> defaults;
  std::vector<Node> nodes;
};

inline Bytes opset_import(std::string_view domain, std::int64_t version) {
  return message([&](Writer& w) {
    if (!domain.empty()) w.add_string(1, domain.data(), domain.size());
    w.add_int64(2, version);
  });
}

inline Bytes function(const Function& f, std::int64_t opset) {
  return message([&](Writer& w) {
    w.add_string(1, f.name);
    for (const auto& input : f.inputs) w.add_string(4, input);
    for (const auto& output : f.outputs) w.add_string(5, output);
    for (const auto& attribute : f.attributes) w.add_string(6, attribute);
    for (const auto& n : f.nodes) w.add_message(7, node(n));
    w.add_message(9, opset_import("", opset));
    w.add_string(10, f.domain);
    for (const auto& attribute : f.defaults) w.add_message(11, attribute);
  });
}

struct Model {
  std::int64_t opset = 20;
  std::vector<Bytes> inputs, outputs;  // value_info
  std::vector<Bytes> initializers;     // tensors
  std::vector<Node> nodes;
  std::vector<Function> functions;
  std::vector<std::pair<std::string, std::int64_t>> domains;

  Bytes graph() const {
    return message([&](Writer& w) {
      for (const auto& n : nodes) w.add_message(1, node(n));
      w.add_string(2, "test");
      for (const auto& tensor : initializers) w.add_message(5, tensor);
      for (const auto& input : inputs) w.add_message(11, input);
      for (const auto& output : outputs) w.add_message(12, output);
    });
  }
  Bytes bytes() const {
    return message([&](Writer& w) {
      w.add_int64(1, 10);
      w.add_string(2, "test_model");
      w.add_message(7, graph());
      w.add_message(8, opset_import("", opset));
      for (const auto& [domain, version] : domains) w.add_message(8, opset_import(domain, version));
      for (const auto& f : functions) w.add_message(25, function(f, opset));
    });
  }
};

// A folder of its own, removed at the end.
class Folder {
 public:
  Folder() {
    static std::atomic<int> counter{0};
    path_ = std::filesystem::temp_directory_path() /
            ("intaglio_onnx_" + std::to_string(::getpid()) + "_" + std::to_string(counter++));
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(std::string_view name, std::string_view bytes) const {
    const auto path = path_ / name;
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace intaglio::frontend::onnx::testing
