"""All probe kinds, by name: what the configuration may say in `kind:`, and what the runner runs.

A new kind is one file with `KIND` and `look`, and one line here.
"""

from __future__ import annotations

from gtm import ports
from gtm.probes import http, prober, tcp

KINDS: dict[str, ports.Prober] = {
    "http": prober.Prober(http.KIND, http.look),
    "tcp": prober.Prober(tcp.KIND, tcp.look),
}
