#!/usr/bin/env bash
# Stories on a real cluster: brings one up, installs the operator, runs the stories, takes the cluster down.
#
#   hack/e2e.sh [FILTER]   runs the stories whose name contains FILTER
#
# KEEP_CLUSTER=1 leaves the cluster up, so that the next run is quick and a failure can be looked at.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CLUSTER_NAME=${CLUSTER_NAME:-mcp-test}
export IMAGE_PROFILE=${IMAGE_PROFILE:-image-test}
cluster=e2e/cluster/cluster.sh

finish() {
  local code=$?
  if [[ ${KEEP_CLUSTER-} == 1 ]]; then
    printf '==> the cluster %s is still up; CLUSTER_NAME=%s make cluster-down ends it\n' "$CLUSTER_NAME" "$CLUSTER_NAME" >&2
  else
    "$cluster" down || code=1
  fi
  exit "$code"
}

# The whole workspace is named so that crates are built with the features that they have in `make unit`, once.
stories=(cargo test --locked --workspace --test stories)
# Built first: a compile error should not cost a cluster.
"${stories[@]}" --no-run
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$cluster" up
environment=$("$cluster" env)
eval "$environment"
hack/install.sh
E2E_RUNTIME_IMAGE=$(<"${CARGO_TARGET_DIR:-target}/images/mcp-server.ref")
export E2E_RUNTIME_IMAGE
# One after the other: a story that kills the operator, and one that counts its requests, bear no company.
"${stories[@]}" -- --test-threads=1 --nocapture "$@"
