#!/usr/bin/env bash
# Runs each fuzz target for a while, one after the other; what breaks one is kept in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-60}
if ! cargo +nightly fuzz --version > /dev/null 2>&1; then
  echo 'make fuzz needs a nightly compiler (rustup toolchain install nightly) and cargo-fuzz (cargo install cargo-fuzz)' >&2
  exit 1
fi
for target in fuzz/fuzz_targets/*.rs; do
  target=$(basename "$target" .rs)
  echo "== $target, $seconds s"
  cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048
done
