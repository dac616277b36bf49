# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin productforge \
    && cp target/release/productforge /productforge

FROM debian:bookworm-slim
# The roots that TLS to the model provider and to Redis is checked with.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --create-home productforge
COPY --from=build /productforge /usr/local/bin/productforge
USER productforge
WORKDIR /data
VOLUME /data
ENV HOST=0.0.0.0 PORT=8000 WORKSPACE_DIR=/data/workspace
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD ["productforge", "healthcheck"]
# SIGTERM drains: give it longer than DRAIN_SECONDS (25 s) before SIGKILL.
STOPSIGNAL SIGTERM
ENTRYPOINT ["productforge"]
CMD ["serve"]
