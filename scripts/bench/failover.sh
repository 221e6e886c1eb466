#!/bin/sh
# Compares failover in Tandem with keepalived and HAProxy, side by side: the same
# network, traffic and events. Needs Go and root; installs the other two with
# apt-get when they are missing. Arguments go to the bench: see -help.
# shellcheck source=scripts/bench/prepare.sh
. "$(dirname "$0")/prepare.sh"

need keepalived haproxy
make_bench failover
"$build/failover" -tandem "$build/tandem" "$@"
