#!/usr/bin/env bash
# Builds both programs as static binaries and packs each into a container image archive, without any engine.
#
#   hack/image.sh                 ${CARGO_TARGET_DIR:-target}/images/{mcp-operator,mcp-server}.tar, each with a .ref beside it
#   hack/image.sh --binaries DIR  only the two binaries, into DIR (what the Dockerfile does)
#
# IMAGE_PROFILE: the cargo profile, default `release`. An archive is packed again only when its content changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() {
  printf 'image.sh: %s\n' "$*" >&2
  exit 1
}

binaries_to=''
case ${1-} in
'') ;;
--binaries) binaries_to=${2:?--binaries needs a directory} ;;
*) die "unknown argument $1" ;;
esac

profile=${IMAGE_PROFILE:-release}
target_dir=${CARGO_TARGET_DIR:-target}
triple=$(rustc -vV | sed -n 's/^host: //p')
[[ $triple == *-linux-* ]] || die "images hold Linux programs and this is $triple; use: docker build --target server ."

# Static, so that the image needs no C library. Cargo's home is cut from file names in panic messages: the same source
# gives the same binary for every user. CARGO_ENCODED_RUSTFLAGS replaces RUSTFLAGS, hence these are carried over.
read -ra flags <<<"${RUSTFLAGS-}"
# Packed relocations take a thirtieth of the room (about a MiB of each program); a linker that does not know them says so
# and goes on.
flags+=(-C target-feature=+crt-static -C "link-arg=-Wl,-z,pack-relative-relocs" "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo")
encoded=$(
  IFS=$'\x1f'
  printf '%s' "${flags[*]}"
)

# The explicit --target keeps the flags away from build scripts and procedural macros, which cannot be static.
CARGO_ENCODED_RUSTFLAGS=$encoded cargo build --locked --profile "$profile" --target "$triple" \
  --package mcp-operator --bin mcp-operator --package mcp-server --bin mcp-server

profile_dir=$profile
[[ $profile == dev ]] && profile_dir=debug
built=$target_dir/$triple/$profile_dir
for program in mcp-operator mcp-server; do
  # A dynamic binary asks for a loader, which the image does not have.
  headers=$(readelf --program-headers --wide "$built/$program")
  [[ $headers != *INTERP* ]] || die "$built/$program is not static"
  # Cargo drops `strip` from packages with settings of their own unless they repeat it; symbols are a quarter of a program.
  [[ $profile != release || $(readelf --sections --wide "$built/$program") != *.symtab* ]] || die "$built/$program has symbols"
done

if [[ -n $binaries_to ]]; then
  mkdir -p "$binaries_to"
  cp "$built/mcp-operator" "$built/mcp-server" "$binaries_to/"
  exit 0
fi

images=$target_dir/images
mkdir -p "$images"

# pack PROGRAM FLAG...: the archive, its .ref, and a .key that says what both were made from.
pack() {
  local program=$1 id version key reference size
  shift
  id=$(cargo pkgid --package "$program")
  version=${id##*[#@]}
  key=$(
    printf '%s\n' "$version" "$@" "${SOURCE_DATE_EPOCH-}"
    sha256sum "$built/$program" hack/oci-image.sh hack/image.sh | cut -d ' ' -f 1
  )
  if [[ ! -f $images/$program.tar || ! -f $images/$program.ref || $(cat "$images/$program.key" 2>/dev/null) != "$key" ]]; then
    rm -f "$images/$program.key"
    reference=$(hack/oci-image.sh --name "localhost/$program" --tag auto --version "$version" --output "$images/$program.tar" \
      --label "org.opencontainers.image.title=$program" --label "org.opencontainers.image.version=$version" \
      --label org.opencontainers.image.licenses=Apache-2.0 \
      --entrypoint "[\"/$program\"]" "$@" "$built/$program:/$program" LICENSE:/LICENSE)
    printf '%s\n' "$reference" >"$images/$program.ref"
    printf '%s\n' "$key" >"$images/$program.key"
  fi
  size=$(stat -c %s "$images/$program.tar")
  printf '%s  %d.%d MiB  %s\n' "$(cat "$images/$program.ref")" $((size >> 20)) $(((size & 0xfffff) * 10 >> 20)) "$images/$program.tar"
}

# The Dockerfile says the same; change both. XDG_STATE_HOME is where the server keeps a key that it generated.
pack mcp-operator --cmd '["run"]' --expose 8080/tcp
pack mcp-server --cmd '["serve","--config","/app/config/production.json"]' --workdir /app \
  --healthcheck '["CMD","/mcp-server","health"]' \
  --env MCP_HTTP_ADDRESS=0.0.0.0:8080 --env MCP_HTTP_ADMIN_ADDRESS=0.0.0.0:9090 --env XDG_STATE_HOME=/app/data \
  --expose 8080/tcp --expose 9090/tcp \
  --dir /app --dir /app/config --dir /app/logs --dir /app/data --dir /tmp
