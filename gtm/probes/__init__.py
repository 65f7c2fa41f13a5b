"""All probe kinds, by name: what the configuration may say in `kind:`, and what the runner runs.

A new kind is one file with `KIND` and `look`, and one line here.
"""

from __future__ import annotations

from gtm import ports
from gtm.probes import dash, dns, exec, grpc, hls, http, icmp, prober, push, rtmp, rtmp_stat, rtsp, srt, tcp, tls, whip

KINDS: dict[str, ports.Prober] = {
    "http": prober.Prober(http.KIND, http.look),
    "tcp": prober.Prober(tcp.KIND, tcp.look),
    "tls": prober.Prober(tls.KIND, tls.look),
    "hls": prober.Prober(hls.KIND, hls.look),
    "dash": prober.Prober(dash.KIND, dash.look),
    "rtmp": prober.Prober(rtmp.KIND, rtmp.look),
    "srt": prober.Prober(srt.KIND, srt.look),
    "rtmp_stat": prober.Prober(rtmp_stat.KIND, rtmp_stat.look),
    "whip": prober.Prober(whip.WHIP, whip.look_whip),
    "whep": prober.Prober(whip.WHEP, whip.look_whep),
    "rtsp": prober.Prober(rtsp.KIND, rtsp.look),
    "grpc": prober.Prober(grpc.KIND, grpc.look),
    "icmp": prober.Prober(icmp.KIND, icmp.look),
    "dns": prober.Prober(dns.KIND, dns.look),
    "exec": prober.Prober(exec.KIND, exec.look),
    "push": prober.Prober(push.KIND, push.look),
}
