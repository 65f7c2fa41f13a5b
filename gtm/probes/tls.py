"""A TLS check in, the handshake's outcome and the certificate's days out."""

from __future__ import annotations

import asyncio

from gtm import model
from gtm.probes import dial, prober

KIND = model.Kind(
    name="tls",
    doc="a TLS handshake: chain, name and expiry of the certificate, version and protocol that were agreed on",
    options=(
        dial.HOST,
        model.Option("tls", "tls", "how to speak TLS: {verify, server_name, ca}", True),
        dial.WATCH,
        model.Option("alpn", "texts", "protocols to offer (RFC 7301)", ("h2", "http/1.1")),
    ),
    measures=(
        dial.DAYS_LEFT,
        model.Measure("version", "text", "the version agreed on, as in `TLSv1.3`"),
        model.Measure("alpn", "text", "the protocol agreed on, as in `h2`; empty when none was"),
        dial.TIME_DNS,
        dial.TIME_CONNECT,
        dial.TIME_TLS,
        prober.TIME_TOTAL,
    ),
    # Expired is down by itself; three days is when nobody can say any more that renewal is only late.
    expect=("certificate.days_left > 3",),
    port=443,
    tls_port=443,
)


async def look(trial: prober.Trial) -> str:
    """Shake hands and hang up."""
    tls = trial.tls() or model.Tls()
    transport, _ = await dial.reach(trial, asyncio.Protocol, tls, alpn=trial.texts("alpn"))
    agreed = transport.get_extra_info("ssl_object")
    trial.measures["version"] = agreed.version()
    trial.measures["alpn"] = agreed.selected_alpn_protocol() or ""
    transport.abort()
    return ""
