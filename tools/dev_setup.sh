# Sourced by ./dev: messages, and the installation of what is missing.
# shellcheck shell=bash

export JOBS=${DEV_JOBS:-$(nproc)}
PYTHON=

say() { printf '%s\n' "dev: $*" >&2; }
die() {
  say "error: $*"
  exit 1
}
die_usage() {
  say "error: $* (./dev help)"
  exit 2
}

record() {  # stage passed failed skipped: one line that .ci/run adds up
  mkdir -p build/summary
  printf '%s %s %s\n' "$2" "$3" "$4" >"build/summary/$1.txt"
}

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "not root and no sudo; run as root: $*"
  fi
}

install_debian() {  # groups of tools/debian-packages.txt
  local group package missing=()
  command -v dpkg-query >/dev/null || return 0 # another distribution: the build says what it lacks
  while read -r group package; do
    [[ $group == \#* || -z $group ]] && continue
    [[ " $* " == *" $group "* ]] || continue
    [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true) == "install ok installed" ]] ||
      missing+=("$package")
  done <tools/debian-packages.txt
  [[ ${#missing[@]} -eq 0 ]] && return 0
  [[ -z ${DEV_NO_INSTALL:-} ]] || die "missing Debian packages: ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  # One package source that is down must not stop the others; a package that cannot be had fails below.
  as_root apt-get update -q >&2 || say "warning: apt-get update had errors, going on with what it has"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >&2 ||
    die "apt-get could not install: ${missing[*]}"
}

need_python() {  # base | torch | peers: sets PYTHON to the virtual environment, with that lock installed
  local kind=$1 venv=.cache/venv lock stamp
  lock=tests/models/requirements-$kind.txt
  [[ -f $lock ]] || die "$lock is missing"
  install_debian python
  if [[ $kind == peers ]]; then
    need_python torch
    venv=.cache/venv-peers
  fi
  stamp=$venv/.lock-$kind
  PYTHON=$ROOT/$venv/bin/python
  # The torch lock includes the base lock, so its stamp covers both.
  if [[ -x $PYTHON ]] && cat tests/models/requirements-*.txt | cmp -s - "$stamp"; then
    return 0
  fi
  [[ -z ${DEV_NO_INSTALL:-} ]] || die "$venv does not hold $lock"
  say "installing Python packages of $lock into $venv"
  # Explicit `|| die`: callers may run this where `set -e` does not reach.
  # Debian's own Python before any other on the path: the locks are pinned for 3.11.
  [[ -x $PYTHON ]] || "$(command -v /usr/bin/python3 || echo python3)" -m venv "$venv" || die "python3 -m venv failed"
  [[ $kind != torch ]] || warn_of_cuda "$lock"
  # The peers lie over the other environment, whose packages a .pth file makes visible; nothing is installed twice.
  [[ $kind != peers ]] || (cd .cache/venv/lib/python3*/site-packages && pwd -P) >"$(echo "$venv"/lib/python3*/site-packages)/base.pth" ||
    die "cannot write into $venv"
  "$PYTHON" -m pip install --quiet --disable-pip-version-check -r "$lock" >&2 || die "pip could not install $lock"
  cat tests/models/requirements-*.txt >"$stamp"
}

need_onednn() {  # for the tests of src/vendor/onednn, where CMake finds it; nothing to do beside tools/build_onednn.sh
  local lock=tests/models/requirements-onednn.txt prefix=.cache/onednn-3.2
  [[ ! -e .cache/onednn-3.7.2/lib/cmake/dnnl/dnnl-config.cmake ]] || return 0
  cmp -s "$lock" "$prefix/.lock" && return 0
  [[ -z ${DEV_NO_INSTALL:-} ]] || die "$prefix does not hold $lock"
  need_python base
  say "installing $lock into $prefix"
  rm -rf "$prefix"
  # A prefix, because --target drops what is not Python: the library and its CMake package.
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --ignore-installed --no-warn-script-location \
    --prefix "$prefix" -r "$lock" >&2 || die "pip could not install $lock"
  cp "$lock" "$prefix/.lock"
}

warn_of_cuda() {  # lock: a CUDA build of PyTorch is gigabytes that a CPU project never uses
  local report gpu
  report=$(mktemp)
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --dry-run --report "$report" -r "$1" >&2 || return 0
  gpu=$("$PYTHON" - "$report" <<'PY'
import json, sys
names = [item["metadata"]["name"].lower() for item in json.load(open(sys.argv[1]))["install"]]
print(" ".join(sorted(n for n in names if n.startswith(("nvidia-", "cuda-", "triton")))))
PY
  )
  rm -f "$report"
  [[ -n $gpu ]] || return 0
  say "warning: the package index in use would install a CUDA build of PyTorch (several GB): $gpu"
  say "warning: the CPU build is enough; point PIP_INDEX_URL, PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS at one that has it"
  if [[ -t 0 && -z ${CI:-} ]]; then
    say "going on in 15 seconds (Ctrl-C stops)"
    sleep 15
  fi
}
