#!/usr/bin/env bash
# Puts the images of this checkout into a cluster and installs the operator by helm.
#
#   hack/install.sh   KUBECONFIG, PATH and CLUSTER_NAME as `e2e/cluster/cluster.sh env` prints them;
#                     IMAGE_PROFILE as in hack/image.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

images=${CARGO_TARGET_DIR:-target}/images
hack/image.sh
e2e/cluster/cluster.sh load "$images/mcp-operator.tar" "$images/mcp-server.tar"

operator=$(<"$images/mcp-operator.ref")
server=$(<"$images/mcp-server.ref")
printf '==> helm: installing %s\n' "$operator" >&2
helm upgrade --install mcp-operator-crds charts/mcp-operator-crds \
  --namespace mcp-system --create-namespace --wait --timeout 2m >/dev/null
printf '==> helm: waiting for the operator, for at most 3 minutes\n' >&2
helm upgrade --install mcp-operator charts/mcp-operator \
  --namespace mcp-system --wait --timeout 3m \
  --set image.repository="${operator%:*}",image.tag="${operator##*:}" \
  --set runtime.image.repository="${server%:*}",runtime.image.tag="${server##*:}" >/dev/null
