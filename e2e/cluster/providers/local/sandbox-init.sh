#!/usr/bin/env bash
# The first process of a local cluster's namespaces: furnishes them, then becomes the waiting program.
# Called by sandbox.sh only:  sandbox-init.sh RUN STATE PAUSE NODE ID
set -euo pipefail
run=$1 state=$2 pause=$3 node=$4 id=$5

# Before anything else, so that a later run can clean up after one that was killed.
# shellcheck source=lib/record-process.sh
source "${BASH_SOURCE[0]%/*}/../../lib/record-process.sh" "$run/sandbox.pid"

mount -t proc proc /proc
# Volumes that the kubelet mounts must reach the containers; nothing reaches the host, whose slave this tree is.
mount --make-rshared /
hostname -- "$node" 2>/dev/null || printf '%s\n' "$node" >/proc/sys/kernel/hostname

# etcd waits for every write to be on the disk: in memory a busy machine cannot make it miss its heartbeats.
mount -t tmpfs -o size=2g,mode=0700 etcd "$run/etcd"

# Fixed paths of Kubernetes, containerd and CNI.
mount --bind "$state/kubelet" /var/lib/kubelet
mount --bind "$state/cni" /var/lib/cni
mount --bind "$run/shim" /run/containerd
mount --bind "$run/netns" /run/netns
mount --bind "$state/logs/pods" /var/log/pods
mount --bind "$state/logs/containers" /var/log/containers

# No name server can be reached from here; on the loopback address the refusal comes at once.
printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$run/resolv.conf"
if [[ -e /etc/resolv.conf ]]; then
  mount --bind "$run/resolv.conf" /etc/resolv.conf
fi

# The kubelet wants these kernel settings and writes them where they differ. They belong to the whole host, so it finds
# plain files with the wanted values instead, and the host keeps its own.
while read -r setting value; do
  [[ -e /proc/sys/$setting ]] || continue
  printf '%s\n' "$value" >"$run/sysctl/${setting//\//.}"
  mount --bind "$run/sysctl/${setting//\//.}" "/proc/sys/$setting"
done <<'SETTINGS'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SETTINGS

# This one belongs to the network namespace.
printf '1\n' >/proc/sys/net/ipv4/ip_forward
ip link set lo up

: >"$run/sandbox.ready"
exec -a "mcp-operator-cluster $id" "$pause"
