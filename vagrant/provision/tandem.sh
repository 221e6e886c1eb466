#!/bin/sh
# Installs and starts Tandem, from the files that were brought to /tmp/tandem, on the machine
# NAME with the advertisement interval ADVERTISE. May be run again.
set -eu
name=$1 advertise=$2

if [ -e /tmp/tandem/tandem.deb ]; then
  # Of install.sh, an earlier time: they would go before those of the package.
  rm -f /usr/local/bin/tandem /etc/systemd/system/tandem.service
  DEBIAN_FRONTEND=noninteractive dpkg -i --force-confold /tmp/tandem/tandem.deb
else
  chmod 755 /tmp/tandem/tandem # however it was brought
  sh /tmp/tandem/install.sh
fi
sed -e "s/advertise: 100ms/advertise: $advertise/" -e "s/body: NAME/body: $name/" /tmp/tandem/config.yaml |
  install -D -m 644 /dev/stdin /etc/tandem/tandem.yaml
rm -rf /tmp/tandem

tandem check
systemctl enable -q tandem
# A slow machine may need more than one try, which systemd makes.
systemctl restart tandem && exit 0
for _ in $(seq 60); do
  sleep 5
  [ "$(systemctl is-active tandem)" != active ] || exit 0
done
journalctl -u tandem --no-pager -n 30 >&2
exit 1
