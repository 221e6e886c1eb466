#!/bin/sh
# Installs the packages of the arguments for a bench, not to run as services of this
# host: neither now nor after the next boot.
set -eu
[ $# -gt 0 ] || exit 0

policy=
trap 'rm -f ${policy:+"$policy"}' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

echo "installing $*" >&2
if [ ! -e /usr/sbin/policy-rc.d ]; then
	policy=/usr/sbin/policy-rc.d
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi
apt-get update -q >&2
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
if command -v systemctl >/dev/null; then
	for service in "$@"; do
		case $service in nginx | haproxy) systemctl disable -q "$service" >&2 || true ;; esac
	done
fi
