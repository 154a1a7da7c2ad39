#!/usr/bin/env bash
# Says what a build needs and this machine lacks; installs it where that is safe (root on Debian).
set -euo pipefail

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v make >/dev/null || missing+=(make)
command -v git >/dev/null || missing+=(git)
command -v readelf >/dev/null || missing+=(binutils)

if ((${#missing[@]})); then
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    printf '==> installing %s\n' "${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get install --yes --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
      { apt-get update >/dev/null && apt-get install --yes --no-install-recommends "${missing[@]}" >/dev/null; }
  else
    printf 'missing: %s\nOn Debian or Ubuntu: sudo apt-get install %s\n' "${missing[*]}" "${missing[*]}" >&2
    exit 3
  fi
fi

if ! command -v cargo >/dev/null; then
  printf 'missing: Rust. Install it with rustup (https://rustup.rs); rust-toolchain.toml chooses the version.\n' >&2
  exit 3
fi
