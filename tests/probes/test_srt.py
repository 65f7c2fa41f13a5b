"""The srt kind against packets made by hand; against srt-live-transmit and GStreamer in tests/slow."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gtm import model
from gtm.probes import srt_packet
from tests.probes import ingest_servers as ingest
from tests.probes.probe_servers import make, run

Answering = Callable[[bytes, srt_packet.Handshake | None], bytes]


@asynccontextmanager
async def listener(answer: Answering) -> AsyncIterator[int]:
    transport, port = await ingest.srt(answer)
    yield port
    transport.close()


def gateway(heard: list[bytes], **concluded: int) -> Answering:
    """Answer inductions, and conclusions as told; notes every packet."""

    def answer(data: bytes, found: srt_packet.Handshake | None) -> bytes:
        heard.append(data)
        if found is None:
            return b""
        if found.type == srt_packet.INDUCTION:
            return ingest.handshake(found.socket, encryption=2)
        assert (found.version, found.cookie, found.to) == (5, 4711, 0)
        return ingest.handshake(found.socket, **concluded)

    return answer


async def test_an_induction_is_one_packet_of_64_bytes_as_libsrt_sends_it() -> None:
    heard: list[bytes] = []
    async with listener(gateway(heard)) as port:
        result = await run(make("srt", port))
    assert (result.ok, result.reason) == (True, "")
    assert {name: result.measures[name] for name in ("answered", "version", "encryption")} == {
        "answered": True,
        "version": 5,
        "encryption": "AES-128",
    }
    (packet,) = heard
    ours = packet[40:44].hex()
    head, body = "80000000" + "00" * 12, "00000004" + "0000" + "0002"
    assert packet[:24].hex() == head + body
    assert packet[28:].hex() == "000005dc" + "00002000" + "00000001" + ours + "00000000" + "00" * 16


async def test_a_closed_port_is_refused_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
    for single in (True, False):
        result = await run(make("srt", port, single_client=single))
        assert (result.ok, result.reason) == (False, "connection refused")
        assert result.took_ms < 1000


async def test_silence_is_down_but_busy_where_there_is_one_caller_only() -> None:
    async with listener(lambda *_: b"") as port:
        silent = await run(make("srt", port, timeout_s=0.3))
        busy = await run(make("srt", port, timeout_s=0.3, single_client=True))
    assert (silent.ok, silent.reason) == (False, "no answer to 3 SRT inductions")
    assert (busy.ok, busy.measures["answered"]) == (True, False)


async def test_a_lost_datagram_is_sent_again() -> None:
    heard: list[bytes] = []

    def second(data: bytes, found: srt_packet.Handshake | None) -> bytes:
        heard.append(data)
        return ingest.handshake(found.socket) if found and len(heard) == 2 else b""

    async with listener(second) as port:
        assert (await run(make("srt", port, timeout_s=0.5))).ok is True


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"version": 4}, "no SRT listener"),
        ({"extension": 0}, "no SRT listener"),
        ({"cookie": 0}, "without a cookie"),
    ],
)
async def test_what_answers_otherwise_is_no_srt_listener(fields: dict[str, int], reason: str) -> None:
    def odd(_: bytes, found: srt_packet.Handshake | None) -> bytes:
        assert found
        return ingest.handshake(found.socket, **fields)

    async with listener(odd) as port:
        result = await run(make("srt", port))
    assert result.ok is False
    assert reason in result.reason


async def test_a_single_caller_is_never_asked_to_conclude() -> None:
    heard: list[bytes] = []
    async with listener(gateway(heard)) as port:
        result = await run(make("srt", port, single_client=True, stream_id="cam1"))
    assert result.ok is None
    assert not heard


async def test_a_conclusion_carries_the_stream_id_and_ends_with_a_shutdown() -> None:
    heard: list[bytes] = []
    async with listener(gateway(heard, type=srt_packet.CONCLUSION)) as port:
        result = await run(make("srt", port, stream_id="#!::r=cam1,m=publish"))
        assert (result.ok, result.measures["rejection"], result.measures["publishers"]) == (True, -1, 0)
        assert (await run(make("srt", port))).ok is True  # so the shutdown before it has come
    conclusion, goodbye = heard[1:3]
    extensions = conclusion[64:]
    assert extensions[:16].hex() == "00010003" + "00010501" + "000000bf" + "00780078"
    assert extensions[16:20] == bytes((0, 5, 0, 5))
    assert extensions[20:] == b"::!#ac=rm,1mbup=hsil"  # each word of four swapped
    assert goodbye.hex() == "80050000" + "00" * 8 + "0000004d" + "00" * 4


@pytest.mark.parametrize(
    ("wire", "ok", "reason", "overloaded", "about"),
    [
        (1011, True, "rejected: passphrase required (11)", False, {}),
        (2401, True, "rejected: not authorised (1401)", False, {}),
        (2402, True, "rejected: overloaded (1402)", True, {}),
        (1402, True, "rejected: overloaded (1402)", True, {}),
        (1005, True, "rejected: backlog full (5)", True, {}),
        (2503, True, "rejected: down (1503)", True, {}),
        (2404, False, "rejected: not found (1404)", False, {"stream.present": False, "publishers": 0}),
        (2409, True, "rejected: already published (1409)", False, {"stream.present": True, "publishers": 1}),
        (1001, False, "rejected: system error (1)", False, {}),
        (3017, True, "rejected: rejected by its own code (2017)", False, {}),
    ],
)
async def test_rejections_say_what_they_mean(
    wire: int, ok: bool, reason: str, overloaded: bool, about: dict[str, model.Value]
) -> None:
    async with listener(gateway([], type=wire)) as port:
        result = await run(make("srt", port, stream_id="cam1"))
    assert (result.ok, result.reason, bool(result.overloaded)) == (ok, reason, overloaded)
    assert result.reached
    assert {key: result.measures[key] for key in ("stream.present", "publishers") if key in result.measures} == about


async def test_an_absent_stream_can_count_as_fine() -> None:
    async with listener(gateway([], type=2404)) as port:
        assert (await run(make("srt", port, stream_id="cam1", absent="ok"))).ok is True
