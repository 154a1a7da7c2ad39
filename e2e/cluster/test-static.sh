#!/usr/bin/env bash
# What can be checked of the cluster scripts without making a cluster: the scripts themselves, that kind accepts its
# configuration, and that no template names a value that nothing sets. Needs shellcheck.
set -euo pipefail

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
WORK=$(mktemp -d)
trap 'rm -rf -- "$WORK"' EXIT
# shellcheck source=lib/check.sh
source "$HERE/lib/check.sh"

scripts_are_clean() {
  cd "$HERE"
  shellcheck -x cluster.sh test-static.sh test-teardown.sh providers/local/sandbox-init.sh providers/kind/node/{entrypoint,kubelet-cgroups,node-network}
}

# kind reads its configuration before it asks the engine anything; this engine then refuses.
kind_accepts() {
  local config=$1 kind answer
  kind=$("$HERE/cluster.sh" tools kind)/kind
  printf '#!/bin/sh\nexit 1\n' >"$WORK/docker"
  chmod +x "$WORK/docker"
  answer=$(PATH=$WORK:$PATH KIND_EXPERIMENTAL_PROVIDER=docker "$kind" create cluster --name static --config "$config" --kubeconfig "$WORK/kubeconfig" 2>&1) || true
  echo "$answer"
  [[ $answer == *'failed to get docker info'* && $answer != *'decode config'* ]]
}

kind_config() { sed 's|@STATE@|/var/tmp/static|g; s|@WORKERS@|  - role: worker|' "$HERE/providers/kind/config.yaml" >"$WORK/kind.yaml"; }

kind_config_is_valid() {
  kind_config
  kind_accepts "$WORK/kind.yaml"
}

# The check itself must be able to fail.
kind_refuses_unknown_fields() {
  kind_config
  sed -i 's/extraMounts/extraMountings/' "$WORK/kind.yaml"
  ! kind_accepts "$WORK/kind.yaml"
}

# The image is named in kind.sh so that `auto` can ask for it before kind is built.
kind_image_is_that_of_kind() {
  local kind
  kind=$("$HERE/cluster.sh" tools kind)/kind
  grep -aoE 'kindest/node:v[0-9.]+@sha256:[0-9a-f]{64}' "$kind" | sort -u | tee "$WORK/images"
  grep -qxF -- "$(sed -n 's/^readonly KIND_DEFAULT_IMAGE=//p' "$HERE/providers/kind.sh")" "$WORK/images"
}

# An engine that answers, and has and fetches no image: `auto` takes the local cluster, and `kind` says what to do.
auto_passes_over_an_engine_without_node_image() {
  local answer status=0
  # shellcheck disable=SC2016 # a script of its own
  printf '#!/bin/sh\n[ "$1" = info ] || { echo "no registry" >&2; exit 1; }\n' >"$WORK/docker"
  chmod +x "$WORK/docker"
  answer=$(PATH=$WORK:$PATH CLUSTER_PROVIDER=kind "$HERE/cluster.sh" up 2>&1) || status=$?
  echo "$answer"
  ((status == 3)) && [[ $answer == *'cannot fetch it: no registry'*'cluster.sh node-image'* ]] || return 1
  if ((EUID == 0)); then
    answer=$(PATH=$WORK:$PATH "$HERE/cluster.sh" tools 2>/dev/null)
    [[ -x $answer/kube-apiserver ]]
  else
    status=0
    PATH=$WORK:$PATH "$HERE/cluster.sh" tools || status=$?
    ((status == 3))
  fi
}

templates_name_known_values() {
  local name unknown=0
  while read -r name; do
    if ! grep -rqE "(^|[[:space:];(])(readonly )?$name=" "$HERE/cluster.sh" "$HERE/lib" "$HERE/providers" --include '*.sh'; then
      echo "nothing sets @$name@"
      unknown=1
    fi
  done < <(grep -rhoE '@[A-Z][A-Z0-9_]*@' "$HERE/providers" --include '*.yaml' --include '*.toml' --include '*.conflist' | tr -d @ | sort -u)
  ((unknown == 0))
}

help_names_every_command() {
  local help command
  help=$("$HERE/cluster.sh" help)
  for command in up down status load env tools node-image shell; do
    grep -qE "^  $command( |\$)" <<<"$help" || { echo "help does not name $command"; return 1; }
  done
}

wrong_usage_is_refused() {
  local status=0
  "$HERE/cluster.sh" no-such-command || status=$?
  ((status == 2)) || return 1
  status=0
  CLUSTER_NAME='Not A Name' "$HERE/cluster.sh" status || status=$?
  ((status == 2))
}

check 'the scripts are clean under shellcheck' scripts_are_clean
check 'kind accepts its configuration' kind_config_is_valid
check 'kind refuses a configuration with an unknown field' kind_refuses_unknown_fields
check "the node image is that of the pinned kind" kind_image_is_that_of_kind
check 'auto passes over an engine without a node image' auto_passes_over_an_engine_without_node_image
check 'templates name only values that are set' templates_name_known_values
check 'help names every command' help_names_every_command
check 'wrong usage is refused' wrong_usage_is_refused

summary
