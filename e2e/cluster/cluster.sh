#!/usr/bin/env bash
# A real Kubernetes cluster for the demonstration and the tests; `cluster.sh help` tells how.
set -euo pipefail

if ((BASH_VERSINFO[0] < 4 || (BASH_VERSINFO[0] == 4 && BASH_VERSINFO[1] < 4))); then
  echo "cluster.sh: needs bash 4.4 or newer, this is $BASH_VERSION" >&2
  exit 3
fi

SELF=$0
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
readonly SELF HERE SPEAKER=cluster DEFAULT_NAME=mcp-operator

COMMAND=${1:-help}
shift || true
CLUSTER_NAME=${CLUSTER_NAME:-$DEFAULT_NAME}
CLUSTER_PROVIDER=${CLUSTER_PROVIDER:-auto}

# shellcheck source=lib/common.sh
source "$HERE/lib/common.sh"
# shellcheck source=lib/process.sh
source "$HERE/lib/process.sh"
# shellcheck source=lib/go.sh
source "$HERE/lib/go.sh"
# shellcheck source=lib/tools.sh
source "$HERE/lib/tools.sh"
# shellcheck source=lib/packages.sh
source "$HERE/lib/packages.sh"
# shellcheck source=lib/report.sh
source "$HERE/lib/report.sh"
# shellcheck source=providers/local.sh
source "$HERE/providers/local.sh"
# shellcheck source=providers/kind.sh
source "$HERE/providers/kind.sh"
# shellcheck source=providers/existing.sh
source "$HERE/providers/existing.sh"

if [[ ! $CLUSTER_NAME =~ ^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$ ]]; then
  echo "cluster.sh: CLUSTER_NAME '$CLUSTER_NAME': up to 40 lower-case letters, digits and '-', beginning and ending with a letter or digit" >&2
  exit "$EXIT_USAGE"
fi
STATE_ROOT=${XDG_STATE_HOME:-$HOME/.local/state}/mcp-operator/clusters
STATE=$STATE_ROOT/$CLUSTER_NAME
KUBECONFIG_FILE=$STATE/kubeconfig
readonly STATE_ROOT STATE KUBECONFIG_FILE

at_exit() {
  tools_stop
  packages_stop
}
trap at_exit EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# kubectl as the cluster's administrator, never with the user's own configuration.
admin() { "$TOOLS/bin/kubectl" --kubeconfig "$KUBECONFIG_FILE" --request-timeout 5s "$@"; }

# The provider that a cluster of this name was made with; else the one asked for; else the best one here.
choose_provider() {
  local recorded=''
  if [[ -r $STATE/provider ]]; then
    recorded=$(<"$STATE/provider")
  fi
  case $CLUSTER_PROVIDER in
    auto | kind | local | existing) ;;
    *)
      echo "cluster.sh: CLUSTER_PROVIDER '$CLUSTER_PROVIDER': one of auto, kind, local, existing" >&2
      exit "$EXIT_USAGE"
      ;;
  esac
  if [[ -n $recorded && $CLUSTER_PROVIDER != auto && $CLUSTER_PROVIDER != "$recorded" ]]; then
    die "a cluster '$CLUSTER_NAME' of provider '$recorded' is there already: $(self down), or choose another CLUSTER_NAME"
  fi
  PROVIDER=${recorded:-$CLUSTER_PROVIDER}
  [[ $PROVIDER == auto ]] || return 0
  if kind_possible && kind_image_possible; then
    PROVIDER=kind
  elif local_possible; then
    PROVIDER=local
    [[ -z $KIND_PULL_ERROR ]] || say "the engine cannot fetch kind's node image; the local cluster is used instead"
  else
    missing "no way to a cluster here. One of these is needed:
  a Docker engine that answers 'docker info' and can fetch kind's node image (then kind is used),
  or root on Linux: sudo -E $(self "$COMMAND")
  or a cluster that you have: KUBECONFIG=FILE CLUSTER_PROVIDER=existing CLUSTER_EXISTING_YES=1 $(self "$COMMAND")"
  fi
}

lock_cluster() {
  have flock || missing "flock is missing (Debian: apt-get install util-linux; macOS: brew install flock)"
  with_lock "$STATE_ROOT/.$CLUSTER_NAME.lock" "$1" "cluster '$CLUSTER_NAME'"
}

require_up() {
  choose_provider
  if [[ ! -e $STATE/ready ]] || ! recall; then
    die "cluster '$CLUSTER_NAME' is not up: $(self up)"
  fi
}

command_up() {
  choose_provider
  lock_cluster 5400
  if [[ -e $STATE/ready ]]; then
    if "${PROVIDER}_healthy"; then
      say "cluster '$CLUSTER_NAME' ($PROVIDER) is already up"
      return
    fi
    say "cluster '$CLUSTER_NAME' ($PROVIDER) is there but not whole: making it anew"
  fi
  # First what can be missing: until that is there, nothing is recorded and another provider can still be chosen.
  "${PROVIDER}_prepare"
  mkdir -p -- "$STATE"
  rm -f -- "$STATE/ready"
  printf '%s\n' "$PROVIDER" >"$STATE/provider"
  "${PROVIDER}_up"
  touch -- "$STATE/ready"
  say "cluster '$CLUSTER_NAME' ($PROVIDER, Kubernetes $KUBERNETES_VERSION) is up"
  say "use it:     eval \"\$($(self env))\"; kubectl get nodes"
  say "remove it:  $(self down)"
}

command_down() {
  if [[ ! -e $STATE/provider ]]; then
    say "no cluster '$CLUSTER_NAME' here"
    return
  fi
  choose_provider
  lock_cluster 120
  rm -f -- "$STATE/ready"
  "${PROVIDER}_down"
  rm -rf -- "$STATE"/{provider,cluster.env,kubeconfig,kubeconfig.lock,config}
  say "cluster '$CLUSTER_NAME' is down; its logs stay in $STATE/logs"
}

command_load() {
  (($#)) || { echo "usage: cluster.sh load FILE.tar..." >&2; exit "$EXIT_USAGE"; }
  local archive
  local -a archives=()
  for archive in "$@"; do
    [[ -r $archive ]] || die "no such image archive: $archive"
    # A provider may import from inside the cluster, where the working directory is another.
    archives+=("$(realpath -- "$archive")")
  done
  require_up
  "${PROVIDER}_load" "${archives[@]}"
}

command_node_image() {
  node_image_ensure
  printf '%s\n' "$NODE_IMAGE"
}

command_tools() {
  if (($#)); then
    PROVIDER=$1
  else
    choose_provider
  fi
  tools_ensure "$PROVIDER"
  printf '%s\n' "$TOOLS/bin"
}

case $COMMAND in
  up) command_up ;;
  down) command_down ;;
  status) command_status ;;
  load) command_load "$@" ;;
  env) command_env ;;
  tools) command_tools "$@" ;;
  node-image) command_node_image ;;
  shell) command_shell "$@" ;;
  help | -h | --help) command_help ;;
  *)
    echo "cluster.sh: no such command '$COMMAND'; see: $SELF help" >&2
    exit "$EXIT_USAGE"
    ;;
esac
