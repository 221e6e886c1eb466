#!/bin/sh
# Compares failover in Tandem with keepalived and HAProxy, side by side: the same
# network, traffic and events. Needs Go and root; installs the other two with
# apt-get when they are missing. Arguments go to the bench: see -help.
set -eu
cd "$(dirname "$0")/../.."

for program in keepalived haproxy; do
	command -v "$program" >/dev/null || missing="${missing:-} $program"
done
if [ -n "${missing:-}" ]; then
	echo "installing$missing" >&2
	apt-get update -q >&2
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 $missing >&2
fi

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
CGO_ENABLED=0 go build -trimpath -o "$build/tandem" ./cmd/tandem
CGO_ENABLED=0 go build -trimpath -o "$build/failover" ./scripts/bench/failover
"$build/failover" -tandem "$build/tandem" "$@"
