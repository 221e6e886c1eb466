#!/bin/sh
# Installs and starts Tandem, from the files that were brought to /tmp, on the machine
# NAME with the advertisement interval ADVERTISE. May be run again.
set -eu
name=$1 advertise=$2

if [ -e /tmp/tandem.deb ]; then
  DEBIAN_FRONTEND=noninteractive dpkg -i --force-confold /tmp/tandem.deb
else
  install -m 755 /tmp/tandem /usr/local/bin/tandem
  install -m 644 /tmp/tandem.service /etc/systemd/system/tandem.service
fi
sed -e "s/advertise: 100ms/advertise: $advertise/" -e "s/body: NAME/body: $name/" /tmp/tandem.yaml |
  install -D -m 644 /dev/stdin /etc/tandem/tandem.yaml
rm -f /tmp/tandem.deb /tmp/tandem /tmp/tandem.service /tmp/tandem.yaml

tandem check
systemctl daemon-reload
systemctl enable -q tandem
# A slow machine may need more than one try, which systemd makes.
systemctl restart tandem && exit 0
for _ in $(seq 60); do
  sleep 5
  [ "$(systemctl is-active tandem)" != active ] || exit 0
done
journalctl -u tandem --no-pager -n 30 >&2
exit 1
