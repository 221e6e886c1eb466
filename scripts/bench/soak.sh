#!/bin/sh
# Keeps a pair in network namespaces under a mixed load for DURATION (default 30m), with
# reloads and failovers all along, and judges memory, descriptors, goroutines and every
# request that failed: see docs/performance.md. Needs Go and root. Arguments go to the
# program: see -help.
set -eu
cd "$(dirname "$0")/../.."

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

CGO_ENABLED=0 go build -trimpath -o "$build/tandem" ./cmd/tandem
CGO_ENABLED=0 go build -trimpath -o "$build/soak" ./scripts/bench/soak
"$build/soak" -tandem "$build/tandem" -duration "${DURATION:-30m}" "$@"
