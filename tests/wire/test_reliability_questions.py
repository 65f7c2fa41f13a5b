"""Headers, names and EDNS, row by row of reliability.md sections 2.1, 2.3 and 2.4, and of RFC 8906 section 8."""

from __future__ import annotations

import itertools
import struct

import dns.edns
import dns.message
import pytest

from gtm.wire import extras, respond
from tests.wire import test_questions, test_subnet, world
from tests.wire.test_reliability_answers import SERVER

NAME, TOP = b"\3www\5plain\7example\0", b"\5plain\7example\0"
SOA_IN, A_IN = b"\0\6\0\1", b"\0\1\0\1"


def packet(
    flags: int = 0,
    question: bytes = TOP + SOA_IN,
    counts: tuple[int, int, int, int] = (1, 0, 0, 0),
    rest: bytes = b"",
) -> bytes:
    return test_questions.packet(flags, counts, question, rest)


def head(reply: bytes | None) -> tuple[int, int]:
    """Return flags without the rcode, and the rcode, of an answer that is there."""
    assert reply is not None
    (flags,) = struct.unpack_from(">H", reply, 2)
    return flags & 0xFFF0, flags & 15


def asked(flags: int = 0, **more: object) -> tuple[int, int]:
    return head(SERVER.raw(packet(flags, **more)))  # type: ignore[arg-type]


# --- 2.1: header, names, questions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (0x0000, 0x8400),  # RFC 1035: QR and AA, and nothing else
        (0x0100, 0x8500),  # RD is copied, RA is not ours to give
        (0x0020, 0x8400),  # RFC 4035 section 3.1.6: AD
        (0x0010, 0x8400),  # CD
        (0x0040, 0x8400),  # RFC 8906 section 8.1.3.3: the reserved bit
        (0x0200, 0x8400),  # TC in a question is answered
        (0x0400, 0x8400),  # AA
        (0x0080, 0x8400),  # RA
        (0x000F, 0x8400),  # an rcode
    ],
)
def test_1035_flags_of_an_answer_are_ours_but_for_rd(flags: int, expected: int) -> None:
    assert asked(flags) == (expected, 0)


@pytest.mark.parametrize("opcode", range(1, 16))
@pytest.mark.parametrize("question", [b"", TOP + SOA_IN])
def test_8906_other_opcodes_are_notimp_with_the_opcode(opcode: int, question: bytes) -> None:
    counts = (int(bool(question)), 0, 0, 0)
    assert asked(opcode << 11, question=question, counts=counts) == (0x8000 | opcode << 11, 4)


@pytest.mark.parametrize("opcode", [4, 5])
def test_1996_2136_a_stranger_s_notify_or_update_is_refused_without_effect(opcode: int) -> None:
    update = packet(opcode << 11, counts=(1, 0, 1, 0), rest=NAME + A_IN + struct.pack(">IH", 5, 4) + bytes(4))
    assert head(SERVER.raw(update)) == (0x8000 | opcode << 11, 4)
    assert world.values(SERVER.ask("www.plain.example.", "A")) == ["192.0.2.1", "192.0.2.2"]


@pytest.mark.parametrize("flags", [0x8000, 0x8400, 0xFFFF, 0xA800])
def test_1035_an_answer_is_never_answered(flags: int) -> None:
    assert SERVER.raw(packet(flags)) is None


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (2, 0, 0, 0), (65535, 0, 0, 0)])
def test_9619_one_question_and_no_other_number(counts: tuple[int, int, int, int]) -> None:
    two = TOP + SOA_IN if counts[0] == 2 else b""
    assert asked(question=(TOP + SOA_IN) * bool(counts[0]), counts=counts, rest=two) == (0x8000, 1)


@pytest.mark.parametrize("counts", [(1, 0, 0, 1), (0, 0, 0, 1)])
def test_G6_more_than_4096_bytes_are_formerr_with_a_question_and_without(counts: tuple[int, int, int, int]) -> None:
    question = (TOP + SOA_IN) * counts[0]
    cookie = b"\0\x0a\0\x08" + bytes(8)
    for size, rcode in ((4096, 0), (4097, 1)):
        padding = size - 12 - len(question) - 11 - len(cookie) - 4
        data = cookie + struct.pack(">HH", 12, padding) + bytes(padding)
        query = packet(question=question, counts=counts, rest=OPT(data=data))
        assert len(query) == size
        assert head(SERVER.raw(query))[1] == rcode


@pytest.mark.parametrize(
    ("counts", "rest"),
    [((1, 1, 0, 0), b""), ((1, 0, 1, 0), b""), ((1, 0, 0, 1), b""), ((1, 0, 0, 0), b"trail"), ((1, 0, 0, 65535), b"")],
)
def test_9267_counts_and_trailing_bytes_are_formerr_and_not_reflected(
    counts: tuple[int, int, int, int], rest: bytes
) -> None:
    reply = SERVER.raw(packet(counts=counts, rest=rest))
    assert head(reply) == (0x8000, 1)
    assert reply is not None
    assert b"trail" not in reply


@pytest.mark.parametrize(
    "name",
    [
        b"\xc0\x0c",  # itself
        b"\xc0\x20",  # ahead
        b"\xc0",  # half a pointer
        b"\3www\xc0\x0c",
        b"\x40" + b"a" * 64 + b"\0",  # RFC 1035 section 3.1: label types that are none
        b"\x80a\0",
        b"\x3f" + b"a" * 62,  # cut off
        (b"\x3f" + b"a" * 63) * 4 + b"\0",  # 257 bytes
        (b"\x3f" + b"a" * 63) * 3 + b"\x3e" + b"a" * 62 + b"\0",  # 256 bytes
    ],
)
def test_9267_a_question_with_a_broken_name_is_formerr(name: bytes) -> None:
    reply = SERVER.raw(packet(question=name + SOA_IN))
    assert head(reply) == (0x8000, 1)
    assert reply is not None
    assert len(reply) == 12


@pytest.mark.parametrize(
    "label", [b"a" * 63, b"\x00\xff\x2e\x80", b"a.b", b"\\", b" ", b"\xc0\x0c", bytes(range(1, 64))]
)
def test_2181_any_byte_in_a_label_is_data(label: bytes) -> None:
    for parent, rcode in ((TOP, 3), (b"\4wild" + TOP, 0)):
        question = bytes((len(label),)) + label + parent + A_IN
        reply = SERVER.raw(packet(question=question))
        assert head(reply) == (0x8400, rcode)
        assert reply is not None
        assert reply[12 : 12 + len(question)] == question


@pytest.mark.parametrize("klass", [0, 2, 4, 254, 255, 65535])
def test_1035_classes_that_are_not_ours_are_refused(klass: int) -> None:
    assert asked(question=TOP + struct.pack(">HH", 6, klass)) == (0x8000, 5)


# --- 2.3: EDNS, and RFC 8906 section 8.2 ---------------------------------------------------------------------------

OPT, UNKNOWN, NSID = test_questions.opt, b"\0\x64\0\0", b"\0\3\0\0"


@pytest.mark.parametrize(
    ("version", "flags", "data"),
    list(itertools.product((0, 1, 255), (0, 0x8000, 0x0080, 0xFFFF), (b"", UNKNOWN, NSID))),
)
def test_8906_8_2_versions_flags_and_options_in_every_mixture(version: int, flags: int, data: bytes) -> None:
    reply = SERVER.raw(packet(counts=(1, 0, 0, 1), rest=OPT(4096, version << 16 | flags, data)))
    assert reply is not None
    answer = dns.message.from_wire(reply)
    assert answer.rcode() == (16 if version else 0)
    assert (answer.edns, answer.payload, answer.ednsflags & 0xFFFF) == (0, 1232, flags & 0x8000)
    assert bool(answer.answer) is not bool(version)
    assert [option.otype for option in answer.options] == ([3] if data == NSID and not version else [])


def test_8906_8_2_edns_over_tcp_and_for_what_is_not_ours() -> None:
    for name, rcode in (("plain.example.", "NOERROR"), ("example.net.", "REFUSED")):
        for transport in ("udp", "tcp"):
            answer = SERVER.ask(name, "SOA", edns=True, transport=transport)
            assert (world.rcode(answer), answer.edns) == (rcode, 0)


@pytest.mark.parametrize(
    ("count", "rest"),
    [
        (2, OPT() + OPT()),  # RFC 6891 section 6.1.1: one
        (1, OPT(owner=b"\3www\0")),  # of the root
        (1, OPT(owner=b"\xc0\x0c")),
        (1, OPT(data=b"\0\3\0\5a")),  # an option that ends behind the record
        (1, OPT(data=b"\0\3\0")),
        (1, OPT()[:-2] + b"\0\x20"),  # a record that ends behind the packet
    ],
)
def test_6891_a_broken_opt_is_formerr(count: int, rest: bytes) -> None:
    assert asked(counts=(1, 0, 0, count), rest=rest)[1] == 1


@pytest.mark.parametrize("size", [0, 1, 511, 512, 1232, 4096, 65535])
def test_9715_sizes_are_at_least_512_and_at_most_1232(size: int) -> None:
    question = b"\3big" + TOP + b"\0\x10\0\1"
    reply = SERVER.raw(packet(question=question, counts=(1, 0, 0, 1), rest=OPT(size)))
    assert reply is not None
    assert reply[2] & 2  # TC: the answer has 1.6 kB
    assert len(reply) <= min(max(size, 512), 1232)


@pytest.mark.parametrize("size", [0, 1, 100, 511, 512])
def test_6891_6_2_3_a_size_under_512_is_512_and_not_less(size: int) -> None:
    rest = OPT(size)
    whole = SERVER.raw(packet(counts=(1, 0, 0, 1), rest=rest))
    assert head(whole) == (0x8400, 0)
    assert whole is not None
    assert 20 < len(whole) < 512  # whole, though it is longer than most of these sizes
    assert whole[6:8] == b"\0\1"


def test_9824_3_5_nxname_cannot_be_asked_for() -> None:
    for rest, counts in ((b"", (1, 0, 0, 0)), (OPT(), (1, 0, 0, 1))):
        assert asked(question=TOP + b"\0\x80\0\1", counts=counts, rest=rest) == (0x8000, 1)
    assert asked(question=TOP + b"\0\x7f\0\1") == (0x8400, 0)


@pytest.mark.parametrize("code", [10, 11, 12, 18, 65001])
def test_6891_what_we_do_not_do_over_udp_is_ignored(code: int) -> None:
    data = struct.pack(">HH", code, 8) + bytes(8)
    assert asked(counts=(1, 0, 0, 1), rest=OPT(data=data)) == (0x8400, 0)


# --- 2.4: client subnet --------------------------------------------------------------------------------------------


def test_7871_the_same_option_gets_the_same_answer_over_tcp_with_do_and_with_a_cookie() -> None:
    whole = test_subnet.geography()
    one = respond.Responder(whole, seed=1, more=extras.Extras())
    ecs = test_subnet.ecs(1, 24, 0, b"\xcb\0\x71")
    question = test_questions.NAME + A_IN
    found = set()
    for transport, ttl, data in itertools.product(
        ("udp", "tcp", "tls", "https"), (0, 0x8000), (ecs, ecs + b"\0\x0a\0\x0812345678", NSID + ecs)
    ):
        reply = one.answer(
            packet(question=question, counts=(1, 0, 0, 1), rest=OPT(ttl=ttl, data=data)), 4, 0xC6336409, transport
        )
        assert reply is not None
        answer = dns.message.from_wire(reply)
        (scope,) = [option.scopelen for option in answer.options if isinstance(option, dns.edns.ECSOption)]
        found.add((scope, *world.values(answer)))
    assert len(found) == 1
