# shellcheck shell=bash
# Provider `kind`: nodes are containers of a Docker engine.

kind_possible() {
  have docker && timeout 15 docker info >/dev/null 2>&1
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
  render "$HERE/providers/kind/config.yaml" >"$STATE/config/kind.yaml"
  if ! timeout --kill-after=20 900 "$TOOLS/bin/kind" create cluster --name "$CLUSTER_NAME" --config "$STATE/config/kind.yaml" \
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

# The node's containerd names images as the archive does; kind itself would load them again every time.
kind_load() {
  local archive name digest present node
  node=$CLUSTER_NAME-control-plane
  for archive in "$@"; do
    present=$(timeout 60 docker exec "$node" ctr --namespace k8s.io images ls | awk '{ print $1, $3 }') || present=''
    read -r name digest < <(archive_images "$archive") || name=''
    if [[ -n $name ]] && grep -qxF -- "$name $digest" <<<"$present"; then
      say "already there: $archive"
      continue
    fi
    timeout 300 "$TOOLS/bin/kind" load image-archive "$archive" --name "$CLUSTER_NAME" >&2 || die "kind could not load $archive"
    say "loaded: $archive"
  done
}
