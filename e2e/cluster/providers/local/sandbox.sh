# shellcheck shell=bash
# The sandbox: one first process with its own process, mount, network, host name and IPC namespaces, in which the whole
# cluster lives. Nothing in it can outlive that process: killing it makes the kernel end every daemon, shim and pod, and
# drop every mount, address, route and packet filter table that they made. The host gets one veth pair and two routes.

readonly LOCAL_ROOT=/run/mcp-operator
readonly NODE_NAME=node-1

# Names that are unique to this cluster on this host, also when two users choose the same CLUSTER_NAME.
sandbox_names() {
  local hash
  hash=$(printf '%s' "$STATE" | sha256sum)
  CLUSTER_ID=${CLUSTER_NAME:0:24}-${hash:0:8}
  RUN=$LOCAL_ROOT/$CLUSTER_ID
  VETH=mcp-${hash:0:8}
  CGROUP=mcp-cluster-$CLUSTER_ID
}

# Sets SANDBOX to the process id on the host if the sandbox runs.
sandbox_alive() {
  SANDBOX=$(recorded_process "$RUN/sandbox.pid")
}

in_sandbox() {
  nsenter --target "$SANDBOX" --mount --net --pid --uts --ipc --wd=/ -- "$@"
}

sandbox_start() {
  # Addresses are chosen and taken under one lock: two clusters that start together must not choose the same.
  with_lock "$(lock_file network)" 60 "choosing addresses"
  choose_addresses
  mkdir -p -- "$RUN"/{etcd,shim,netns,pids,sysctl,containerd} "$STATE"/{kubelet,cni,containerd,logs/pods,logs/containers}
  sandbox_mount_points
  local log=$STATE/logs/sandbox.log
  (
    close_descriptors
    # `unshare` without --fork: the first child is process 1 of the new namespace, and no helper process stays behind.
    unshare --mount --net --pid --uts --ipc --propagation slave -- \
      bash -c 'setsid bash "$@" </dev/null >>"$0" 2>&1 &' \
      "$log" "$HERE/providers/local/sandbox-init.sh" "$RUN" "$STATE" "$TOOLS/bin/pause" "$NODE_NAME" "$CLUSTER_ID"
  ) >>"$log" 2>&1 </dev/null
  wait_for 10 "the sandbox" "$log" test -e "$RUN/sandbox.ready"
  sandbox_alive || { show_log "$log"; die "the sandbox died at once"; }
  timeout 20 bash -euo pipefail -c '
    pid=$1 veth=$2 host=$3 node=$4 pods=$5 services=$6
    ip link add "$veth" type veth peer name eth0 netns "$pid"
    ip address add "$host/30" dev "$veth"
    ip link set "$veth" up
    nsenter --target "$pid" --net ip address add "$node/30" dev eth0
    nsenter --target "$pid" --net ip link set eth0 up
    # Nothing beyond this host is reachable: say so at once instead of letting packets time out.
    nsenter --target "$pid" --net ip route add unreachable default
    ip route add "$pods" via "$node"
    ip route add "$services" via "$node"
  ' _ "$SANDBOX" "$VETH" "$HOST_IP" "$NODE_IP" "$POD_CIDR" "$SERVICE_CIDR" || die "could not join the sandbox to the host's network"
  unlock
}

# Paths of the host over which the sandbox binds its own folders. Those that did not exist are noted down: the last
# local cluster to go removes them again, if they are still empty.
readonly BOUND_PATHS=(/var/lib/kubelet /var/lib/cni /run/containerd /run/netns /var/log/pods /var/log/containers)

sandbox_mount_points() {
  local path
  for path in "${BOUND_PATHS[@]}"; do
    if [[ ! -e $path ]]; then
      mkdir -p -- "$path"
      printf '%s\n' "$path" >>"$LOCAL_ROOT/created"
    fi
  done
}

# Ends everything in the sandbox. Bounded: a process stuck in the kernel is reported, not waited for.
sandbox_kill() {
  local pid deadline
  sandbox_alive || return 0
  pid=$SANDBOX
  kill -KILL "$pid" 2>/dev/null || true
  deadline=$((SECONDS + 30))
  while sandbox_alive; do
    if ((SECONDS >= deadline)); then
      warn "process $pid does not end 30 s after SIGKILL; it or one of its children is stuck in the kernel: $(
        tr '\n' ' ' <"/proc/$pid/wchan" 2>/dev/null || true
      )"
      return 1
    fi
    sleep 0.1
  done
}

# member_start NAME COMMAND...: a daemon in the sandbox, detached, with its output in logs/NAME.log.
member_start() {
  local name=$1 log=$STATE/logs/$1.log
  shift
  (
    close_descriptors
    # shellcheck disable=SC2016 # expanded by the shell in the sandbox
    in_sandbox env -i PATH="$TOOLS/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME=/root LANG=C.UTF-8 \
      bash -c '
        umask 022
        hard=$(ulimit -Hn)
        if [[ $hard == unlimited ]] || ((hard > 65536)); then hard=65536; fi
        ulimit -Sn "$hard"
        pid_file=$1
        shift
        setsid "$@" &
        echo $! >"$pid_file"
      ' _ "$RUN/pids/$name" "$@"
  ) >>"$log" 2>&1 </dev/null || { show_log "$log"; die "could not start $name"; }
}

# Whether every member started so far still runs; names those that do not, and shows why.
members_alive() {
  local name dead
  sandbox_alive || { warn "the cluster's first process has gone"; return 1; }
  # shellcheck disable=SC2016 # expanded by the shell in the sandbox
  dead=$(in_sandbox bash -c 'for file in "$1"/*; do kill -0 "$(<"$file")" 2>/dev/null || echo "${file##*/}"; done' _ "$RUN/pids") || return 1
  [[ -n $dead ]] || return 0
  for name in $dead; do
    warn "$name has ended"
    show_log "$STATE/logs/$name.log"
  done
  return 1
}
