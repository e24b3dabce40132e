#include "vendor/onednn/library.h"

#include <fmt/format.h>

#include "base/env.h"
#include "vendor/onednn/onednn.h"

namespace intaglio::vendor::onednn {

namespace {

dnnl::cpu_isa cap_of(Isa isa) {
  switch (isa) {
    case Isa::scalar:
    case Isa::sse42:
      return dnnl::cpu_isa::sse41;
    case Isa::avx2:
      return dnnl::cpu_isa::avx2;
    case Isa::avx_vnni:
      return dnnl::cpu_isa::avx2_vnni;
    case Isa::avx512:
      return dnnl::cpu_isa::avx512_core;
    case Isa::avx512_vnni:
      return dnnl::cpu_isa::avx512_core_vnni;
    case Isa::avx512_bf16:
      return dnnl::cpu_isa::avx512_core_bf16;
    case Isa::avx512_fp16:
      return dnnl::cpu_isa::avx512_core_fp16;
    case Isa::amx:
      return dnnl::cpu_isa::avx512_core_amx;
  }
  return dnnl::cpu_isa::isa_default;
}

dnnl::engine make_engine() {
  const auto environment = read_environment();
  // oneDNN accepts a cap only before its first primitive; a program that used oneDNN before keeps what it had.
  if (environment && environment->max_isa)
    dnnl_set_max_cpu_isa(static_cast<dnnl_cpu_isa_t>(cap_of(*environment->max_isa)));
  return {dnnl::engine::kind::cpu, 0};
}

}  // namespace

const dnnl::engine& engine() {
  static const dnnl::engine the_engine = make_engine();
  return the_engine;
}

std::string version() {
  const dnnl_version_t* v = dnnl_version();
  return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
}

std::string isa_name() {
  engine();
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      return "sse41";
    case dnnl::cpu_isa::avx:
      return "avx";
    case dnnl::cpu_isa::avx2:
      return "avx2";
    case dnnl::cpu_isa::avx2_vnni:
      return "avx2_vnni";
    case dnnl::cpu_isa::avx2_vnni_2:
      return "avx2_vnni_2";
    case dnnl::cpu_isa::avx512_core:
      return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_fp16:
      return "avx512_core_fp16";
    case dnnl::cpu_isa::avx512_core_amx:
      return "avx512_core_amx";
    case dnnl::cpu_isa::avx512_core_amx_fp16:
      return "avx512_core_amx_fp16";
    default:
      return fmt::format("isa {:#x}", static_cast<unsigned>(dnnl::get_effective_cpu_isa()));
  }
}

bool sums_bytes_exactly() {
  engine();
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
    case dnnl::cpu_isa::avx:
    case dnnl::cpu_isa::avx2:
    case dnnl::cpu_isa::avx512_core:
      return false;
    default:
      return true;
  }
}

std::string_view runtime_name() {
  switch (DNNL_CPU_THREADING_RUNTIME) {
    case DNNL_RUNTIME_SEQ:
      return "sequential";
    case DNNL_RUNTIME_OMP:
      return "OpenMP";
    case DNNL_RUNTIME_TBB:
      return "TBB";
    case DNNL_RUNTIME_THREADPOOL:
      return "threadpool";
    default:
      return "other";
  }
}

dnnl::memory::data_type to_dnnl(DType dtype) {
  using T = dnnl::memory::data_type;
  switch (dtype) {
    case DType::f32:
      return T::f32;
    case DType::bf16:
      return T::bf16;
    case DType::f16:
      return T::f16;
    case DType::i32:
      return T::s32;
    case DType::i8:
      return T::s8;
    case DType::u8:
      return T::u8;
    default:
      return T::undef;
  }
}

Error to_error(std::string_view what, const std::exception& problem) {
  const auto* own = dynamic_cast<const dnnl::error*>(&problem);
  const bool unsupported = own != nullptr && own->status == dnnl_unimplemented;
  return {unsupported ? ErrorCode::unsupported : ErrorCode::internal,
          fmt::format("oneDNN {}: {}: {}{}", version(), what, problem.what(), unsupported ? " (unimplemented)" : ""),
          {},
          {}};
}

std::string description() {
  const auto text = guarded("the engine", []() -> Result<std::string> {
    return fmt::format("oneDNN {}, {} runtime, up to {}", version(), runtime_name(), isa_name());
  });
  return text ? *text : text.error().to_string();
}

}  // namespace intaglio::vendor::onednn
