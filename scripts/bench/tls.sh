#!/bin/sh
# Compares what TLS costs Tandem and HAProxy, side by side on the loopback: CPU time for
# requests and handshakes, memory of idle connections, the cost of log and metrics; and
# whether clients resume their sessions after a failover, which needs root. Needs Go;
# installs HAProxy and wrk with apt-get when they are missing. Arguments go to the bench:
# see -help.
set -eu
cd "$(dirname "$0")/../.."

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

PATH=$PATH:/usr/sbin
missing=
for program in haproxy wrk; do
	command -v "$program" >/dev/null || missing="$missing $program"
done
# shellcheck disable=SC2086
./scripts/bench/install.sh $missing

CGO_ENABLED=0 go build -trimpath -o "$build/tandem" ./cmd/tandem
CGO_ENABLED=0 go build -trimpath -o "$build/tls" ./scripts/bench/tls
"$build/tls" -tandem "$build/tandem" "$@"
