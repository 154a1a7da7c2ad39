#!/usr/bin/env bash
# Builds both targets of the Dockerfile with a Docker engine and asks each program for its version. Where no engine answers, one
# is brought up; where no registry does, the base image is made on this machine (e2e/engine/images.sh).
#
# IMAGE_PROFILE: the cargo profile; default: the Dockerfile's, release.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

e2e/engine/engine.sh up
e2e/engine/images.sh "$(sed -n 's/^FROM \(rust:[^ ]*\) AS build$/\1/p' Dockerfile)"
environment=$(e2e/engine/engine.sh env)
eval "$environment"

# Before version 23 the client has two builders, and only this one knows `RUN --mount`.
export DOCKER_BUILDKIT=1
arguments=(--progress plain)
[[ -z ${IMAGE_PROFILE-} ]] || arguments+=(--build-arg "IMAGE_PROFILE=$IMAGE_PROFILE")
for target in operator:mcp-operator:latest server:localhost/mcp-server:compose; do
  reference=${target#*:}
  printf '==> docker build --target %s (%s; the first build compiles everything, ten minutes on two cores)\n' "${target%%:*}" "${IMAGE_PROFILE:-release}" >&2
  docker build "${arguments[@]}" --target "${target%%:*}" --tag "$reference" . >&2
  version=$(docker run --rm "$reference" --version)
  size=$(docker image inspect --format '{{ .Size }}' "$reference")
  printf '%s  %s  %d.%d MiB\n' "$reference" "$version" $((size >> 20)) $(((size & 0xfffff) * 10 >> 20))
done
docker run --rm mcp-operator crd >/dev/null
