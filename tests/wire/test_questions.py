"""The gate: headers, questions, EDNS (E2 to E4, E8; RFC 1035, 5001, 6891, 8914, 9619), and truncation."""

from __future__ import annotations

import struct

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from gtm import model, table
from gtm.wire import edns
from tests.wire import world

BIG = 40  # addresses: 640 bytes of answer
ZONE = world.zone(
    "live.example.",
    "@ SOA ns1 ops 1 2 3 4 10\n@ NS ns1\nns1 A 192.0.2.53\ntxt TXT hello\n"
    + "".join(f"big A 192.0.2.{at}\n" for at in range(BIG))
    + "".join(f"wide A 192.0.2.{at}\n" for at in range(100))
    + "".join(f"huge TXT {'x' * 250}{at}\n" for at in range(300)),
    steer={"play.live.example.": 0},
)
NAME = b"\x03txt\x04live\x07example\x00"
TXT_IN = struct.pack(">HH", 16, 1)


@pytest.fixture
def server() -> world.Server:
    whole = world.snapshot(
        ZONE,
        endpoints=[model.Endpoint("e", ipv4="192.0.2.1")],
        pools=[world.pool("p", "e")],
        policies=[world.policy("p")],
    )
    ring = world.rings(world.decision(["192.0.2.1"], why="rule 1; pool p; ttl 5"))
    return world.Server(world.build(whole, steerings=[table.Steering(-1, (0,), (0,), (0,))], rings=ring))


def packet(
    flags: int = 0,
    counts: tuple[int, int, int, int] = (1, 0, 0, 0),
    question: bytes = NAME + TXT_IN,
    rest: bytes = b"",
) -> bytes:
    return struct.pack(">HHHHHH", 0xBEEF, flags, *counts) + question + rest


def opt(size: int = 1232, ttl: int = 0, data: bytes = b"", owner: bytes = b"\0") -> bytes:
    return owner + struct.pack(">HHIH", 41, size, ttl, len(data)) + data


def answered(server: world.Server, query: bytes, transport: str = "udp") -> dns.message.Message:
    reply = server.raw(query, transport=transport)
    assert reply is not None
    assert reply[:2] == query[:2]
    return dns.message.from_wire(reply)


def test_E2_answers_are_not_answered(server: world.Server) -> None:
    assert server.raw(packet(0x8000)) is None
    assert server.raw(packet(0x8180)) is None
    assert server.responder.drain_counts()["dropped"] == {("response",): 2}


@pytest.mark.parametrize("size", [0, 1, 5, 11])
def test_E8_less_than_a_header_is_silence_and_a_count(server: world.Server, size: int) -> None:
    assert server.raw(packet()[:size]) is None
    assert server.responder.drain_counts()["dropped"] == {("short",): 1}


def test_E2_the_question_is_echoed_byte_for_byte_whatever_its_case(server: world.Server) -> None:
    for name in (
        b"\x03tXt\x04LiVe\x07eXAMPLe\x00",
        b"\x02Xx\x04LiVe\x07eXAMPLe\x00",
        b"\x04pLaY\x04LiVe\x07eXAMPLe\x00",
    ):
        for kind in (1, 16):
            query = packet(question=name + struct.pack(">HH", kind, 1))
            reply = server.raw(query)
            assert reply is not None
            assert reply[12 : len(query)] == query[12:]
    assert world.values(server.ask("TXT.LIVE.eXample.", "TXT")) == ['"hello"']


def test_E2_bytes_that_are_not_letters_are_data(server: world.Server) -> None:
    for label in (b"\x04\x00\xff\x2e\x80", b"\x03a.b", b"\x3f" + b"x" * 63, b"\x01\x00", b"\x03txt\x01\x00"):
        query = packet(question=label + b"\x04live\x07example\x00" + TXT_IN)
        reply = server.raw(query)
        assert reply is not None
        assert reply[3] & 15 == 3
        assert reply[12 : len(query)] == query[12:]


@pytest.mark.parametrize("rd", [0, 1])
def test_flags_are_ours_but_for_rd(server: world.Server, rd: int) -> None:
    for extra in (0, 0x0200, 0x0400, 0x0080, 0x0040, 0x0020, 0x0010, 0x000F):
        for name in (NAME, b"\x04nope" + NAME[4:], b"\x03com\x00"):
            reply = server.raw(packet(rd << 8 | extra, question=name + TXT_IN))
            assert reply is not None
            flags = int.from_bytes(reply[2:4], "big")
            assert flags & 0x8000
            assert flags >> 8 & 1 == rd
            assert flags & 0x7AF0 == 0  # opcode, TC, RA, Z, AD, CD


@pytest.mark.parametrize("opcode", [1, 2, 3, 4, 5, 6, 15])
def test_E4_other_opcodes_are_notimp_with_the_opcode_echoed(server: world.Server, opcode: int) -> None:
    for query in (packet(opcode << 11), packet(opcode << 11 | 0x0100, (0, 0, 0, 0), b"")):
        reply = server.raw(query)
        assert reply is not None
        flags = int.from_bytes(reply[2:4], "big")
        assert flags == 0x8000 | opcode << 11 | int.from_bytes(query[2:4], "big") & 0x0100 | 4
        assert reply[4:] == bytes(8)


FORMERR = {
    "no question": packet(counts=(0, 0, 0, 0), question=b""),
    "no question but an OPT": packet(counts=(0, 0, 0, 1), question=b"", rest=opt()),
    "two questions": packet(counts=(2, 0, 0, 0), question=(NAME + TXT_IN) * 2),
    "a question that is promised": packet(question=b""),
    "a name cut short": packet(question=NAME[:-5]),
    "a type cut short": packet(question=NAME + b"\0\x10\0"),
    "a pointer to itself": packet(question=b"\xc0\x0c" + TXT_IN),
    "a pointer forward": packet(question=b"\xc0\x20" + TXT_IN + bytes(30)),
    "a pointer into the header": packet(question=b"\x03txt\xc0\x04" + TXT_IN),
    "label type 01": packet(question=b"\x41" + b"x" * 65 + b"\0" + TXT_IN),
    "label type 10": packet(question=b"\x80" + b"x" * 128 + b"\0" + TXT_IN),
    "a name of 256 bytes": packet(question=(b"\x3f" + b"x" * 63) * 3 + b"\x3e" + b"x" * 62 + b"\0" + TXT_IN),
    "trailing bytes": packet(rest=b"\0"),
    "trailing bytes behind an OPT": packet(counts=(1, 0, 0, 1), rest=opt() + b"x"),
    "an answer": packet(counts=(1, 1, 0, 0), rest=b"\0" + struct.pack(">HHIH", 1, 1, 0, 0)),
    "an authority": packet(counts=(1, 0, 1, 0), rest=b"\0" + struct.pack(">HHIH", 1, 1, 0, 0)),
    "a record that is promised": packet(counts=(1, 0, 0, 1)),
    "sixty-five thousand records": packet(counts=(1, 0, 0, 65535), rest=opt()),
    "two OPT": packet(counts=(1, 0, 0, 2), rest=opt() * 2),
    "an OPT with a name": packet(counts=(1, 0, 0, 1), rest=opt(owner=b"\x01a\0")),
    "an OPT with a pointer for a name": packet(counts=(1, 0, 0, 1), rest=opt(owner=b"\xc0\x0c")),
    "rdata past the end": packet(counts=(1, 0, 0, 1), rest=opt(data=b"\0\3\0\0")[:-1]),
    "an option past the end": packet(counts=(1, 0, 0, 1), rest=opt(data=b"\0\3\0\1")),
    "an option cut short": packet(counts=(1, 0, 0, 1), rest=opt(data=b"\0\3\0")),
    "type OPT asked": packet(question=NAME + struct.pack(">HH", 41, 1)),
    "type NXNAME asked": packet(question=NAME + struct.pack(">HH", 128, 1)),
    "type TSIG asked": packet(question=NAME + struct.pack(">HH", 250, 1)),
    "five kilobytes": packet(question=NAME + TXT_IN + bytes(5000)),
}


@pytest.mark.parametrize("query", FORMERR.values(), ids=FORMERR.keys())
def test_E4_what_is_malformed_is_formerr_and_nothing_of_it_comes_back(server: world.Server, query: bytes) -> None:
    for transport in ("udp", "tcp"):
        answer = answered(server, query, transport)
        assert answer.rcode() == dns.rcode.FORMERR
        assert not answer.flags & dns.flags.AA
        assert (answer.answer, answer.authority) == ([], [])
        reply = server.raw(query, transport=transport)
        assert reply is not None
        assert len(reply) <= 12 + 259 + 11


def test_names_of_63_and_255_are_names(server: world.Server) -> None:
    longest = b"\x01a" + (b"\x3f" + b"x" * 63) * 3 + b"\x2e" + b"x" * 46 + b"\x04live\x07example\x00"
    assert len(longest) == 255
    assert answered(server, packet(question=longest + TXT_IN)).rcode() == dns.rcode.NXDOMAIN


def test_other_records_behind_the_question_are_stepped_over(server: world.Server) -> None:
    other = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + bytes(4)
    answer = answered(server, packet(counts=(1, 0, 0, 2), rest=other + opt()))
    assert (answer.rcode(), answer.edns) == (dns.rcode.NOERROR, 0)


def test_a_signed_query_is_notauth_since_we_hold_no_keys(server: world.Server) -> None:
    tsig = b"\x03key\0" + struct.pack(">HHIH", 250, 255, 0, 0)
    reply = server.raw(packet(counts=(1, 0, 0, 1), rest=tsig))
    assert reply is not None
    assert reply[3] & 15 == 9


@pytest.mark.parametrize("rtype", [251, 252])
def test_zone_transfers_are_refused(server: world.Server, rtype: int) -> None:
    question = b"\x04live\x07example\x00" + struct.pack(">HH", rtype, 1)
    soa = b"\xc0\x0c" + struct.pack(">HHIH", 6, 1, 0, 22) + bytes(22)
    for transport in ("udp", "tcp"):
        assert answered(server, packet(question=question), transport).rcode() == dns.rcode.REFUSED
    if rtype == 251:  # RFC 1995 section 3: with the SOA that the asker has
        reply = server.raw(packet(counts=(1, 0, 1, 0), question=question, rest=soa), transport="tcp")
        assert reply is not None
        assert reply[3] & 15 == 5


@pytest.mark.parametrize("klass", [0, 2, 3, 4, 254, 255])
def test_classes_other_than_in_are_refused(server: world.Server, klass: int) -> None:
    assert answered(server, packet(question=NAME + struct.pack(">HH", 16, klass))).rcode() == dns.rcode.REFUSED


def test_every_type_there_is_gets_an_answer_and_no_exception(server: world.Server) -> None:
    seen = set()
    for kind in range(65536):
        reply = server.raw(packet(question=NAME + struct.pack(">HH", kind, 1)))
        assert reply is not None
        seen.add(reply[3] & 15)
    assert seen == {0, 1, 5}


# --- CHAOS, NSID, EDE ---


def test_chaos_names_the_node_to_those_who_may_know(server: world.Server) -> None:
    for name, expected in (("id.server.", '"node-1"'), ("HOSTNAME.bind.", '"node-1"'), ("version.bind.", '"GTM ')):
        answer = server.ask(name, "TXT", rdclass="CH", sender="127.0.0.1")
        assert world.values(answer)[0].startswith(expected)
        assert world.rcode(server.ask(name, "TXT", rdclass="CH", sender="::1")) == "NOERROR"
        assert world.rcode(server.ask(name, "TXT", rdclass="CH")) == "REFUSED"
        assert world.rcode(server.ask(name, "A", rdclass="CH", sender="127.0.0.1")) == "REFUSED"
    digest = world.values(server.ask("digest.server.", "TXT", rdclass="CH", sender="127.0.0.1"))
    assert digest == [f'"{server.table.digest}"']
    assert world.rcode(server.ask("digest.server.", "TXT", rdclass="CH")) == "REFUSED"
    assert world.rcode(server.ask("other.bind.", "TXT", rdclass="CH", sender="127.0.0.1")) == "REFUSED"


def test_nsid_is_given_only_when_asked(server: world.Server) -> None:
    for name in ("txt.live.example.", "nope.live.example.", "com.", "play.live.example."):
        answer = server.ask(name, "TXT", options=[dns.edns.NSIDOption(b"")])
        assert [option.to_text() for option in answer.options if option.otype == 3] == ["NSID node-1"]
        assert not any(option.otype == 3 for option in server.ask(name, "TXT", edns=True).options)


def test_the_reason_is_told_to_those_who_may_know_and_sent_edns(server: world.Server) -> None:
    answer = server.ask("play.live.example.", edns=True, sender="127.0.0.1")
    (error,) = answer.options
    assert isinstance(error, dns.edns.EDEOption)
    assert (error.code, error.text) == (0, "rule 1; pool p; ttl 5")
    assert server.ask("play.live.example.", edns=True).options == ()
    assert server.ask("play.live.example.", sender="127.0.0.1").options == ()
    assert server.ask("txt.live.example.", "TXT", edns=True, sender="127.0.0.1").options == ()


def test_a_long_reason_is_cut_between_characters(server: world.Server) -> None:
    addresses = [f"192.0.2.{at}" for at in range(8)]
    ring = world.rings(world.decision(addresses, why="ü" * 500))[0]
    assert server.responder.update(2, {0: ring})
    (error,) = server.ask("play.live.example.", edns=True, sender="127.0.0.1").options
    assert isinstance(error, dns.edns.EDEOption)
    assert error.text == "ü" * (edns.MAX_ERROR_BYTES // 2)


# --- EDNS and size ---


def test_E3_no_opt_in_no_opt_out(server: world.Server) -> None:
    assert server.ask("txt.live.example.", "TXT").edns == -1
    answer = server.ask("txt.live.example.", "TXT", edns=True)
    assert (answer.edns, answer.payload, answer.ednsflags) == (0, 1232, 0)


@pytest.mark.parametrize("name", ["txt.live.example.", "nope.live.example.", "com.", "play.live.example."])
def test_E3_do_is_echoed_and_other_flags_are_not(server: world.Server, name: str) -> None:
    query = dns.message.make_query(name, "TXT", use_edns=0, ednsflags=0xC001)
    assert answered(server, query.to_wire()).ednsflags == 0x8000
    query = dns.message.make_query(name, "TXT", use_edns=0, ednsflags=0x4001)
    assert answered(server, query.to_wire()).ednsflags == 0


@pytest.mark.parametrize("version", [1, 2, 255])
def test_E3_a_version_above_0_is_badvers_whatever_else_it_says(server: world.Server, version: int) -> None:
    subnet = b"\0\x08\0\x07\0\1\x18\0\xcb\0\x71"
    for data in (b"", b"\0\3\0\0", b"\xff\xff\0\2ab", b"broken", subnet):
        query = packet(counts=(1, 0, 0, 1), rest=opt(ttl=version << 16 | 0x8000, data=data))
        answer = answered(server, query)
        assert answer.rcode() == dns.rcode.BADVERS
        assert (answer.edns, answer.options, answer.answer, answer.authority) == (0, (), [], [])


def test_E3_unknown_options_and_cookies_are_ignored(server: world.Server) -> None:
    options = [dns.edns.GenericOption(dns.edns.OptionType.make(code), b"12345678") for code in (10, 11, 12, 100, 65001)]
    answer = server.ask("txt.live.example.", "TXT", options=options)
    assert world.values(answer) == ['"hello"']
    assert answer.options == ()


@pytest.mark.parametrize(("payload", "limit"), [(0, 512), (1, 512), (511, 512), (700, 700), (1232, 1232), (4096, 1232)])
def test_E3_answers_over_udp_are_at_most_what_was_asked_and_1232(
    server: world.Server, payload: int, limit: int
) -> None:
    query = packet(question=b"\x03big" + NAME[4:] + b"\0\1\0\1", counts=(1, 0, 0, 1), rest=opt(payload))
    reply = server.raw(query)
    assert reply is not None
    answer = dns.message.from_wire(reply)
    whole = len(query) + 16 * BIG
    assert len(reply) == (whole if whole <= limit else len(query))
    assert bool(answer.flags & dns.flags.TC) == (whole > limit)
    assert len(world.values(answer)) == (BIG if whole <= limit else 0)
    assert answer.edns == 0


def test_E3_the_limit_is_kept_to_the_byte(server: world.Server) -> None:
    query = packet(question=b"\x03big" + NAME[4:] + b"\0\1\0\1", counts=(1, 0, 0, 1), rest=opt(0))
    whole = len(query) + 16 * BIG
    for size, fits in ((whole, True), (whole - 1, False)):
        reply = server.raw(query[:-11] + opt(size))
        assert reply is not None
        assert (len(reply) == whole) == fits


@pytest.mark.parametrize("payload", [0, 512, 1232, 1233, 4096, 65535])
def test_E3_no_answer_over_udp_passes_1232_whatever_is_asked(server: world.Server, payload: int) -> None:
    answer = server.ask("wide.live.example.", payload=payload)
    assert answer.flags & dns.flags.TC
    assert answer.answer == []
    answer = server.ask("wide.live.example.", payload=payload, options=[dns.edns.NSIDOption(b"")])
    assert answer.flags & dns.flags.TC


def test_E3_without_edns_512_bytes_are_the_limit(server: world.Server) -> None:
    answer = server.ask("big.live.example.")
    assert answer.flags & dns.flags.TC
    assert (answer.answer, answer.authority, answer.edns) == ([], [], -1)
    assert server.responder.drain_counts()["truncated"] == {(): 1}


def test_E3_over_tcp_the_answer_is_whole(server: world.Server) -> None:
    for kwargs in ({}, {"edns": True}, {"payload": 512}):
        answer = server.ask("big.live.example.", transport="tcp", **kwargs)
        assert len(world.values(answer)) == BIG
        assert not answer.flags & dns.flags.TC


def test_E3_what_no_message_can_hold_is_truncated_even_over_tcp(server: world.Server) -> None:
    answer = server.ask("huge.live.example.", "TXT", transport="tcp")
    assert answer.flags & dns.flags.TC
    assert answer.answer == []


def test_queries_and_rcodes_are_counted_by_few_labels(server: world.Server) -> None:
    server.ask("txt.live.example.", "TXT")
    server.ask("txt.live.example.", "TXT", transport="tcp", edns=True)
    server.ask("nope.live.example.", "TYPE1234")
    server.ask("com.")
    server.raw(packet(counts=(0, 0, 0, 0), question=b""))
    counts = server.responder.drain_counts()
    assert counts["queries"] == {("udp", "TXT"): 1, ("tcp", "TXT"): 1, ("udp", "other"): 2, ("udp", "A"): 1}
    assert counts["responses"] == {("NOERROR",): 2, ("NXDOMAIN",): 1, ("REFUSED",): 1, ("FORMERR",): 1}
    assert server.responder.drain_counts()["queries"] == {}
