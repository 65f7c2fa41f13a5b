#!/bin/sh
# Installs what the slow tests need and this machine lacks; without root or apt it says what is missing, and fails.
set -eu
needs="chromium:chromium dig:bind9-dnsutils curl:curl dnsperf:dnsperf faketime:faketime ffmpeg:ffmpeg ip:iproute2 nginx:nginx-light nsenter:util-linux strace:strace unbound:unbound systemd-analyze:systemd setpriv:util-linux pgrep:procps ss:iproute2 prometheus-alertmanager:prometheus-alertmanager kdig:knot-dnsutils dnsdist:dnsdist nsd:nsd"
needs="$needs srt-live-transmit:srt-tools gst-launch-1.0:gstreamer1.0-tools"
needs="$needs knotd:knot named:bind9 kresd:knot-resolver pdns_recursor:pdns-recursor zonemaster-cli:zonemaster-cli dnsviz:dnsviz drill:ldnsutils"
needs="$needs man:man-db dnstap-ldns:dnstap-ldns fstrm_capture:fstrm-bin promtool:prometheus zsh:zsh fish:fish"
# What has no command is known by a file of it.
files="nginx/modules/ngx_rtmp_module.so:libnginx-mod-rtmp nginx/modules/ngx_stream_module.so:libnginx-mod-stream
python3/dist-packages/aiortc:python3-aiortc */gstreamer-1.0/libgstsrt.so:gstreamer1.0-plugins-bad
*/gstreamer-1.0/libgstrtp.so:gstreamer1.0-plugins-good */gstreamer-1.0/libgstopus.so:gstreamer1.0-plugins-base
*/girepository-1.0/GstRtspServer-1.0.typelib:gir1.2-gst-rtsp-server-1.0 python3/dist-packages/gi:python3-gi
python3.*/ensurepip:python3-venv"
PATH="$PATH:/usr/sbin:/sbin"
packages=""
for need in $needs; do
    command -v "${need%%:*}" >/dev/null || packages="$packages ${need##*:}"
done
set -f
for need in $files; do
    set +f
    # shellcheck disable=SC2086
    [ -n "$(ls -d /usr/lib/${need%%:*} 2>/dev/null)" ] || packages="$packages ${need##*:}"
    set -f
done
set +f
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
