# syntax=docker/dockerfile:1

# Two images from one build:
#   docker build --target operator -t mcp-operator .
#   docker build --target server   -t mcp-server .
# `make image` makes the same two without an engine (hack/image.sh; change both).

FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
# The toolchain is this image's own, whatever rust-toolchain.toml adds for developers.
ENV RUSTUP_TOOLCHAIN=1.95.0
ARG IMAGE_PROFILE=release
# The mounts keep cargo's downloads and objects between builds, so the binaries are copied out in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target IMAGE_PROFILE=${IMAGE_PROFILE} hack/image.sh --binaries /out \
 && mkdir -p /rootfs/app/config /rootfs/app/logs /rootfs/app/data /rootfs/tmp \
 && chmod 1777 /rootfs/tmp

FROM scratch AS operator
LABEL org.opencontainers.image.title="mcp-operator" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/LICENSE /LICENSE
COPY --from=build /out/mcp-operator /mcp-operator
USER 65532:65532
EXPOSE 8080
# No HEALTHCHECK: it runs in Kubernetes only, which ignores one and asks /healthz and /readyz itself.
ENTRYPOINT ["/mcp-operator"]
CMD ["run"]

FROM scratch AS server
LABEL org.opencontainers.image.title="mcp-server" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/LICENSE /LICENSE
COPY --from=build --chown=65532:65532 /rootfs/ /
COPY --from=build /out/mcp-server /mcp-server
USER 65532:65532
WORKDIR /app
# XDG_STATE_HOME: where the server keeps a key that it generated.
ENV MCP_HTTP_ADDRESS=0.0.0.0:8080 \
    MCP_HTTP_ADMIN_ADDRESS=0.0.0.0:9090 \
    XDG_STATE_HOME=/app/data
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=3s CMD ["/mcp-server", "health"]
ENTRYPOINT ["/mcp-server"]
CMD ["serve", "--config", "/app/config/production.json"]
