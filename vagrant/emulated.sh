#!/usr/bin/env bash
# Runs Vagrant with libvirt where neither KVM nor a libvirt of the system is to be had:
# in a container, or on a virtual machine. The machines are emulated in software, and
# everything, libvirt and its networks too, is in a network namespace of its own. As
# root, on Debian or Ubuntu:
#
#   vagrant/emulated.sh start            install what is missing, start libvirt
#   vagrant/emulated.sh run COMMAND...   a command within, such as `vagrant up`
#   vagrant/emulated.sh stop             stop libvirt and the machines that still run
#
# TANDEM_BOX, TANDEM_VM_MEMORY, TANDEM_ADVERTISE, TANDEM_EVERY: as in the Vagrantfile
# and in failover-test.sh; here they are by default local/debian12 (from build-box.sh),
# 384, 1s and 250ms.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

NS=tandem-vagrant
ETC=/etc/netns/$NS/libvirt # seen as /etc/libvirt within the namespace
RUN=/run/tandem-vagrant

usage() {
  sed -n '2,15s/^# \{0,1\}//p' "$here/emulated.sh"
  exit 2
}

running() {
  [ -s "$RUN/libvirtd.pid" ] && [ "$(cat "/proc/$(cat "$RUN/libvirtd.pid")/comm" 2>/dev/null)" = libvirtd ]
}

install_tools() {
  local missing=() pair
  for pair in vagrant:vagrant libvirtd:libvirt-daemon virsh:libvirt-clients qemu-img:qemu-utils \
    qemu-system-x86_64:qemu-system-x86 dnsmasq:dnsmasq-base iptables:iptables; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  local package
  for package in vagrant-libvirt libvirt-daemon-driver-qemu libvirt-daemon-system; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  "$here/../scripts/debs" "${missing[@]}"
}

start() {
  if running; then
    echo "libvirt runs already, in the namespace $NS"
    return
  fi
  if [ -S /run/libvirt/libvirt-sock ] && virsh -c qemu:///system version >/dev/null 2>&1; then
    echo "emulated.sh: this host has a libvirt that runs: use it, with plain \`vagrant up\`" >&2
    exit 1
  fi
  install_tools
  [ -e "/run/netns/$NS" ] || ip netns add "$NS"
  ip netns exec "$NS" ip link set lo up

  # The rights that libvirt would take from itself or from its machines, and the
  # cgroups that it would make, are not to be had within a container.
  mkdir -p "$ETC" "$RUN"
  cp -a /etc/libvirt/. "$ETC/"
  cat >>"$ETC/qemu.conf" <<'CONF'
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
CONF
  ip netns exec "$NS" libvirtd -d -p "$RUN/libvirtd.pid"
  local tries=0
  until ip netns exec "$NS" virsh -c qemu:///system version >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -ge 60 ]; then
      echo "emulated.sh: libvirt does not answer" >&2
      exit 1
    fi
    sleep 1
  done
  echo "libvirt runs in the network namespace $NS"
}

run() {
  if ! running; then
    echo "emulated.sh: libvirt does not run: vagrant/emulated.sh start" >&2
    exit 1
  fi
  cd "$here"
  exec ip netns exec "$NS" env \
    TANDEM_BOX="${TANDEM_BOX:-local/debian12}" \
    TANDEM_VM_DRIVER=qemu \
    TANDEM_VM_MEMORY="${TANDEM_VM_MEMORY:-384}" \
    TANDEM_ADVERTISE="${TANDEM_ADVERTISE:-1s}" \
    TANDEM_EVERY="${TANDEM_EVERY:-250ms}" \
    VAGRANT_DEFAULT_PROVIDER=libvirt \
    VAGRANT_CHECKPOINT_DISABLE=1 \
    "$@"
}

stop() {
  if running; then
    local name pid
    # The names are given by the Vagrantfile (default_prefix).
    for name in $(ip netns exec "$NS" virsh -c qemu:///system list --name | grep '^tandem_' || true); do
      ip netns exec "$NS" virsh -c qemu:///system destroy "$name"
    done
    for name in $(ip netns exec "$NS" virsh -c qemu:///system net-list --name); do
      ip netns exec "$NS" virsh -c qemu:///system net-destroy "$name"
    done
    pid=$(cat "$RUN/libvirtd.pid")
    kill "$pid"
    while [ -e "/proc/$pid" ]; do sleep 0.2; done
  fi
  rm -rf "$RUN" "$ETC"
  rmdir "/etc/netns/$NS" 2>/dev/null || true
  [ ! -e "/run/netns/$NS" ] || ip netns del "$NS"
}

[ "$#" -ge 1 ] || usage
if [ "$(id -u)" != 0 ]; then
  echo "emulated.sh: it makes a network namespace: run it as root" >&2
  exit 1
fi
case "$1" in
start) start ;;
stop) stop ;;
run)
  shift
  [ "$#" -ge 1 ] || usage
  run "$@"
  ;;
*) usage ;;
esac
