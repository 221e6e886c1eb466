#!/bin/sh
# Compares the HTTP path of Tandem with HAProxy and nginx, side by side on the
# loopback: CPU time, rate, latency, memory, and connections that outlive reloads.
# Needs Go; installs HAProxy, nginx and wrk with apt-get when they are missing.
# Arguments go to the bench: see -help.
set -eu
cd "$(dirname "$0")/../.."

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Debian has nginx and haproxy in /usr/sbin, which not every user looks into.
PATH=$PATH:/usr/sbin
missing=
for program in haproxy nginx wrk; do
	command -v "$program" >/dev/null || missing="$missing $program"
done
# shellcheck disable=SC2086
./scripts/bench/install.sh $missing

CGO_ENABLED=0 go build -trimpath -o "$build/tandem" ./cmd/tandem
CGO_ENABLED=0 go build -trimpath -o "$build/http" ./scripts/bench/http
"$build/http" -tandem "$build/tandem" "$@"
