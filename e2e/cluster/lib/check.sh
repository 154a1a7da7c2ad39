# shellcheck shell=bash
# For the tests of these scripts: checks by name, and how many passed. Whoever sources it sets WORK to a folder of its own.

passed=0 failed=0

# Runs a command; what it says is shown only where it fails, and no more than the end of it.
check() {
  local what=$1
  shift
  if "$@" >"$WORK/output" 2>&1; then
    passed=$((passed + 1))
    printf 'ok      %s\n' "$what"
  else
    failed=$((failed + 1))
    printf 'FAILED  %s\n' "$what"
    tail -n 40 "$WORK/output" | sed 's/^/        /'
  fi
}

# The last line of a test; its status is the test's.
summary() {
  printf '%d passed, %d failed\n' "$passed" "$failed"
  ((failed == 0))
}
