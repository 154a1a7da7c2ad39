# shellcheck shell=bash
# Builds the pinned programs (Kubernetes, kubectl, helm, kind, CoreDNS, etcd) from Go modules and keeps them outside the tree.

readonly TOOLS_SOURCE=$HERE/tools
# Counts up when the way of building below changes: it is part of the cache key.
readonly TOOLS_RECIPE=1

readonly KUBERNETES_PROGRAMS=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)

# The programs that a provider needs.
tools_for() {
  case $1 in
    local) printf '%s\n' "${KUBERNETES_PROGRAMS[@]}" coredns helm ;;
    kind) printf '%s\n' kubectl helm kind ;;
    # What goes into a node image of our own (providers/kind/node-image.sh).
    node-image) printf '%s\n' "${KUBERNETES_PROGRAMS[@]}" kubeadm coredns etcd crictl ;;
    existing) printf '%s\n' kubectl helm ;;
    *) die "no such provider: $1" ;;
  esac
}

# Sets TOOLS, GO_VERSION and KUBERNETES_VERSION. The key holds all that decides what the programs are.
tools_locate() {
  local sum
  go_ensure "$TOOLS_SOURCE/kubernetes" 'Kubernetes, kubectl and helm'
  KUBERNETES_VERSION=$(module_version kubernetes k8s.io/kubernetes)
  sum=$(cd "$TOOLS_SOURCE" && cat kubernetes/go.{mod,sum} addons/go.{mod,sum} addons/coredns/main.go node/go.{mod,sum} | sha256sum)
  TOOLS=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/tools/k8s-${KUBERNETES_VERSION#v}-$GO_VERSION-$(uname -m)-r$TOOLS_RECIPE-${sum:0:12}
}

tools_missing() {
  local program
  for program in $(tools_for "$1"); do
    [[ -x $TOOLS/bin/$program ]] || printf '%s\n' "$program"
  done
}

tools_ensure() {
  local provider=$1 wanted
  tools_for "$provider" >/dev/null
  tools_locate
  if [[ -z $(tools_missing "$provider") ]]; then
    touch -- "$TOOLS"
    return
  fi
  with_lock "$TOOLS/lock" 3600 "the tools' cache"
  mapfile -t wanted < <(tools_missing "$provider")
  if ((${#wanted[@]})); then
    tools_build "${wanted[@]}"
  fi
  unlock
}

tools_build() {
  local program kubernetes=() addons=() node=()
  for program in "$@"; do
    case $program in
      kube* ) kubernetes+=("k8s.io/kubernetes/cmd/$program") ;;
      coredns) addons+=(./coredns) ;;
      helm) addons+=(helm.sh/helm/v3/cmd/helm) ;;
      kind) addons+=(sigs.k8s.io/kind) ;;
      etcd) node+=(go.etcd.io/etcd/server/v3) ;;
      crictl) node+=(sigs.k8s.io/cri-tools/cmd/crictl) ;;
    esac
  done
  say "building $* with $GO_VERSION into $TOOLS/bin (once; about 12 minutes for all of them on two cores with an empty Go cache)"
  rm -rf -- "$TOOLS"/building.*
  # Half a gigabyte for each set of versions: those that no run has touched for a month go.
  find "${TOOLS%/*}" -mindepth 1 -maxdepth 1 -type d -mtime +30 -exec rm -rf -- {} +
  # The flags are those of the projects' own releases; without the versions kubectl and the kubelet refuse to talk,
  # and helm would render charts for Kubernetes 1.20.
  local v=${KUBERNETES_VERSION#v} package flags='' client
  if ((${#kubernetes[@]})); then
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
      flags+=" -X $package.gitVersion=v$v -X $package.gitMajor=${v%%.*} -X $package.gitMinor=$(cut -d. -f2 <<<"$v")"
      flags+=" -X $package.gitTreeState=clean -X $package.gitCommit=unknown"
    done
    tools_compile kubernetes selinux,notest,grpcnotrace "$flags" "${kubernetes[@]}"
  fi
  if ((${#addons[@]})); then
    client=$(module_version addons k8s.io/client-go | cut -d. -f2)
    tools_compile addons '' \
      "-X helm.sh/helm/v3/internal/version.version=$(module_version addons helm.sh/helm/v3)
       -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=$client
       -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=$client" \
      "${addons[@]}"
  fi
  if ((${#node[@]})); then
    tools_compile node '' "-X sigs.k8s.io/cri-tools/pkg/version.Version=$(module_version node sigs.k8s.io/cri-tools)" "${node[@]}"
  fi
}
