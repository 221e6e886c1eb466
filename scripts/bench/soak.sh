#!/bin/sh
# Keeps a pair in network namespaces under a mixed load for DURATION (default 30m), with
# reloads and failovers all along, and judges memory, descriptors, goroutines and every
# request that failed: see docs/performance.md. Needs Go and root. Arguments go to the
# program: see -help.
# shellcheck source=scripts/bench/prepare.sh
. "$(dirname "$0")/prepare.sh"

make_bench soak
"$build/soak" -tandem "$build/tandem" -duration "${DURATION:-30m}" "$@"
