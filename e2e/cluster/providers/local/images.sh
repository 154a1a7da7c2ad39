# shellcheck shell=bash
# Container images without a registry: the two that the cluster itself needs, and the ones that `load` brings.

readonly PACKER=$HERE/../../hack/oci-image.sh
readonly PAUSE_IMAGE=localhost/mcp-operator-cluster/pause:1

pause_ensure() {
  [[ ! -x $TOOLS/bin/pause ]] || return 0
  gcc -Os -static -s -Wall -Wextra -o "$TOOLS/bin/pause.$$" "$HERE/providers/local/pause.c" || die "could not compile pause.c"
  mv -- "$TOOLS/bin/pause.$$" "$TOOLS/bin/pause"
}

# pack PROGRAM TAG USER: an archive with this one program in it, kept beside the tools; its path is left in PACKED.
pack() {
  local program=$1 tag=$2 user=$3
  PACKED=$TOOLS/images/$program.tar
  mkdir -p -- "$TOOLS/images"
  if [[ ! -e $PACKED || $TOOLS/bin/$program -nt $PACKED ]]; then
    "$PACKER" --name "localhost/mcp-operator-cluster/$program" --tag "$tag" --output "$PACKED" --user "$user" \
      --entrypoint "[\"/$program\"]" "$TOOLS/bin/$program:/$program" >/dev/null || die "could not pack the image of $program"
  fi
}

images_start() {
  COREDNS_TAG=$(module_version addons github.com/coredns/coredns)
  pack pause 1 65535:65535
  import "$PACKED"
  pack coredns "$COREDNS_TAG" 65532:65532
  import "$PACKED"
}

# "name digest" of each image in an OCI archive; nothing for other formats, which are then imported without asking.
archive_images() {
  tar -xOf "$1" index.json 2>/dev/null |
    jq -r '.manifests[]? | "\(.annotations["io.containerd.image.name"] // empty) \(.digest)"' 2>/dev/null || true
}

# Whether containerd has every image of the archive under the same name with the same content.
archive_present() {
  local images present name digest
  images=$(archive_images "$1")
  [[ -n $images ]] || return 1
  present=$(ctr_k8s images ls | awk '{ print $1, $3 }') || return 1
  while read -r name digest; do
    grep -qxF -- "$name $digest" <<<"$present" || return 1
  done <<<"$images"
}

import() {
  local archive=$1 output
  if archive_present "$archive"; then
    return
  fi
  # In the sandbox, where the mounts are that unpacking into a snapshot makes.
  if ! output=$(in_sandbox timeout 300 ctr --address "$RUN/$CONTAINERD_SOCKET_NAME" --namespace k8s.io \
    images import --snapshotter "$SNAPSHOTTER" "$archive" 2>&1); then
    die "could not import $archive: $output"
  fi
}
