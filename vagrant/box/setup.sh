#!/bin/sh
set -eu
# Run within the root of the box: what Vagrant expects of a machine.
useradd -m -u 1000 -s /bin/bash vagrant
echo vagrant:vagrant | chpasswd
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/vagrant
chmod 440 /etc/sudoers.d/vagrant
echo 'Defaults !requiretty' >>/etc/sudoers.d/vagrant
echo debian >/etc/hostname
echo '127.0.0.1 localhost' >/etc/hosts

# Each machine makes its own, when it starts for the first time.
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id
printf 'UseDNS no\nHostKey /etc/ssh/ssh_host_ed25519_key\n' >/etc/ssh/sshd_config.d/vagrant.conf

# Nothing of its own accord.
systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer

# Emulated machines are slow: no log on the disk, and no manager of the user's services
# that starts and stops with each login.
install -d /etc/systemd/journald.conf.d /var/lib/systemd/linger
printf '[Journal]\nStorage=volatile\n' >/etc/systemd/journald.conf.d/volatile.conf
: >/var/lib/systemd/linger/vagrant
apt-get clean
rm -rf /var/lib/apt/lists/*
