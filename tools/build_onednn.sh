#!/usr/bin/env bash
# Builds oneDNN 3.7.2, the rival of `./dev bench gemm`, once, into .cache/onednn-3.7.2: static, on the caller's threads
# (threadpool runtime), inference only, matmul and reorder. The source is that of Debian 13, from the mirror that this
# machine's apt uses; it gets a source list and a state of its own, the machine's stay as they are.
# What it printed while building: .cache/onednn-3.7.2.work/build.log.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VERSION=3.7.2 RELEASE=trixie
readonly TARGET=$PWD/.cache/onednn-$VERSION WORK=$PWD/.cache/onednn-$VERSION.work
readonly KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf '%s\n' "build_onednn: $*" >&2; }
die() {
  say "error: $*"
  exit 1
}

mirror() {  # of the machine's Debian, not of its security updates
  # shellcheck disable=SC2016 # apt's own variables
  apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "Debian" && $2 == "main" && $3 !~ /-/ { print $4; exit }'
}

fetch() {
  command -v apt-get >/dev/null ||
    die "needs Debian's apt; elsewhere install oneDNN >= 3.2 and configure with -DINTAGLIO_ONEDNN_ROOT=<its prefix>"
  local uri
  uri=$(mirror)
  [[ -n $uri ]] || die "apt knows no Debian mirror (its lists may be empty: run apt-get update)"
  [[ -r $KEYRING ]] || die "$KEYRING is missing (package debian-archive-keyring)"
  mkdir -p "$WORK"/{lists/partial,cache/archives/partial,source}
  echo "deb-src [signed-by=$KEYRING] $uri $RELEASE main" >"$WORK/sources.list"
  local options=(-q -o Dir::Etc::SourceList="$WORK/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$WORK/lists" -o Dir::Cache="$WORK/cache" -o APT::Sandbox::User= -o Acquire::Languages=none)
  say "fetching the source of onednn $VERSION from Debian $RELEASE"
  apt-get "${options[@]}" update >&2 || die "apt could not read the release $RELEASE"
  (cd "$WORK/source" && apt-get "${options[@]}" source --download-only onednn >&2) ||
    die "apt could not fetch the source package onednn"
  # "+ds": Debian left out what is not free to change, such as prebuilt documents.
  local archives=("$WORK/source/onednn_$VERSION"*.orig.tar.?z)
  [[ -f ${archives[0]} ]] ||
    die "the release $RELEASE has another version than $VERSION: $(cd "$WORK/source" && echo ./*.dsc)"
  rm -rf "$WORK/onednn.part"
  mkdir -p "$WORK/onednn.part"
  tar -xf "${archives[0]}" -C "$WORK/onednn.part" --strip-components=1 || die "tar could not unpack ${archives[0]}"
  mv "$WORK/onednn.part" "$WORK/onednn" # last, so that a directory of that name is complete
}

# oneDNN compiles the sources of all primitives, also of those that are left out of its tables: most of the time of a
# build, for objects that nothing refers to. What stays are the tables (cpu_*.cpp) and what matmul shares with others:
# gemm, conversions of types, utilities of inner products.
drop_other_primitives() {
  find "$WORK/onednn/src/cpu" -regextype posix-extended -name '*.cpp' \
    ! -path '*/gemm/*' ! -path '*/src/cpu/cpu_*' ! -name '*inner_product_utils*' ! -name '*convert*' \
    \( -path '*/rnn/*' -o -regex \
    '.*/[^/]*(conv|pool|lrn|normalization|_norm|softmax|resampling|shuffle|prelu|inner_product|concat|_sum)[^/]*' \) \
    -delete
}

# Fails if something was left out that is needed: links all that a program can reach, and runs it.
check() {
  cat >"$WORK/check.cc" <<'CC'
#include <oneapi/dnnl/dnnl.hpp>
int main() {
  using namespace dnnl;
  const engine cpu(engine::kind::cpu, 0);
  const memory::desc x({4, 64}, memory::data_type::s8, memory::format_tag::ab);
  const memory::desc w({64, 32}, memory::data_type::s8, memory::format_tag::any);
  const memory::desc y({4, 32}, memory::data_type::f32, memory::format_tag::ab);
  return matmul::primitive_desc(cpu, x, w, y).weights_desc().get_size() >= 64 * 32 ? 0 : 1;
}
CC
  if ! c++ -std=c++17 -I"$WORK/install/include" "$WORK/check.cc" -o "$WORK/check" "$WORK/install/lib/libdnnl.a" \
    -lpthread -ldl >>"$WORK/build.log" 2>&1 || ! "$WORK/check"; then
    die "the library does not work, see $WORK/build.log"
  fi
}

build() {
  say "building; this happens once and takes 10 to 15 minutes on two cores"
  drop_other_primitives
  # -w: the sources are not ours to warn about. A static library for programs that are position independent.
  cmake -S "$WORK/onednn" -B "$WORK/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$WORK/install" \
    -DCMAKE_CXX_FLAGS=-w -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_INSTALL_LIBDIR=lib \
    -DONEDNN_LIBRARY_TYPE=STATIC -DONEDNN_CPU_RUNTIME=THREADPOOL -DONEDNN_GPU_RUNTIME=NONE \
    -DONEDNN_ENABLE_WORKLOAD=INFERENCE '-DONEDNN_ENABLE_PRIMITIVE=MATMUL;REORDER' -DONEDNN_BUILD_GRAPH=OFF \
    -DONEDNN_BUILD_EXAMPLES=OFF -DONEDNN_BUILD_TESTS=OFF -DONEDNN_BUILD_DOC=OFF -DONEDNN_ENABLE_JIT_PROFILING=OFF \
    >"$WORK/build.log" 2>&1 || die "cmake failed, see $WORK/build.log"
  nice cmake --build "$WORK/build" -j "${DEV_JOBS:-$(nproc)}" --target install >>"$WORK/build.log" 2>&1 ||
    die "the build failed, see $WORK/build.log"
}

[[ ! -e $TARGET/lib/cmake/dnnl/dnnl-config.cmake ]] || exit 0
[[ -z ${DEV_NO_INSTALL:-} ]] || die "$TARGET is missing"
[[ -f $WORK/onednn/CMakeLists.txt ]] || fetch
build
check
rm -rf "$TARGET"
mv "$WORK/install" "$TARGET" # last, so that a directory of that name is complete
rm -rf "$WORK"
say "done: $TARGET"
