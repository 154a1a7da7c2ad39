# shellcheck shell=bash
# The one node: containerd, kubelet and kube-proxy.

readonly CONTAINERD_SOCKET_NAME=containerd/containerd.sock

ctr_k8s() {
  timeout 300 ctr --address "$RUN/$CONTAINERD_SOCKET_NAME" --namespace k8s.io "$@"
}

# overlayfs needs a disk that takes its upper folder; inside a container's own overlay the plain copying one still works.
choose_snapshotter() {
  local try=$STATE/containerd/try
  mkdir -p -- "$try"/{lower,upper,work,merged}
  SNAPSHOTTER=native
  if unshare --mount -- mount -t overlay overlay -o "lowerdir=$try/lower,upperdir=$try/upper,workdir=$try/work" "$try/merged" 2>/dev/null; then
    SNAPSHOTTER=overlayfs
  fi
  rm -rf -- "$try"
}

containerd_start() {
  choose_snapshotter
  mkdir -p -- "$STATE/config/cni"
  render "$TEMPLATES/cni.conflist" >"$STATE/config/cni/10-pods.conflist"
  render "$TEMPLATES/containerd.toml" >"$STATE/config/containerd.toml"
  member_start containerd containerd --config "$STATE/config/containerd.toml"
}

containerd_ready() { timeout 5 ctr --address "$RUN/$CONTAINERD_SOCKET_NAME" version; }

kubelet_start() {
  render "$TEMPLATES/kubelet.yaml" >"$STATE/config/kubelet.yaml"
  member_start kubelet kubelet --config "$STATE/config/kubelet.yaml" --kubeconfig "$STATE/pki/kubelet.kubeconfig" \
    --hostname-override "$NODE_NAME" --node-ip "$NODE_IP"
}

kube_proxy_start() {
  render "$TEMPLATES/kube-proxy.yaml" >"$STATE/config/kube-proxy.yaml"
  member_start kube-proxy kube-proxy --config "$STATE/config/kube-proxy.yaml"
}

node_ready() {
  [[ $(admin get node "$NODE_NAME" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') == True ]]
}

default_account_ready() { admin get serviceaccount default -n default -o name; }
