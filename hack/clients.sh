#!/usr/bin/env bash
# `make clients`: clients that others wrote (Python, TypeScript, Go and Rust SDKs, FastMCP, LangChain, mcp-remote, the
# Inspector), at exact versions, against mcp-server with a key behind nginx with its default time-outs. Prints a table; fails
# where a cell fails that must pass. Takes the names of clients, as the table has them, for a part of it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lists=tests/clients
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/tools
step() { printf '==> %s\n' "$*" >&2; }

missing=()
command -v nginx >/dev/null || [[ -x /usr/sbin/nginx ]] || missing+=(nginx-light)
command -v go >/dev/null || missing+=(golang-go)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
if ((${#missing[@]})); then
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    printf 'missing: %s\nOn Debian or Ubuntu: sudo apt-get install %s\n' "${missing[*]}" "${missing[*]}" >&2
    exit 3
  fi
  step "installing ${missing[*]}"
  # The program is wanted, not a service on port 80 that comes with it.
  policy=/usr/sbin/policy-rc.d
  if [[ " ${missing[*]} " == *' nginx-light '* && ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get install --yes --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
    { apt-get update >/dev/null && apt-get install --yes --no-install-recommends "${missing[@]}" >/dev/null; }
fi
nginx=$(command -v nginx || echo /usr/sbin/nginx)
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  printf 'Python 3.11 or later is needed, and python3 is %s; put a newer one first in PATH.\n' "$(python3 --version 2>&1)" >&2
  exit 3
fi

# Each client is made once, in a directory that its exact versions name. What a killed run left behind has no mark.
base=$(python3 -c 'import sys; print(sys.executable, sys.version)')
home=$cache/clients
mkdir -p "$home"
exec 9>"$home.lock"
flock 9

# made NAME FILE...: false where NAME has to be made of these files; then $place is an empty directory for it.
made() {
  local name=$1 key
  shift
  key=$(printf '%s\n' "$base" | cat - "$@" | sha256sum)
  place=$home/$name
  if [[ -e $place/.made && $(<"$place/.made") == "$key" ]]; then return 0; fi
  rm -rf "$place"
  mkdir -p "$place"
  mark=$key
  step "making the client $name (once)"
  return 1
}
finished() { printf '%s\n' "$mark" >"$place/.made"; }

for name in sdk1 sdk2 fastmcp langchain; do
  if ! made "$name" "$lists/python/$name.txt"; then
    python3 -m venv "$place"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --only-binary :all: \
      --requirement "$lists/python/$name.txt" >&2
    finished
  fi
done
for name in node inspector; do
  if ! made "$name" "$lists/$name"/package*.json; then
    cp "$lists/$name"/package*.json "$place"
    # Not `npm ci`: the Inspector names an optional part for Windows that registries do not have, so that no lock is whole.
    (cd "$place" && npm install --ignore-scripts --no-save --no-audit --no-fund --no-update-notifier --loglevel error) >&2
    finished
  fi
done
# Modules are looked for beside the program that imports them.
cp "$lists"/node/*.mjs "$home/node"
if ! made go "$lists/go/go.mod" "$lists/go/go.sum" "$lists/go/main.go"; then
  (cd "$lists/go" && CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -o "$place/client" .) >&2
  finished
fi
if ! made rust "$lists/rust/Cargo.lock" "$lists/rust/Cargo.toml" "$lists/rust/src/main.rs"; then
  # Its parts are none of the workspace's, and so is the directory of what is built.
  CARGO_TARGET_DIR=$cache/clients-target cargo build --quiet --locked --manifest-path "$lists/rust/Cargo.toml" >&2
  cp "$cache/clients-target/debug/client-of-rmcp" "$place/client"
  finished
fi

server=${MCP_SERVER:-}
if [[ -z $server ]]; then
  step 'building the server'
  cargo build --quiet --locked --package mcp-server
  target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
  server=$target/debug/mcp-server
fi
step "running clients against $server behind $("$nginx" -v 2>&1); a call takes longer than a minute"
python3 -B "$lists/matrix.py" "$server" "$nginx" "$home" "$@"
