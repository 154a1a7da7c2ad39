#!/usr/bin/env bash
# The first process of the engine's namespaces: furnishes them, runs the engine, and reaps what containers leave behind.
# Called by sandbox.sh only:  init.sh ENGINE_HOME DOCKERD...
set -euo pipefail
home=$1
shift
# shellcheck source=../../cluster/lib/record-process.sh
source "${BASH_SOURCE[0]%/*}/../../cluster/lib/record-process.sh" "$home/init.pid"

mount -t proc proc /proc
mount --make-rshared /
# The machine's own containerd and Docker, if it has any, keep their sockets and locks in the other /run.
mount -t tmpfs -o mode=0755 tmpfs /run
# The engine and its containerd make folders here (/etc/docker, /opt/containerd): they see the machine's, and write elsewhere.
for folder in /etc /opt; do
  layer=/run/engine-layers$folder
  mkdir -p "$folder" "$layer/upper" "$layer/work"
  mount -t overlay -o "lowerdir=$folder,upperdir=$layer/upper,workdir=$layer/work" overlay "$folder"
done
ip link set lo up

# A recorded process 1 ignores signals without a handler.
trap 'kill -TERM "$engine" 2>/dev/null' TERM
"$@" >"$home/dockerd.log" 2>&1 &
engine=$!
code=0
# A signal interrupts `wait`; the engine then stops its containers.
wait "$engine" || code=$?
while kill -0 "$engine" 2>/dev/null; do
  code=0
  wait "$engine" || code=$?
done
exit "$code"
