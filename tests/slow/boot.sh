#!/bin/sh
# Boots systemd in namespaces of its own: this machine's files copied on write, a network with nothing but loopback, a
# tree of cgroups below ours, no other devices, and nothing that this machine starts. Leaves nothing behind.
#
#     boot.sh EMPTY_FOLDER SOURCE      SOURCE is shown at /usr/src/gtm
#
# BOOT_FROM names another root to boot, such as mmdebstrap makes of another release (Debian 13 was tried). The process
# that becomes PID 1 is the only child of the only child of this one.
set -eu
folder=$1 source=$2
case ${BOOT_STAGE:-begin} in
begin)
    exec env BOOT_STAGE=outside unshare --mount --net --uts --ipc --propagation private -- "$0" "$@"
    ;;
outside)
    mount -t tmpfs -o mode=755 boot "$folder"
    mkdir "$folder/cgroup" "$folder/upper" "$folder/work" "$folder/root"
    mount -t cgroup2 cgroup2 "$folder/cgroup"
    home="$folder/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)"
    mine="$home/gtm-boot-$$"
    mkdir "$mine"
    # Whoever kills this script has killed them all: unshare dies with it, and PID 1 with unshare.
    BOOT_STAGE=inside setpriv --pdeathsig=KILL sh -c 'echo $$ >"$0/cgroup.procs" && exec unshare "$@"' "$mine" \
        --mount --pid --cgroup --fork --kill-child -- "$0" "$@" || true
    # The kernel takes a moment to forget the last of its processes.
    until find "$mine" -depth -type d -exec rmdir {} + 2>/dev/null; do sleep 0.1; done
    ;;
inside)
    ip link set lo up
    mount -t overlay -o "lowerdir=${BOOT_FROM:-/},upperdir=$folder/upper,workdir=$folder/work" boot "$folder/root"
    mkdir -p "$folder/root/usr/src/gtm"
    mount --bind -o ro "$source" "$folder/root/usr/src/gtm"
    cd "$folder/root"
    rm -rf etc/systemd/system etc/fstab etc/gtm opt/gtm etc/resolv.conf
    mkdir etc/systemd/system
    cp /etc/resolv.conf etc/resolv.conf || true # it may be a link into /run
    mount -t proc proc proc
    mount --bind proc/sys proc/sys
    mount -o remount,bind,ro proc/sys
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs -o mode=755 dev dev
    for one in null zero full random urandom tty; do
        touch "dev/$one"
        mount --bind "/dev/$one" "dev/$one"
    done
    mkdir dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    for one in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
        ln -s "/proc/self/${one#*:}" "dev/${one%%:*}"
    done
    mount -t tmpfs -o mode=1777 shm dev/shm
    mount -t tmpfs -o mode=755 run run
    mount -t tmpfs -o mode=1777 tmp tmp
    pivot_root . mnt
    cd /
    umount -l /mnt
    # What it must not do to this machine, whatever a unit of the distribution would like to.
    exec env -i container=gtm PATH=/usr/sbin:/usr/bin setpriv --bounding-set=-sys_module,-sys_time,-sys_rawio,-mac_admin \
        /lib/systemd/systemd --system --unit=basic.target
    ;;
esac
