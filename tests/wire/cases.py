"""Nothing in; the wire cases of reliability.md section 2 out: a packet each, and what its answer must be.

They are for any nameserver that has the zone of `test_reliability_answers`: the fast tests ask ours in process, the
slow ones ask a real node of ours and real peers. The names are those of reliability.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rdatatype

from gtm import names
from tests.wire import test_questions, test_subnet

TOP = names.wire("plain.example.")
SOA_IN, A_IN = b"\0\6\0\1", b"\0\1\0\1"
REFUSALS = frozenset({4, 5, 9})  # NOTIMP, REFUSED, NOTAUTH: each says no
BROKEN = frozenset({1, None})  # FORMERR or silence, where reliability.md leaves it open
CLIENT = bytes.fromhex("2464c4abcf10c957")

OPT = test_questions.opt
Wants = Mapping[str, object]


class Case(NamedTuple):
    """`wants` holds, by field of `read`, the value, a frozenset of values, or a test of it."""

    name: str
    packet: bytes
    wants: Wants
    transport: str = "udp"


def read(packet: bytes, reply: bytes | None) -> dict[str, object]:
    """Return what can be wanted of an answer. Silence has an rcode of None."""
    if reply is None:
        return {"rcode": None}
    answer = dns.message.from_wire(reply)
    end = len(packet) if len(packet) == 12 else packet.index(b"\0", 12) + 5 if b"\0" in packet[12:] else len(packet)
    return {
        "rcode": int(answer.rcode()),
        "opcode": int(answer.opcode()),
        **{(flag.name or "").lower(): bool(answer.flags & flag) for flag in dns.flags.Flag},
        "z": bool(answer.flags & 0x40),
        "same id": reply[:2] == packet[:2],
        "echoed": reply[4:6] == b"\0\1" and reply[12:end] == packet[12:end],
        "answer": tuple(sorted(rdata.to_text() for rrset in answer.answer for rdata in rrset)),
        "owners": tuple(str(rrset.name) for rrset in answer.answer),
        "authority": tuple(sorted(dns.rdatatype.to_text(rrset.rdtype) for rrset in answer.authority)),
        "negative ttl": answer.authority[0].ttl if answer.authority else None,
        "glue": frozenset(rdata.to_text() for rrset in answer.additional for rdata in rrset),
        "glue or tc": bool(answer.flags & dns.flags.TC) or sum(map(len, answer.additional)),
        "edns": answer.edns,
        "payload": answer.payload,
        "do": bool(answer.ednsflags & dns.flags.DO),
        "edns flags": answer.ednsflags & 0x7FFF,
        "options": tuple(option.otype for option in answer.options),
        "option": b"".join(option.to_wire() or b"" for option in answer.options).hex(),
        "bytes": len(reply),
        "reflects": b"trail" in reply,
    }


def missed(case: Case, reply: bytes | None) -> dict[str, object]:
    """Return what is not as wanted: nothing when all is."""
    has = read(case.packet, reply)
    found = {}
    for field, wanted in case.wants.items():
        value = has.get(field)
        if callable(wanted):
            good = value is not None and wanted(value)
        else:
            good = value in wanted if isinstance(wanted, frozenset) else value == wanted
        if not good:
            found[field] = value
    return found


def packet(
    flags: int = 0, question: bytes = TOP + SOA_IN, counts: tuple[int, ...] = (1, 0, 0, 0), rest: bytes = b""
) -> bytes:
    """Return a message with an id of its own."""
    return struct.pack(">HHHHHH", 0xBEEF, flags, *counts) + question + rest


def of(name: str, rtype: str | int, flags: int = 0) -> bytes:
    """Return a plain question for a name of the zone; one that ends in a dot is whole."""
    whole = name if name.endswith(".") else f"{name}.plain.example.".lstrip(".")
    kind = rtype if isinstance(rtype, int) else int(dns.rdatatype.from_text(rtype))
    return packet(flags, names.wire(whole) + struct.pack(">HH", kind, 1))


def with_opt(data: bytes = b"", size: int = 1232, ttl: int = 0, of_: bytes = TOP + SOA_IN) -> bytes:
    """Return a question with an OPT record."""
    return packet(question=of_, counts=(1, 0, 0, 1), rest=OPT(size, ttl, data))


def option(code: int, data: bytes) -> bytes:
    return struct.pack(">HH", code, len(data)) + data


GOOD: Wants = {"rcode": 0, "aa": True, "ra": False, "z": False, "tc": False, "echoed": True, "same id": True}
EMPTY: Wants = {"answer": (), "authority": ()}
NODATA: Wants = {**GOOD, "answer": (), "authority": ("SOA",), "negative ttl": 60}
NXDOMAIN: Wants = {**NODATA, "rcode": 3}
REFUSED: Wants = {**EMPTY, "rcode": 5, "aa": False, "glue": frozenset([frozenset()])}
NO_NAME: Wants = {"rcode": BROKEN}


def headers() -> Iterator[Case]:
    """Yield section 2.1."""
    soa = {**GOOD, "answer": lambda found: len(found) == 1, "ad": False}
    yield Case("H01", packet(), {**soa, "rd": False})
    yield Case("H02", packet(0x0100), {**soa, "rd": True})
    yield Case("H03 AD", packet(0x0020), soa)
    yield Case("H03 CD", packet(0x0010), soa)
    yield Case("H04", packet(0x0040), soa)
    for opcode in (1, 2, 3, 6, 15):
        wants = {"rcode": 4, "opcode": opcode, "aa": False, **EMPTY}
        yield Case(f"H05.{opcode}", packet(opcode << 11, b"", (0, 0, 0, 0)), wants)
        yield Case(f"H06.{opcode}", packet(opcode << 11), wants)
    yield Case(
        "H07", packet(4 << 11 | 0x0400), {"rcode": REFUSALS | {0}, "answer": ()}
    )  # a primary may say that it has heard
    yield Case("H08", packet(5 << 11), {"rcode": REFUSALS})
    yield Case("H09", packet(0x8000), {"rcode": None})
    yield Case("H10", packet(0x0200), soa)
    yield Case("H12", packet(question=b"", counts=(0, 0, 0, 0)), {"rcode": 1})
    for size in (0, 1, 5, 11):
        yield Case(f"H13.{size}", packet()[:size], {"rcode": None})
    yield Case("H14", packet(question=2 * (TOP + SOA_IN), counts=(2, 0, 0, 0)), {"rcode": 1})
    yield Case("H15 answers", packet(counts=(1, 1, 0, 0)), NO_NAME)
    yield Case("H15 additional", packet(counts=(1, 0, 0, 65535)), NO_NAME)
    yield Case("H17", packet(rest=b"trail"), {"rcode": frozenset({0, 1, None}), "reflects": frozenset({False, None})})
    yield Case(
        "H18", packet(rest=b"trail" * 50), {"rcode": frozenset({0, 1, None}), "reflects": frozenset({False, None})}
    )


def questions() -> Iterator[Case]:
    """Yield what section 2.1 says of names and classes."""
    for kind, wants in (("SOA", GOOD), ("MX", NODATA)):
        yield Case(f"N01 {kind}", of("wWw.PlAiN.eXaMpLe." if kind == "MX" else "PlAiN.eXaMpLe.", kind), wants)
    yield Case("N02", of("a" * 63, "A"), NXDOMAIN)
    yield Case("N03.40", packet(question=b"\x40" + b"a" * 64 + TOP + A_IN), NO_NAME)
    yield Case("N03.80", packet(question=b"\x80a" + TOP + A_IN), NO_NAME)
    long = (b"\x3f" + b"a" * 63) * 3
    yield Case("N04", packet(question=long + bytes((47,)) + b"b" * 47 + TOP + A_IN), NXDOMAIN)
    yield Case("N05", packet(question=long + bytes((48,)) + b"b" * 48 + TOP + A_IN), NO_NAME)
    for case, name in (
        ("N06", b"\xc0\x0c"), ("N07", b"\xc0\x20"), ("N08", b"\xc0"), ("N09", b"\xc0\0"), ("N12", b"\3www\xc0\x0c"),
    ):  # fmt: skip
        yield Case(case, packet(question=name + A_IN), NO_NAME)
    yield Case("N10", packet(question=b"\4\0\xff\x2e\x80" + TOP + A_IN), {**NXDOMAIN, "echoed": True})
    yield Case("N11", packet(question=b"\3a.b" + TOP + A_IN), {**NXDOMAIN, "echoed": True})
    yield Case("A18", of("www.example.net.", "A"), REFUSED)
    yield Case("A19", of("example.", "NS"), REFUSED)
    yield Case("A20", of(".", "NS"), REFUSED)
    for chaos in ("version.bind.", "id.server.", "hostname.bind."):
        text = packet(question=names.wire(chaos) + b"\0\x10\0\3")
        yield Case(f"A21 {chaos}", text, {"rcode": frozenset({0, 5})})
    for klass in (4, 254, 0):
        yield Case(f"A22.{klass}", packet(question=TOP + struct.pack(">HH", 6, klass)), {"rcode": 5, **EMPTY})
    yield Case("A22.255", packet(question=TOP + struct.pack(">HH", 6, 255)), {"rcode": frozenset({0, 5})})


def answers() -> Iterator[Case]:
    """Yield section 2.2."""
    www, alone = ("192.0.2.1", "192.0.2.2"), {**GOOD, "authority": (), "glue": lambda found: not found}
    yield Case("A01", of("www", "A"), {**alone, "answer": www})
    yield Case("A02", of("www", "MX"), NODATA)
    yield Case("A03", of("nope", "A"), NXDOMAIN)
    for name in ("ent", "c.ent2", "ent2"):
        yield Case(f"A04 {name}", of(name, "A"), NODATA)
    yield Case("A05a", of("any.wild", "A"), {**alone, "answer": ("192.0.2.5",), "owners": ("any.wild.plain.example.",)})
    yield Case("A05b", of("any.wild", "TXT"), NODATA)
    yield Case("A05c", of("sib.wild", "TXT"), NODATA)
    yield Case("A05d", of("below.sib.wild", "A"), NXDOMAIN)
    yield Case("A05e", of("*.wild", "A"), {**alone, "answer": ("192.0.2.5",)})
    yield Case("A06a", of("cname", "A"), {**alone, "answer": (*www, "www.plain.example.")})
    yield Case("A06b", of("cname", "CNAME"), {**alone, "answer": ("www.plain.example.",)})
    yield Case("A06c", of("away", "A"), {**alone, "answer": ("www.elsewhere.example.net.",)})
    yield Case("A06d", of("gone", "A"), {**NXDOMAIN, "answer": ("nothing.plain.example.",)})
    yield Case("A07", of("loop", "A"), {"rcode": frozenset({0, 2}), "bytes": lambda size: size < 300})
    below = {"192.0.2.54", "2001:db8::54"}
    referral = {"rcode": 0, "aa": False, "answer": (), "authority": ("NS",), "glue": lambda found: found >= below}
    yield Case("A09", of("deep.sub", "A"), referral)
    yield Case("A09b", of("sub", "DS"), NODATA)
    yield Case("A09 short", of("deep.many", "A"), {"rcode": 0, "aa": False, "glue or tc": frozenset({10, True})})
    yield Case("A13", of("www", "ANY"), {"rcode": frozenset({0, 4}), "bytes": lambda size: size <= 130})
    yield Case("A15", of("odd", 62347), {**alone, "answer": (r"\# 5 00ff2e8001",)})
    for kind in (0, 62348, 65535):
        yield Case(f"A16.{kind}", of("odd", kind), {"rcode": frozenset({0, 1, 4}), "answer": ()})
    yield Case("A16.128", of("odd", 128), {"rcode": frozenset({0, 1}), "answer": ()})
    https = ('1 . alpn="h2,h3" port="8443" ipv4hint="192.0.2.1"',)
    yield Case("A17 https", of("https", "HTTPS"), {**GOOD, "answer": https})
    yield Case("A17 alias", of("alias", "HTTPS"), {**GOOD, "answer": ("0 www.plain.example.",)})
    yield Case("A17 svcb", of("svc", "SVCB"), {**GOOD, "answer": ('2 WwW.plain.example. alpn="dot" port="53"',)})
    no = {"rcode": frozenset({1, *REFUSALS}), "answer": ()}
    yield Case("A23 udp", of("", "AXFR"), no)
    yield Case("A23 tcp", of("", "AXFR"), no, "tcp")
    soa = names.wire("plain.example.") + SOA_IN + struct.pack(">IH", 0, 22) + b"\0\0" + bytes(20)
    yield Case("A24", packet(question=TOP + b"\0\xfb\0\1", counts=(1, 0, 1, 0), rest=soa), no, "tcp")
    yield Case("E14", of("big", "TXT"), {"rcode": 0, "tc": True, "answer": (), "bytes": lambda size: size <= 512})


def edns() -> Iterator[Case]:
    """Yield section 2.3, but for what is of connections alone."""
    plain = {"rcode": 0, "edns": 0, "options": (), "edns flags": 0, "aa": True}
    big = names.wire("big.plain.example.") + b"\0\x10\0\1"
    yield Case("E01", with_opt(), plain)
    yield Case("E01b", with_opt(size=4096), {**plain, "payload": 1232})
    yield Case("E02", packet(), {"edns": -1, "rcode": 0})
    for version in (1, 255):
        wants = {"rcode": 16, "edns": 0, "answer": (), "options": ()}
        yield Case(f"E03.{version}", with_opt(ttl=version << 16), wants)
        yield Case(f"E03.{version} all", with_opt(option(100, b""), ttl=version << 16 | 0xFFFF), wants)
    yield Case("E04", with_opt(option(100, b"1234")), plain)
    yield Case("E05", with_opt(ttl=0x0080), plain)
    yield Case("E06", with_opt(ttl=0x8000), {**plain, "do": True})
    for size in (0, 1, 511):
        yield Case(
            f"E07.{size}", with_opt(size=size, of_=big), {"rcode": 0, "tc": True, "bytes": lambda found: found <= 512}
        )
    yield Case("E08", packet(counts=(1, 0, 0, 2), rest=OPT() + OPT()), {"rcode": 1})
    yield Case("E09", packet(counts=(1, 0, 0, 1), rest=OPT(owner=b"\3www\0")), {"rcode": 1})
    yield Case("E10", packet(counts=(1, 0, 0, 1), rest=OPT()[:-2] + b"\0\x20"), NO_NAME)
    yield Case("E11", with_opt(b"\0\3\0\5a"), {"rcode": 1})
    yield Case("E13", with_opt(option(3, b"")), {**plain, "options": (3,)})
    for size in (512, 1232, 1400, 4096):
        wants = {"rcode": 0, "tc": True, "answer": (), "bytes": lambda found, size=size: found <= min(size, 1232)}
        yield Case(f"E14.{size}", with_opt(size=size, of_=big), wants)
    yield Case("E17 udp", with_opt(option(11, b"")), plain)
    yield Case("E17 tcp", with_opt(option(11, b"")), {**plain, "options": (11,)}, "tcp")
    yield Case("E18", with_opt(option(12, bytes(16))), plain)


def subnets() -> Iterator[Case]:
    """Yield what section 2.4 says of data that depends on nobody."""
    for name, subnet, scoped in (
        ("C01", (1, 24, 0, b"\xcb\0\x71"), "00011800cb0071"),
        ("C01 v6", (2, 56, 0, b"\x20\x01\x0d\xb8\0\0\1"), "0002380020010db8000001"),
        ("C03", (1, 27, 0, b"\xcb\0\x71\x20"), "00011b00cb007120"),
        ("C02", (1, 0, 0, b""), "00010000"),
    ):
        wants = {"rcode": 0, "aa": True, "options": (8,), "option": scoped}
        yield Case(name, with_opt(test_subnet.ecs(*subnet)), wants)
    for name, data in test_subnet.BAD.items():
        yield Case(f"C04 {name}", with_opt(data), {"rcode": 1, "edns": 0, "options": ()})


def cookies() -> Iterator[Case]:
    """Yield section 2.5."""
    whole = {"rcode": 0, "options": (10,), "option": lambda found: len(found) == 48 and found[:16] == CLIENT.hex()}
    yield Case("K01", with_opt(option(10, CLIENT)), whole)
    for size in (1, 7, 9, 15, 41):
        yield Case(f"K02.{size}", with_opt(option(10, bytes(size))), {"rcode": 1})
    wrong = CLIENT + b"\1\0\0\0" + bytes(12)
    yield Case("K03", with_opt(option(10, wrong)), {**whole, "rcode": frozenset({0, 23})})
    asked = packet(question=b"", counts=(0, 0, 0, 1), rest=OPT(data=option(10, CLIENT)))
    yield Case("K05", asked, {**whole, "rcode": 0, "answer": ()})


ALL = tuple(case for some in (headers, questions, answers, edns, subnets, cookies) for case in some())
