# shellcheck shell=bash
# The cluster's own control group: one folder in every version 1 hierarchy, or one in the unified hierarchy.

readonly CGROUP_ENABLED=$LOCAL_ROOT/cgroup-controllers-enabled

# Mount points of hierarchies, by file system type (cgroup or cgroup2).
cgroup_mounts() {
  awk -v type="$1" '$3 == type { print $2 }' /proc/self/mounts
}

cgroups_create() {
  local mount setting
  if [[ $(stat -f -c %T /sys/fs/cgroup) == cgroup2fs ]]; then
    cgroups_create_unified
    return
  fi
  while read -r mount; do
    mkdir -p -- "$mount/$CGROUP" || die "cannot make a control group in $mount"
    for setting in cpuset.cpus cpuset.mems; do
      # A new cpuset is empty, and no process may enter an empty one.
      if [[ -e $mount/$setting ]]; then
        cat "$mount/$setting" >"$mount/$CGROUP/$setting"
      fi
    done
  done < <(cgroup_mounts cgroup)
}

# The kubelet demands each of these that the machine has. A controller that the root did not hand down is switched on, noted, and switched
# off again by the last local cluster to go.
cgroups_create_unified() {
  local root=/sys/fs/cgroup controller available enabled
  read -r available <"$root/cgroup.controllers"
  read -r enabled <"$root/cgroup.subtree_control" || enabled=''
  mkdir -p -- "$root/$CGROUP" || die "cannot make a control group in $root"
  for controller in cpuset cpu io memory hugetlb pids; do
    [[ " $available " == *" $controller "* ]] || continue
    if [[ " $enabled " != *" $controller "* ]]; then
      if ! echo "+$controller" 2>/dev/null >"$root/cgroup.subtree_control"; then
        missing "the control group controller '$controller' cannot be switched on in $root: processes live in its root, as inside a container.
  Run this on the host itself, or where a Docker engine answers (CLUSTER_PROVIDER=kind)."
      fi
      echo "$controller" >>"$CGROUP_ENABLED"
    fi
    echo "+$controller" >"$root/$CGROUP/cgroup.subtree_control"
  done
}

# Removes the cluster's groups. A group can be busy for a moment after its last process was killed.
cgroups_remove() {
  local mount group deadline=$((SECONDS + 15)) left
  while :; do
    left=''
    while read -r mount; do
      group=$mount/$CGROUP
      [[ -d $group ]] || continue
      if [[ -w $group/cgroup.kill ]]; then
        echo 1 >"$group/cgroup.kill" || true
      fi
      find "$group" -depth -type d -exec rmdir -- {} + 2>/dev/null || true
      [[ ! -d $group ]] || left+=" $group"
    done < <(cgroup_mounts cgroup; cgroup_mounts cgroup2)
    [[ -n $left ]] || return 0
    if ((SECONDS >= deadline)); then
      warn "control groups still busy after 15 s:$left"
      return 1
    fi
    sleep 0.2
  done
}

# For the last local cluster to go.
cgroups_restore_root() {
  local controller
  [[ -r $CGROUP_ENABLED ]] || return 0
  while read -r controller; do
    echo "-$controller" 2>/dev/null >/sys/fs/cgroup/cgroup.subtree_control || warn "controller '$controller' stays switched on: something else uses it now"
  done <"$CGROUP_ENABLED"
  rm -f -- "$CGROUP_ENABLED"
}
