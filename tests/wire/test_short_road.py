"""What the short road keeps between questions: it is bounded, it knows no capitals, and it never outlives its table."""

from __future__ import annotations

import pytest

from gtm import model, table
from gtm.wire import edns, respond, runtime
from tests.wire import world

NAMES = [f"s{at}.live.example." for at in range(4)]


def _table(address: str, revision: int = 1, place_names: tuple[str, ...] = ("unknown", "EU")) -> table.AnswerTable:
    zone = model.Zone(
        "live.example.", (("ns.example.net.", ()),), steer=dict.fromkeys([*NAMES, "*.ch.live.example."], 0)
    )
    whole = world.snapshot(
        zone,
        endpoints=[model.Endpoint("e", ipv4=address)],
        pools=[world.pool("p", "e")],
        policies=[world.policy("p")],
    )
    return world.build(
        whole,
        revision=revision,
        steerings=[table.Steering(-1, (0,), (1,), (1,))],
        rings=world.rings(world.decision([address]), world.decision()),
        places=world.prefixes(("198.51.100.0/24", 1)),
        place_names=place_names,
    )


def test_what_is_kept_stays_bounded_and_answers_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(respond, "MAX_KNOWN", 2)
    server = world.Server(_table("192.0.2.1"))
    for _ in range(3):
        for name in [*NAMES, "a.ch.live.example.", "b.ch.live.example."]:
            assert world.values(server.ask(name, edns=True)) == ["192.0.2.1"]
            assert len(server.responder._known) <= 2


def test_questions_with_capitals_are_answered_and_not_kept() -> None:
    server = world.Server(_table("192.0.2.1"))
    for name in ("S0.live.example.", "s0.LIVE.example.", "News.CH.live.example."):
        assert world.values(server.ask(name, edns=True)) == ["192.0.2.1"]
    assert not server.responder._known


def test_G1_a_new_table_is_answered_from_at_once_for_names_that_were_asked_before() -> None:
    server = world.Server(_table("192.0.2.1"))
    for name in ("s0.live.example.", "news.ch.live.example."):
        assert world.values(server.ask(name)) == ["192.0.2.1"]
    assert server.responder.swap(_table("192.0.2.9", revision=2))
    for name in ("s0.live.example.", "news.ch.live.example."):
        assert world.values(server.ask(name)) == ["192.0.2.9"]


def test_places_keep_their_names_when_a_new_table_numbers_them_anew() -> None:
    server = world.Server(_table("192.0.2.1"))
    server.ask(NAMES[0], edns=True)
    server.responder.swap(_table("192.0.2.1", revision=2, place_names=("unknown", "AS")))
    server.ask(NAMES[0], edns=True)
    assert server.responder.drain_counts()["places"] == {(NAMES[0], "EU"): 1, (NAMES[0], "AS"): 1}


def test_as_many_heads_of_subnets_as_anybody_sends_are_remembered_and_no_more() -> None:
    edns.lone_subnet.cache_clear()
    server = world.Server(_table("192.0.2.1"))
    for payload in range(512, 512 + edns.LONE_SHAPES + 8):
        assert world.values(server.ask(NAMES[0], payload=payload, subnet="203.0.113.0/24")) == ["192.0.2.1"]
    assert edns.lone_subnet.cache_info().currsize == edns.LONE_SHAPES


@pytest.mark.parametrize("at", [0, 1, 2**31, 2**32 - 1])
def test_C2_one_range_has_scope_0_at_both_ends_of_the_address_space(at: int) -> None:
    assert runtime.Prefixes(table.PrefixTable((0,), (7,), (0,), (8,), 0)).find(4, at) == (7, 0)
    assert runtime.Prefixes(table.PrefixTable((0,), (7,), (0,), (8,), 0)).find(6, at << 96) == (8, 0)
