# The image has one program, the CAs of Debian, and two users. docs/container.md says how to run it.
#
#   docker build -t tandem .                   from a clone, with nothing but docker
#   make container                             from bin/tandem, built by the Go of this host

ARG GO=1.26

FROM golang:${GO}-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=container
RUN make build VERSION="${VERSION}"

# What both images below have.
FROM scratch AS base
LABEL org.opencontainers.image.title="tandem" \
      org.opencontainers.image.description="A high-availability load balancer pair" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.documentation="docs/container.md"
# The worker's user. Its number is that of the host, too: one that no other daemon has.
COPY scripts/container/image/ /
ENV PATH=/usr/bin
# The supervisor begins as root, and the worker gives it up. An orchestrator that wants
# another user has to give that the capabilities as ambient ones.
ENTRYPOINT ["tandem"]
CMD ["run"]
# They are written to, also where the root filesystem is read-only.
VOLUME ["/run/tandem", "/var/lib/tandem"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s CMD ["tandem", "status", "--fit"]

# From a program that has been built already: --target binary
FROM base AS binary
COPY bin/tandem /usr/bin/tandem
ARG VERSION=devel
LABEL org.opencontainers.image.version="${VERSION}"

FROM base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/bin/tandem /usr/bin/tandem
ARG VERSION=container
LABEL org.opencontainers.image.version="${VERSION}"
