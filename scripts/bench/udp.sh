#!/bin/sh
# Compares how Tandem and nginx forward datagrams, side by side on the loopback:
# packets a second and CPU time, for few and many clients and for those with one
# question. Needs Go; installs nginx and its stream module with apt-get when they are
# missing. Arguments go to the bench: see -help.
set -eu
cd "$(dirname "$0")/../.."

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

PATH=$PATH:/usr/sbin
missing=
command -v nginx >/dev/null || missing=nginx
[ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || missing="$missing libnginx-mod-stream"
# shellcheck disable=SC2086
./scripts/bench/install.sh $missing

CGO_ENABLED=0 go build -trimpath -o "$build/tandem" ./cmd/tandem
CGO_ENABLED=0 go build -trimpath -o "$build/udp" ./scripts/bench/udp
"$build/udp" -tandem "$build/tandem" "$@"
