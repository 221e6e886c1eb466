#!/bin/sh
# Puts Tandem and HAProxy under loads that grow until they break, side by side on the
# loopback, and then under twice as much: see docs/performance.md. Needs Go, root (for
# a real-time scheduler) and two processors; installs haproxy with apt-get when it is
# missing. Arguments go to the bench: see -help.
set -eu
cd "$(dirname "$0")/../.."

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

PATH=$PATH:/usr/sbin
command -v haproxy >/dev/null || ./scripts/bench/install.sh haproxy

CGO_ENABLED=0 go build -trimpath -o "$build/tandem" ./cmd/tandem
CGO_ENABLED=0 go build -trimpath -o "$build/breaking-point" ./scripts/bench/breaking-point
taskset -c 1 "$build/breaking-point" -tandem "$build/tandem" "$@"
