#!/bin/sh
# Compares the HTTP path of Tandem with HAProxy and nginx, side by side on the
# loopback: CPU time, rate, latency, memory, and connections that outlive reloads.
# Needs Go; installs HAProxy, nginx and wrk with apt-get when they are missing.
# Arguments go to the bench: see -help.
set -eu
cd "$(dirname "$0")/../.."

build=$(mktemp -d)
policy=
trap 'rm -rf "$build" ${policy:+"$policy"}' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Debian has nginx and haproxy in /usr/sbin, which not every user looks into.
PATH=$PATH:/usr/sbin
for program in haproxy nginx wrk; do
	command -v "$program" >/dev/null || missing="${missing:-} $program"
done
if [ -n "${missing:-}" ]; then
	echo "installing$missing" >&2
	# Installed for the bench, not to run as services of this host: neither now
	# nor after the next boot.
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		policy=/usr/sbin/policy-rc.d
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod +x "$policy"
	fi
	apt-get update -q >&2
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >&2
	for service in $missing; do
		if [ "$service" != wrk ] && command -v systemctl >/dev/null; then
			systemctl disable -q "$service" >&2 || true
		fi
	done
fi

CGO_ENABLED=0 go build -trimpath -o "$build/tandem" ./cmd/tandem
CGO_ENABLED=0 go build -trimpath -o "$build/http" ./scripts/bench/http
"$build/http" -tandem "$build/tandem" "$@"
