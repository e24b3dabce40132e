#include "plan/format.h"

namespace intaglio::plan {

namespace {

// Every record takes at least this many bytes, so a count can be checked against what remains of the file.
constexpr std::size_t kSmallestRecord = 4;

template <class A, class T, class F>
void list(A& archive, std::vector<T>& items, F&& element) {
  if constexpr (A::kReading) {
    const std::size_t size = archive.count(kSmallestRecord);
    items.clear();
    // One by one: a count that the file does not honour must not reserve memory for records that never come.
    for (std::size_t i = 0; i < size && archive.ok(); ++i) element(items.emplace_back());
  } else {
    std::uint64_t size = items.size();
    archive.io(size);
    for (T& item : items) element(item);
  }
}

template <class A>
void io_dim(A& archive, Dim& dim) {
  std::string text;
  if constexpr (!A::kReading) text = dim.to_string();
  archive.io(text);
  if constexpr (A::kReading) {
    auto parsed = Dim::parse(text);
    if (parsed)
      dim = *std::move(parsed);
    else
      archive.reject("illegal dim expression '" + text.substr(0, 64) + "'");
  }
}

template <class A>
void io_symbols(A& archive, SymbolRanges& symbols) {
  std::vector<std::pair<std::string, SymbolRange>> items(symbols.begin(), symbols.end());
  list(archive, items, [&](auto& item) {
    archive.io(item.first);
    archive.io(item.second.min);
    archive.io(item.second.max);
  });
  if constexpr (A::kReading) symbols = SymbolRanges(items.begin(), items.end());
}

template <class A>
void io_value(A& archive, PlanValue& value) {
  archive.io(value.name);
  archive.io(value.dtype);
  archive.io(value.kind);
  archive.io(value.source);
  list(archive, value.shape, [&](DimId& dim) { archive.io(dim); });
  if (static_cast<int>(value.dtype) >= kDTypeCount) archive.reject("illegal dtype");
  if (static_cast<int>(value.kind) >= kValueKinds) archive.reject("illegal kind of value");
}

template <class A>
void io_port(A& archive, Port& port) {
  archive.io(port.name);
  archive.io(port.value);
}

template <class A>
void io_step(A& archive, Step& step, const FormatContext& context) {
  archive.io(step.node);
  archive.io(step.source);
  archive.io(step.op);
  archive.io(step.candidate);
  ArchiveVisitor<A> visitor(archive);
  if constexpr (A::kReading) {
    std::shared_ptr<ops::Descriptor> descriptor = context.make(context.context, step.candidate);
    if (!descriptor) return archive.reject("unknown candidate '" + step.candidate.substr(0, 64) + "'");
    descriptor->fields(visitor);
    step.descriptor = std::move(descriptor);
  } else {
    step.descriptor->clone()->fields(visitor);  // fields() takes its object by reference for both directions
  }
  const auto number = [&](std::uint32_t& value) { archive.io(value); };
  list(archive, step.blobs, number);
  list(archive, step.inputs, number);
  list(archive, step.outputs, number);
  list(archive, step.params, number);
}

template <class A>
void io_report(A& archive, Report& report) {
  archive.io(report.model);
  archive.io(report.format);
  archive.io(report.model_nodes);
  archive.io(report.dtype);
  archive.io(report.quantize);
  list(archive, report.fusions, [&](Fusion& fusion) {
    archive.io(fusion.pattern);
    archive.io(fusion.node);
  });
  list(archive, report.near_misses, [&](NearMiss& miss) {
    archive.io(miss.pattern);
    archive.io(miss.node);
    archive.io(miss.reason);
  });
  list(archive, report.fallbacks, [&](Fallback& fallback) {
    archive.io(fallback.node);
    archive.io(fallback.reason);
  });
  list(archive, report.kept_float, [&](KeptFloat& kept) {
    archive.io(kept.rule);
    archive.io(kept.node);
  });
}

template <class A>
void io_all(A& archive, Plan& plan, std::vector<BlobRecord>& blobs, const FormatContext& context) {
  list(archive, plan.dims, [&](Dim& dim) { io_dim(archive, dim); });
  io_symbols(archive, plan.symbols);
  list(archive, plan.guards, [&](Guard& guard) {
    archive.io(guard.a);
    archive.io(guard.b);
    archive.io(guard.origin);
  });
  list(archive, plan.values, [&](PlanValue& value) { io_value(archive, value); });
  list(archive, plan.inputs, [&](Port& port) { io_port(archive, port); });
  list(archive, plan.outputs, [&](Port& port) { io_port(archive, port); });
  list(archive, blobs, [&](BlobRecord& blob) {
    archive.io(blob.layout);
    archive.io(blob.offset);
    archive.io(blob.bytes);
    archive.io(blob.hash);
  });
  list(archive, plan.steps, [&](Step& step) { io_step(archive, step, context); });
  io_report(archive, plan.report);
}

}  // namespace

void io_structure(Writer& archive, Plan& plan, std::vector<BlobRecord>& blobs, const FormatContext& context) {
  io_all(archive, plan, blobs, context);
}

void io_structure(Reader& archive, Plan& plan, std::vector<BlobRecord>& blobs, const FormatContext& context) {
  io_all(archive, plan, blobs, context);
  if (archive.ok() && archive.remaining() != 0) archive.reject("the structure has bytes after its end");
}

}  // namespace intaglio::plan
