# shellcheck shell=bash
# The engine's programs: Docker, containerd and runc from Debian's packages, unpacked instead of installed, so that no
# service is set up; Compose, buildx and the Dockerfile frontend from pinned Go modules.

# shellcheck disable=SC2034 # read by go.sh
readonly TOOLS_SOURCE=$HERE
readonly DEBIAN_PACKAGES=(docker.io containerd runc tini)
readonly ENGINE_TOOLS=(docker-compose docker-buildx dockerfile-frontend)

# Sets DEBS and TOOLS, the folders of the programs, and GO_VERSION. The newest set of packages is used until `engine/debs-*`
# is removed: a warm run asks no mirror.
programs_locate() {
  local sum found
  found=$(find "$CACHE" -mindepth 1 -maxdepth 1 -type d -name 'debs-*' -printf '%T@ %p\n' 2>/dev/null | sort -rn | head -n 1)
  DEBS=${found#* }
  go_ensure "$HERE/tools" 'Docker Compose and buildx'
  sum=$(cat "$HERE"/tools/go.{mod,sum} | sha256sum)
  TOOLS=$CACHE/tools-$GO_VERSION-$(uname -m)-${sum:0:12}
}

programs_ensure() {
  programs_locate
  [[ -n $DEBS ]] || debs_fetch
  local program
  for program in "${ENGINE_TOOLS[@]}"; do
    if [[ ! -x $TOOLS/bin/$program ]]; then
      engine_tools_build
      break
    fi
  done
}

engine_tools_build() {
  local compose=github.com/docker/compose/v2 buildx=github.com/docker/buildx buildkit=github.com/moby/buildkit
  say "building Compose and buildx into $TOOLS/bin (once; five to ten minutes on two cores)"
  tools_compile tools '' \
    "-X $compose/internal.Version=$(module_version tools "$compose") -X $buildx/version.Version=$(module_version tools "$buildx")" \
    "$compose/cmd" "$buildx/cmd/buildx" "$buildkit/frontend/dockerfile/cmd/dockerfile-frontend"
}

# Into a folder named after the versions of docker.io, containerd and runc.
debs_fetch() {
  local work package versions
  have apt-get || missing "no Docker engine answers, and this machine has no apt-get to fetch one with: install Docker and start it"
  say "fetching Debian's ${DEBIAN_PACKAGES[*]} (65 MB)"
  mkdir -p -- "$CACHE"
  rm -rf -- "$CACHE"/fetching.*
  work=$(mktemp -d -- "$CACHE/fetching.XXXXXX")
  (cd "$work" && { apt-get download "${DEBIAN_PACKAGES[@]}" || { apt-get update && apt-get download "${DEBIAN_PACKAGES[@]}"; }; }) \
    >"$work/log" 2>&1 || { show_log "$work/log"; die 'apt-get could not fetch the packages'; }
  mkdir -- "$work/root"
  for package in "$work"/*.deb; do
    dpkg --extract "$package" "$work/root"
  done
  # The engine looks for a container's first process (`init: true`) under this name.
  ln -sfn tini-static "$work/root/usr/bin/docker-init"
  versions=$(for package in docker.io containerd runc; do dpkg --field "$work/$package"_*.deb Version; done | tr '\n:' '-_')
  DEBS=$CACHE/debs-${versions%-}
  rm -rf -- "$DEBS"
  mv -- "$work/root" "$DEBS"
  rm -rf -- "$work"
  touch -- "$DEBS"
}

# A Dockerfile's `# syntax=docker/dockerfile:1` names an image that no registry gives here: the same program, locally built.
frontend_ensure() {
  local archive=$TOOLS/frontend.tar
  if ! docker image inspect docker/dockerfile:1 >/dev/null 2>&1; then
    "$HERE/../../hack/oci-image.sh" --name docker/dockerfile --tag 1 --user 0:0 --entrypoint '["/bin/dockerfile-frontend"]' \
      --label moby.buildkit.frontend.network.none=true \
      --label moby.buildkit.frontend.caps=moby.buildkit.frontend.inputs,moby.buildkit.frontend.subrequests,moby.buildkit.frontend.contexts \
      --dir /tmp --output "$archive" "$TOOLS/bin/dockerfile-frontend:/bin/dockerfile-frontend" >/dev/null
    docker load --quiet --input "$archive" >/dev/null
    rm -f -- "$archive"
  fi
}
