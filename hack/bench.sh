#!/usr/bin/env bash
# Builds the servers that are compared, all in the way in which ours is shipped, and measures them.
#
#   hack/bench.sh server [OPTION...]         the server beside the official Rust SDK (see `mcp-bench server --help`)
#   hack/bench.sh instructions [OPTION...]   instructions of a call without sockets (`mcp-bench instructions --help`)
#
# BENCH_PROFILE: the cargo profile of the servers, default `release`; figures of another one are for a quick look only.
# Instructions are always counted in `bench-fast`, as the recorded ones were.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

what=${1:?usage: hack/bench.sh server|instructions [OPTION...]}
shift
profile=${BENCH_PROFILE:-release}
triple=$(rustc -vV | sed -n 's/^host: //p')
profile_dir=$profile
[[ $profile == dev ]] && profile_dir=debug
built=${CARGO_TARGET_DIR:-target}/$triple/$profile_dir

build() {
  # As for the images (hack/image.sh): the C library's allocator, and what is mapped at start, are part of what is measured.
  CARGO_ENCODED_RUSTFLAGS=$'-Ctarget-feature=+crt-static\x1f-Clink-arg=-Wl,-z,pack-relative-relocs' \
    cargo build --locked --profile "$profile" --target "$triple" "$@"
}

case $what in
server)
  echo '==> building the servers that are compared, as they are shipped: about eight minutes on two cores the first time' >&2
  # Each by itself: what one needs of a common dependency must not be built into the other.
  build --package mcp-server --bin mcp-server
  build --package mcp-bench --bins
  build --package mcp-bench-reference --features sdk
  echo '==> measuring' >&2
  exec "$built/mcp-bench" server --server "$built/mcp-server" "$@"
  ;;
instructions)
  echo '==> building what is measured' >&2
  cargo build --locked --profile bench-fast --package mcp-bench --bin mcp-bench --bin dispatch
  echo '==> counting instructions under valgrind' >&2
  exec "${CARGO_TARGET_DIR:-target}/bench-fast/mcp-bench" instructions "$@"
  ;;
*)
  echo "bench.sh: unknown measurement $what" >&2
  exit 1
  ;;
esac
