#!/bin/sh
# Puts Tandem and HAProxy under loads that grow until they break, side by side on the
# loopback, and then under twice as much: see docs/performance.md. Needs Go, root (for
# a real-time scheduler) and two processors; installs haproxy with apt-get when it is
# missing. Arguments go to the bench: see -help.
# shellcheck source=scripts/bench/prepare.sh
. "$(dirname "$0")/prepare.sh"

need haproxy
make_bench breaking-point
taskset -c 1 "$build/breaking-point" -tandem "$build/tandem" "$@"
