#!/usr/bin/env bash
# Links the programs that were built into one directory for the PATH, whatever profile and target they were built for.
#
#   hack/bin.sh PROFILE_DIR   as in `release`, or `x86_64-unknown-linux-gnu/release`, below the target directory
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

built=${CARGO_TARGET_DIR:-target}/${1:?usage: hack/bin.sh PROFILE_DIR}
bin=${CARGO_TARGET_DIR:-target}/bin
mkdir -p "$bin"
for program in mcp-server mcp-operator kubectl-mcp mcp; do
  [[ ! -x $built/$program ]] || ln -sf "$(cd "$built" && pwd)/$program" "$bin/$program"
done
