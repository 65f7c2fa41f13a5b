"""All probe kinds, by name: what the configuration may say in `kind:`, and what the runner runs.

A new kind is one file with `KIND` and `look`, and one line here.
"""

from __future__ import annotations

from gtm import ports
from gtm.probes import dns, exec, hls, http, icmp, prober, push, tcp, tls

KINDS: dict[str, ports.Prober] = {
    "http": prober.Prober(http.KIND, http.look),
    "tcp": prober.Prober(tcp.KIND, tcp.look),
    "tls": prober.Prober(tls.KIND, tls.look),
    "hls": prober.Prober(hls.KIND, hls.look),
    "icmp": prober.Prober(icmp.KIND, icmp.look),
    "dns": prober.Prober(dns.KIND, dns.look),
    "exec": prober.Prober(exec.KIND, exec.look),
    "push": prober.Prober(push.KIND, push.look),
}
