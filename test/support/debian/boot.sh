#!/bin/sh
# Boots a Debian in a folder, with systemd as process 1, in namespaces of its own: boot.sh <folder> <cache>
# Started by machine.ts through unshare(1); all mounts are gone with the last process.
set -eu
root=$1
cache=$2

mount --make-rprivate /
mount --bind "$root" "$root"
for folder in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$root/$folder"; done
chmod 1777 "$root/tmp"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
# A hierarchy of its own: --cgroup made the group that this process is in its root.
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"

for device in null zero full random urandom tty; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

# What was downloaded for an earlier machine.
mount --bind "$cache/apt" "$root/var/cache/apt/archives"
mount --bind "$cache/npm" "$root/root/.npm"
mount --bind "$cache/pip" "$root/root/.cache/pip"

cd "$root"
mkdir run/outside
pivot_root . run/outside
umount -l run/outside
exec env -i container=postern-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /sbin/init
