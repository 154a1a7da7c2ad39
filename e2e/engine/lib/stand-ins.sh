# shellcheck shell=bash
# Images made from Debian's packages and this machine's toolchain, under the names that a Dockerfile or a compose file uses.
# Each carries a label with all that decides what is in it.

readonly STAND_IN_LABEL=dev.mcp-operator.stand-in
readonly DEBIAN=bookworm
STAND_IN_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/engine

stand_in_known() {
  [[ $1 == rust:*-$DEBIAN || $1 == redis:* || $1 == prom/prometheus:* ]]
}

# What decides the content of a stand-in: how it is made, and the crates.
stand_in_key() {
  {
    declare -f debian import
    case $1 in
      rust:*) declare -f make_rust && cat -- "$HERE/../../Cargo.lock" ;;
      redis:*) declare -f make_redis ;;
      *) declare -f make_prometheus ;;
    esac
  } | sha256sum | cut -c 1-12
}

# Whether the engine has the image: a fetched one of any content, or a stand-in of today's.
stand_in_is_current() {
  local label
  label=$(docker image inspect --format "{{ index .Config.Labels \"$STAND_IN_LABEL\" }}" "$1" 2>/dev/null) || return 1
  [[ -z $label || $label == '<no value>' || $label == "$(stand_in_key "$1")" ]]
}

stand_in_make() {
  local started=$SECONDS
  "$HERE/../../hack/prerequisites.sh" engine
  mkdir -p -- "$STAND_IN_CACHE"
  rm -rf --one-file-system -- "$STAND_IN_CACHE"/stand-in.*
  WORK=$(mktemp -d -- "$STAND_IN_CACHE/stand-in.XXXXXX")
  trap 'rm -rf --one-file-system -- "$WORK"' EXIT
  say "making $1 on this machine"
  case $1 in
    rust:*) make_rust "$1" ;;
    redis:*) make_redis "$1" ;;
    prom/prometheus:*) make_prometheus "$1" ;;
  esac
  rm -rf --one-file-system -- "$WORK"
  say "made $1 in $((SECONDS - started)) s"
}

# debian VARIANT PACKAGES: $WORK/root with these packages.
debian() {
  mmdebstrap --mode=root --variant="$1" --include="$2" --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --format=tar "$DEBIAN" "$WORK/debian.tar" >"$WORK/log" 2>&1 ||
    { show_log "$WORK/log"; die "mmdebstrap could not fetch $2"; }
  mkdir -- "$WORK/root"
  tar -xf "$WORK/debian.tar" -C "$WORK/root" --exclude='./dev/*'
  rm -f -- "$WORK/debian.tar"
}

# import REFERENCE CHANGE...: $WORK/root as an image.
import() {
  local reference=$1 change changes=()
  shift
  for change in "LABEL $STAND_IN_LABEL=$(stand_in_key "$reference")" "$@"; do
    changes+=(--change "$change")
  done
  tar -C "$WORK/root" --numeric-owner -c . | docker import "${changes[@]}" - "$reference" >/dev/null
}

# Unpacked only, no package script runs: neither daemon needs more. Users and folders are those of the official images.
make_redis() {
  debian extract redis-server,dash
  install -d -o 999 -g 999 "$WORK/root/data"
  import "$1" 'CMD ["redis-server"]' 'VOLUME /data' 'WORKDIR /data'
}

make_prometheus() {
  debian extract prometheus,busybox
  install -d -o 65534 -g 65534 "$WORK/root/prometheus"
  ln -s busybox "$WORK/root/bin/wget"
  import "$1" 'ENTRYPOINT ["/usr/bin/prometheus"]' 'USER 65534:65534' 'VOLUME /prometheus' 'WORKDIR /prometheus'
}

# The toolchain as rustup lays it out, since the Dockerfile speaks to rustup, and the crates of Cargo.lock where the build's
# cache mounts do not hide them.
make_rust() {
  local reference=$1 version home triple toolchain sysroot
  version=${reference#rust:} version=${version%-"$DEBIAN"}
  have rustup || missing "rustup is missing: $reference is made from this machine's toolchain"
  sysroot=$(cd "$HERE/../.." && rustc --print sysroot)
  [[ $("$sysroot/bin/rustc" --version) == "rustc $version "* ]] ||
    missing "$reference is made from this machine's toolchain, which is another version: rustup toolchain install $version"
  triple=$("$sysroot/bin/rustc" -vV | sed -n 's/^host: //p')
  toolchain=$version-$triple
  debian minbase gcc,libc6-dev,make,pkg-config,binutils,ca-certificates
  say "adding the toolchain $toolchain"
  home=$WORK/root/usr/local
  mkdir -p -- "$home/rustup/toolchains/$toolchain" "$home/cargo/bin"
  # rustup's entry may be a symbolic link. The manuals are most of `share`.
  tar -C "$sysroot" --exclude=./share --exclude=./etc -ch . | tar -C "$home/rustup/toolchains/$toolchain" -x
  printf 'version = "12"\nprofile = "minimal"\ndefault_toolchain = "%s"\n' "$toolchain" >"$home/rustup/settings.toml"
  cp -L -- "$(command -v rustup)" "$home/cargo/bin/rustup"
  ln -- "$home/cargo/bin/rustup" "$home/cargo/bin/cargo"
  ln -- "$home/cargo/bin/rustup" "$home/cargo/bin/rustc"
  say 'adding the crates of Cargo.lock'
  (cd "$HERE/../.." && cargo vendor --quiet --locked --versioned-dirs "$WORK/root/opt/vendor" >/dev/null) || die 'cargo vendor failed'
  printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "/opt/vendor"\n' >"$home/cargo/config.toml"
  import "$reference" 'ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo' \
    'ENV PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' 'CMD ["bash"]'
}
