#!/usr/bin/env bash
# Prints the directory of what tests use as peers and nobody here has written: the official Python SDK, and the conformance
# suite of the protocol's authors, with a Node.js to run it. Made once, in the user's cache directory, from the lists in
# server/tests/peers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lists=server/tests/peers
base=$(python3 -c 'import sys; print(sys.executable, sys.version)')
key=$(printf '%s\n' "$base" | cat - "$lists/requirements.txt" "$lists/package-lock.json" | sha256sum)
home=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/tools/peers-${key:0:12}
mkdir -p "${home%/*}"

# One at a time; whoever comes second finds it made. What a killed run left behind has no mark, and is made anew.
exec 9>"$home.lock"
flock 9
if [[ ! -e $home/.complete ]]; then
  printf '==> fetching what tests use as peers of the server: the Python SDK, Node.js and the conformance suite (300 MB)\n' >&2
  # Those of former lists, too.
  rm -rf "${home%-*}"-*/
  {
    python3 -m venv "$home"
    "$home/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --only-binary :all: \
      --requirement "$lists/requirements.txt"
    cp "$lists"/package*.json "$home"
    (cd "$home" && PATH=$home/bin:$PATH npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel error)
  } >&2
  touch "$home/.complete"
fi
printf '%s\n' "$home"
