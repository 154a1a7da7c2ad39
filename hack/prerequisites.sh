#!/usr/bin/env bash
# Says what a build needs and this machine lacks; installs it where that is safe (root on Debian). With `test`, what the
# tests need besides; with `engine`, what a Docker engine of our own and images made from Debian's packages need.
set -euo pipefail

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v make >/dev/null || missing+=(make)
command -v git >/dev/null || missing+=(git)
command -v readelf >/dev/null || missing+=(binutils)
# Tests start a Redis of their own; the Python SDK and what else hack/peers.sh installs are their clients.
if [[ ${1:-} == test ]]; then
  command -v redis-server >/dev/null || missing+=(redis-server)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
fi
if [[ ${1:-} == engine ]]; then
  # Debian keeps administrators' programs off an ordinary PATH.
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  command -v jq >/dev/null || missing+=(jq)
  command -v ip >/dev/null || missing+=(iproute2)
  command -v iptables >/dev/null || missing+=(iptables)
  command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
  command -v nsenter >/dev/null || missing+=(util-linux)
  # Libraries of Debian's dockerd and runc, which are unpacked, not installed.
  if command -v ldconfig >/dev/null; then
    libraries=$(ldconfig -p)
    [[ $libraries == *libdevmapper.so.1.02* ]] || missing+=(libdevmapper1.02.1)
    [[ $libraries == *libseccomp.so.2* ]] || missing+=(libseccomp2)
  fi
fi

if ((${#missing[@]})); then
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    printf '==> installing %s\n' "${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get install --yes --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
      { apt-get update >/dev/null && apt-get install --yes --no-install-recommends "${missing[@]}" >/dev/null; }
    if [[ " ${missing[*]} " == *' redis-server '* ]] && [[ -d /run/systemd/system ]]; then
      # The program is wanted, not the service that came with it.
      systemctl disable --now redis-server >/dev/null 2>&1 || true
    fi
  else
    printf 'missing: %s\nOn Debian or Ubuntu: sudo apt-get install %s\n' "${missing[*]}" "${missing[*]}" >&2
    exit 3
  fi
fi

if [[ ${1:-} != engine ]] && ! command -v cargo >/dev/null; then
  printf 'missing: Rust. Install it with rustup (https://rustup.rs); rust-toolchain.toml chooses the version.\n' >&2
  exit 3
fi

# The oldest that the SDK's own parts run on. A newer one cannot be installed beside what a distribution has.
if [[ ${1:-} == test ]] && ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  printf 'Python 3.11 or later is needed by the tests, and python3 is %s; put a newer one first in PATH.\n' "$(python3 --version 2>&1)" >&2
  exit 3
fi
