#!/usr/bin/env bash
# `make test`: every check in turn, each under a heading with the time it took; the first that fails ends it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

began=$SECONDS
step() {
  local title=$1 start=$SECONDS
  shift
  printf '\n==> %s\n' "$title"
  "$@"
  printf '==> %s: done in %d s (%d s in all)\n' "$title" $((SECONDS - start)) $((SECONDS - began))
}

# What is missing shall be told before an hour has gone by.
step 'what the tests need' make test-tools
step 'formatting and lints' make lint
step 'generated files' make check-generated
step 'tools of the cluster' make tools
step 'tests without a cluster' make unit
step 'stories on a cluster' make e2e
step 'the local cluster leaves nothing behind' make cluster-test
printf '\n==> everything passed in %d s\n' $((SECONDS - began))
