#!/bin/sh
# Prints how many schedules of 60 simulated seconds one core simulates in a second.
set -eu
cd "$(dirname "$0")/../.."
GOGC=800 go test -run '^$' -bench '^BenchmarkSimulation$' -benchtime "${SCHEDULES:-5000}x" -cpu 1 ./internal/agent
