# shellcheck shell=bash
# Provider `local`: a real one-node Kubernetes straight on this machine, with neither engine nor registry. Needs root.

readonly TEMPLATES=$HERE/providers/local/templates
# shellcheck source=providers/local/sandbox.sh
source "$HERE/providers/local/sandbox.sh"
# shellcheck source=providers/local/addresses.sh
source "$HERE/providers/local/addresses.sh"
# shellcheck source=providers/local/cgroups.sh
source "$HERE/providers/local/cgroups.sh"
# shellcheck source=providers/local/pki.sh
source "$HERE/providers/local/pki.sh"
# shellcheck source=providers/local/control-plane.sh
source "$HERE/providers/local/control-plane.sh"
# shellcheck source=providers/local/node.sh
source "$HERE/providers/local/node.sh"
# shellcheck source=providers/local/images.sh
source "$HERE/providers/local/images.sh"
# shellcheck source=providers/local/dns.sh
source "$HERE/providers/local/dns.sh"

# Root inside an ordinary container is not enough: it may not make namespaces.
may_make_namespaces() {
  have unshare && unshare --mount --net --pid --uts --ipc --fork -- true 2>/dev/null
}

local_possible() {
  [[ $(uname -s) == Linux ]] && ((EUID == 0)) && may_make_namespaces
}

local_prepare() {
  [[ $(uname -s) == Linux ]] || missing "the local provider needs Linux; this is $(uname -s). Start a Docker engine and use CLUSTER_PROVIDER=kind."
  ((EUID == 0)) || missing "the local provider needs root (namespaces, control groups, routes). Try again with: sudo -E $(self "$COMMAND")"
  may_make_namespaces || missing "this root may not make namespaces (an unprivileged container?). Run it on the host or in a privileged container."
  tools_locate
  packages_ensure
  tools_ensure local
  pause_ensure
}

# Quick: is the cluster of this name up and whole?
local_healthy() {
  sandbox_names
  recall || return 1
  sandbox_alive && members_alive && apiserver_ready && node_ready && dns_ready
}

local_up() {
  sandbox_names
  local_clear
  logs_rotate
  umask 077
  AUDIT_LOG=$STATE/logs/audit.log
  mkdir -p -- "$STATE/config"

  sandbox_start
  say "addresses: node $NODE_IP, pods $POD_CIDR, services $SERVICE_CIDR"
  cgroups_create
  find_cni || die "no CNI plugins in ${CNI_PLACES[*]}"
  wait_guard=members_alive
  containerd_start
  etcd_start
  pki_create
  kubeconfig admin "$KUBECONFIG_FILE"
  wait_for 30 "etcd" "$STATE/logs/etcd.log" etcd_ready
  apiserver_start
  wait_for 30 "containerd" "$STATE/logs/containerd.log" containerd_ready
  images_start
  wait_for 90 "the API server" "$STATE/logs/kube-apiserver.log" apiserver_ready
  say "the API server answers"
  controllers_start
  kubelet_start
  kube_proxy_start
  wait_for 30 "CoreDNS to be taken in" "$STATE/logs/kube-apiserver.log" dns_apply
  wait_for 90 "the node to be Ready" "$STATE/logs/kubelet.log" node_ready
  say "the node is Ready"
  wait_for 60 "the default ServiceAccount" "$STATE/logs/kube-controller-manager.log" default_account_ready
  wait_for 120 "cluster DNS" "$STATE/logs/kubelet.log" dns_ready
  wait_guard=''
  HOST_ROUTES=yes
  save TOOLS KUBERNETES_VERSION AUDIT_LOG HOST_ROUTES HOST_IP NODE_IP POD_CIDR SERVICE_CIDR DNS_IP SNAPSHOTTER
}

# The last run's logs stay readable beside the new ones.
logs_rotate() {
  rm -rf -- "$STATE/logs.previous"
  if [[ -d $STATE/logs ]]; then
    mv -- "$STATE/logs" "$STATE/logs.previous"
  fi
  mkdir -p -- "$STATE/logs"
}

# Removes whatever of a cluster of this name there is on the host, whole or half-made, and says what. Each step is bounded, and one
# that fails does not keep the next from being tried.
local_clear() {
  local failed=0 gone=()
  if sandbox_alive; then
    gone+=("processes, mounts and packet filters of sandbox $SANDBOX")
    sandbox_kill || failed=1
  fi
  if ip link show dev "$VETH" >/dev/null 2>&1; then
    # Usually the kernel has already taken it away with the sandbox, and the routes with it.
    timeout 10 ip link delete dev "$VETH" 2>/dev/null || ! ip link show dev "$VETH" >/dev/null 2>&1 || failed=1
    gone+=("link $VETH")
  fi
  cgroups_remove || failed=1
  if [[ -d $RUN ]]; then
    timeout 60 rm -rf --one-file-system -- "$RUN" || failed=1
    gone+=("$RUN")
  fi
  timeout 120 rm -rf --one-file-system -- "$STATE"/{kubeconfig,cluster.env,pki,config,kubelet,cni,containerd} || failed=1
  if ((${#gone[@]})); then
    say "removed: $(printf '%s; ' "${gone[@]}")control groups $CGROUP"
  fi
  ((failed == 0)) || die "not everything could be removed; see above"
}

local_down() {
  ((EUID == 0)) || missing "the local cluster was made by root and only root can remove it: sudo -E $(self down)"
  sandbox_names
  local_clear
  with_lock "$(lock_file network)" 60 "choosing addresses"
  local_last_one_out
  unlock
}

# What all local clusters share goes with the last of them.
local_last_one_out() {
  local run path
  for run in "$LOCAL_ROOT"/*/; do
    [[ ! -d $run ]] || return 0
  done
  cgroups_restore_root
  if [[ -r $LOCAL_ROOT/created ]]; then
    while read -r path; do
      rmdir -- "$path" 2>/dev/null || true
    done <"$LOCAL_ROOT/created"
    rm -f -- "$LOCAL_ROOT/created"
  fi
  rmdir -- "$LOCAL_ROOT" 2>/dev/null || true
}

local_load() {
  local archive
  sandbox_names
  sandbox_alive || die "the cluster's processes have ended: $(self up)"
  for archive in "$@"; do
    if archive_present "$archive"; then
      say "already there: $archive"
    else
      import "$archive"
      say "loaded: $archive"
    fi
  done
}
