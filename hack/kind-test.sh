#!/usr/bin/env bash
# Every story of hack/e2e.sh on a kind cluster of three nodes. Where no Docker engine answers, one is brought up; where kind's
# node image cannot be fetched, one is made on this machine, once.
#
#   hack/kind-test.sh [FILTER]   KEEP_CLUSTER=1 as in hack/e2e.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CLUSTER_PROVIDER=kind CLUSTER_NAME=${CLUSTER_NAME:-mcp-kind-test} CLUSTER_KIND_NODES=${CLUSTER_KIND_NODES:-3}
export IMAGE_PROFILE=${IMAGE_PROFILE:-image-test}
cluster=e2e/cluster/cluster.sh

step() {
  local title=$1 start=$SECONDS
  shift
  printf '\n==> %s\n' "$title" >&2
  "$@"
  printf '==> %s: done in %d s\n' "$title" $((SECONDS - start)) >&2
}

step 'a Docker engine' e2e/engine/engine.sh up
environment=$(e2e/engine/engine.sh env)
# An engine of our own has no way out of its network: what is built and fetched is built and fetched before.
eval "$environment"
step 'tools of the cluster' "$cluster" tools kind >/dev/null
step 'images of both programs' hack/image.sh
step 'the stories' cargo test --locked --workspace --test stories --no-run
if [[ -n $environment && -z ${CLUSTER_KIND_IMAGE-} ]]; then
  CLUSTER_KIND_IMAGE=$(step 'a node image for kind' "$cluster" node-image)
  export CLUSTER_KIND_IMAGE
  export CARGO_NET_OFFLINE=true GOPROXY=off
fi
step "stories on a kind cluster of $CLUSTER_KIND_NODES nodes" e2e/engine/engine.sh in hack/e2e.sh "$@"
