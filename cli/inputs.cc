#include "cli/inputs.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "cli/npy.h"
#include "cli/report.h"

namespace intaglio::cli {

namespace {

constexpr std::int64_t kDefaultFirst = 1;
constexpr std::int64_t kDefaultOther = 128;

std::vector<std::string> names_of(const std::vector<PortInfo>& ports) {
  std::vector<std::string> names;
  for (const PortInfo& port : ports) names.push_back(port.name);
  return names;
}

std::string input_text(const std::string& name) {
  return "input '" + name + "'";
}

void check_known(const std::vector<PortInfo>& ports, const std::string& name, const std::string& origin) {
  const auto names = names_of(ports);
  if (std::ranges::find(names, name) != names.end()) return;
  const auto near = suggest(name, names);
  std::string list;
  for (const std::string& known : names) list += (list.empty() ? "" : ", ") + known;
  throw Error(ErrorCode::usage, "the model has no input '" + name + "'", origin,
              (near ? "did you mean '" + *near + "'? " : std::string()) + "its inputs: " + list);
}

std::string declared_text(const PortInfo& port) {
  std::string text;
  for (const DimInfo& dim : port.dims) text += (text.empty() ? "" : "x") + dim.text;
  return text.empty() ? "scalar" : text;
}

void check_given(const PortInfo& port, const Shape& shape, const std::string& origin) {
  const auto bad = [&](const std::string& why) {
    throw Error(ErrorCode::usage, input_text(port.name) + ": " + why, origin,
                "the model declares " + declared_text(port));
  };
  if (shape.size() != port.dims.size()) {
    bad("shape " + shape_text(shape) + " has rank " + std::to_string(shape.size()) + ", not " +
        std::to_string(port.dims.size()));
  }
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const DimInfo& dim = port.dims[i];
    if (dim.size < 0 || dim.size == shape[i]) continue;
    bad("dim " + std::to_string(i) + " is " + std::to_string(shape[i]) + ", not " + std::to_string(dim.size));
  }
}

// NumPy has no bfloat16: its bits travel as u2, in both directions.
Tensor as_declared(Tensor read, DType declared) {
  if (read.dtype() != DType::u16 || declared != DType::bf16) return read;
  Tensor out = Tensor::zeros(DType::bf16, read.shape());
  if (read.byte_count() != 0) std::memcpy(out.data(), read.data(), read.byte_count());
  return out;
}

}  // namespace

std::string shape_text(const Shape& shape) {
  std::string text;
  for (std::int64_t dim : shape) text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text.empty() ? "scalar" : text;
}

NamedShapes parse_shapes(const std::vector<std::string>& texts) {
  NamedShapes out;
  for (const std::string& text : texts) {
    const auto [name, dims] = parse_assignment("--shape", text, "NAME=AxB, as in ids=1x128");
    Shape shape;
    for (std::size_t from = 0; from <= dims.size();) {
      const std::size_t end = std::min(dims.find('x', from), dims.size());
      shape.push_back(parse_integer("--shape " + text, dims.substr(from, end - from), 0, INT64_MAX));
      from = end + 1;
    }
    if (!out.emplace(name, shape).second)
      throw Error(ErrorCode::usage, input_text(name) + " has two shapes", "--shape");
  }
  return out;
}

NamedPaths parse_inputs(const std::vector<std::string>& texts) {
  NamedPaths out;
  for (const std::string& text : texts) {
    auto [name, path] = parse_assignment("--input", text, "NAME=FILE.npy");
    if (!out.emplace(name, path).second) throw Error(ErrorCode::usage, input_text(name) + " is given twice", "--input");
  }
  return out;
}

ResolvedShapes resolve_shapes(const std::vector<PortInfo>& ports, const NamedShapes& given, const std::string& origin) {
  std::map<std::string, std::int64_t> symbols;
  for (const auto& [name, shape] : given) {
    check_known(ports, name, origin);
    const PortInfo& port = *std::ranges::find(ports, name, &PortInfo::name);
    check_given(port, shape, origin);
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (!port.dims[i].symbol.empty()) symbols.emplace(port.dims[i].symbol, shape[i]);
    }
  }
  ResolvedShapes out;
  for (const PortInfo& port : ports) {
    if (const auto found = given.find(port.name); found != given.end()) {
      out.shapes.push_back(found->second);
      continue;
    }
    Shape shape;
    for (std::size_t i = 0; i < port.dims.size(); ++i) {
      const DimInfo& dim = port.dims[i];
      if (dim.size < 0 && dim.symbol.empty()) {
        throw Error(ErrorCode::usage, input_text(port.name) + " has the computed dim " + dim.text, origin,
                    "give --shape " + port.name + "=... (declared: " + declared_text(port) + ")");
      }
      if (dim.size < 0 && !symbols.contains(dim.symbol)) {
        const std::int64_t value =
            std::clamp(i == 0 ? kDefaultFirst : kDefaultOther, dim.min, std::max(dim.min, dim.max));
        symbols.emplace(dim.symbol, value);
        out.notes.push_back("dim '" + dim.symbol + "' of " + input_text(port.name) + " is taken as " +
                            std::to_string(value) + " (--shape decides)");
      }
      shape.push_back(dim.size >= 0 ? dim.size : symbols.at(dim.symbol));
    }
    out.shapes.push_back(std::move(shape));
  }
  return out;
}

std::vector<Tensor> read_inputs(const std::vector<PortInfo>& ports, const NamedPaths& paths) {
  for (const auto& [name, path] : paths) check_known(ports, name, input_text(name));
  std::vector<Tensor> out;
  for (const PortInfo& port : ports) {
    const auto found = paths.find(port.name);
    if (found == paths.end()) {
      throw Error(ErrorCode::usage, "no file is given for it", input_text(port.name),
                  "name a .npy file for each of the model's inputs, or for none");
    }
    out.push_back(as_declared(read_npy(found->second), port.dtype));
  }
  return out;
}

InputChoice choose_inputs(const ModelOptions& options) {
  InputChoice choice{parse_inputs(options.inputs), parse_shapes(options.shapes)};
  if (!choice.paths.empty() && !choice.shapes.empty())
    throw Error(ErrorCode::usage, "shapes are for random inputs; those of --input are in the files", "--shape");
  return choice;
}

namespace {

std::vector<Shape> random_shapes(const std::vector<PortInfo>& ports, const InputChoice& choice) {
  ResolvedShapes resolved = resolve_shapes(ports, choice.shapes, "--shape");
  for (const std::string& text : resolved.notes) note(text);
  return std::move(resolved.shapes);
}

}  // namespace

std::vector<Tensor> make_inputs(const std::vector<PortInfo>& ports, const InputChoice& choice) {
  if (!choice.paths.empty()) return read_inputs(ports, choice.paths);
  return random_inputs(ports, random_shapes(ports, choice));
}

std::vector<Tensor> make_inputs(const Model& model, const InputChoice& choice) {
  if (!choice.paths.empty()) return read_inputs(model.inputs(), choice.paths);
  return random_inputs(model, random_shapes(model.inputs(), choice));
}

}  // namespace intaglio::cli
