#!/bin/sh
# Compares how Tandem and HAProxy carry TCP, side by side on the loopback: the CPU
# time for bytes in both directions, small messages and new connections. Needs Go;
# installs haproxy with apt-get when it is missing. Arguments go to the bench: see -help.
set -eu
cd "$(dirname "$0")/../.."

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

PATH=$PATH:/usr/sbin
command -v haproxy >/dev/null || ./scripts/bench/install.sh haproxy

CGO_ENABLED=0 go build -trimpath -o "$build/tandem" ./cmd/tandem
CGO_ENABLED=0 go build -trimpath -o "$build/l4" ./scripts/bench/l4
"$build/l4" -tandem "$build/tandem" "$@"
