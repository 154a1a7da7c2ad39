#!/usr/bin/env bash
# A Docker engine for the tests, alone in namespaces of its own; `engine.sh help` describes it.
set -euo pipefail

SELF=$0
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
CLUSTER=$(cd -- "$HERE/../cluster" && pwd -P)
# shellcheck disable=SC2034 # read by the shared parts
readonly SELF HERE CLUSTER SPEAKER=engine
COMMAND=${1:-help}
shift || true
# Debian keeps administrators' programs off an ordinary PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# shellcheck source=../cluster/lib/common.sh
source "$CLUSTER/lib/common.sh"
# shellcheck source=../cluster/lib/process.sh
source "$CLUSTER/lib/process.sh"
# shellcheck source=../cluster/lib/go.sh
source "$CLUSTER/lib/go.sh"
# shellcheck source=lib/programs.sh
source "$HERE/lib/programs.sh"
# shellcheck source=lib/sandbox.sh
source "$HERE/lib/sandbox.sh"

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/engine
ENGINE_HOME=${ENGINE_HOME:-$CACHE/run}
SOCKET=$ENGINE_HOME/docker.sock
readonly CACHE ENGINE_HOME SOCKET

trap tools_stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Whether an engine other than ours answers where the caller's docker client looks for one.
other_engine() {
  [[ ${DOCKER_HOST-} != "unix://$SOCKET" ]] && have docker && timeout 15 docker info >/dev/null 2>&1
}

# Points the docker client at our engine, for this process and what it starts.
use_own() {
  programs_locate
  export DOCKER_HOST=unix://$SOCKET DOCKER_CONFIG=$ENGINE_HOME/config PATH=$DEBS/usr/bin:$DEBS/usr/sbin:$PATH
  unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
}

lock_engine() {
  have flock || missing 'flock is missing (Debian: apt-get install util-linux)'
  with_lock "$CACHE/engine.lock" 1800 'the engine'
}

command_up() {
  if [[ ${ENGINE_OWN-} != 1 ]] && other_engine; then
    say "a Docker engine answers already ($(docker version --format '{{.Server.Version}}')): it is used"
    return
  fi
  lock_engine
  if engine_alive && (use_own && timeout 15 docker info >/dev/null 2>&1); then
    say "the engine is already up: $SOCKET"
    return
  fi
  engine_possible
  programs_ensure
  use_own
  engine_clear
  engine_start
  frontend_ensure
  say "the engine is up: Docker $(docker version --format '{{.Server.Version}}'), data in $ENGINE_HOME/data"
  say "use it:    $SELF in COMMAND...      (docker, docker compose, kind, curl to a published port)"
  say "end it:    $SELF down"
}

command_down() {
  lock_engine
  if [[ ! -d $ENGINE_HOME ]]; then
    say 'no engine of ours here'
    return
  fi
  engine_clear
  say "the engine is down; its images and volumes stay in $ENGINE_HOME/data ($SELF clean removes them)"
}

command_clean() {
  command_down
  timeout 300 rm -rf --one-file-system -- "$ENGINE_HOME"
  say "removed: $ENGINE_HOME"
}

# In our engine's network, with the host's files and processes; straight away where another engine is used.
command_in() {
  (($#)) || { echo "usage: $SELF in COMMAND..." >&2; exit "$EXIT_USAGE"; }
  if engine_alive; then
    use_own
    exec nsenter --target "$ENGINE" --net -- "$@"
  elif [[ ${ENGINE_OWN-} != 1 ]] && other_engine; then
    exec "$@"
  fi
  die "no Docker engine answers: $SELF up"
}

command_env() {
  engine_alive || { other_engine && return; } || die "no Docker engine answers: $SELF up"
  [[ -n $ENGINE ]] || return 0
  programs_locate
  printf 'export DOCKER_HOST=%q DOCKER_CONFIG=%q\n' "unix://$SOCKET" "$ENGINE_HOME/config"
  # shellcheck disable=SC2016 # for the reading shell to expand
  printf 'export PATH=%q:"$PATH"\n' "$DEBS/usr/bin"
}

command_status() {
  if engine_alive; then
    use_own
    printf '%-9s%s\n' engine "ours, Docker $(docker version --format '{{.Server.Version}}'), process $ENGINE" socket "$SOCKET" \
      data "$(du -sh "$ENGINE_HOME/data" | cut -f 1) in $ENGINE_HOME/data" log "$ENGINE_HOME/dockerd.log"
  elif other_engine; then
    printf '%-9s%s\n' engine "Docker $(docker version --format '{{.Server.Version}}') of this machine"
  else
    printf '%-9s%s\n' engine "none answers" 'make it' "$SELF up"
    return "$EXIT_FAILURE"
  fi
}

command_help() {
  cat <<'HELP'
engine.sh COMMAND: a Docker engine for the tests, where none answers

  up            bring it up, or find one that answers (Linux, root, Debian's packages, Go; the first time it builds Compose)
  in COMMAND…   run a command with this engine, in its network: published ports are reachable there only
  env           DOCKER_HOST and PATH for a shell:  eval "$(engine.sh env)"  (everything but published ports)
  status        which engine answers, and where its data is
  down          end it; nothing of it stays in this machine's network, mounts or control groups
  clean         down, and remove its images and volumes
  help          this text

The engine has network, mount, process, IPC and host name namespaces of its own and no way out: pulls fail at once.
e2e/engine/images.sh makes the images that the tests need from Debian's packages.

Variables
  ENGINE_OWN      1: an engine of our own even where another one answers
  ENGINE_HOME     socket, data and logs: ${XDG_CACHE_HOME:-~/.cache}/mcp-operator/engine/run; on ext4 or xfs

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 something is missing here, and the message says which command mends it.
HELP
}

case $COMMAND in
  up) command_up ;;
  in) command_in "$@" ;;
  env) command_env ;;
  status) command_status ;;
  down) command_down ;;
  clean) command_clean ;;
  help | -h | --help) command_help ;;
  *)
    echo "engine.sh: no such command '$COMMAND'; see: $SELF help" >&2
    exit "$EXIT_USAGE"
    ;;
esac
