# docker build -t tripline:0.1.0 .
#
# Not built by CI, which has no Docker engine; the steps inside are those of `make demo`, which CI's
# scripts/setup runs too. Needs BuildKit for the cache mounts (Docker >= 23).

FROM rust:1.92-bookworm AS build
WORKDIR /src
# First what changes rarely: system packages and ONNX Runtime, which need only these files.
COPY Cargo.toml ./
COPY scripts scripts
RUN scripts/setup build
COPY . .
# The target directory is a cache, not a layer: what leaves this stage is copied out of it.
RUN --mount=type=cache,target=/src/target --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --release --locked && cp target/release/tripline /usr/local/bin/tripline

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 libstdc++6 zlib1g \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/tripline /usr/local/bin/tripline
COPY --from=build /src/.tools/onnxruntime/libonnxruntime.so /usr/local/lib/tripline/libonnxruntime.so
COPY --from=build /src/.tools/onnxruntime/LICENSE /src/.tools/onnxruntime/ThirdPartyNotices.txt /usr/share/doc/onnxruntime/
COPY LICENSE /usr/share/doc/tripline/LICENSE
COPY models /models
ENV ORT_DYLIB_PATH=/usr/local/lib/tripline/libonnxruntime.so
# No name behind the number: Kubernetes can then tell that it is not root. Nothing here is writable
# to it, and Tripline writes no files: the root file system may be mounted read-only.
USER 65532:65532
EXPOSE 9090
ENTRYPOINT ["tripline"]
CMD ["run", "-c", "/etc/tripline/tripline.toml"]
