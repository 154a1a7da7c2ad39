#!/usr/bin/env bash
# Proves on this machine that the engine works and leaves nothing behind: once in peace, once after it was killed. Needs root
# on Linux; other engines may run beside it. Half a minute with the programs cached.
set -euo pipefail

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
ENGINE=$HERE/engine.sh
WORK=$(mktemp -d)
mkdir -p -- "${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/engine"
ENGINE_HOME=$(mktemp -d -- "${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/engine/test.XXXXXX")
export ENGINE_HOME ENGINE_OWN=1
PATH=$PATH:/usr/sbin:/sbin

at_exit() {
  "$ENGINE" clean >/dev/null 2>&1 || true
  rm -rf -- "$WORK"
}
trap at_exit EXIT
trap 'exit 130' INT TERM
# shellcheck source=../cluster/lib/check.sh
source "$HERE/../cluster/lib/check.sh"

engine() { timeout --kill-after=10 900 "$ENGINE" "$@"; }

# Everything of the host that an engine could change. Other engines' and clusters' control groups are not ours.
picture() {
  local hash file line
  hash=$(printf '%s' "$ENGINE_HOME" | sha256sum)
  echo '== processes'
  for file in /proc/[0-9]*/cmdline; do
    line=$(tr '\0' ' ' 2>/dev/null <"$file") || continue
    [[ $line != *"$ENGINE_HOME"* ]] || echo "$line"
  done
  echo '== mounts' && cat /proc/self/mounts
  echo '== links' && ip -brief link | awk '{ print $1 }'
  echo '== routes' && ip route show table all && ip rule
  echo '== packet filters' && { nft list ruleset 2>/dev/null || iptables-save | sed '/^#/d; s/\[[0-9:]*\]//'; }
  echo '== control groups' && find /sys/fs/cgroup -maxdepth 2 -name "mcp-engine-${hash:0:8}"
  echo '== folders of an installed engine'
  ls -ld /etc/docker /etc/containerd /etc/cni /opt/* /var/lib/{docker,containerd,cni} /var/log/docker* /run/{docker,containerd,netns}* 2>&1 || true
  echo '== settings' && sysctl fs.file-max fs.nr_open vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys \
    kernel.hostname net.ipv4.ip_forward net.ipv4.conf.all net.ipv4.conf.default
}

unchanged() {
  picture >"$WORK/after"
  diff -u "$WORK/before" "$WORK/after"
}

comes_up() { engine up && engine status && engine in docker info; }

# Privileged, as a kind node is: this fails where the machine's root lacks a capability and nobody took it out.
runs_a_privileged_container() {
  engine in docker run --rm --privileged --entrypoint /bin/dockerfile-frontend docker/dockerfile:1 -version
}

has_compose_and_buildx() {
  engine in docker compose version && engine in docker buildx version
}

is_killed() {
  local pid
  read -r pid _ <"$ENGINE_HOME/init.pid"
  kill -KILL "$pid"
  for _ in {1..100}; do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  engine in docker info && return 1
  engine status && return 1
  return 0
}

# Programs and packages are fetched before, and stay.
"$HERE/../../hack/prerequisites.sh" engine
picture >"$WORK/before"
check 'the engine comes up' comes_up
check 'it runs a privileged container' runs_a_privileged_container
check 'it has Compose and buildx' has_compose_and_buildx
check 'it goes down' engine down
check 'nothing of it stays on this machine' unchanged
check 'it comes up again' comes_up
check 'after a kill it answers no more, and says so' is_killed
check 'it comes up after a kill' comes_up
check 'its images are still there' runs_a_privileged_container
check 'it goes down again' engine down
check 'nothing of either stays on this machine' unchanged
summary
