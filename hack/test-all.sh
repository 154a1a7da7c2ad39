#!/usr/bin/env bash
# `make test-all`: `make test`, and what needs a Docker engine: both targets of the Dockerfile, the composed server with its
# monitoring, and the stories on a kind cluster of three nodes. Where no engine answers, one is brought up in namespaces of its
# own, and ended again. Each step is a make target too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

began=$SECONDS
times=()
step() {
  local title=$1 start=$SECONDS line
  shift
  printf '\n==> %s\n' "$title"
  "$@"
  line="$title: $((SECONDS - start)) s"
  times+=("$line")
  printf '==> %s (%d s in all)\n' "$line" $((SECONDS - began))
}

ours=''
finish() {
  local code=$?
  [[ -z $ours ]] || e2e/engine/engine.sh down || code=1
  printf '\n'
  ((${#times[@]} == 0)) || printf '    %s\n' "${times[@]}"
  if ((code)); then
    printf '==> FAILED after %d s, in the step after the last one above\n' $((SECONDS - began))
  else
    printf '==> everything passed in %d s\n' $((SECONDS - began))
  fi
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step 'make test' make test
# Other programs' engines are left as they are.
e2e/engine/engine.sh status >/dev/null 2>&1 || ours=1
step 'a Docker engine (make engine-up)' make engine-up
if [[ -n $ours ]]; then
  step 'the engine leaves nothing behind (make engine-test)' make engine-test
fi
step 'both targets of the Dockerfile (make docker-build)' make docker-build
step 'the composed server (make compose-test)' make compose-test
step 'stories on a kind cluster of three nodes (make kind-test)' make kind-test
step 'deployments by kubectl-mcp (make deploy-test)' make deploy-test
# Clients in other languages come with their own installation.
if make --question clients >/dev/null 2>&1 || (($? == 1)); then
  step 'clients of other projects (make clients)' make clients
fi
