#!/usr/bin/env bash
# Packs files into a container image archive without any engine or registry.
#
# The archive is an OCI image layout in a tar, with docker's manifest.json beside the index, so that
# `ctr images import`, `docker load`, `podman load`, `kind load image-archive` and skopeo all take it.
# One uncompressed layer: a registry client compresses on push, and the bytes then depend on no gzip version.
# Deterministic: the same files and flags give the same bytes, whoever packs and whenever.
# Needs bash 4.4, coreutils, findutils and GNU tar. `oci-image.sh --help` lists the flags.
set -euo pipefail
export LC_ALL=C

usage() {
  cat <<'USAGE'
usage: oci-image.sh --name NAME --tag TAG|auto --output FILE.tar [flags] SRC:DEST [SRC:DEST ...]

  --name NAME          image name without tag, for example localhost/mcp-server
  --tag TAG|auto       auto: the first 12 hex digits of the image's own digest, so that changed content is a changed tag
  --version V          with --tag auto: the tag becomes V-<12 hex>
  --output FILE        the archive to write (atomically)
  --user UID:GID       user of the process and owner of every --dir; numeric; default 65532:65532
  --entrypoint JSON    array of strings
  --cmd JSON           array of strings
  --healthcheck JSON   docker's Healthcheck.Test, for example ["CMD","/bin","health"]; Kubernetes ignores it
  --env K=V            repeatable
  --label K=V          repeatable
  --expose PORT/PROTO  repeatable, for example 8080/tcp
  --workdir DIR        absolute
  --dir DIR            repeatable: an empty directory owned by --user, mode 0755 (/tmp: 1777)
  SRC:DEST             a file or a directory tree; owned by root, modes reduced to rwx for root and r-x for others

The image's platform is linux on this machine's architecture. SOURCE_DATE_EPOCH sets every time in it (default 0).
Prints the image's reference, NAME:TAG.
USAGE
}

die() {
  printf 'oci-image.sh: %s\n' "$*" >&2
  exit 1
}

# === JSON ===

json_string() {
  local s=$1 code char
  s=${s//\\/\\\\}
  s=${s//\"/\\\"}
  for code in {1..31} 127; do
    printf -v char '%b' "\\x$(printf '%02x' "$code")"
    [[ $s == *"$char"* ]] && s=${s//"$char"/$(printf '\\u%04x' "$code")}
  done
  printf '"%s"' "$s"
}

json_array() {
  local sep='' item
  printf '['
  for item in "$@"; do
    printf '%s%s' "$sep" "$(json_string "$item")"
    sep=','
  done
  printf ']'
}

# Each argument K=V becomes a member; the arguments come in sorted, so that flag order does not change the image.
json_map() {
  local sep='' item
  printf '{'
  for item in "$@"; do
    printf '%s%s:%s' "$sep" "$(json_string "${item%%=*}")" "$(json_string "${item#*=}")"
    sep=','
  done
  printf '}'
}

# Refuses everything but a JSON array of strings: what arrives here is pasted into the config unchanged.
check_array() {
  local flag=$1 value=$2
  local text='"([^"\\]|\\.)*"' ws='[[:space:]]*'
  local re="^${ws}\\[${ws}(${text}${ws}(,${ws}${text}${ws})*)?\\]${ws}\$"
  [[ $value =~ $re ]] || die "$flag must be a JSON array of strings, got: $value"
}

# === arguments ===

name='' tag='' version='' output='' user=65532:65532 entrypoint='' cmd='' healthcheck='' workdir=''
envs=() labels=() ports=() dirs=() files=()

while (($#)); do
  case $1 in
  --help | -h)
    usage
    exit 0
    ;;
  --*)
    (($# > 1)) || die "$1 needs a value"
    case $1 in
    --name) name=$2 ;;
    --tag) tag=$2 ;;
    --version) version=$2 ;;
    --output) output=$2 ;;
    --user) user=$2 ;;
    --entrypoint) entrypoint=$2 ;;
    --cmd) cmd=$2 ;;
    --healthcheck) healthcheck=$2 ;;
    --workdir) workdir=$2 ;;
    --env) envs+=("$2") ;;
    --label) labels+=("$2") ;;
    --expose) ports+=("$2") ;;
    --dir) dirs+=("$2") ;;
    *) die "unknown flag $1 (see --help)" ;;
    esac
    shift 2
    ;;
  *)
    files+=("$1")
    shift
    ;;
  esac
done

[[ $name =~ ^[a-z0-9][a-z0-9._:/-]*[a-z0-9]$ ]] || die "--name must be a lower-case image name without tag, got: '$name'"
[[ ${name##*/} != *:* ]] || die "--name must not carry a tag, got: '$name'"
[[ $tag =~ ^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$ ]] || die "--tag must be a tag or 'auto', got: '$tag'"
[[ -z $version || $tag == auto ]] || die "--version goes with --tag auto only"
# Semantic versions may hold a '+', which a tag may not.
version=${version//+/_}
[[ -z $version || $version =~ ^[A-Za-z0-9_][A-Za-z0-9._-]{0,113}$ ]] || die "--version does not fit into a tag: '$version'"
[[ -n $output ]] || die "--output is missing"
[[ $user =~ ^[0-9]+:[0-9]+$ ]] || die "--user must be UID:GID in numbers (Kubernetes' runAsNonRoot reads no names), got: '$user'"
[[ -z $workdir || $workdir == /* ]] || die "--workdir must be absolute, got: '$workdir'"
((${#files[@]})) || die "nothing to pack: give at least one SRC:DEST"
[[ -z $entrypoint ]] || check_array --entrypoint "$entrypoint"
[[ -z $cmd ]] || check_array --cmd "$cmd"
[[ -z $healthcheck ]] || check_array --healthcheck "$healthcheck"
for item in "${envs[@]}" "${labels[@]}"; do
  [[ $item =~ ^[^=]+= ]] || die "expected K=V, got: '$item'"
done
for item in "${ports[@]}"; do
  [[ $item =~ ^[0-9]+/(tcp|udp|sctp)$ ]] || die "--expose must be PORT/PROTO, got: '$item'"
done

# A path inside the image, absolute and clean; '..' would write outside the staging tree.
inner_path() {
  [[ $1 == /* && $1 != */ && $1/ != */../* && $1/ != */./* && $1 != *//* ]] ||
    die "a path in the image must be absolute and clean, got: '$1'"
}

tar --version 2>/dev/null | head -n 1 | grep -q 'GNU tar' || die "GNU tar is needed (on macOS: brew install gnu-tar, and put it first in PATH)"

case $(uname -m) in
x86_64 | amd64) arch=amd64 ;;
aarch64 | arm64) arch=arm64 ;;
riscv64 | ppc64le | s390x) arch=$(uname -m) ;;
*) die "no image architecture known for $(uname -m)" ;;
esac

epoch=${SOURCE_DATE_EPOCH:-0}
[[ $epoch =~ ^[0-9]+$ ]] || die "SOURCE_DATE_EPOCH must be seconds since 1970, got: '$epoch'"
created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)

mkdir -p "$(dirname "$output")"
# In the output's own directory: the final rename must not cross file systems.
work=$(mktemp -d "$(dirname "$output")/.oci-image.XXXXXXXX")
# Copied trees may hold read-only directories.
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
mkdir "$work/root" "$work/blobs"

# === layer ===

for item in "${files[@]}"; do
  src=${item%:*} dest=${item##*:}
  [[ $item == *:* ]] || die "expected SRC:DEST, got: '$item'"
  inner_path "$dest"
  [[ -e $src ]] || die "no such file or directory: $src"
  target=$work/root$dest
  mkdir -p "$(dirname "$target")"
  if [[ -d $src ]]; then
    mkdir -p "$target"
    cp -R -P --preserve=mode,links "$src/." "$target/"
  else
    [[ ! -e $target ]] || die "two files for $dest"
    cp -L --preserve=mode "$src" "$target"
  fi
done
owned=()
for item in "${dirs[@]}"; do
  inner_path "$item"
  mkdir -p "$work/root$item"
  owned+=("${item#/}")
done

# Owners and modes are set by tar, not by chown, so that no root is needed. Entries that want another owner or mode
# go in passes of their own; `--no-recursion` keeps each pass to the names it was given.
pack() {
  tar --create --file="$1" --directory="$work/root" --format=gnu --sort=name --numeric-owner --hard-dereference \
    --mtime="@$epoch" --no-recursion --null --no-unquote --verbatim-files-from --files-from=- "${@:2}"
}
append() {
  tar --append --file="$1" --directory="$work/root" --format=gnu --numeric-owner \
    --mtime="@$epoch" --no-recursion --null --no-unquote --verbatim-files-from --files-from=- "${@:2}"
}

layer=$work/layer.tar
skip=()
for item in "${owned[@]}"; do
  skip+=(! -path "./$item")
done
(cd "$work/root" && find . -mindepth 1 "${skip[@]}" -printf '%P\0') | sort -z |
  pack "$layer" --owner=0 --group=0 --mode='u=rwX,go=rX'
for item in "${owned[@]}"; do
  mode=755
  [[ $item == tmp ]] && mode=1777
  printf '%s\0' "$item" | append "$layer" --owner="${user%:*}" --group="${user#*:}" --mode="$mode"
done

# === blobs ===

# Moves a file under the name of its digest; sets digest and size.
digest='' size=0
add_blob() {
  digest=$(sha256sum <"$1")
  digest=${digest%% *}
  size=$(stat -c %s "$1")
  mv "$1" "$work/blobs/$digest"
}

add_blob "$layer"
layer_digest=$digest layer_size=$size

sorted_map() {
  local -a sorted=()
  mapfile -d '' -t sorted < <(printf '%s\0' "$@" | sort -z)
  json_map "${sorted[@]}"
}

{
  printf '{"created":"%s","architecture":"%s","os":"linux","config":{' "$created" "$arch"
  printf '"User":"%s"' "$user"
  ((${#ports[@]})) && {
    mapfile -t ports < <(printf '%s\n' "${ports[@]}" | sort -u)
    sep=''
    printf ',"ExposedPorts":{'
    for item in "${ports[@]}"; do
      printf '%s"%s":{}' "$sep" "$item"
      sep=','
    done
    printf '}'
  }
  # The order of variables is kept as given.
  ((${#envs[@]})) && printf ',"Env":%s' "$(json_array "${envs[@]}")"
  [[ -n $entrypoint ]] && printf ',"Entrypoint":%s' "$entrypoint"
  [[ -n $cmd ]] && printf ',"Cmd":%s' "$cmd"
  [[ -n $healthcheck ]] && printf ',"Healthcheck":{"Test":%s,"Interval":10000000000,"Timeout":3000000000,"Retries":3}' "$healthcheck"
  [[ -n $workdir ]] && printf ',"WorkingDir":%s' "$(json_string "$workdir")"
  ((${#labels[@]})) && printf ',"Labels":%s' "$(sorted_map "${labels[@]}")"
  printf '},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}' "$layer_digest"
  printf ',"history":[{"created":"%s","created_by":"oci-image.sh"}]}' "$created"
} >"$work/config.json"
add_blob "$work/config.json"
config_digest=$digest config_size=$size

# The config names the layer, so its digest (docker calls it the image's id) stands for the whole content.
[[ $tag == auto ]] && tag=${version:+$version-}${config_digest:0:12}
reference=$name:$tag

printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":%d}]}' \
  "$config_digest" "$config_size" "$layer_digest" "$layer_size" >"$work/image.json"
add_blob "$work/image.json"

# === archive ===

mkdir "$work/oci" "$work/oci/blobs"
mv "$work/blobs" "$work/oci/blobs/sha256"
printf '{"imageLayoutVersion":"1.0.0"}' >"$work/oci/oci-layout"
# containerd reads io.containerd.image.name; OCI tools read ref.name, which is a tag by convention.
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%d,"annotations":{"io.containerd.image.name":"%s","org.opencontainers.image.ref.name":"%s"},"platform":{"architecture":"%s","os":"linux"}}]}' \
  "$digest" "$size" "$reference" "$tag" "$arch" >"$work/oci/index.json"
printf '[{"Config":"blobs/sha256/%s","RepoTags":["%s"],"Layers":["blobs/sha256/%s"]}]' \
  "$config_digest" "$reference" "$layer_digest" >"$work/oci/manifest.json"

tar --create --file="$work/archive.tar" --directory="$work/oci" --format=gnu --sort=name --numeric-owner --owner=0 --group=0 \
  --mtime="@$epoch" --mode='u=rwX,go=rX' blobs index.json manifest.json oci-layout
mv "$work/archive.tar" "$output"
printf '%s\n' "$reference"
