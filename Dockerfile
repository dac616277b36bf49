# syntax=docker/dockerfile:1
# Two stages: the first builds the executable, its dependencies in a layer of their own; the second is Debian's slim image
# with the roots of TLS and that one file. Debian rather than an empty image, because MCP servers are programs that people
# add to it, and because its C library is the one that the executable is tested with.

FROM rust:1.95.0-bookworm AS build
WORKDIR /src

# The dependencies, built with an empty program in place of ours: this layer is made anew only when one of them changes.
# No cache mounts: Railway takes them only with the id of a service in their names.
COPY Cargo.toml Cargo.lock build.rs ./
RUN mkdir -p src benches/queue tests/it assets \
    && touch src/lib.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cp src/main.rs benches/queue/main.rs \
    && cp src/main.rs tests/it/main.rs \
    && cargo build --locked --release --bin productforge

# The program. Files are copied with the times that they have, and cargo goes by those: it is told what is new.
COPY . .
RUN touch build.rs src/lib.rs src/main.rs \
    && cargo build --locked --release --bin productforge

FROM debian:bookworm-slim
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="ProductForge" \
      org.opencontainers.image.description="Turns a brief into reviewed work: a durable team of agents behind one executable." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# The roots that TLS to model providers, buckets and Redis is checked with: the newest ones, so no version is named.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 productforge \
    && useradd --system --uid 10001 --gid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin productforge

COPY --from=build /src/target/release/productforge /usr/local/bin/productforge

# By number, so that a platform can see that it is not root.
USER 10001:10001
WORKDIR /data
# No VOLUME: Railway's builder refuses it. /data belongs to the image's user; mount a volume there.
# Few arenas: measured, a tenth to a fifth less memory under load, and nothing is slower.
ENV HOST=0.0.0.0 PORT=8000 WORKSPACE_DIR=/data/workspace MALLOC_ARENA_MAX=2
EXPOSE 8000
# Asks the server over HTTP, or looks for the worker of this container in Redis, whichever runs here.
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 CMD ["productforge", "healthcheck"]
# SIGTERM drains: give it longer than DRAIN_SECONDS (25 s) before SIGKILL.
STOPSIGNAL SIGTERM
ENTRYPOINT ["productforge"]
CMD ["serve"]
