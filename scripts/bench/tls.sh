#!/bin/sh
# Compares what TLS costs Tandem and HAProxy, side by side on the loopback: CPU time for
# requests and handshakes, memory of idle connections, the cost of log and metrics; and
# whether clients resume their sessions after a failover, which needs root. Needs Go;
# installs HAProxy and wrk with apt-get when they are missing. Arguments go to the bench:
# see -help.
# shellcheck source=scripts/bench/prepare.sh
. "$(dirname "$0")/prepare.sh"

need haproxy wrk
make_bench tls
"$build/tls" -tandem "$build/tandem" "$@"
