// Test-side writers: zip archives as torch writes them, whole or damaged on purpose, and small programs.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace intaglio::frontend::pt2::testing {

inline void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

// The fields of an entry that tests falsify.
struct EntryFields {
  std::string name, data;
  std::string local_name;  // as `name` if empty
  std::uint16_t flags = 0x0808, method = 0;
  std::uint64_t stored = 0, size = 0, header = 0;
  bool zip64 = false;
};

struct EndFields {
  std::uint64_t entries = 0, size = 0, offset = 0;
  std::uint16_t disk = 0;
};

// Entries stored at multiples of 64 bytes, data descriptors' sizes zero in local headers, zip64 end records.
class ZipWriter {
 public:
  ZipWriter& add(std::string name, std::string data, const std::function<void(EntryFields&)>& falsify = {}) {
    EntryFields entry{.name = std::move(name), .data = std::move(data), .local_name = {}};
    entry.header = bytes_.size();
    entry.stored = entry.size = entry.data.size();
    if (falsify) falsify(entry);
    const std::string& local = entry.local_name.empty() ? entry.name : entry.local_name;
    put(bytes_, 0x04034b50, 4), put(bytes_, 20, 2), put(bytes_, entry.flags, 2), put(bytes_, entry.method, 2);
    put(bytes_, 0, 4), put(bytes_, 0, 4), put(bytes_, 0, 4), put(bytes_, 0, 4);
    const std::size_t padding = (64 - (bytes_.size() + 4 + local.size() + 4) % 64) % 64;
    put(bytes_, local.size(), 2), put(bytes_, padding + 4, 2);
    bytes_ += local;
    put(bytes_, 0x4246, 2), put(bytes_, padding, 2);
    bytes_.append(padding, 'Z');
    bytes_ += entry.data;
    entries_.push_back(std::move(entry));
    return *this;
  }

  std::string finish(const std::function<void(EndFields&)>& falsify = {}, bool zip64 = true) const {
    std::string out = bytes_;
    EndFields end{.entries = entries_.size(), .size = 0, .offset = out.size()};
    for (const EntryFields& entry : entries_) central(out, entry);
    end.size = out.size() - end.offset;
    if (falsify) falsify(end);
    const std::uint64_t end64 = out.size();
    if (zip64) {
      put(out, 0x06064b50, 4), put(out, 44, 8), put(out, 45, 2), put(out, 45, 2), put(out, 0, 4), put(out, 0, 4);
      put(out, end.entries, 8), put(out, end.entries, 8), put(out, end.size, 8), put(out, end.offset, 8);
      put(out, 0x07064b50, 4), put(out, 0, 4), put(out, end64, 8), put(out, 1, 4);
    }
    put(out, 0x06054b50, 4), put(out, end.disk, 2), put(out, 0, 2), put(out, end.entries, 2), put(out, end.entries, 2);
    put(out, end.size, 4), put(out, end.offset, 4), put(out, 0, 2);
    return out;
  }

 private:
  static void central(std::string& out, const EntryFields& entry) {
    put(out, 0x02014b50, 4), put(out, 20, 2), put(out, 20, 2), put(out, entry.flags, 2), put(out, entry.method, 2),
        put(out, 0, 4), put(out, 0, 4);
    const std::uint64_t sentinel = 0xffffffff;
    put(out, entry.zip64 ? sentinel : entry.stored, 4), put(out, entry.zip64 ? sentinel : entry.size, 4);
    put(out, entry.name.size(), 2), put(out, entry.zip64 ? 28 : 0, 2), put(out, 0, 2), put(out, 0, 2), put(out, 0, 2),
        put(out, 0, 4);
    put(out, entry.zip64 ? sentinel : entry.header, 4);
    out += entry.name;
    if (entry.zip64)
      put(out, 1, 2), put(out, 24, 2), put(out, entry.size, 8), put(out, entry.stored, 8), put(out, entry.header, 8);
  }

  std::string bytes_;
  std::vector<EntryFields> entries_;
};

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// ---- programs. Sizes are JSON: "4" becomes {"as_int": 4}, "s0" a symbol.
inline std::string size_json(const std::string& size) {
  if (size[0] != 's') return "{\"as_int\": " + size + "}";
  return "{\"as_expr\": {\"expr_str\": \"Symbol('" + size +
         "', positive=True, integer=True)\", \"hint\": {\"as_int\": 3}}}";
}

inline std::string meta_json(int dtype, const std::vector<std::string>& sizes) {
  std::string list, strides;
  for (const std::string& size : sizes) list += (list.empty() ? "" : ", ") + size_json(size);
  std::vector<long> numbers(sizes.size(), 1);
  for (std::size_t i = sizes.size(); i-- > 1;)
    numbers[i - 1] = numbers[i] * (sizes[i][0] == 's' ? 3 : std::stol(sizes[i]));
  for (const long stride : numbers) strides += (strides.empty() ? "" : ", ") + size_json(std::to_string(stride));
  return "{\"dtype\": " + std::to_string(dtype) + ", \"sizes\": [" + list + "], \"strides\": [" + strides +
         "], \"storage_offset\": {\"as_int\": 0}, \"layout\": 7, \"requires_grad\": false, \"device\": {\"type\": "
         "\"cpu\", \"index\": null}}";
}

// One user input "x" and others; nodes given as JSON through node().
class ProgramWriter {
 public:
  ProgramWriter& input(const std::string& name, int dtype, const std::vector<std::string>& sizes) {
    user_inputs_.push_back(name);
    tensor(name, dtype, sizes);
    return *this;
  }
  ProgramWriter& parameter(const std::string& name, int dtype, const std::vector<std::string>& sizes, std::string data,
                           bool pickled = false) {
    parameters_.push_back({name, meta_json(dtype, sizes), std::move(data), pickled});
    tensor(name, dtype, sizes);
    return *this;
  }
  ProgramWriter& tensor(const std::string& name, int dtype, const std::vector<std::string>& sizes) {
    tensors_ += (tensors_.empty() ? "" : ", ") + ("\"" + name + "\": " + meta_json(dtype, sizes));
    return *this;
  }
  // `inputs`: "self": {"as_tensor": ...} pairs, written name=json and separated by "; ".
  ProgramWriter& node(const std::string& target, const std::vector<std::pair<std::string, std::string>>& inputs,
                      const std::string& result, bool symbolic = false) {
    std::string list;
    for (const auto& [name, json] : inputs) {
      list += (list.empty() ? "" : ", ") + ("{\"name\": \"" + name + "\", \"arg\": " + json + ", \"kind\": 1}");
    }
    std::string output;
    if (!result.empty()) output = symbolic ? "{\"as_sym_int\": {\"as_name\": \"" + result + "\"}}" : t(result);
    nodes_ += (nodes_.empty() ? "" : ", ") +
              ("{\"target\": \"" + target + "\", \"name\": \"" + (result.empty() ? "none" : result) +
               "\", \"inputs\": [" + list + "], \"outputs\": [" + output +
               "], \"metadata\": {\"stack_trace\": \"File \\\"/x/outer.py\\\", line 1, in f\\n  File "
               "\\\"/x/net.py\\\", line 42, in forward\\n    y\", "
               "\"nn_module_stack\": \"L__self__,,Net;L__self___fc,fc,Linear\"}}");
    return *this;
  }
  ProgramWriter& output(const std::string& name) {
    outputs_.push_back(name);
    return *this;
  }
  ProgramWriter& out_spec(std::string spec) {
    out_spec_ = std::move(spec);
    return *this;
  }
  static std::string t(const std::string& name) { return "{\"as_tensor\": {\"name\": \"" + name + "\"}}"; }

  std::string json(int major = 8) const {
    std::string inputs, input_specs, outputs, output_specs;
    for (const Parameter& p : parameters_) {
      inputs += (inputs.empty() ? "" : ", ") + t(p.name);
      input_specs += (input_specs.empty() ? "" : ", ") + ("{\"parameter\": {\"arg\": {\"name\": \"" + p.name +
                                                          "\"}, \"parameter_name\": \"m." + p.name + "\"}}");
    }
    for (const std::string& name : user_inputs_) {
      inputs += (inputs.empty() ? "" : ", ") + t(name);
      input_specs += (input_specs.empty() ? "" : ", ") + ("{\"user_input\": {\"arg\": " + t(name) + "}}");
    }
    for (const std::string& name : outputs_) {
      outputs += (outputs.empty() ? "" : ", ") + t(name);
      output_specs += (output_specs.empty() ? "" : ", ") + ("{\"user_output\": {\"arg\": " + t(name) + "}}");
    }
    return "{\"graph_module\": {\"graph\": {\"inputs\": [" + inputs + "], \"outputs\": [" + outputs +
           "], \"nodes\": [" + nodes_ + "], \"tensor_values\": {" + tensors_ +
           "}, \"unknown_key\": [1, {\"a\": null}]}, \"signature\": {\"input_specs\": [" + input_specs +
           "], \"output_specs\": [" + output_specs +
           "]}, \"module_call_graph\": [{\"fqn\": \"\", \"signature\": {\"out_spec\": \"" + out_spec_ +
           "\"}}]}, \"range_constraints\": {\"s0\": {\"min_val\": 2, \"max_val\": 64}, \"s1\": {\"min_val\": 0, "
           "\"max_val\": null}}, \"schema_version\": {\"major\": " +
           std::to_string(major) + ", \"minor\": 20}, \"torch_version\": \"2.13.0\"}";
  }

  std::string archive(int major = 8) const {
    ZipWriter zip;
    std::string config;
    int index = 0;
    for (const Parameter& p : parameters_) {
      const std::string path = "weight_" + std::to_string(index++);
      zip.add("net/data/weights/" + path, p.data);
      config += (config.empty() ? "" : ", ") +
                ("\"m." + p.name + "\": {\"path_name\": \"" + path + "\", \"is_param\": true, \"use_pickle\": " +
                 (p.pickled ? "true" : "false") + ", \"tensor_meta\": " + p.meta + "}");
    }
    zip.add("net/data/weights/model_weights_config.json", "{\"config\": {" + config + "}}");
    zip.add("net/data/constants/model_constants_config.json", "{\"config\": {}}");
    zip.add("net/models/model.json", json(major)).add("net/archive_format", "pt2").add("net/byteorder", "little");
    return zip.finish();
  }

 private:
  struct Parameter {
    std::string name, meta, data;
    bool pickled = false;
  };
  std::vector<Parameter> parameters_;
  std::vector<std::string> user_inputs_, outputs_;
  std::string tensors_, nodes_, out_spec_;
};

}  // namespace intaglio::frontend::pt2::testing
