# Sourced by ./dev: the lint command. Every check runs, then the verdict.
# shellcheck shell=bash

cpp_files() { git ls-files -z --cached --others --exclude-standard -- '*.cc' '*.h'; }
shell_files() { printf '%s\0' dev .ci/run tools/*.sh; }

LINT_PASSED=0
LINT_FAILED=()

lint_step() {  # name, command…
  local name=$1 start=$SECONDS
  shift
  if "$@"; then
    LINT_PASSED=$((LINT_PASSED + 1))
    printf 'lint: %-28s ok      %4d s\n' "$name" $((SECONDS - start))
  else
    LINT_FAILED+=("$name")
    printf 'lint: %-28s FAILED  %4d s\n' "$name" $((SECONDS - start))
  fi
}

lint_format() { cpp_files | xargs -0 clang-format-19 --dry-run --Werror --ferror-limit=3; }
lint_shell() { shell_files | xargs -0 shellcheck -x; }
lint_python() {
  git ls-files -z --cached --others --exclude-standard -- '*.py' |
    PYTHONDONTWRITEBYTECODE=1 xargs -0 python3 -c '
import ast, sys
for path in sys.argv[1:]:
    ast.parse(open(path, encoding="utf-8").read(), path)'
}
lint_script() {  # a check script of tools/: first whether it still finds faults, then the tree
  python3 "tools/$1.py" --self-test && python3 "tools/$1.py" "${@:2}"
}

cmd_lint() {
  local script
  install_debian lint python
  configure_and_build release
  lint_step format lint_format
  lint_step shellcheck lint_shell
  lint_step python-syntax lint_python
  for script in check_includes check_kernel_table check_pass_table check_sizes check_words check_third_party; do
    lint_step "$script" lint_script "$script"
  done
  lint_step check_isa_objects lint_script check_isa_objects build/release
  lint_step check_exports lint_script check_exports build/release
  lint_step test_summary python3 tools/test_summary.py --self-test
  lint_step clang-tidy python3 tools/run_tidy.py --build build/release --jobs "$JOBS"
  record lint "$LINT_PASSED" "${#LINT_FAILED[@]}" 0
  printf 'lint: %d checks passed, %d failed%s\n' "$LINT_PASSED" "${#LINT_FAILED[@]}" "${LINT_FAILED[*]:+: ${LINT_FAILED[*]}}"
  [[ ${#LINT_FAILED[@]} -eq 0 ]]
}
