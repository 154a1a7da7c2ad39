# shellcheck shell=bash
# A node image for kind without an image registry: Debian's packages, the pinned programs of tools/, and the files of node/.
# kind asks little of it: an entrypoint that becomes systemd, a console that reports multi-user.target within 30 s,
# /kind/version, two manifests, and kubeadm with the images it names already in containerd.

readonly NODE_FILES=$HERE/providers/kind/node
readonly NODE_PACKAGES=systemd,systemd-sysv,dbus,containerd,runc,containernetworking-plugins,iptables,nftables,conntrack,iproute2,ethtool,socat,jq,kmod,mount,procps,ca-certificates,hostname

# Sets NODE_IMAGE, named after all that decides what is in it, and NODE_ARCHIVE.
node_image_locate() {
  local sum
  tools_locate
  sum=$({
    printf '%s\n' "${TOOLS##*/}" "$NODE_PACKAGES"
    cat -- "$HERE/providers/kind/node-image.sh" "$HERE/providers/local/pause.c"
    find "$NODE_FILES" -type f | sort | xargs sha256sum | cut -d ' ' -f 1
  } | sha256sum)
  NODE_IMAGE=localhost/mcp-operator-cluster/kind-node:$KUBERNETES_VERSION-${sum:0:12}
  NODE_ARCHIVE=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/node-images/kind-node-$KUBERNETES_VERSION-${sum:0:12}.tar
}

# Makes sure that the engine has NODE_IMAGE; the archive is made once.
node_image_ensure() {
  node_image_locate
  kind_possible || missing "no Docker engine answers ('docker info' fails): e2e/engine/engine.sh up"
  ! docker image inspect "$NODE_IMAGE" >/dev/null 2>&1 || return 0
  if [[ ! -e $NODE_ARCHIVE ]]; then
    [[ $(uname -s) == Linux ]] && ((EUID == 0)) || missing "making kind's node image needs root on Linux: sudo -E $(self node-image)"
    "$HERE/../../hack/prerequisites.sh" engine
    # Under a lock of their own, which must be given back first.
    tools_ensure node-image
    pause_ensure
  fi
  with_lock "${NODE_ARCHIVE%/*}/lock" 3600 'the node image'
  [[ -e $NODE_ARCHIVE ]] || node_image_make
  say "loading $NODE_IMAGE into the engine"
  docker import --change 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]' --change 'ENV container=docker' \
    "$NODE_ARCHIVE" "$NODE_IMAGE" >/dev/null || die "the engine could not import $NODE_ARCHIVE"
  unlock
}

node_image_make() {
  local work log root
  rm -rf -- "${NODE_ARCHIVE%/*}"/{making.*,kind-node-*.tar}
  work=$(mktemp -d -- "${NODE_ARCHIVE%/*}/making.XXXXXX")
  log=$work/mmdebstrap.log root=$work/root
  say "making kind's node image: Debian's packages first (about a minute)"
  mmdebstrap --mode=root --variant=minbase --format=tar --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --include="$NODE_PACKAGES" bookworm "$work/base.tar" >"$log" 2>&1 ||
    { show_log "$log"; die 'mmdebstrap could not fetch the packages of the node image'; }
  mkdir -p -- "$root" "$work"/{proxy,images}
  tar -xf "$work/base.tar" -C "$root" --exclude='./dev/*'
  rm -f -- "$work/base.tar"
  say "making kind's node image: Kubernetes $KUBERNETES_VERSION"
  node_images_pack "$work"
  node_furnish "$root" "$work/images"
  tar -C "$root" --numeric-owner -cf "$work/node.tar" .
  mv -- "$work/node.tar" "$NODE_ARCHIVE"
  rm -rf --one-file-system -- "$work"
  say "made $NODE_ARCHIVE ($(du -h "$NODE_ARCHIVE" | cut -f 1))"
}

# The images that kubeadm asks for, under the names that it prints. Sets NODE_PAUSE, which the containerd of a node must know by name.
node_images_pack() {
  local work=$1 reference program
  node_proxy_files "$work"
  while read -r reference; do
    program=${reference##*/} program=${program%:*}
    case $program in
      kube-proxy) node_pack "$work" "$reference" 0:0 '' "$TOOLS/bin/kube-proxy:/usr/local/bin/kube-proxy" "$work"/proxy/usr:/usr "$work"/proxy/lib:/lib "$work"/proxy/lib64:/lib64 ;;
      kube-* | etcd) node_pack "$work" "$reference" 0:0 '' "$TOOLS/bin/$program:/usr/local/bin/$program" ;;
      coredns) node_pack "$work" "$reference" 65532:65532 /coredns "$TOOLS/bin/coredns:/coredns" ;;
      pause)
        node_pack "$work" "$reference" 65535:65535 /pause "$TOOLS/bin/pause:/pause"
        NODE_PAUSE=$reference
        ;;
      *) die "kubeadm asks for an image that nothing here makes: $reference" ;;
    esac
  done < <("$TOOLS/bin/kubeadm" config images list --kubernetes-version "$KUBERNETES_VERSION")
}

# node_pack WORK REFERENCE USER ENTRYPOINT SRC:DEST...
node_pack() {
  local work=$1 reference=$2 user=$3 entrypoint=$4
  shift 4
  "$PACKER" --name "${reference%:*}" --tag "${reference##*:}" --user "$user" ${entrypoint:+--entrypoint "[\"$entrypoint\"]"} \
    --env PATH=/usr/local/bin:/usr/bin:/usr/sbin --dir /tmp --dir /run --output "$work/images/${reference//[\/:]/_}.tar" "$@" >/dev/null ||
    die "could not pack $reference"
}

# kube-proxy calls nft, iptables and conntrack: these, the plugins of iptables, and every library that any of them loads.
node_proxy_files() {
  # shellcheck disable=SC2016 # expanded by the shell in the tree
  chroot "$1/root" bash -euo pipefail -c '
    cd /usr/sbin
    programs=(nft conntrack iptables{,-save,-restore} ip6tables{,-save,-restore})
    plugins=$(echo /usr/lib/*/xtables)
    {
      printf "/usr/sbin/%s\n" "${programs[@]}"
      echo "$plugins"
      ldd "${programs[@]}" "$plugins"/*.so | grep -oE "/[^ :]+\.so[^ :]*" | grep -v /xtables/
    } | sort -u | cut -c 2- | tar -C / -chf - -T -' | tar -xf - -C "$1/proxy"
}

# node_furnish ROOT IMAGES: programs, files and units of a node in Debian's tree.
node_furnish() {
  local root=$1 images=$2
  install -m 755 -t "$root/usr/bin" "$TOOLS"/bin/{kubelet,kubectl,kubeadm,crictl}
  install -m 755 -t "$root/usr/local/bin" "$NODE_FILES"/{entrypoint,node-network,kubelet-cgroups}
  install -D -m 644 -t "$root/kind/images" "$images"/*.tar
  install -D -m 644 -t "$root/kind/manifests" "$NODE_FILES"/default-{cni,storage}.yaml
  install -D -m 644 -t "$root/etc/systemd/system" "$NODE_FILES"/units/*.service
  mkdir -p -- "$root"/etc/{cni/net.d,containerd,kubernetes/manifests,systemd/journald.conf.d}
  render "$NODE_FILES/containerd.toml" >"$root/etc/containerd/config.toml"
  # kind reads one line, without an end.
  printf '%s' "$KUBERNETES_VERSION" >"$root/kind/version"
  printf 'runtime-endpoint: unix:///run/containerd/containerd.sock\n' >"$root/etc/crictl.yaml"
  # The kernel's log is the whole host's.
  printf '[Journal]\nReadKMsg=no\n' >"$root/etc/systemd/journald.conf.d/node.conf"
  # Nothing that belongs to a machine: no consoles, kernel settings, modules, mounts or timers.
  rm -f -- "$root"/etc/systemd/system/*.wants/* "$root"/lib/systemd/system/{multi-user,local-fs,timers}.target.wants/* \
    "$root"/lib/systemd/system/sysinit.target.wants/*.{mount,automount} \
    "$root"/lib/systemd/system/sysinit.target.wants/systemd-{sysctl,binfmt,modules-load,hwdb-update,tmpfiles-setup,tmpfiles-setup-dev}.service
  # The tree's own systemctl: the machine that makes the image may run without systemd.
  local -x SYSTEMD_OFFLINE=1
  chroot "$root" systemctl --quiet set-default multi-user.target
  chroot "$root" systemctl --quiet enable containerd node-images node-network kubelet
  chroot "$root" systemctl --quiet mask getty.target console-getty.service systemd-sysctl.service systemd-binfmt.service systemd-logind.service e2scrub_reap.service
  # Programs in the tree took these for devices.
  find "$root/dev" -mindepth 1 -delete
}
