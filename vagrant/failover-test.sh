#!/usr/bin/env bash
# Rehearses what can befall lb1 while a client asks the pair twenty times a second, and
# prints for each fault how long nobody answered, and who took over. The machines are
# those that `vagrant up` has started, whatever provider runs them. It fails when nobody
# took over, or when the pair did not come together again.
#
#   vagrant/failover-test.sh                     all of it
#   vagrant/failover-test.sh power-off stop      some: power-off, link-down, cable, stop,
#                                                kill, freeze, partition
#
# TANDEM_EVERY  from one request of the client to the next: 50ms
set -euo pipefail
cd "$(dirname "$0")/.."

build() { CGO_ENABLED=0 nice go build -trimpath -o "$1" "$2"; }
build bin/vagrant-probe ./vagrant/probe
build bin/vagrant-rehearsal ./vagrant/rehearsal
exec bin/vagrant-rehearsal -vagrant vagrant -probe bin/vagrant-probe -every "${TANDEM_EVERY:-50ms}" "$@"
