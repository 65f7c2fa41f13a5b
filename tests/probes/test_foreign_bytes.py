"""Every parser of foreign bytes in the ingest kinds: what comes is read or refused, in bounded time and memory."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable

import pytest

from gtm.probes import amf, chunks, grpc, http, prober, rtmp, rtsp, sdp, srt_packet, stat_xml
from tests.probes import ingest_servers as ingest

ROUNDS = 300
RUNS = 40
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
    "json": b'{"load": {"cpu": 1.5e3, "all": [1, 2, {"a": null}]}, "ok": true, "text": "\\u00e9"}',
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


def read_json(data: bytes) -> None:
    whole = http.parsed(data)
    for path in ("a", "load.cpu", "load.all", "load.all.2.a", "0"):
        http.at(whole, path)


READERS: dict[str, Callable[[bytes], object]] = {
    "amf": amf.unpack,
    "chunks": read_chunks,
    "srt": read_handshake,
    "rtsp": rtsp.reply,
    "sdp": sdp.read,
    "stat": stat_xml.read,
    "grpc": grpc.serving,
    "http2": read_http2,
    "json": read_json,
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
    """Return the CPU seconds of reading `data`; the best of some, for garbage is collected and cores are shared."""
    best_s = 1.0
    for _ in range(RUNS):
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


READ_BYTES = 64 * 1024  # what is read of RTMP at once; a session description may be as long
JSON_BYTES = 256 * 1024
PAGE_BYTES = 1024 * 1024


def fill(piece: bytes, head: bytes, tail: bytes = b"", size: int = READ_BYTES) -> bytes:
    return head + piece * ((size - len(head) - len(tail)) // len(piece)) + tail


MESSAGE = b"\3\0\0\0\0\0%c\x14\0\0\0\0"  # the head of a command of so many bytes
ONE_BYTE = chunks.pack(chunks.SET_CHUNK_SIZE, 0, b"\0\0\0\1", 2)
CLIENT = b"<client><id>8</id><address>192.0.2.1</address><flashver>LNX 9,0,124,2</flashver><active/></client>\r\n"
STREAM = (
    b"<stream>\r\n<name>cam</name>\r\n<time>1</time><bw_in>1</bw_in>\r\n<bytes_in>123</bytes_in>\r\n"
    b"<bw_out>0</bw_out>\r\n<bytes_out>0</bytes_out>\r\n<bw_audio>0</bw_audio>\r\n<bw_video>0</bw_video>\r\n"
    + CLIENT
    + b"<meta><video><width>1</width><codec>H264</codec></video></meta><nclients>1</nclients><publishing/></stream>"
)
STREAMS, STREAMS_END = b"<rtmp><server><application><name>live</name><live>", b"</live></application></server></rtmp>"
SETTINGS = bytes.fromhex("000000040000000000")
# The worst that somebody could think of, as long as it may be.
WORST = {
    "amf-arrays": ("amf", (b"\x0a\xff\xff\xff\xff" * 3_200)),
    "amf-objects": ("amf", b"\x03\0\1a" * 4_000),
    "amf-values": ("amf", b"\x05" * chunks.KEPT_BYTES),
    "amf-text": ("amf", b"\x0c\x7f\xff\xff\xff"),
    "chunks-of-nothing": ("chunks", fill(b"\xc3", MESSAGE % 0)),
    "chunks-of-a-byte-each": ("chunks", fill(b"x\xc3", MESSAGE % 1)),
    "chunks-of-one-byte": ("chunks", fill(b"x\xc3", ONE_BYTE + b"\3\0\0\0\0\xff\xff\x14\0\0\0\0")),
    "chunks-of-commands": ("chunks", fill(chunks.pack(chunks.COMMAND, 1, amf.pack("onStatus", 0)), b"")),
    "chunk-streams": ("chunks", b"".join(bytes((n, *bytes(11))) for n in range(2, 64))),
    "chunks-that-begin": (
        "chunks",
        b"".join(b"%c\0\0\0\xff\xff\xff\x14\0\0\0\0" % n + b"x" * 128 for n in range(2, 34)),
    ),
    "rtsp-lines": ("rtsp", b"RTSP/1.0 200 OK\r\n" + b"a\r\n" * 2_700),
    "sdp-lines": ("sdp", fill(b"a=\n", b"v=0\n")),
    "sdp-blanks": ("sdp", fill(b"\n", b"v=0\n")),
    "sdp-media": ("sdp", fill(b"m=a 0 a a\n", b"v=0\n")),
    "stat-streams": ("stat", fill(STREAM, STREAMS, STREAMS_END, PAGE_BYTES)),
    "stat-as-many-streams-as-may-be": (
        "stat",
        fill(CLIENT, STREAMS + STREAM * (stat_xml.MAX_STREAMS - 50), STREAMS_END, PAGE_BYTES),
    ),
    "stat-clients": ("stat", fill(CLIENT, STREAMS, STREAMS_END, PAGE_BYTES)),
    "stat-clients-without-end": ("stat", fill(b"<client>", STREAMS, b"", PAGE_BYTES)),
    "stat-elements": ("stat", fill(b"<a/>", STREAMS, STREAMS_END, PAGE_BYTES)),
    "stat-names": ("stat", fill(b"<name>\r\n</name>", STREAMS, STREAMS_END, PAGE_BYTES)),
    "stat-text": ("stat", fill(b"\r\n", STREAMS + b"<stream><name>", b"", PAGE_BYTES)),
    "stat-attributes": ("stat", b"<rtmp " + b" ".join(b'a%d="b"' % n for n in range(80_000)) + b"/>"),
    "http2-settings": ("http2", fill(SETTINGS, b"", size=grpc.READ_BYTES)),
    "http2-pings": ("http2", fill(bytes.fromhex("000008060000000000") + bytes(8), SETTINGS, size=grpc.READ_BYTES)),
    "http2-headers": ("http2", fill(b"\x82", SETTINGS + bytes.fromhex("000f00010400000001") + b"\x88", size=3868)),
    "json-numbers": ("json", fill(b"1,", b'{"a":[', b"1]}", JSON_BYTES)),
    "json-objects": ("json", fill(b'{"":0},', b'{"a":[', b"{}]}", JSON_BYTES)),
    "json-keys": ("json", b'{"a":{' + b",".join(b'"%x":0' % n for n in range(26_000)) + b"}}"),
    "json-depth": ("json", fill(b'{"a":', b"", size=JSON_BYTES)),
    "json-depth-that-ends": ("json", b'{"a":' * 700 + b"0" + b"}" * 700),
    "json-long-numbers": ("json", fill(b"9" * 4300 + b",", b"[", b"9]", JSON_BYTES)),
    "json-one-number": ("json", b"9" * JSON_BYTES),
    "json-escapes": ("json", fill(b"\\u00e9", b'{"a":"', b'"}', JSON_BYTES)),
}


@pytest.mark.parametrize("case", WORST)
def test_G6_the_worst_is_bounded_in_time_and_memory(case: str) -> None:
    name, data = WORST[case]
    assert len(data) <= PAGE_BYTES
    assert cost_s(name, data) < CASE_S
    tracemalloc.start()
    try:
        refused(name, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < max(CASE_BYTES, 30 * len(data))
