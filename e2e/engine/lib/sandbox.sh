# shellcheck shell=bash
# The engine's namespaces. Nothing in them can outlive their first process (lib/init.sh): when it ends, the kernel ends every
# daemon and container, and drops every mount, address and packet filter that they made. Control groups alone stay behind.

engine_names() {
  local hash
  hash=$(printf '%s' "$ENGINE_HOME" | sha256sum)
  ENGINE_CGROUP=mcp-engine-${hash:0:8}
}

# Sets ENGINE to the first process's id on this machine if the engine runs.
engine_alive() {
  ENGINE=$(recorded_process "$ENGINE_HOME/init.pid")
}

engine_possible() {
  local type program
  [[ $(uname -s) == Linux ]] || missing "no Docker engine answers, and one of our own needs Linux; this is $(uname -s). Start Docker."
  ((EUID == 0)) || missing "no Docker engine answers, and one of our own needs root. Start Docker, or: sudo -E $SELF $COMMAND"
  unshare --mount --net --pid --uts --ipc --fork -- true 2>/dev/null ||
    missing 'no Docker engine answers, and this root may not make namespaces (an unprivileged container?). Run it on the host or in a privileged container.'
  "$HERE/../../hack/prerequisites.sh" engine
  for program in nsenter setsid dpkg jq ip iptables; do
    have "$program" || missing "the engine needs '$program', which is not on the PATH ($PATH)"
  done
  mkdir -p -- "$ENGINE_HOME"/{data,config/cli-plugins}
  # sockaddr_un holds 108 bytes.
  ((${#SOCKET} < 108)) || missing "the socket's path is too long ($SOCKET): set ENGINE_HOME to a shorter folder"
  type=$(stat --file-system --format %T "$ENGINE_HOME/data")
  [[ $type != overlayfs && $type != nfs ]] ||
    missing "the engine's data cannot be on $type ($ENGINE_HOME): set ENGINE_HOME to a folder on ext4 or xfs"
}

# Capabilities that this machine's root lacks, as JSON.
missing_capabilities() {
  local names=(chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service
    net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot
    sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog
    wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore)
  local bounding i missing=()
  bounding=$((16#$(awk '$1 == "CapBnd:" { print $2 }' /proc/self/status)))
  for i in "${!names[@]}"; do
    ((bounding >> i & 1)) || missing+=("CAP_${names[i]^^}")
  done
  ((${#missing[@]})) || { echo '[]'; return; }
  jq --compact-output --null-input '$ARGS.positional' --args -- "${missing[@]}"
}

engine_start() {
  local log=$ENGINE_HOME/init.log lacking runtime=()
  engine_names
  ln -sfn "$TOOLS/bin/docker-compose" "$ENGINE_HOME/config/cli-plugins/docker-compose"
  ln -sfn "$TOOLS/bin/docker-buildx" "$ENGINE_HOME/config/cli-plugins/docker-buildx"
  : >"$log"
  lacking=$(missing_capabilities)
  if [[ $lacking != '[]' ]]; then
    say "this machine lacks $lacking: containers do without"
    printf '#!/bin/sh\nexec env LACKING=%q RUNC=%q %q "$@"\n' "$lacking" "$DEBS/usr/sbin/runc" "$HERE/lib/runc.sh" >"$ENGINE_HOME/runc"
    chmod +x "$ENGINE_HOME/runc"
    runtime=(--add-runtime "own=$ENGINE_HOME/runc" --default-runtime own)
  fi
  # shellcheck disable=SC2016,SC2094 # expanded by the shell in the namespaces; both only append to the log
  (
    close_descriptors
    # `unshare` without --fork: the first child is process 1 of the new namespace, and no helper process stays behind.
    unshare --mount --net --pid --uts --ipc --propagation slave -- \
      bash -c 'setsid bash "$@" </dev/null >>"$0" 2>&1 &' "$log" "$HERE/lib/init.sh" "$ENGINE_HOME" \
      dockerd --host "$DOCKER_HOST" --data-root "$ENGINE_HOME/data" --storage-driver overlay2 \
      --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$ENGINE_CGROUP" "${runtime[@]}"
  ) >>"$log" 2>&1 </dev/null
  wait_guard=engine_starting
  wait_for 180 'the engine' "$ENGINE_HOME/dockerd.log" timeout 15 docker info
  # shellcheck disable=SC2034 # read by wait_for
  wait_guard=''
}

# Until the first process has recorded itself it may be on its way; once recorded it must live.
engine_starting() {
  [[ ! -e $ENGINE_HOME/init.pid ]] || engine_alive || {
    show_log "$ENGINE_HOME/init.log"
    show_log "$ENGINE_HOME/dockerd.log"
    warn 'the engine has ended'
    return 1
  }
}

# Ends the engine of this ENGINE_HOME and removes what it, or one that was killed, left on this machine. It is asked first, so
# that containers can stop in order.
engine_clear() {
  local pid deadline
  engine_names
  if engine_alive; then
    pid=$ENGINE
    kill -TERM "$pid"
    deadline=$((SECONDS + 20))
    while engine_alive; do
      if ((SECONDS == deadline)); then
        say 'the engine takes longer than 20 s to stop its containers: ending them'
        kill -KILL "$pid" 2>/dev/null || true
      fi
      ((SECONDS < deadline + 30)) || die "process $pid does not end 30 s after SIGKILL; it or one of its children is stuck in the kernel"
      sleep 0.1
    done
  fi
  rm -f -- "$ENGINE_HOME"/{init.pid,docker.sock}
  cgroups_clear
}

# A group can be busy for a moment after its last process has gone.
cgroups_clear() {
  local deadline=$((SECONDS + 15)) groups
  while :; do
    mapfile -t groups < <(find /sys/fs/cgroup -maxdepth 2 -type d -name "$ENGINE_CGROUP" 2>/dev/null)
    ((${#groups[@]})) || return 0
    find "${groups[@]}" -depth -type d -exec rmdir -- {} + 2>/dev/null || true
    ((SECONDS < deadline)) || { warn "control groups still busy after 15 s: ${groups[*]}"; return; }
    sleep 0.1
  done
}
