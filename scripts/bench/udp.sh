#!/bin/sh
# Compares how Tandem and nginx forward datagrams, side by side on the loopback:
# packets a second and CPU time, for few and many clients and for those with one
# question. Needs Go; installs nginx and its stream module with apt-get when they are
# missing. Arguments go to the bench: see -help.
# shellcheck source=scripts/bench/prepare.sh
. "$(dirname "$0")/prepare.sh"

need nginx
[ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || ./scripts/debs libnginx-mod-stream
make_bench udp
"$build/udp" -tandem "$build/tandem" "$@"
