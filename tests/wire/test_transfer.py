"""What secondaries get: a zone with its differences applied is the zone of today, and serials only grow."""

from __future__ import annotations

from collections.abc import Iterable

import dns.message
import dns.rrset
from hypothesis import given
from hypothesis import strategies as st

from gtm import names, table
from gtm.wire import compile as compiler
from gtm.wire import transfer

APEX = names.key("live.example.")
OWNERS = [names.key(f"n{at}.live.example.") for at in range(3)]
SOA = names.key("ns1.live.example.") + names.key("ops.live.example.") + bytes(20)
SHAPE = transfer.Shape(APEX, SOA, 300, {APEX: ((2, 300, names.key("ns1.live.example.")),)}, {0: OWNERS, 1: [APEX]})
RECORD = st.tuples(st.just(1), st.sampled_from([5, 30]), st.binary(min_size=4, max_size=4))
RECORDS = st.lists(RECORD, max_size=4, unique=True).map(tuple)


def parsed(records: Iterable[bytes]) -> list[tuple[str, int, str]]:
    """Return records as dnspython reads them: owner, TTL, and type with data."""
    wanted = transfer.Wanted(APEX, transfer.AXFR, 0, 12 + len(APEX) + 4)
    packet = b"\0\1" + b"\0\0\0\1\0\0\0\0\0\0" + APEX + b"\0\xfc\0\1"
    found: list[tuple[str, int, str]] = []
    for message in transfer.messages(packet, wanted, records):
        answer = dns.message.from_wire(message, one_rr_per_rrset=True).answer
        found += [(str(one.name), one.ttl, f"{one.rdtype.name} {one[0]}") for one in answer]
    return found


def applied(zone: list[tuple[str, int, str]], differences: list[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    """Apply an IXFR by RFC 1995 section 4: SOA, then deletions behind an old SOA and additions behind a new one."""
    left, adding = list(zone), True
    for one in differences[1:-1]:
        if one[2].startswith("SOA"):
            adding = not adding
        if adding:
            left.append(one)
        else:
            left.remove(one)  # what is not there cannot be removed: that would be a wrong difference
    return left


@given(st.lists(st.tuples(st.integers(0, 1), RECORDS), min_size=1, max_size=8), st.integers(0, 7))
def test_rfc_1995_a_zone_with_its_differences_is_the_zone_of_today(
    changes: list[tuple[int, tuple[transfer.Rr, ...]]], start: int
) -> None:
    # Bigger than any difference (each change takes and gives four records of three owners at most), so that differences
    # are what is given.
    most = len(changes) * 2 * 4 * len(OWNERS)
    big = {names.key("big.live.example."): tuple((1, 5, at.to_bytes(4)) for at in range(most + 1))}
    ledger = transfer.Ledger(SHAPE._replace(static={**SHAPE.static, **big}), 7)
    kept, kept_serial = parsed(ledger.whole())[:-1], ledger.serial
    for at, (steering, records) in enumerate(changes):
        change = ledger.replace(steering, records)
        if change is not None:
            before = ledger.serial
            ledger.grow([change], 100.0)
            assert transfer.newer(ledger.serial, before)
        if at == start:
            kept, kept_serial = parsed(ledger.whole())[:-1], ledger.serial
    found = ledger.since(kept_serial)
    assert found is not None
    differences = parsed(found)
    if kept_serial == ledger.serial:
        assert len(differences) == 1
        return
    assert sorted(applied(kept, differences)) == sorted(parsed(ledger.whole())[:-1])


def test_rfc_5936_a_zone_that_changes_while_it_is_sent_is_sent_as_it_was() -> None:
    ledger = transfer.Ledger(SHAPE, 7)
    ledger.replace(1, ((1, 5, b"\1\1\1\1"),))
    before = list(ledger.whole())
    sending = ledger.whole()
    sent = [next(sending)]
    change = ledger.replace(1, ((1, 5, b"\2\2\2\2"),))
    assert change is not None
    ledger.grow([change], 100.0)
    assert [*sent, *sending] == before
    assert list(ledger.whole()) != before


def test_rfc_1995_what_challenges_lay_over_a_zone_comes_and_goes_in_differences() -> None:
    wild, where = names.key("*.live.example."), names.key("_acme-challenge.x.live.example.")
    above, below = names.key("x.live.example."), names.key("*.x.live.example.")
    static = {where: ((16, 300, b"\1s"), (257, 300, b"\0\5issuex")), wild: ((16, 9, b"\1w"),)}
    static[names.key("big.live.example.")] = tuple((1, 5, at.to_bytes(4)) for at in range(100))
    ledger = transfer.Ledger(SHAPE._replace(static=static, steered={0: [wild]}), 7)
    ledger.replace(0, ((1, 5, b"\1\1\1\1"),))
    begun, kept = parsed(ledger.whole())[1:-1], []
    texts = b"".join(compiler.record(compiler.OWNER_IS_QUESTION, 16, 10, one) for one in (b"\1n", b"\1s"))
    own, like = table.Entry(0, {16: table.Fixed(0, 2, 0, 0, texts)}), table.Entry(0, {}, steering=0)
    for laid, address in (
        ({where: own}, b"\2\2\2\2"),
        ({where: own, above: like, below: like}, b"\3\3\3\3"),
        ({above: like, below: like}, b"\4\4\4\4"),
        ({}, b"\1\1\1\1"),
    ):
        kept.append((ledger.serial, parsed(ledger.whole())[:-1]))
        ledger.grow(ledger.lay(laid, dict.fromkeys({above, below} & laid.keys(), wild)), 100.0)
        kept.append((ledger.serial, parsed(ledger.whole())[:-1]))
        change = ledger.replace(0, ((1, 5, address),))
        assert change is not None
        ledger.grow([change], 100.0)
        now = parsed(ledger.whole())

        def at(owner: str, now: list[tuple[str, int, str]] = now) -> set[tuple[int, str]]:
            return {(ttl_s, word) for name, ttl_s, word in now if name == owner}

        said = {(10, 'TXT "n"'), (10, 'TXT "s"')} if where in laid else {(300, 'TXT "s"')}
        assert at("_acme-challenge.x.live.example.") == {*said, (300, 'CAA 0 issue "x"')}
        for owner in ("x.live.example.", "*.x.live.example."):
            assert at(owner) == (at("*.live.example.") if above in laid else set())
    assert parsed(ledger.whole())[1:-1] == begun
    for serial, zone in kept:
        found = ledger.since(serial)
        assert found is not None
        assert sorted(applied(zone, parsed(found))) == sorted(parsed(ledger.whole())[:-1])


@given(st.integers(0, 2**32 - 1), st.floats(0, 2**33))
def test_rfc_1982_a_serial_follows_whatever_the_clock_says(serial: int, now_s: float) -> None:
    after = transfer.following(serial, now_s)
    assert transfer.newer(after, serial)
    assert after != 0


def test_who_is_too_far_behind_or_from_elsewhere_gets_the_whole_zone() -> None:
    ledger = transfer.Ledger(SHAPE, 7)
    for at in range(transfer.MOST_STEPS + 5):
        change = ledger.replace(1, ((1, 5, at.to_bytes(4)),))
        assert change is not None
        ledger.grow([change], 0.0)
    assert ledger.since(7) is None
    assert ledger.since(ledger.serial - 1) is not None
    assert ledger.since(ledger.serial + 5) is not None  # a newer one than ours: our SOA alone (RFC 1995 section 2)


def test_a_reload_goes_on_from_the_serial_before_and_gives_the_difference() -> None:
    old = transfer.Ledger(SHAPE, 7)
    old.replace(0, ((1, 5, b"\1\1\1\1"),))
    shape = SHAPE._replace(static={**SHAPE.static, OWNERS[0]: ((16, 5, b"\1x"),)}, steered={0: OWNERS[:2]})
    new = transfer.Ledger(shape, 1)
    new.replace(0, ((1, 5, b"\1\1\1\1"),))
    assert new.inherit(old, "", 100.0)
    assert transfer.newer(new.serial, 7)
    found = new.since(7)
    assert found is not None
    assert sorted(applied(parsed(old.whole())[:-1], parsed(found))) == sorted(parsed(new.whole())[:-1])
    same = transfer.Ledger(shape, 1)
    same.replace(0, ((1, 5, b"\1\1\1\1"),))
    assert not same.inherit(new, "", 100.0)
    assert same.serial == new.serial
    begun = transfer.Ledger(shape, new.serial)
    begun.replace(0, ((1, 5, b"\1\1\1\1"),))
    assert not begun.inherit(None, new.digest(), 100.0)  # a restart that found everything as it was
    assert begun.inherit(None, old.digest(), 100.0)
    assert begun.since(new.serial) is None  # what the difference is, nobody knows any more


def test_rfc_5936_2_2_a_big_zone_is_many_messages_with_the_question_in_the_first() -> None:
    wanted = transfer.Wanted(APEX, transfer.AXFR, 0, 12 + len(APEX) + 4)
    packet = b"\0\1" + b"\0\0\0\1\0\0\0\0\0\0" + APEX + b"\0\xfc\0\1"
    records = [compiler.record(OWNERS[0], 16, 5, bytes((200,)) + bytes(200)) for _ in range(1000)]
    found = [dns.message.from_wire(one) for one in transfer.messages(packet, wanted, records)]
    assert len(found) > 10
    assert [len(one.question) for one in found] == [1] + [0] * (len(found) - 1)
    assert all(len(one) < 2 * transfer.MESSAGE_BYTES for one in transfer.messages(packet, wanted, records))


@given(st.binary(max_size=200))
def test_E8_any_bytes_are_no_question_for_a_transfer_or_a_whole_one(foreign: bytes) -> None:
    head = b"\0\1\0\0\0\1\0\0\0\1\0\0"
    for packet in (foreign, head + foreign, head + APEX + b"\0\xfb\0\1" + foreign):
        if len(packet) >= 12:
            transfer.is_asked(packet)
        wanted = transfer.read(packet)
        assert wanted is None or wanted.kind in {transfer.AXFR, transfer.IXFR}


def test_a_question_of_dnspython_is_understood() -> None:
    whole = transfer.read(dns.message.make_query("Live.Example.", "AXFR").to_wire())
    assert whole is not None
    assert (whole.zone, whole.kind) == (APEX, transfer.AXFR)
    query = dns.message.make_query("live.example.", "IXFR")
    assert transfer.read(query.to_wire()) is None  # without the SOA that it has
    text = "ns1.live.example. ops.live.example. 4000000000 1 2 3 4"
    query.authority.append(dns.rrset.from_text("live.example.", 5, "IN", "SOA", text))
    some = transfer.read(query.to_wire())
    assert some is not None
    assert (some.zone, some.kind, some.serial) == (APEX, transfer.IXFR, 4_000_000_000)
