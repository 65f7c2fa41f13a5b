"""What UPDATE messages say, read strictly (RFC 2136): dnspython writes them, names compressed and all."""

from __future__ import annotations

from collections.abc import Callable

import dns.rcode
import dns.update
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import names, table
from gtm.wire import compile as compiler
from gtm.wire import overlay, update

ZONE = "example.org."
WHERE = f"_acme-challenge.{ZONE}"
KEY = names.key(WHERE)
Fill = Callable[[dns.update.UpdateMessage], object]


def written(fill: Fill, zone: str = ZONE) -> bytes:
    one = dns.update.UpdateMessage(zone)
    fill(one)
    return one.to_wire()


def read(fill: Fill) -> update.Update:
    return update.read(written(fill))


def test_texts_are_added_and_taken_away_one_by_one_or_all_at_once() -> None:
    def fill(one: dns.update.UpdateMessage) -> None:
        one.add(WHERE.upper(), 60, "TXT", '"to" "gether"')
        one.delete(WHERE, "TXT", "gone")
        one.delete(f"_acme-challenge.play.{ZONE}", "TXT")
        one.delete(f"_acme-challenge.b.{ZONE}")

    found = read(fill)
    assert (found.rcode, found.zone, found.before) == (0, names.key(ZONE), [])
    assert found.changes == [
        (KEY, "together", True), (KEY, "gone", False),
        (names.key(f"_acme-challenge.play.{ZONE}"), "", False), (names.key(f"_acme-challenge.b.{ZONE}"), "", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fill", "rcode"),
    [
        (lambda one: one.add(WHERE, 60, "A", "192.0.2.1"), dns.rcode.REFUSED),
        (lambda one: one.add(f"www.{ZONE}", 60, "TXT", "x"), dns.rcode.REFUSED),
        (lambda one: one.add(f"x{WHERE}", 60, "TXT", "x"), dns.rcode.REFUSED),
        (lambda one: one.delete(ZONE), dns.rcode.REFUSED),
        (lambda one: one.delete(WHERE, "A"), dns.rcode.REFUSED),
        (lambda one: one.add(WHERE, 60, "TXT", '""'), dns.rcode.REFUSED),
        (lambda one: one.add(WHERE, 60, "TXT", '"' + "x" * 200 + '" "' + "y" * 56 + '"'), dns.rcode.REFUSED),
        (lambda one: one.add(WHERE, 60, "TXT", '"\\007"'), dns.rcode.REFUSED),
        (lambda one: one.add(WHERE, 60, "TXT", '"\\200"'), dns.rcode.REFUSED),
        (lambda one: [one.add(WHERE, 60, "TXT", f"t{at}") for at in range(65)], dns.rcode.REFUSED),
    ],
)
def test_what_is_no_challenge_is_refused_whole(fill: Fill, rcode: dns.rcode.Rcode) -> None:
    def both(one: dns.update.UpdateMessage) -> None:
        one.add(WHERE, 60, "TXT", "along")
        fill(one)

    assert read(both).rcode == rcode


def test_names_beside_the_zone_and_zones_that_are_none_are_said_so() -> None:
    whole = written(lambda one: one.add(WHERE, 60, "TXT", "x"))
    assert update.read(whole.replace(b"\0\x06\0\x01", b"\0\x01\0\x01", 1)).rcode == dns.rcode.FORMERR  # no SOA
    other = names.key("_acme-challenge.example.net.") + b"\0\x10\0\x01\0\0\0\x3c\0\x02\x01x"
    head = whole[:4] + bytes((0, 1, 0, 0, 0, 1, 0, 0))
    assert update.read(head + names.key(ZONE) + b"\0\x06\0\x01" + other).rcode == dns.rcode.NOTZONE


def entries(owner: bytes) -> table.Entry | None:
    made = {
        KEY: table.Entry(0, {16: compiler.answer(0x0400, [_txt("one"), _txt("two")])}),
        b"\x03ent\0": table.Entry(0, {}),
    }
    return made.get(owner)


def _txt(text: str) -> bytes:
    return compiler.record(compiler.OWNER_IS_QUESTION, 16, 10, bytes((len(text),)) + text.encode())


@pytest.mark.parametrize(
    ("fill", "rcode"),
    [
        (lambda one: one.present(WHERE), 0),
        (lambda one: one.present(WHERE, "TXT"), 0),
        (lambda one: one.present(WHERE, "TXT", "one", "two"), 0),
        (lambda one: one.present(WHERE, "TXT", "one"), dns.rcode.NXRRSET),
        (lambda one: one.present(f"_acme-challenge.x.{ZONE}", "TXT", "one"), dns.rcode.NXRRSET),
        (lambda one: one.present(f"_acme-challenge.x.{ZONE}", "TXT"), dns.rcode.NXRRSET),
        (lambda one: one.present(f"_acme-challenge.x.{ZONE}"), dns.rcode.NXDOMAIN),
        (lambda one: one.absent(f"_acme-challenge.x.{ZONE}"), 0),
        (lambda one: one.absent(f"_acme-challenge.x.{ZONE}", "TXT"), 0),
        (lambda one: one.absent(WHERE), dns.rcode.YXDOMAIN),
        (lambda one: one.absent(WHERE, "TXT"), dns.rcode.YXRRSET),
        (lambda one: one.absent(WHERE, "A"), dns.rcode.REFUSED),
        (lambda one: one.present(WHERE, "A", "192.0.2.1"), dns.rcode.REFUSED),
    ],
)
def test_prerequisites_are_looked_at_first(fill: Fill, rcode: int) -> None:
    assert update.unmet(read(fill).before, entries) == rcode


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_E8_no_bytes_make_reading_fail_in_another_way_than_with_an_rcode(tail: bytes, at: int, byte: int) -> None:
    def fill(one: dns.update.UpdateMessage) -> None:
        one.add(WHERE, 60, "TXT", "one")
        one.present(WHERE, "TXT", "one")
        one.delete(f"_acme-challenge.play.{ZONE}")

    whole = bytearray(written(fill))
    whole[at % len(whole)] = byte
    for packet in (bytes(whole), bytes(whole[: at % len(whole)]), bytes(whole[:12]) + tail):
        if len(packet) >= 12:
            found = update.read(packet)
            update.unmet(found.before, entries)
            assert all(one.name.startswith(overlay.LABEL) for one in found.changes)


def test_a_pointer_that_leads_forward_or_round_is_malformed() -> None:
    head = b"\0\1\x28\0\0\1\0\0\0\0\0\0"
    for name in (b"\xc0\x0c", b"\xc0\x20", b"\x01a\xc0\x0c", b"\xc0"):
        assert update.read(head + name + b"\0\x06\0\x01").rcode == dns.rcode.FORMERR
