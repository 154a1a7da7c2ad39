# shellcheck shell=bash
# What the local provider needs from the distribution, and how it gets there.

readonly POLICY=/usr/sbin/policy-rc.d
readonly POLICY_SAVED=$POLICY.before-mcp-operator
readonly CNI_PLACES=(/usr/lib/cni /opt/cni/bin /usr/libexec/cni)

# Sets CNI_BIN to the first folder that holds the network plugins used here.
find_cni() {
  local place
  for place in "${CNI_PLACES[@]}"; do
    if [[ -x $place/bridge && -x $place/host-local && -x $place/portmap && -x $place/loopback ]]; then
      CNI_BIN=$place
      return
    fi
  done
  return 1
}

# Whether the compiler can link a static program (Debian splits the C library's archive off).
links_statically() {
  have gcc && printf 'int main(void){return 0;}' | gcc -static -x c -o /dev/null - 2>/dev/null
}

# Debian's names of the packages that are missing, one a line.
packages_missing() {
  have etcd || echo etcd-server
  have containerd || echo containerd
  have runc || echo runc
  find_cni || echo containernetworking-plugins
  have iptables || echo iptables
  have nft || echo nftables
  have openssl || echo openssl
  have jq || echo jq
  have ip || echo iproute2
  have mount || echo mount
  { have nsenter && have unshare && have setsid; } || echo util-linux
  if [[ ! -x $TOOLS/bin/pause ]] && ! links_statically; then
    have gcc || echo gcc
    echo libc6-dev
  fi
}

packages_ensure() {
  local wanted command
  # Debian keeps administrators' programs off an ordinary PATH.
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  mapfile -t wanted < <(packages_missing)
  ((${#wanted[@]})) || return 0
  command="apt-get install -y --no-install-recommends ${wanted[*]}"
  if ! have apt-get; then
    missing "these programs are missing, by the names of Debian's packages: ${wanted[*]}
  Install what this distribution calls them, then try again."
  fi
  if [[ ${CLUSTER_INSTALL_PACKAGES:-1} != 1 ]]; then
    missing "Debian packages are missing and CLUSTER_INSTALL_PACKAGES=$CLUSTER_INSTALL_PACKAGES forbids installing them. The command:
  $command"
  fi
  say "installing Debian packages, with none of their daemons started: ${wanted[*]}"
  packages_install "${wanted[@]}"
  mapfile -t wanted < <(packages_missing)
  ((${#wanted[@]} == 0)) || missing "still missing after the installation: ${wanted[*]}; its output is in $STATE/logs/packages.log"
}

packages_install() {
  local log=$STATE/logs/packages.log package units=() status=0
  mkdir -p -- "$STATE/logs"
  with_lock "$(lock_file packages)" 900 "installing packages"
  for package in "$@"; do
    case $package in
      etcd-server) units+=(etcd.service) ;;
      containerd) units+=(containerd.service) ;;
    esac
  done
  policy_guarded=1
  policy_guard
  {
    apt_get install "$@" || { apt_get update && apt_get install "$@"; } || status=$?
  } >"$log" 2>&1
  # Debian enables a service that it installs: it would start with the next boot.
  if ((status == 0 && ${#units[@]})) && have systemctl; then
    systemctl disable "${units[@]}" >>"$log" 2>&1 || warn "could not disable ${units[*]}; see $log"
  fi
  packages_stop
  unlock
  if ((status)); then
    show_log "$log"
    missing "apt-get failed; its output is in $log. Mend it, or install by hand:
  apt-get update && apt-get install -y --no-install-recommends $*"
  fi
}

apt_get() {
  local verb=$1
  shift
  DEBIAN_FRONTEND=noninteractive timeout --kill-after=10 900 \
    apt-get -q -y -o DPkg::Lock::Timeout=300 "$verb" ${1:+--no-install-recommends} "$@" </dev/null
}

# While this file says 101, maintainer scripts start no service. A file of the administrator's is put back afterwards,
# also by the next run if this one is killed.
policy_guard() {
  policy_restore
  if [[ -x $POLICY ]]; then
    local answer=0
    "$POLICY" containerd start >/dev/null 2>&1 || answer=$?
    ((answer != 101)) || return 0
    mv -- "$POLICY" "$POLICY_SAVED"
  fi
  printf '#!/bin/sh\n# mcp-operator cluster.sh: no service is started while packages are installed\nexit 101\n' >"$POLICY"
  chmod 0755 "$POLICY"
}

policy_guarded=''
packages_stop() {
  if [[ -n $policy_guarded ]]; then
    policy_restore
    policy_guarded=''
  fi
}

policy_restore() {
  if [[ -f $POLICY ]] && grep -q '^# mcp-operator cluster.sh:' "$POLICY"; then
    rm -f -- "$POLICY"
  fi
  if [[ -e $POLICY_SAVED ]]; then
    mv -f -- "$POLICY_SAVED" "$POLICY"
  fi
}
