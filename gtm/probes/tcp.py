"""A TCP check in, connect time and, where asked, the server's first words out."""

from __future__ import annotations

import asyncio

from gtm import model
from gtm.probes import dial, prober

RECEIVED_BYTES = 16 * 1024  # a banner or a short reply; more is a stream, and no check's business

KIND = model.Kind(
    name="tcp",
    doc="a TCP connection (with TLS where asked), and optionally a few words spoken over it",
    options=(
        dial.HOST,
        dial.TLS,
        dial.WATCH,
        model.Option("send", "text", "text to send once connected", "", fills=True),
        model.Option("receive", "text", "text that must come within the timeout", "", fills=True),
    ),
    measures=(
        dial.TIME_DNS,
        dial.TIME_CONNECT,
        dial.TIME_TLS,
        prober.TIME_TOTAL,
        model.Measure("received", "text", "what came until `receive` was found; else the first that came"),
        dial.DAYS_LEFT,
    ),
    port=80,
    tls_port=443,
)


async def look(trial: prober.Trial) -> str:
    """Connect, speak and listen where asked, and hang up."""
    reader = asyncio.StreamReader()
    transport, _ = await dial.reach(trial, lambda: asyncio.StreamReaderProtocol(reader), trial.tls())
    try:
        send, wanted = trial.text("send").encode(), trial.text("receive").encode()
        if send:
            transport.write(send)
        if wanted or "received" in trial.asked():
            await _listen(trial, reader, wanted)
    finally:
        # A clean end where nothing was said; one that does not wait for the other side where something was.
        transport.close()
    return ""


async def _listen(trial: prober.Trial, reader: asyncio.StreamReader, wanted: bytes) -> None:
    """Read until `wanted` is there, or just once when nothing certain is wanted. Measures `received`."""
    trial.awaiting = f"{trial.text('receive')!r}" if wanted else "word"
    heard = b""
    while wanted not in heard or not heard:
        chunk = await reader.read(4096)
        heard += chunk
        trial.measures["received"] = heard.decode("utf-8", "replace")
        if not chunk:
            raise prober.Failed(f"connection closed before {trial.awaiting} came")
        if len(heard) > RECEIVED_BYTES:
            raise prober.Failed(f"no {trial.awaiting} in the first {RECEIVED_BYTES} bytes")
