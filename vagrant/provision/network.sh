#!/bin/sh
# Gives the interface with MAC its ADDRESS where Vagrant has not done so (its
# provider qemu), now and at each start.
set -eu
address=$1 mac=$2

if ip -o -4 addr show | grep -qwF "$address"; then
  exit 0
fi
for i in /sys/class/net/*; do
  [ "$(cat "$i/address")" = "$mac" ] || continue
  name=${i##*/}
  printf 'auto %s\niface %s inet static\n  address %s/24\n' "$name" "$name" "$address" \
    >"/etc/network/interfaces.d/$name"
  grep -q '^source' /etc/network/interfaces ||
    echo 'source /etc/network/interfaces.d/*' >>/etc/network/interfaces
  ifup "$name"
  exit 0
done
echo "no interface has the address $address, nor the MAC address $mac" >&2
exit 1
