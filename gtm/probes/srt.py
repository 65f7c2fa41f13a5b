"""An SRT check in, whether a listener answers and whom it lets in out (draft-sharabayko-srt section 4.3).

Induction, one small datagram and its answer, is harmless: the listener keeps nothing of it. A conclusion takes a
place as a caller, so it is made only where asked, and never at a listener that has just one.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import socket
from collections.abc import Callable

from gtm import model
from gtm.probes import dial, prober, srt_packet

INDUCTION = model.Measure("time.induction", "s", "from the first packet to its answer")
CONCLUSION = model.Measure("time.conclusion", "s", "from the request to be let in to the answer")
TRIES = 3  # within the timeout: one datagram may be lost on a good path

KIND = model.Kind(
    name="srt",
    doc="SRT listener: induction, which is harmless, and where asked the request to be let in and its rejection",
    options=(
        model.Option(
            "single_client",
            "bool",
            "the listener accepts one caller only (ffmpeg, srt-live-transmit): silence means that it is busy, so "
            "silence is fine, and only a closed port is down",
            False,
        ),
        model.Option("conclude", "bool", "ask to be let in, too, and leave at once; implied by `stream_id`", False),
        model.Option(
            "stream_id", "text", "stream to ask for, as in `#!::r=cam1,m=request,u=gtm-probe`", "", fills=True
        ),
        model.Option(
            "absent", "choice", "what a stream that is not there counts as, for `stream_id`", "bad", ("bad", "ok")
        ),
    ),
    measures=(
        INDUCTION,
        CONCLUSION,
        model.Measure("answered", "", "whether the listener answered"),
        model.Measure("version", "", "handshake version that it speaks"),
        model.Measure("encryption", "text", "cipher that it advertises: none, AES-128, AES-192, AES-256"),
        model.Measure("rejection", "", "code of its rejection, as in 1404; -1 when it let us in"),
        model.Measure("stream.present", "", "whether the stream is there, as far as its answer tells"),
        model.Measure("publishers", "", "1 when it says that the stream has its publisher, 0 when it let us in as one"),
        prober.TIME_TOTAL,
    ),
    port=9000,
    apart=(("single_client", "stream_id"), ("single_client", "conclude")),
)


async def look(trial: prober.Trial) -> str:
    """Say hello, and where asked knock."""
    stream_id = trial.text("stream_id")
    conclude = trial.flag("conclude") or bool(stream_id)
    if conclude and trial.flag("single_client"):
        raise prober.NotRun("`single_client` forbids a conclusion: it would take the one caller's place")
    if len(stream_id.encode()) > srt_packet.STREAM_ID_BYTES:
        raise prober.NotRun(f"the stream id is longer than {srt_packet.STREAM_ID_BYTES} bytes")
    talk = await _open(trial)
    try:
        return await _hello(trial, talk, conclude, stream_id)
    finally:
        talk.transport.close()


async def _hello(trial: prober.Trial, talk: _Talk, conclude: bool, stream_id: str) -> str:
    began_s, ours = trial.monotonic(), secrets.randbelow(2**30 - 1) + 1
    trial.awaiting = "SRT induction"
    trial.measures["answered"] = False
    pause_s = trial.left_s() / (2 * TRIES if conclude else TRIES + 1)
    found = await _ask(talk, srt_packet.induction(ours), pause_s, lambda one: one.to == ours)
    if found is None:
        if trial.flag("single_client"):
            return "no answer: it is busy with its one caller, or filtered"
        raise prober.Silent(f"no answer to {TRIES} SRT inductions")
    trial.measures |= {"answered": True, "version": found.version, "encryption": found.cipher}
    trial.measures[INDUCTION.name] = trial.monotonic() - began_s
    if found.rejected:
        return _refused(trial, found.rejection)
    if found.type != srt_packet.INDUCTION or found.version < 5 or found.extension != srt_packet.MAGIC:
        raise prober.Failed(f"an induction's answer of version {found.version} without SRT's mark: no SRT listener")
    if not found.cookie:
        raise prober.Failed("an induction's answer without a cookie: no SRT listener")
    trial.reached = True
    if not conclude:
        return ""
    return await _knock(trial, talk, srt_packet.conclusion(ours, found.cookie, stream_id), pause_s * 0.8)


async def _knock(trial: prober.Trial, talk: _Talk, request: bytes, pause_s: float) -> str:
    """Ask to be let in; leave at once when that is granted."""
    began_s = trial.monotonic()
    trial.awaiting = "SRT conclusion"
    ours = srt_packet.socket_of(request)
    found = await _ask(talk, request, pause_s, lambda one: one.to == ours and one.type != srt_packet.INDUCTION)
    if found is None:
        raise prober.Silent("the induction was answered, the conclusion was not")
    trial.measures[CONCLUSION.name] = trial.monotonic() - began_s
    if found.rejected:
        return _refused(trial, found.rejection)
    if found.type != srt_packet.CONCLUSION:
        raise prober.Failed(f"a conclusion was answered by handshake type {found.type}")
    talk.transport.sendto(srt_packet.shutdown(found.socket))
    trial.measures |= {"rejection": -1, "stream.present": True}
    if ",m=publish" in trial.text("stream_id"):
        trial.measures["publishers"] = 0
    return ""


def _refused(trial: prober.Trial, code: int) -> str:
    """Take a rejection for what it says of the endpoint."""
    trial.measures["rejection"] = code
    said, what = srt_packet.words(code), srt_packet.meaning(code)
    if what is srt_packet.Meaning.BROKEN:
        raise prober.Failed(f"rejected: {said}")
    if what is srt_packet.Meaning.OVERLOADED:
        trial.overloaded = f"rejected: {said}"
    elif what is srt_packet.Meaning.ABSENT:
        trial.measures |= {"stream.present": False, "publishers": 0}
        if trial.text("absent") == "bad":
            raise prober.Failed(f"rejected: {said}")
    elif what is srt_packet.Meaning.PUBLISHED:
        trial.measures |= {"stream.present": True, "publishers": 1}
    return f"rejected: {said}"


# --- datagrams ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class _Talk:
    """A connected socket, and what was heard on it."""

    transport: asyncio.DatagramTransport
    heard: asyncio.Queue[srt_packet.Handshake | OSError]


class _Ear(asyncio.DatagramProtocol):
    """Handshakes that come from the one peer, and the error that the kernel reports of it (ICMP)."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[srt_packet.Handshake | OSError] = asyncio.Queue(maxsize=16)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        found = srt_packet.read(data)
        if found is not None and not self.heard.full():  # a flood is not stored
            self.heard.put_nowait(found)

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, OSError) and not self.heard.full():
            self.heard.put_nowait(exc)


async def _open(trial: prober.Trial) -> _Talk:
    """Return a connected socket, so that the kernel sorts out strangers and hands on ICMP's word."""
    address = await dial.find(trial)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    transport, ear = await asyncio.get_running_loop().create_datagram_endpoint(
        _Ear, remote_addr=(address, trial.check.port), family=family
    )
    return _Talk(transport, ear.heard)


async def _ask(
    talk: _Talk, packet: bytes, pause_s: float, fits: Callable[[srt_packet.Handshake], bool]
) -> srt_packet.Handshake | None:
    """Send a packet up to three times and return the first answer that fits; None when none comes.

    Raises the `OSError` that ICMP tells of: nobody listens.
    """
    for _ in range(TRIES):
        talk.transport.sendto(packet)
        try:
            async with asyncio.timeout(pause_s):
                while True:
                    found = await talk.heard.get()
                    if isinstance(found, OSError):
                        raise found
                    if fits(found):
                        return found
        except TimeoutError:
            continue  # the datagram or its answer was lost, or nobody is there: once more
    return None
