#!/usr/bin/env bash
# Builds a box of Debian 12 for the providers libvirt and qemu out of Debian's own
# packages, and adds it to Vagrant: for machines that reach no catalogue of boxes.
# As root, on Debian or Ubuntu:
#
#   vagrant/build-box.sh                 local/debian12, unless it is there
#   vagrant/build-box.sh --force         anew
#
# BOX      the name of the box (local/debian12)
# MIRROR   where packages come from (http://deb.debian.org/debian)
# OUT      where the .box file is left (vagrant/.box)
set -euo pipefail
cd "$(dirname "$0")"

BOX=${BOX:-local/debian12}
MIRROR=${MIRROR:-http://deb.debian.org/debian}
OUT=${OUT:-$PWD/.box}
DISK_MIB=2048

force=
case "${1:-}" in
'') ;;
--force) force=1 ;;
*)
  sed -n '2,12s/^# \{0,1\}//p' "$(basename "$0")"
  exit 2
  ;;
esac
if [ "$(id -u)" != 0 ]; then
  echo "build-box.sh: it mounts a disk image: run it as root" >&2
  exit 1
fi

install_tools() {
  local missing=() pair
  for pair in mmdebstrap:mmdebstrap extlinux:extlinux sfdisk:fdisk qemu-img:qemu-utils mke2fs:e2fsprogs \
    vagrant:vagrant; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ -e /usr/lib/syslinux/mbr/mbr.bin ] || missing+=(syslinux-common)
  ../scripts/debs "${missing[@]}"
}

# Everything temporary is in one folder, which goes at the end: first what is
# mounted there, or else what is mounted would go too.
work=
loop=
clean() {
  [ -n "$work" ] || return 0
  if mountpoint -q "$work/mnt"; then umount "$work/mnt"; fi
  if [ -n "$loop" ]; then losetup -d "$loop"; fi
  if grep -q " $work/" /proc/mounts; then
    echo "build-box.sh: something is still mounted below $work: left as it is" >&2
    return 1
  fi
  rm -rf --one-file-system "$work"
}
trap clean EXIT

# make_root fills $work/root with Debian. The kernel is that for virtual machines.
make_root() {
  local packages=(
    linux-image-cloud-amd64 systemd-sysv dbus udev kmod openssh-server sudo
    ifupdown isc-dhcp-client iproute2 iputils-ping nftables procps curl ca-certificates
    qemu-guest-agent
  )
  mmdebstrap --variant=minbase --include="$(
    IFS=,
    echo "${packages[*]}"
  )" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    bookworm "$work/root" "deb $MIRROR bookworm main" "deb $MIRROR bookworm-updates main"
  chroot "$work/root" /bin/sh <box/setup.sh
  install -D -m 644 box/interfaces "$work/root/etc/network/interfaces"
  install -D -m 644 box/host-keys.service "$work/root/etc/systemd/system/host-keys.service"
  chroot "$work/root" systemctl enable host-keys.service
  install -D -m 600 -o 1000 -g 1000 box/vagrant.pub "$work/root/home/vagrant/.ssh/authorized_keys"
  install -d -m 700 -o 1000 -g 1000 "$work/root/home/vagrant/.ssh"
}

# make_disk turns it into a disk of one partition that starts by extlinux. The
# partition is reached by its offset: not every kernel makes devices of those
# within a loop device.
make_disk() {
  local root=$work/root disk=$work/box.raw offset=$((2048 * 512)) uuid
  uuid=$(cat /proc/sys/kernel/random/uuid)
  install -d "$root/boot/extlinux"
  cp "$root"/boot/vmlinuz-* "$root/boot/vmlinuz"
  cp "$root"/boot/initrd.img-* "$root/boot/initrd.img"
  sed "s/@UUID@/$uuid/" box/extlinux.conf >"$root/boot/extlinux/extlinux.conf"
  echo "UUID=$uuid / ext4 errors=remount-ro,noatime 0 1" >"$root/etc/fstab"

  truncate -s "${DISK_MIB}M" "$disk"
  echo '2048,,83,*' | sfdisk -q "$disk"
  # What extlinux cannot read is off.
  mke2fs -q -t ext4 -O '^64bit,^metadata_csum' -U "$uuid" -L root -E "offset=$offset" -d "$root" \
    "$disk" "$(((DISK_MIB - 1) * 1024))k"
  dd if=/usr/lib/syslinux/mbr/mbr.bin of="$disk" bs=440 count=1 conv=notrunc status=none

  loop=$(losetup -f --show -o "$offset" "$disk")
  mkdir "$work/mnt"
  mount "$loop" "$work/mnt"
  extlinux --install "$work/mnt/boot/extlinux"
  umount "$work/mnt"
  losetup -d "$loop"
  loop=
  qemu-img convert -c -O qcow2 "$disk" "$work/box.img"
}

make_box() {
  cp box/metadata.json box/Vagrantfile "$work/"
  mkdir -p "$OUT"
  tar -C "$work" -czf "$OUT/debian12.box" metadata.json Vagrantfile box.img
  vagrant box add --force --provider libvirt --name "$BOX" "$OUT/debian12.box"
  # vagrant-libvirt keeps the disk of the box as a volume of its own.
  local volume=${BOX/\//-VAGRANTSLASH-}_vagrant_box_image_0_box.img
  if virsh -c qemu:///system vol-delete --pool default "$volume" >/dev/null 2>&1; then
    echo "removed the volume $volume of the box before it"
  else
    rm -f "/var/lib/libvirt/images/$volume" # libvirt does not run
  fi
}

install_tools
boxes=$(vagrant box list)
if [ -z "$force" ] && grep -q "^$BOX " <<<"$boxes"; then
  echo "$BOX is there; --force builds it anew"
  exit 0
fi
work=$(mktemp -d -p "${TMPDIR:-/var/tmp}" tandem-box.XXXXXX)
make_root
make_disk
make_box
echo "$BOX: $(du -h "$OUT/debian12.box" | cut -f1), in $OUT/debian12.box; use it with TANDEM_BOX=$BOX"
