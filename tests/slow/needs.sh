#!/bin/sh
# Installs what the slow tests need and this machine lacks; without root or apt it says what is missing, and fails.
set -eu
needs="dig:bind9-dnsutils curl:curl dnsperf:dnsperf faketime:faketime ffmpeg:ffmpeg ip:iproute2 nginx:nginx-light nsenter:util-linux strace:strace unbound:unbound systemd-analyze:systemd prometheus-alertmanager:prometheus-alertmanager"
PATH="$PATH:/usr/sbin:/sbin"
packages=""
for need in $needs; do
    command -v "${need%%:*}" >/dev/null || packages="$packages ${need##*:}"
done
if [ -n "$packages" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "The slow tests need these Debian packages:$packages" >&2
        exit 1
    fi
    echo "installing$packages ..."
    # RUNLEVEL=1 keeps the packages from starting their services: the tests start their own, on ports of their own.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $packages >/dev/null
fi
if [ "$(id -u)" != 0 ]; then
    echo "The slow tests make network namespaces, which needs root." >&2
    exit 1
fi
