#!/bin/sh
# Compares how Tandem and HAProxy carry TCP, side by side on the loopback: the CPU
# time for bytes in both directions, small messages and new connections. Needs Go;
# installs haproxy with apt-get when it is missing. Arguments go to the bench: see -help.
# shellcheck source=scripts/bench/prepare.sh
. "$(dirname "$0")/prepare.sh"

need haproxy
make_bench l4
"$build/l4" -tandem "$build/tandem" "$@"
