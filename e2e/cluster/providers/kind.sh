# shellcheck shell=bash
# Provider `kind`: nodes are containers of a Docker engine.

# kind's own node image of this version of kind (test-static.sh compares the two), and how many nodes there are.
readonly KIND_DEFAULT_IMAGE=kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5
CLUSTER_KIND_IMAGE=${CLUSTER_KIND_IMAGE:-$KIND_DEFAULT_IMAGE}
CLUSTER_KIND_NODES=${CLUSTER_KIND_NODES:-1}
# Why the engine could not fetch the image.
KIND_PULL_ERROR=''

# shellcheck source=kind/node-image.sh
source "$HERE/providers/kind/node-image.sh"

kind_possible() {
  have docker && timeout 15 docker info >/dev/null 2>&1
}

# Whether the engine has the node image, or can fetch it: an engine without a registry has neither.
kind_image_possible() {
  ! docker image inspect "$CLUSTER_KIND_IMAGE" >/dev/null 2>&1 || return 0
  # A name like this comes from `node-image`, never from a registry.
  [[ $CLUSTER_KIND_IMAGE != localhost/* ]] || return 1
  say "fetching kind's node image ${CLUSTER_KIND_IMAGE%@*} (once)"
  KIND_PULL_ERROR=$(timeout --kill-after=10 900 docker pull --quiet "$CLUSTER_KIND_IMAGE" 2>&1 >/dev/null)
}

kind_known() {
  timeout 60 "$TOOLS/bin/kind" get clusters --quiet | grep -qxF -- "$CLUSTER_NAME"
}

kind_healthy() {
  recall || return 1
  kind_possible && kind_known && admin get --raw /readyz >/dev/null && admin wait nodes --all --for=condition=Ready --timeout=3s >/dev/null
}

kind_prepare() {
  kind_possible || missing "no Docker engine answers ('docker info' fails). Start one, or use CLUSTER_PROVIDER=local as root on Linux."
  [[ $CLUSTER_KIND_NODES =~ ^[1-9]$ ]] || { echo "cluster.sh: CLUSTER_KIND_NODES '$CLUSTER_KIND_NODES': from 1 to 9" >&2; exit "$EXIT_USAGE"; }
  kind_image_possible || missing "the engine has no image $CLUSTER_KIND_IMAGE and cannot fetch it${KIND_PULL_ERROR:+: $KIND_PULL_ERROR}
  Make one here:   export CLUSTER_KIND_IMAGE=\$($(self node-image))
  or use CLUSTER_PROVIDER=local as root on Linux."
  tools_ensure kind
}

kind_up() {
  mkdir -p -- "$STATE/config" "$STATE/logs/audit"
  if kind_known; then
    say "clearing what is left of an earlier kind cluster '$CLUSTER_NAME'"
    kind_delete
  fi
  AUDIT_LOG=$STATE/logs/audit/audit.log
  cp -- "$HERE/lib/audit-policy.yaml" "$STATE/config/audit-policy.yaml"
  # The API server appends to a file that is there: made by this user, it stays readable to this user.
  : >"$AUDIT_LOG"
  # shellcheck disable=SC2034 # a value of the template
  WORKERS=$(for ((i = 1; i < CLUSTER_KIND_NODES; i++)); do echo '  - role: worker'; done)
  render "$HERE/providers/kind/config.yaml" >"$STATE/config/kind.yaml"
  say "creating $CLUSTER_KIND_NODES node(s) from $CLUSTER_KIND_IMAGE"
  if ! timeout --kill-after=20 900 "$TOOLS/bin/kind" create cluster --name "$CLUSTER_NAME" --image "$CLUSTER_KIND_IMAGE" --config "$STATE/config/kind.yaml" \
    --kubeconfig "$KUBECONFIG_FILE" --wait 180s --retain </dev/null 2>"$STATE/logs/kind.log" >&2; then
    show_log "$STATE/logs/kind.log"
    timeout 120 "$TOOLS/bin/kind" export logs --name "$CLUSTER_NAME" "$STATE/logs/kind" >/dev/null 2>&1 || true
    die "kind create cluster failed; its output is in $STATE/logs/kind.log, the node's logs in $STATE/logs/kind"
  fi
  chmod 0600 "$KUBECONFIG_FILE"
  wait_for 120 "cluster DNS" "" kind_dns_ready
  # Pods live behind the engine; on a desktop the engine itself is behind a virtual machine.
  HOST_ROUTES=no HOST_IP='' POD_CIDR='' SERVICE_CIDR=''
  KUBERNETES_VERSION=$(admin get nodes -o 'jsonpath={.items[0].status.nodeInfo.kubeletVersion}')
  save TOOLS KUBERNETES_VERSION AUDIT_LOG HOST_ROUTES HOST_IP POD_CIDR SERVICE_CIDR
}

kind_dns_ready() {
  [[ $(admin -n kube-system get deployment coredns -o 'jsonpath={.status.conditions[?(@.type=="Available")].status}') == True ]]
}

kind_delete() {
  timeout --kill-after=20 180 "$TOOLS/bin/kind" delete cluster --name "$CLUSTER_NAME" --kubeconfig "$KUBECONFIG_FILE" >&2 ||
    die "kind could not delete the cluster '$CLUSTER_NAME'"
}

kind_down() {
  if ! recall || [[ ! -x $TOOLS/bin/kind ]]; then
    tools_ensure kind
  fi
  kind_possible || die "no Docker engine answers: the containers of kind cluster '$CLUSTER_NAME' cannot be removed"
  if kind_known; then
    kind_delete
    say "removed: kind cluster $CLUSTER_NAME"
  fi
}

# The nodes' containerd names images as the archive does; kind itself would load them again every time.
kind_load() {
  local archive name digest
  for archive in "$@"; do
    read -r name digest < <(archive_images "$archive") || name=''
    if [[ -n $name ]] && kind_has "$name $digest"; then
      say "already there: $archive"
      continue
    fi
    timeout 300 "$TOOLS/bin/kind" load image-archive "$archive" --name "$CLUSTER_NAME" >&2 || die "kind could not load $archive"
    say "loaded: $archive"
  done
}

# Whether every node has the image "NAME DIGEST".
kind_has() {
  local node nodes present
  nodes=$(timeout 60 "$TOOLS/bin/kind" get nodes --name "$CLUSTER_NAME") || return 1
  for node in $nodes; do
    present=$(timeout 60 docker exec "$node" ctr --namespace k8s.io images ls | awk '{ print $1, $3 }') || return 1
    grep -qxF -- "$1" <<<"$present" || return 1
  done
}
