#!/usr/bin/env bash
# `make deploy-test`: kubectl-mcp deploys, changes, breaks and undeploys a server on a real engine and in a real cluster.
#
#   hack/deploy-test.sh [compose|cluster]   one of the two only
#
# Where no Docker engine answers, one is brought up, and ended again. CLUSTER_NAME, CLUSTER_PROVIDER and KEEP_CLUSTER as in
# hack/e2e.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CLUSTER_NAME=${CLUSTER_NAME:-mcp-deploy-test} IMAGE_PROFILE=${IMAGE_PROFILE:-image-test}
cluster=e2e/cluster/cluster.sh
engine=e2e/engine/engine.sh
images=${CARGO_TARGET_DIR:-target}/images
program=${CARGO_TARGET_DIR:-target}/debug/kubectl-mcp

our_engine='' our_cluster=''
finish() {
  local code=$?
  [[ -z $our_engine ]] || "$engine" down || code=1
  if [[ -n $our_cluster && ${KEEP_CLUSTER-} != 1 ]]; then "$cluster" down || code=1; fi
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() { printf '\n==> %s\n' "$1" >&2; }

compose() {
  local environment
  step 'kubectl-mcp on a Docker engine'
  "$engine" status >/dev/null 2>&1 || our_engine=1
  "$engine" up
  environment=$("$engine" env)
  eval "$environment"
  docker load --input "$images/mcp-server.tar" >&2
  "$engine" in e2e/deploy/compose.sh "$program" "$(<"$images/mcp-server.ref")"
}

in_cluster() (
  local environment
  step 'kubectl-mcp in a cluster'
  environment=$("$cluster" env)
  eval "$environment"
  hack/install.sh
  e2e/deploy/cluster.sh "$program"
)

case ${1-} in
'' | compose | cluster) ;;
*)
  echo 'usage: hack/deploy-test.sh [compose|cluster]' >&2
  exit 2
  ;;
esac
step 'the programs and their images'
cargo build --locked --package mcp-cli
hack/image.sh
# The cluster first: kind would take the engine that is brought up for Compose, whose published ports are not reachable here.
if [[ ${1-} != compose ]]; then
  our_cluster=1
  "$cluster" up
  in_cluster
fi
if [[ ${1-} != cluster ]]; then compose; fi
step 'kubectl-mcp deploys, rolls back and undeploys'
