#!/usr/bin/env bash
# deploy/compose on a Docker engine: the server alone, then with Redis and Prometheus (and Grafana, where its image can be
# had). Builds the server's image first; what no registry gives is made on this machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

hack/docker-build.sh
environment=$(e2e/engine/engine.sh env)
eval "$environment"
mapfile -t images < <(docker compose --project-directory deploy/compose --env-file deploy/compose/full.env config --images | grep -vE '^localhost/|^grafana/' | sort -u)
e2e/engine/images.sh "${images[@]}"
e2e/engine/engine.sh in e2e/compose/test.sh
