#!/usr/bin/env bash
# Proves on this machine that the local cluster works and leaves nothing behind: once in peace, once after members were
# killed under it, once after `up` itself was killed half-way. Needs root; other clusters may run beside it.
#   e2e/cluster/test-teardown.sh            under two minutes with the tools cached
# shellcheck disable=SC2016 # single-quoted programs are for other shells to expand
set -euo pipefail

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
CLUSTER=$HERE/cluster.sh
WORK=$(mktemp -d)
export CLUSTER_PROVIDER=local CLUSTER_NAME=teardown-test
# The part of its names on the host that no other cluster has.
OUR_HASH=$(printf '%s' "${XDG_STATE_HOME:-$HOME/.local/state}/mcp-operator/clusters/$CLUSTER_NAME" | sha256sum | cut -c1-8)

at_exit() {
  "$CLUSTER" down >/dev/null 2>&1 || true
  rm -rf -- "$WORK"
}
trap at_exit EXIT
trap 'exit 130' INT TERM
# shellcheck source=lib/check.sh
source "$HERE/lib/check.sh"

cluster() { timeout --kill-after=10 900 "$CLUSTER" "$@"; }
control() { kubectl --request-timeout=20s "$@"; }

# === what the host looks like ===

# Host process ids of the first processes of all local clusters, ours (true) or the others (false).
sandboxes() {
  local ours=$1 file pid
  for file in /run/mcp-operator/*/sandbox.pid; do
    [[ -r $file ]] || continue
    read -r pid _ <"$file"
    if [[ $file == */"$CLUSTER_NAME"-*/* ]]; then
      ! "$ours" || echo "$pid"
    else
      "$ours" || echo "$pid"
    fi
  done
}

# "pid start" of each process given and of all its descendants.
family() {
  local -A parent=() start=()
  local stat fields pid up
  for stat in /proc/[0-9]*/stat; do
    { read -r fields <"$stat"; } 2>/dev/null || continue
    pid=${fields%% *}
    read -ra fields <<<"${fields##*) }"
    parent[$pid]=${fields[1]} start[$pid]=${fields[19]}
  done
  for pid in "${!parent[@]}"; do
    up=$pid
    while [[ -n $up && $up != 0 ]]; do
      if [[ " $* " == *" $up "* ]]; then
        echo "$pid ${start[$pid]}"
        break
      fi
      up=${parent[$up]:-}
    done
  done | sort
}

# Everything on the host that a cluster could leave behind. Lines that name a cluster other than ours are dropped.
picture() {
  local others path
  mapfile -t others < <(sandboxes false)
  {
    echo '== processes outside the host namespace of process ids'
    foreign_processes "${others[@]}"
    echo '== mounts' && cat /proc/self/mounts
    echo '== links' && ip -brief link | awk '{ print $1 }'
    echo '== routes' && ip route show table all && ip -6 route show table all && ip rule
    echo '== named network namespaces' && { ls /run/netns 2>/dev/null || true; }
    echo '== packet filters' && nft list ruleset && { iptables-save | sed '/^#/d; s/\[[0-9:]*\]//' || true; }
    echo '== control groups' && find /sys/fs/cgroup -type d -name '*mcp-*' | sort && find /sys/fs/cgroup -type d -name 'kubepods*' | sort
    [[ ! -e /sys/fs/cgroup/cgroup.subtree_control ]] || cat /sys/fs/cgroup/cgroup.subtree_control
    echo '== settings' && sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys \
      net.ipv4.ip_forward net.ipv4.conf.all net.ipv4.conf.default kernel.hostname
    echo '== folders'
    for path in /var/lib/kubelet /var/lib/cni /run/containerd /var/log/pods /var/log/containers /etc/cni /opt/cni /opt/containerd; do
      [[ ! -d $path ]] || find "$path" -mindepth 1 -maxdepth 2
    done
    echo '== sockets' && { awk '/containerd|kubelet|mcp-/ { print $NF }' /proc/net/unix | sort -u; }
    echo '== service policy' && { ls /usr/sbin/policy-rc.d* 2>/dev/null || true; }
  } | awk -v ours="$OUR_HASH" '!/mcp-[0-9a-f]/ || index($0, ours)'
}

foreign_processes() {
  local host process known
  host=$(readlink /proc/self/ns/pid)
  known=$(family "$@" | cut -d' ' -f1)
  for process in /proc/[0-9]*; do
    [[ $(readlink "$process/ns/pid" 2>/dev/null || echo "$host") != "$host" ]] || continue
    ! grep -qx "${process##*/}" <<<"$known" || continue
    # A process that has ended meanwhile has no command line left to show.
    { tr '\0' ' ' <"$process/cmdline" && echo; } 2>/dev/null || true
  done
}

# Waits a little: the kernel takes network namespaces apart in its own time.
looks_as_before() {
  local attempt
  for attempt in {1..50}; do
    picture >"$WORK/after"
    if diff "$WORK/before" "$WORK/after" >"$WORK/difference"; then
      return 0
    fi
    sleep 0.2
  done
  echo "left behind (after $attempt looks):"
  cat "$WORK/difference"
  return 1
}

none_alive() {
  local pid start fields alive=0
  while read -r pid start; do
    { read -r fields <"/proc/$pid/stat"; } 2>/dev/null || continue
    read -ra fields <<<"${fields##*) }"
    if [[ ${fields[19]} == "$start" && ${fields[0]} != [ZX] ]]; then
      printf '%s in state %s: %s\n' "$pid" "${fields[0]}" "$(tr '\0' ' ' <"/proc/$pid/cmdline")"
      alive=1
    fi
  done <"$1"
  ((alive == 0))
}

# === what the cluster must do ===

# Programs that are there anyway make the pods: the waiting one, and kubectl, which can ask a URL.
pack_client() {
  local bin
  bin=$(cluster tools)
  "$HERE/../../hack/oci-image.sh" --name localhost/teardown-test --tag 1 --output "$WORK/client.tar" --user 65532:65532 \
    --entrypoint '["/pause"]' "$bin/pause:/pause" "$bin/kubectl:/kubectl"
}

apply_client() {
  control apply -f - <<'YAML'
apiVersion: v1
kind: Pod
metadata: { name: client }
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: client
      image: localhost/teardown-test:1
      volumeMounts: [{ name: scratch, mountPath: /tmp }]
  volumes: [{ name: scratch, emptyDir: {} }]
---
apiVersion: v1
kind: Service
metadata: { name: ready, namespace: kube-system }
spec:
  selector: { k8s-app: kube-dns }
  ports: [{ port: 80, targetPort: 8181 }]
YAML
  control wait pod/client --for=condition=Ready --timeout=60s
}

# A new Service is known to the packet filter a second later, hence the attempts.
answers_by_name() {
  local answer
  for _ in {1..10}; do
    answer=$(control exec client -- /kubectl --cache-dir /tmp --server "$1" get --raw /ready) || true
    [[ $answer != OK ]] || return 0
    sleep 0.5
  done
  echo "the last answer: $answer"
  return 1
}

answers_host() {
  local address
  address=$(control -n kube-system get service ready -o 'jsonpath={.spec.clusterIP}')
  [[ $(timeout 10 bash -c 'exec 3<>"/dev/tcp/$1/80"; printf "GET /ready HTTP/1.0\r\n\r\n" >&3; cat <&3' _ "$address") == *OK* ]]
}

logs_answer() { [[ $(control -n kube-system logs deployment/coredns) == *CoreDNS* ]]; }

audited() { grep -q '"verb":"create".*pods' "$CLUSTER_AUDIT_LOG"; }

quick_up() {
  local started=$SECONDS
  cluster up
  ((SECONDS - started < 5))
}

# Kills one program of the cluster: its host process id is that of the descendant with this name.
kill_member() {
  local pid
  while read -r pid _; do
    if [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == */"$1" ]]; then
      kill -KILL "$pid"
      return 0
    fi
  done <"$WORK/family"
  echo "no process of $1"
  return 1
}

remember_family() {
  local ours
  mapfile -t ours < <(sandboxes true)
  family "${ours[@]}" >"$WORK/family"
  [[ $(wc -l <"$WORK/family") -ge 9 ]]
}

load_and_apply() {
  cluster load "$WORK/client.tar"
  apply_client
}

pack_and_load_twice() {
  pack_client
  # A relative path is the caller's, wherever the import runs.
  (cd "$WORK" && cluster load client.tar)
  cluster load "$WORK/client.tar" 2>&1 | grep 'already there'
}

refuses() { ! "$@"; }

kill_first_process() { kill -KILL "$(sandboxes true)"; }

# === the stories ===

cluster down >/dev/null 2>&1
# Packages and tools first: they are meant to stay.
cluster tools >/dev/null
picture >"$WORK/before"

check 'up' cluster up
eval "$(cluster env)"
check 'up again takes less than 5 s' quick_up
check 'pack and load an image, and skip it the second time' pack_and_load_twice
check 'a pod becomes Ready' apply_client
check 'a pod reaches a Service by its short name' answers_by_name http://ready.kube-system.svc
check 'a pod reaches a Service by its full name' answers_by_name http://ready.kube-system.svc.cluster.local
check 'the host reaches a Service address' answers_host
check 'logs' logs_answer
check 'the audit log has the requests' audited
check 'status' cluster status
check 'the cluster has its processes' remember_family
check 'down' cluster down
check 'no process of it is alive' none_alive "$WORK/family"
check 'the host looks as before' looks_as_before
check 'down again is no error' cluster down

check 'up' cluster up
check 'a pod becomes Ready' load_and_apply
remember_family
for program in kubelet containerd kube-apiserver containerd-shim-runc-v2; do
  check "kill -9 $program" kill_member "$program"
done
check 'status says that it is not whole' refuses cluster status
check 'up makes it anew' cluster up
check 'no process of the old one is alive' none_alive "$WORK/family"
check 'a pod becomes Ready' load_and_apply
remember_family
check 'kill -9 of the first process' kill_first_process
check 'down' cluster down
check 'no process of it is alive' none_alive "$WORK/family"
check 'the host looks as before' looks_as_before

"$CLUSTER" up >/dev/null 2>&1 &
sleep 7
kill -KILL $! 2>/dev/null || true
check 'down after an `up` that was killed half-way' cluster down
check 'the host looks as before' looks_as_before

rm -rf -- "$CLUSTER_STATE"
summary
