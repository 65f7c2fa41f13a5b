"""Rings at work: exact shares whatever else is asked (B8), growing revisions (G1), and the counts of what was given."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import model, names, seen, table
from gtm.wire import respond
from tests.wire import world

NAMES = [f"s{at}.live.example." for at in range(4)]


def _server(*decisions: seen.Decision, seed: int = 1, revision: int = 1, places: bool = False) -> world.Server:
    """Return a server whose names share one policy: the first decision for A, the second for AAAA, the third else."""
    steer = dict.fromkeys([*NAMES, "*.ch.live.example."], 0)
    zone = model.Zone("live.example.", (("ns.example.net.", ()),), steer=steer)
    endpoints = [
        model.Endpoint("e", ipv4="192.0.2.1", ipv6="2001:db8::1"),
        model.Endpoint("c", hostname="cdn.example."),
    ]
    whole = world.snapshot(zone, endpoints=endpoints, pools=[world.pool("p", "e", "c")], policies=[world.policy("p")])
    given = [*decisions, *[world.decision()] * (3 - len(decisions))]
    return world.Server(
        world.build(
            whole,
            revision=revision,
            steerings=[table.Steering(-1, (0,), (1,), (2,))],
            rings=world.rings(*given),
            places=world.prefixes(("203.0.113.0/24", 1), ("10.0.0.0/8", -1), nowhere=0) if places else None,
            place_names=("unknown", "EU") if places else (),
        ),
        seed=seed,
    )


def addresses(last: Iterable[int]) -> list[list[str]]:
    return [[f"192.0.2.{at}"] for at in last]


TWO = world.decision(*addresses((1, 2)))
TWO_V6 = world.decision(["2001:db8::1"], ["2001:db8::2"])


@pytest.mark.parametrize("slots", [(0, 1), (0, 0, 1), (0, 1, 0, 2, 0, 1, 0, 3, 4), tuple(range(97))])
def test_B8_shares_are_exact_over_one_turn_of_the_ring(slots: tuple[int, ...]) -> None:
    server = _server(world.decision(*addresses(range(max(slots) + 1)), slots=slots))
    expected = Counter(f"192.0.2.{slot}" for slot in slots)
    for _ in range(3):
        drawn = Counter(world.values(server.ask(NAMES[0]))[0] for _ in slots)
        assert drawn == expected


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["A", "AAAA"]), st.booleans()), max_size=40))
def test_B8_every_name_and_family_turns_by_itself(asked: list[tuple[int, str, bool]]) -> None:
    server = _server(TWO, TWO_V6)
    drawn: dict[tuple[int, str], list[str]] = {}
    for name, rtype, edns in asked:
        answer = server.ask(NAMES[name], rtype, edns=edns)
        drawn.setdefault((name, rtype), []).append(world.values(answer)[0])
    for values in drawn.values():
        assert all(one != other for one, other in itertools.pairwise(values))


def test_B8_a_wildcard_s_names_take_turns_together() -> None:
    server = _server(TWO)
    drawn = Counter(world.values(server.ask(f"channel-{at}.ch.live.example."))[0] for at in range(100))
    assert drawn == {"192.0.2.1": 50, "192.0.2.2": 50}


def test_B8_workers_and_names_begin_at_different_members() -> None:
    begins = {world.values(_server(TWO, seed=seed).ask(name))[0] for seed in range(4) for name in NAMES}
    assert len(begins) == 2


def test_any_seed_will_do() -> None:
    for seed in (0, -1, 2**64 - 1, 2**70):
        assert world.values(_server(TWO, seed=seed).ask(NAMES[0]))


def test_B7_up_to_eight_answers_with_one_ttl_stand_under_the_asked_name() -> None:
    server = _server(world.decision([f"192.0.2.{at}" for at in range(9)], ttl_s=7))
    answer = server.ask("S1.live.example.")
    assert world.values(answer) == [f"192.0.2.{at}" for at in range(8)]
    assert (str(answer.answer[0].name), answer.answer[0].ttl) == ("S1.live.example.", 7)


def test_E7_a_cname_answer_holds_nothing_else() -> None:
    cname = world.decision(["cdn.example.", "192.0.2.1"])
    server = _server(cname, cname, cname)
    for rtype in ("A", "AAAA", "HTTPS", "CNAME"):
        answer = server.ask(NAMES[0], rtype)
        assert (world.values(answer), answer.authority) == (["cdn.example."], [])
        assert world.owners(answer) == [f"{NAMES[0]} CNAME"]


def test_B6_no_address_of_a_family_is_nodata_and_servfail_is_servfail() -> None:
    server = _server(TWO, world.decision(rcode=0), world.decision(rcode=2))
    answer = server.ask(NAMES[0], "AAAA")
    assert (world.rcode(answer), world.values(answer), world.soa(answer)) == ("NOERROR", [], "live.example.")
    answer = server.ask(NAMES[0], "TXT", edns=True)
    assert (world.rcode(answer), answer.answer, answer.authority) == ("SERVFAIL", [], [])
    assert not world.is_authoritative(answer)


# --- change ---


def test_G1_rings_are_replaced_and_older_ones_refused() -> None:
    server = _server(TWO, revision=10)
    three, four = world.rings(world.decision(["192.0.2.3"]), world.decision(["192.0.2.4"]))
    assert server.responder.update(12, {0: three})
    assert server.responder.update(11, {0: four}) is False
    assert (world.values(server.ask(NAMES[0])), server.responder.revision) == (["192.0.2.3"], 12)
    assert server.responder.update(13, {0: four})
    assert (world.values(server.ask(NAMES[0])), server.responder.revision) == (["192.0.2.4"], 13)


def test_G1_rings_of_another_table_change_nothing() -> None:
    server = _server(TWO)
    three = world.rings(world.decision(["192.0.2.3"]))[0]
    for index in (3, -1):
        assert server.responder.update(2, {0: three, index: three}) is False
    assert world.values(server.ask(NAMES[0])) != ["192.0.2.3"]
    assert server.responder.revision == 1


def test_G1_an_older_table_is_refused_and_a_newer_one_taken_whole() -> None:
    server = _server(TWO, revision=5)
    assert server.responder.swap(_server(world.decision(["192.0.2.9"]), revision=4).table) is False
    assert world.values(server.ask(NAMES[0])) != ["192.0.2.9"]
    assert server.responder.swap(_server(world.decision(["192.0.2.9"]), revision=6).table)
    assert (world.values(server.ask(NAMES[0])), server.responder.revision) == (["192.0.2.9"], 6)


def test_a_cursor_goes_on_when_its_ring_changes() -> None:
    server = _server(TWO)
    first = world.values(server.ask(NAMES[0]))
    assert server.responder.update(2, {0: world.rings(TWO)[0]})
    assert world.values(server.ask(NAMES[0])) != first


def test_a_ring_may_shrink_under_its_cursors() -> None:
    server = _server(world.decision(*addresses(range(100))))
    for name in NAMES:
        server.ask(name)
    assert server.responder.update(2, {0: world.rings(world.decision(["192.0.2.1"]))[0]})
    assert [world.values(server.ask(name)) for name in NAMES] == [["192.0.2.1"]] * 4


# --- counts ---


def test_what_was_answered_is_counted_by_name_pool_and_endpoint() -> None:
    server = _server(world.decision(*addresses((1, 2)), pool="one"), places=True)
    for _ in range(3):
        server.ask(NAMES[0], sender="203.0.113.7")
    server.ask(NAMES[0], subnet="203.0.113.0/24")
    server.ask(NAMES[0], sender="10.9.9.9", subnet="10.0.0.0/8")
    server.ask("x.ch.live.example.")
    assert server.responder.update(2, {0: world.rings(world.decision(["192.0.2.3"], pool="two"))[0]})
    server.ask(NAMES[0])
    counts = server.responder.drain_counts()
    wild = "*.ch.live.example."
    assert counts["steered"] == {(NAMES[0], "one"): 5, (wild, "one"): 1, (NAMES[0], "two"): 1}
    assert sum(counts["answers"].values()) == 7
    assert counts["answers"][("at-192.0.2.3",)] == 1
    assert abs(counts["answers"][("at-192.0.2.1",)] - counts["answers"][("at-192.0.2.2",)]) <= 2
    assert counts["places"] == {(NAMES[0], "EU"): 4, (NAMES[0], "unknown"): 2, (wild, "unknown"): 1}
    again = server.responder.drain_counts()
    assert {counter: labels for counter, labels in again.items() if labels} == {}


def test_counts_outlive_a_new_table() -> None:
    server = _server(TWO, places=True)
    server.ask(NAMES[0], sender="203.0.113.7")
    assert server.responder.swap(_server(TWO, revision=2).table)
    server.ask(NAMES[0])
    counts = server.responder.drain_counts()
    assert counts["steered"] == {(NAMES[0], "p"): 2}
    assert counts["places"] == {(NAMES[0], "EU"): 1}


def test_sticky_draws_are_counted_too() -> None:
    server = _server(world.decision(*addresses(range(4)), sticky=(24, 56)))
    for at in range(10):
        server.ask(NAMES[0], sender=f"198.51.{at}.1")
    counts = server.responder.drain_counts()
    assert (counts["steered"], sum(counts["answers"].values())) == ({(NAMES[0], "p"): 10}, 10)


def test_cursors_are_bounded_and_nothing_is_lost_when_they_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(respond, "MAX_CELLS", 3)
    server = _server(TWO, TWO_V6)
    drawn: dict[str, set[str]] = {name: set() for name in NAMES}
    for _ in range(25):
        for name in NAMES:
            drawn[name] |= set(world.values(server.ask(name)))
            server.ask(name, "AAAA")
    assert set(map(len, drawn.values())) == {2}  # where a cursor begins differs with every age
    counts = server.responder.drain_counts()
    assert counts["steered"] == {(name, "p"): 50 for name in NAMES}
    assert sum(counts["answers"].values()) == 200


def test_a_reason_that_does_not_fit_is_left_out() -> None:
    server = _server(TWO, world.decision([f"2001:db8::{at}" for at in range(8)], why="w" * 190))
    name = ".".join(["x" * 63] * 3) + ".ch.live.example."
    for sender, payload, told in (("127.0.0.1", 1232, 1), ("127.0.0.1", 512, 0), ("198.51.100.1", 1232, 0)):
        answer = server.ask(name, "AAAA", sender=sender, edns=True, payload=payload)
        assert (len(world.values(answer)), len(answer.options)) == (8, told)
    assert len(server.ask(name, "AAAA", sender="127.0.0.1", edns=True, payload=512, transport="tcp").options) == 1


@pytest.mark.parametrize("length", [63, 64, 97, 200])
def test_no_wildcard_makes_a_name_of_what_is_none(length: int) -> None:
    server = _server(TWO)
    query = b"\xbe\xef\0\0\0\1\0\0\0\0\0\0" + bytes((length,)) + b"a" * length + b"\2ch\4live\7example\0\0\1\0\1"
    for first in (query, query.replace(b"\x61a", b"\x41a")):
        reply = server.raw(first)
        assert reply is not None
        assert reply[3] & 15 == (0 if length == 63 else 1)


def test_no_wildcard_makes_a_name_of_256_bytes() -> None:
    below = world.zone("live.example.", "")
    owner = "*." + ".".join(["x" * 63] * 2 + ["y" * 59]) + ".ch.live.example."
    zone = model.Zone("live.example.", (("ns.example.net.", ()),), steer={owner: 0}, records=below.records)
    endpoints = [model.Endpoint("e", ipv4="192.0.2.1")]
    whole = world.snapshot(zone, endpoints=endpoints, pools=[world.pool("p", "e")], policies=[world.policy("p")])
    server = world.Server(world.build(whole, steerings=[table.Steering(-1, (0,), (), ())], rings=world.rings(TWO)))
    above = names.key(owner)[2:]
    for length in range(1, 64):
        head = b"\xbe\xef\0\0\0\1\0\0\0\0\0\0"
        reply = server.raw(head + bytes((length,)) + b"a" * length + above + b"\0\1\0\1")
        assert reply is not None
        assert reply[3] & 15 == (0 if 1 + length + len(above) <= 255 else 1)
