// GEMM on AMX: tdpbusd and tdpbssd (int8, exact) and tdpbf16ps (the even and the odd k of a tile are summed apart, then
// joined; sums rounded to nearest even, denormals count as 0).
// Not measured: no machine with AMX was at hand. Block shapes and order are those of the recipe in README.md of
// kernels/; correctness was established by executing the instructions in software (tests/emulation).
#include "kernels/gemm/amx_body.h"

namespace intaglio::kernels::gemm {
namespace {

struct AmxU8 {
  using Tile = math::TileU8S8;
  using A = std::uint8_t;
  using Acc = std::int32_t;
};
struct AmxS8 {
  using Tile = math::TileS8S8;
  using A = std::int8_t;
  using Acc = std::int32_t;
};
struct AmxBf16 {
  using Tile = math::TileBf16;
  using A = std::uint16_t;
  using Acc = float;
};

}  // namespace

// Tiles of 16 rows at first; the kernels change them to the heights that they need.
void gemm_amx_enter() {
  set_rows(math::kTileRows, math::kTileRows);
}
void gemm_amx_leave() {
  math::tile_release();
}

void gemm_u8s8i32_1024x64x64_1x16x64_amx(const Args& args) {
  amx_block<AmxU8>(args);
}
void gemm_s8s8i32_1024x64x64_1x16x64_amx(const Args& args) {
  amx_block<AmxS8>(args);
}
void gemm_bf16_1024x64x32_1x16x32_amx(const Args& args) {
  amx_block<AmxBf16>(args);
}

}  // namespace intaglio::kernels::gemm
