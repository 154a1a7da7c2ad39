#!/usr/bin/env bash
# Makes sure that the engine has images which are otherwise fetched from a registry.
#
#   images.sh REFERENCE...     there already, fetched, or, in an engine of our own (engine.sh), made on this machine:
#       rust:VERSION-bookworm    Debian's compiler and linker, this machine's toolchain of that version, the vendored crates
#       redis:TAG                Debian's redis-server as the official image runs it
#       prom/prometheus:TAG      Debian's prometheus as the official image runs it
#
# Images made here never go to an engine that other people's containers use.
set -euo pipefail

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck disable=SC2034 # read by the shared parts
readonly HERE SPEAKER=images COMMAND="$*"
# shellcheck source=../cluster/lib/common.sh
source "$HERE/../cluster/lib/common.sh"
# shellcheck source=lib/stand-ins.sh
source "$HERE/lib/stand-ins.sh"

(($#)) || { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit "$EXIT_USAGE"; }

environment=$("$HERE/engine.sh" env)
eval "$environment"

for reference in "$@"; do
  if stand_in_is_current "$reference"; then
    continue
  elif [[ -z $environment ]] || ! stand_in_known "$reference"; then
    say "fetching $reference"
    timeout --kill-after=10 1800 docker pull --quiet "$reference" >/dev/null || die "the engine has no image $reference and cannot fetch it"
  else
    with_lock "$STAND_IN_CACHE/images.lock" 3600 'the images made on this machine'
    # Another run may have made it meanwhile.
    stand_in_is_current "$reference" || stand_in_make "$reference"
    unlock
  fi
done
