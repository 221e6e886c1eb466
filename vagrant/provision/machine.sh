#!/bin/sh
# Readies a machine: installs what the rehearsal needs and the box lacks, and gives the
# interface with MAC its ADDRESS where Vagrant has not done so (its provider qemu), now
# and at each start.
set -eu
address=$1 mac=$2

missing=
command -v curl >/dev/null || missing=curl
command -v nft >/dev/null || [ -x /usr/sbin/nft ] || missing="$missing nftables"
if [ -n "$missing" ]; then
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

if ip -o -4 addr show | grep -qwF "$address"; then
  exit 0
fi
dir=/etc/network/interfaces.d
mkdir -p "$dir"
for i in /sys/class/net/*; do
  [ "$(cat "$i/address")" = "$mac" ] || continue
  name=${i##*/}
  printf 'auto %s\niface %s inet static\n  address %s/24\n' "$name" "$name" "$address" \
    >"$dir/$name"
  grep -q '^source' /etc/network/interfaces ||
    echo 'source /etc/network/interfaces.d/*' >>/etc/network/interfaces
  ifup "$name"
  exit 0
done
echo "no interface has the address $address, nor the MAC address $mac" >&2
exit 1
