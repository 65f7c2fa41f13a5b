"""Whatever comes in, what goes out is nothing or a small well-formed answer (E8), and both roads give the same one."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import dns.flags
import dns.message
import dns.opcode
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gtm import names
from tests.wire import test_subnet, world

TABLE = test_subnet.geography()
SERVER = world.Server(TABLE)
SENDERS = st.sampled_from(["198.51.100.9", "203.0.113.200", "127.0.0.1", "::1", "2001:db8::1", "10.0.0.1"])
TRANSPORTS = st.sampled_from(["udp", "tcp"])
ASKED = [
    "live.example.", "geo.live.example.", "STICKY.live.example.", "geosticky.live.example.", "plain.live.example.",
    "txt.live.example.", "nope.live.example.", "a.cut.live.example.", "ns1.Live.example.", "x.geo.live.example.",
    "x.CH.live.example.", "a.b.ch.live.example.", "y.wild.live.example.", "\\000.ch.live.example.", "com.", ".",
    f"{'y' * 63}.{'x' * 63}.{'x' * 63}.{'x' * 40}.ch.live.example.",
]  # fmt: skip


def question(name: str, kind: int, klass: int) -> bytes:
    return names.wire(name) + struct.pack(">HH", kind, klass)


QUESTIONS = st.builds(
    question,
    st.sampled_from(ASKED),
    st.sampled_from([1, 28, 16, 6, 2, 65, 255, 43, 0, 41, 128, 250, 251, 252, 999]),
    st.sampled_from([1, 1, 1, 1, 3, 255, 0]),
)
OPTIONS = st.sampled_from(
    [
        b"",
        test_subnet.ecs(1, 24, 0, b"\xcb\0\x71"),
        test_subnet.ecs(1, 25, 0, b"\xcb\0\x71\x80"),
        test_subnet.ecs(1, 0, 0, b""),
        test_subnet.ecs(0, 0, 0, b""),
        test_subnet.ecs(2, 48, 0, b"\x20\x01\x0d\xb8\0\5"),
        test_subnet.ecs(2, 128, 0, b"\x20\x01\x0d\xb8" + bytes(12)),
        test_subnet.ecs(1, 8, 0, b"\x0a"),
        *test_subnet.BAD.values(),
        b"\0\3\0\0",
        b"\0\x0a\0\x0812345678",
        b"\0\3\0\0" + test_subnet.ecs(1, 24, 0, b"\xcb\0\x71"),
    ]
)


def record(size: int, flags: int, version: int, data: bytes) -> bytes:
    return b"\0" + struct.pack(">HHBBHH", 41, size, 0, version, flags, len(data)) + data


OPTS = st.one_of(
    st.just(b""),
    st.builds(
        record,
        st.sampled_from([0, 511, 512, 700, 1232, 1233, 4096, 65535]),
        st.sampled_from([0, 0x8000, 0x4000, 0xFFFF]),
        st.sampled_from([0, 0, 0, 1]),
        OPTIONS,
    ),
)


def packet(flags: int, asked: bytes, opt: bytes, tail: bytes) -> bytes:
    return struct.pack(">HHHHHH", 0xBEEF, flags, 1, 0, 0, bool(opt)) + asked + opt + tail


PACKETS = st.builds(
    packet,
    st.sampled_from([0, 0x0100, 0x0120, 0x0110, 0x0030, 0x0040, 0x0200, 0x8000, 0x0800, 0x010F]),
    QUESTIONS,
    OPTS,
    st.sampled_from([b"", b"", b"", b"", b"\0", b"trailing"]),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A packet with some bytes changed, cut out or put in."""
    bytes_ = bytearray(draw(PACKETS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(bytes_)))
        bytes_[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return bytes(bytes_)


def is_well_formed(query: bytes, reply: bytes, transport: str) -> bool:
    # dnspython does not know family 0, which dig sends to opt out, and which comes back as it was.
    answer = dns.message.from_wire(reply.replace(test_subnet.ecs(0, 0, 0, b""), test_subnet.ecs(1, 0, 0, b"")))
    asked = int.from_bytes(query[2:4], "big")
    return (
        reply[:2] == query[:2]
        and bool(answer.flags & dns.flags.QR)
        and int(answer.opcode()) == asked >> 11 & 15
        and bool(answer.flags & dns.flags.RD) == bool(asked & 0x0100)
        and not answer.flags & (dns.flags.RA | dns.flags.AD | dns.flags.CD | 0x0040)
        and len(reply) <= (1232 if transport == "udp" else 65535)
        and (transport != "udp" or answer.edns >= 0 or len(reply) <= 512)
    )


@settings(max_examples=400)
@given(st.one_of(st.binary(max_size=64), PACKETS, damaged()), SENDERS, TRANSPORTS)
@example(b"", "127.0.0.1", "udp")
@example(bytes(12), "127.0.0.1", "udp")
def test_E8_any_bytes_get_nothing_or_a_small_well_formed_answer(query: bytes, sender: str, transport: str) -> None:
    reply = SERVER.raw(query, sender=sender, transport=transport)
    silence = len(query) < 12 or bool(query[2] & 0x80)
    assert silence == (reply is None)
    assert reply is None or is_well_formed(query, reply, transport)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.one_of(PACKETS, damaged()), SENDERS, TRANSPORTS), max_size=12))
def test_the_short_and_the_long_road_give_the_same_answers(asked: list[tuple[bytes, str, str]]) -> None:
    short, long = world.Server(TABLE, seed=5), world.Server(TABLE, seed=5)
    nothing: Mapping[bytes, int] = {}
    long.responder._shapes = nothing
    for query, sender, transport in asked:
        one = short.raw(query, sender=sender, transport=transport)
        other = long.raw(query, sender=sender, transport=transport)
        assert one == other
    assert short.responder.drain_counts() == long.responder.drain_counts()


def test_the_short_road_is_taken_by_ordinary_questions() -> None:
    server = world.Server(TABLE)

    def long(packet: bytes, family: int, address: int, transport: str) -> bytes:
        raise AssertionError("the long road")

    server.responder._long = long  # type: ignore[method-assign]
    for opt in (b"", record(1232, 0, 0, b""), record(4096, 0x8000, 0, test_subnet.ecs(1, 24, 0, b"\xcb\0\x71"))):
        for name in ("geo.live.example.", "sticky.live.example.", "x.ch.live.example.", "txt.live.example."):
            for kind in (1, 28, 16, 65, 6):
                assert server.raw(packet(0x0120, question(name, kind, 1), opt, b"")) is not None
