#!/bin/sh
# Compares the HTTP path of Tandem with HAProxy and nginx, side by side on the
# loopback: CPU time, rate, latency, memory, and connections that outlive reloads.
# Needs Go; installs HAProxy, nginx and wrk with apt-get when they are missing.
# Arguments go to the bench: see -help.
# shellcheck source=scripts/bench/prepare.sh
. "$(dirname "$0")/prepare.sh"

need haproxy nginx wrk
make_bench http
"$build/http" -tandem "$build/tandem" "$@"
