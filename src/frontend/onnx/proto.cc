#include "frontend/onnx/proto.h"

#include "base/shape.h"
#include "frontend/onnx/wire.h"

namespace intaglio::frontend::onnx {
namespace {

void read(WireReader in, GraphProto& out);

void read(WireReader in, StringEntry& out) {
  while (in.next()) {
    switch (in.tag()) {
      case length(1):
        out.key = in.text();
        break;
      case length(2):
        out.value = in.text();
        break;
      default:
        in.skip();
    }
  }
}

void check_rank(const TensorProto& tensor) {
  if (tensor.dims.size() > kMaxRank) throw WireError{"a tensor of rank over " + std::to_string(kMaxRank)};
}

void read(WireReader in, std::string_view body, TensorProto& out) {
  in.context().count_message();
  out.body = body;
  while (in.next()) {
    switch (in.tag()) {
      case varint(1):
        in.append_integer(out.dims);
        check_rank(out);
        break;
      case length(1):
        in.append_packed_integers(out.dims);
        check_rank(out);
        break;
      case varint(2):
        out.data_type = static_cast<std::int32_t>(in.integer());
        break;
      case length(3):
        out.is_segment = true;
        in.skip();
        break;
      case length(8):
        out.name = in.text();
        break;
      case length(9):
        out.raw_data = in.bytes();
        break;
      case length(13): {
        in.context().count_message();
        read(in.message(), out.external_data.emplace_back());
        break;
      }
      case varint(14):
        out.is_external = in.integer() == 1;
        break;
      default:
        in.skip();
    }
  }
}

void read_tensor(WireReader& in, TensorProto& out) {
  const std::string_view body = in.bytes();
  read(WireReader(body, in.context(), 0), body, out);
}

void read(WireReader in, AttributeProto& out) {
  in.context().count_message();
  while (in.next()) {
    switch (in.tag()) {
      case length(1):
        out.name = in.text();
        break;
      case fixed32(2):
        out.f = in.float32();
        break;
      case varint(3):
        out.i = in.integer();
        break;
      case length(4):
        out.s = in.text();
        break;
      case length(5): {
        auto tensor = std::make_shared<TensorProto>();
        read_tensor(in, *tensor);
        out.t = std::move(tensor);
        break;
      }
      case length(6):
      case length(11): {
        auto graph = std::make_shared<GraphProto>();
        read(in.message(), *graph);
        out.graphs.push_back(std::move(graph));
        break;
      }
      case fixed32(7):
        out.floats.push_back(in.float32());
        break;
      case length(7):
        in.append_packed_floats(out.floats);
        break;
      case varint(8):
        in.append_integer(out.ints);
        break;
      case length(8):
        in.append_packed_integers(out.ints);
        break;
      case length(9):
        out.strings.push_back(in.text());
        break;
      case varint(20):
        out.type = static_cast<AttributeType>(in.integer());
        break;
      case length(21):
        out.ref_attr_name = in.text();
        break;
      default:
        in.skip();
    }
  }
}

void read(WireReader in, NodeProto& out) {
  in.context().count_node();
  while (in.next()) {
    switch (in.tag()) {
      case length(1):
        out.inputs.push_back(in.text());
        break;
      case length(2):
        out.outputs.push_back(in.text());
        break;
      case length(3):
        out.name = in.text();
        break;
      case length(4):
        out.op_type = in.text();
        break;
      case length(5):
        read(in.message(), out.attributes.emplace_back());
        break;
      case length(7):
        out.domain = in.text();
        break;
      case length(8):
        out.overload = in.text();
        break;
      default:
        in.skip();
    }
  }
}

void read(WireReader in, DimProto& out) {
  while (in.next()) {
    switch (in.tag()) {
      case varint(1):
        out.value = in.integer();
        break;
      case length(2):
        out.param = in.text();
        break;
      default:
        in.skip();
    }
  }
}

void read_shape(WireReader in, ValueInfoProto& out) {
  out.has_shape = true;
  while (in.next()) {
    if (in.tag() != length(1)) {
      in.skip();
      continue;
    }
    if (out.dims.size() >= kMaxRank) throw WireError{"a type of rank over " + std::to_string(kMaxRank)};
    read(in.message(), out.dims.emplace_back());
  }
}

void read_tensor_type(WireReader in, ValueInfoProto& out) {
  while (in.next()) {
    switch (in.tag()) {
      case varint(1):
        out.elem_type = static_cast<std::int32_t>(in.integer());
        break;
      case length(2):
        read_shape(in.message(), out);
        break;
      default:
        in.skip();
    }
  }
}

void read_type(WireReader in, ValueInfoProto& out) {
  while (in.next()) {
    switch (in.tag()) {
      case length(1):
        out.kind = TypeKind::tensor;
        read_tensor_type(in.message(), out);
        break;
      case length(4):
        out.kind = TypeKind::sequence;
        in.skip();
        break;
      case length(5):
        out.kind = TypeKind::map;
        in.skip();
        break;
      case length(7):
        out.kind = TypeKind::opaque;
        in.skip();
        break;
      case length(8):
        out.kind = TypeKind::sparse_tensor;
        in.skip();
        break;
      case length(9):
        out.kind = TypeKind::optional;
        in.skip();
        break;
      default:
        in.skip();
    }
  }
}

void read(WireReader in, ValueInfoProto& out) {
  in.context().count_message();
  while (in.next()) {
    switch (in.tag()) {
      case length(1):
        out.name = in.text();
        break;
      case length(2):
        read_type(in.message(), out);
        break;
      default:
        in.skip();
    }
  }
}

void read(WireReader in, GraphProto& out) {
  while (in.next()) {
    switch (in.tag()) {
      case length(1):
        read(in.message(), out.nodes.emplace_back());
        break;
      case length(2):
        out.name = in.text();
        break;
      case length(5):
        read_tensor(in, out.initializers.emplace_back());
        break;
      case length(11):
        read(in.message(), out.inputs.emplace_back());
        break;
      case length(12):
        read(in.message(), out.outputs.emplace_back());
        break;
      case length(15):
        out.has_sparse_initializers = true;
        in.skip();
        break;
      default:
        in.skip();
    }
  }
}

void read(WireReader in, OpsetImport& out) {
  in.context().count_message();
  while (in.next()) {
    switch (in.tag()) {
      case length(1):
        out.domain = in.text();
        break;
      case varint(2):
        out.version = in.integer();
        break;
      default:
        in.skip();
    }
  }
}

void read(WireReader in, FunctionProto& out) {
  in.context().count_message();
  while (in.next()) {
    switch (in.tag()) {
      case length(1):
        out.name = in.text();
        break;
      case length(4):
        out.inputs.push_back(in.text());
        break;
      case length(5):
        out.outputs.push_back(in.text());
        break;
      case length(6):
        out.attributes.push_back(in.text());
        break;
      case length(7):
        read(in.message(), out.nodes.emplace_back());
        break;
      case length(9):
        read(in.message(), out.opset_imports.emplace_back());
        break;
      case length(10):
        out.domain = in.text();
        break;
      case length(11):
        read(in.message(), out.attribute_protos.emplace_back());
        break;
      case length(13):
        out.overload = in.text();
        break;
      default:
        in.skip();
    }
  }
}

void read(WireReader in, ModelProto& out) {
  while (in.next()) {
    switch (in.tag()) {
      case varint(1):
        out.ir_version = in.integer();
        break;
      case length(2):
        out.producer_name = in.text();
        break;
      case length(3):
        out.producer_version = in.text();
        break;
      case length(7): {
        if (!out.graph) out.graph.emplace();
        read(in.message(), *out.graph);
        break;
      }
      case length(8):
        read(in.message(), out.opset_imports.emplace_back());
        break;
      case length(25):
        read(in.message(), out.functions.emplace_back());
        break;
      default:
        in.skip();
    }
  }
}

}  // namespace

Result<ModelProto> parse_model(const MappedFile& file, const ImportOptions& options) {
  WireContext context;
  context.begin = context.position = file.text().data();
  context.options = &options;
  const auto broken = [&](std::string message) {
    return fail(ErrorCode::file, std::move(message),
                file.path().string() + " at byte " + std::to_string(context.offset()),
                "the file is not an ONNX model, or it is truncated or corrupted");
  };
  if (file.text().empty()) return broken("the file is empty");
  ModelProto model;
  try {
    read(WireReader(file.text(), context, 0), model);
  } catch (const WireError& error) {
    return fail(ErrorCode::file, error.message + " (over the limit)",
                file.path().string() + " at byte " + std::to_string(context.offset()));
  } catch (const protozero::exception& error) {
    return broken(std::string("malformed protobuf (") + error.what() + ")");
  }
  if (!model.graph) return broken("no graph in the file");
  if (model.opset_imports.empty()) return broken("no opset_import in the file");
  return model;
}

}  // namespace intaglio::frontend::onnx
