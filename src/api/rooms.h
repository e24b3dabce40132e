// The one header of the API's sources. Rooms and public headers both have a DType, an Error and so on (the public ones
// in the inline namespace v1), so the rooms' headers come first, get names that stay unambiguous, and the public
// headers come last.
// clang-format off
#pragma once

#include "base/alloc.h"
#include "base/dtype.h"
#include "base/env.h"
#include "base/error.h"
#include "base/log.h"
#include "base/shape.h"
#include "compile/accuracy.h"
#include "compile/compile.h"
#include "cpu/machine.h"
#include "frontend/frontend.h"
#include "ir/tensor.h"
#include "kernels/probe/probe.h"
#include "ops/candidate.h"
#include "ops/gather.h"
#include "passes/pass.h"
#include "plan/context.h"
#include "plan/file.h"
#include "plan/plan.h"
#include "threads/count.h"
#include "threads/pool.h"

namespace intaglio::internal {

using RoomError = Error;
using RoomCode = ErrorCode;
using RoomDType = DType;
using RoomShape = Shape;
inline constexpr int kRoomDTypeCount = kDTypeCount;
inline std::size_t room_size_of(RoomDType dtype) { return size_of(dtype); }
inline std::string_view room_name_of(RoomDType dtype) { return name_of(dtype); }
inline Result<std::size_t> room_byte_count(std::span<const std::int64_t> shape, RoomDType dtype) { return byte_count(shape, dtype); }

}  // namespace intaglio::internal

#include "intaglio/intaglio.h"

namespace intaglio::internal {

inline v1::ErrorCode to_public(RoomCode code) {
  switch (code) {
    case RoomCode::usage:
    case RoomCode::data: return v1::ErrorCode::usage;
    case RoomCode::file: return v1::ErrorCode::file;
    case RoomCode::unsupported: return v1::ErrorCode::unsupported;
    case RoomCode::requirement: return v1::ErrorCode::requirement;
    case RoomCode::internal: break;
  }
  return v1::ErrorCode::internal;
}
inline v1::Error to_public(RoomError error) {
  return {to_public(error.code), std::move(error.message), std::move(error.origin), std::move(error.hint)};
}

// The two enums have the same order.
static_assert(static_cast<int>(v1::DType::boolean) + 1 == kRoomDTypeCount);
inline v1::DType to_public(RoomDType dtype) { return static_cast<v1::DType>(dtype); }
inline RoomDType to_room(v1::DType dtype) { return static_cast<RoomDType>(dtype); }

// The value, or the error as an exception of the API.
template <class T>
T unwrap(Result<T> result) {
  if (!result) throw to_public(std::move(result).error());
  return *std::move(result);
}
inline void unwrap(Status status) {
  if (!status) throw to_public(std::move(status).error());
}

}  // namespace intaglio::internal
// clang-format on
