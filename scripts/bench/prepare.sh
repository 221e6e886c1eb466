# shellcheck shell=sh
# Sourced by the benches: goes to the root of the repository, and makes a folder for what is
# built, which is gone in the end.
set -eu
cd "$(dirname "$0")/../.."

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Debian has nginx and haproxy in /usr/sbin, which not every user looks into.
PATH=$PATH:/usr/sbin

# need installs those of the programs that are missing, by the packages of their names.
need() {
	for program in "$@"; do
		shift
		command -v "$program" >/dev/null || set -- "$@" "$program"
	done
	./scripts/debs "$@"
}

# make_bench NAME builds a bench and the program that it measures.
make_bench() {
	CGO_ENABLED=0 go build -trimpath -o "$build/tandem" ./cmd/tandem
	CGO_ENABLED=0 go build -trimpath -o "$build/$1" "./scripts/bench/$1"
}
