"""Every parser of foreign bytes in the ingest kinds: what comes is read or refused, in bounded time and memory."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable

import pytest

from gtm.probes import amf, chunks, grpc, prober, rtmp, rtsp, sdp, srt_packet, stat_xml
from tests.probes import ingest_servers as ingest

ROUNDS = 300
CASE_S = 0.010  # the promise; measured as CPU time, so that a busy machine fails no test
CASE_BYTES = 2 * 1024 * 1024

STAT = b"<rtmp><server><application><name>live</name><live><stream><name>a</name><publishing/></stream></live>"
SEEDS = {
    "amf": amf.pack("connect", 1, {"app": "live", "deep": {"a": {"b": None}}}, True),
    "chunks": chunks.pack(chunks.SET_CHUNK_SIZE, 0, bytes((0, 0, 16, 0)), 2)
    + ingest.status("NetStream.Play.Start") * 3,
    "srt": ingest.handshake(7, type=srt_packet.CONCLUSION) + bytes(40),
    "rtsp": b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 10\r\n\r\n",
    "sdp": sdp.offer("sendonly"),
    "stat": STAT + b"</application></server></rtmp>",
    "grpc": b"\0\0\0\0\2\x08\x01",
    "http2": bytes.fromhex("000000040000000000000008060000000000") + bytes(8),
}


def read_chunks(data: bytes) -> None:
    for message in chunks.Reader().feed(data):
        rtmp.is_media(message)


def read_handshake(data: bytes) -> None:
    found = srt_packet.read(data)
    if found is not None:
        srt_packet.words(found.rejection)
        srt_packet.meaning(found.rejection)


def read_http2(data: bytes) -> None:
    call = grpc.Call()
    call.begin([(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "x")], b"")
    call.take(data)


READERS: dict[str, Callable[[bytes], object]] = {
    "amf": amf.unpack,
    "chunks": read_chunks,
    "srt": read_handshake,
    "rtsp": rtsp.reply,
    "sdp": sdp.read,
    "stat": stat_xml.read,
    "grpc": grpc.serving,
    "http2": read_http2,
}


def mutated(seed: bytes, dice: random.Random) -> bytes:
    """Return the seed with some bytes changed, cut, doubled or put in."""
    data = bytearray(seed)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(4):
            case 0:
                data[at : at + 1] = dice.randbytes(1)
            case 1:
                data[at : at + dice.randrange(8)] = b""
            case 2:
                data[at:at] = dice.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", dice.randbytes(dice.randrange(40))))
            case _:
                data += data[at:]
    return bytes(data[:65536])


@pytest.mark.parametrize("name", READERS)
def test_G6_whatever_comes_is_read_or_refused_in_time(name: str) -> None:
    dice = random.Random(name)
    for _ in range(ROUNDS):
        data = dice.choice((mutated(SEEDS[name], dice), dice.randbytes(dice.randrange(2000))))
        assert cost_s(name, data) < CASE_S


def cost_s(name: str, data: bytes) -> float:
    """Return the CPU seconds of reading `data`; the best of three, when garbage was collected in the midst of it."""
    best_s = CASE_S
    for _ in range(3):
        began_s = time.process_time()
        refused(name, data)
        best_s = min(best_s, time.process_time() - began_s)
        if best_s < CASE_S:
            break
    return best_s


def refused(name: str, data: bytes) -> str:
    """Return why `data` is refused, or nothing when it is read. Any other exception escapes."""
    try:
        READERS[name](data)
    except (ValueError, prober.Failed) as error:
        return str(error) or "without a word"
    return ""


# The worst that somebody could think of, within what a probe reads at once.
WORST = {
    "amf-arrays": ("amf", (b"\x0a\xff\xff\xff\xff" * 13_000)),
    "amf-objects": ("amf", b"\x03\0\1a" * 16_000),
    "amf-values": ("amf", b"\x05" * 65_000),
    "amf-text": ("amf", b"\x0c\x7f\xff\xff\xff"),
    "chunks-of-nothing": ("chunks", bytes(12) + b"\xc0" * 20_000),
    "chunks-of-one-byte": (
        "chunks",
        chunks.pack(chunks.SET_CHUNK_SIZE, 0, b"\0\0\0\1", 2) + b"\3\0\0\0\0\xff\xff\x14\0\0\0\0" + b"x\xc3" * 10_000,
    ),
    "chunk-streams": ("chunks", b"".join(bytes((n, *bytes(11))) for n in range(2, 64))),
    "chunks-that-begin": (
        "chunks",
        b"".join(b"%c\0\0\0\xff\xff\xff\x14\0\0\0\0" % n + b"x" * 128 for n in range(2, 34)),
    ),
    "rtsp-lines": ("rtsp", b"RTSP/1.0 200 OK\r\n" + b"a\r\n" * 2_700),
    "sdp-lines": ("sdp", b"v=0\n" + b"a=\n" * 20_000),
    "stat-text": ("stat", b"<rtmp><stream><name>" + b"x" * 60_000 + b"</name></stream></rtmp>"),
    "stat-attributes": ("stat", b"<rtmp " + b" ".join(b'a%d="b"' % n for n in range(5_000)) + b"/>"),
    "http2-settings": ("http2", bytes.fromhex("000000040000000000") * 500),
}


@pytest.mark.parametrize("case", WORST)
def test_G6_the_worst_is_bounded_in_time_and_memory(case: str) -> None:
    name, data = WORST[case]
    began_s = time.process_time()
    refused(name, data)
    took_s = time.process_time() - began_s
    tracemalloc.start()
    try:
        refused(name, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < CASE_BYTES
    assert took_s < 10 * CASE_S, "these are of 64 KiB, far beyond an ordinary answer"
