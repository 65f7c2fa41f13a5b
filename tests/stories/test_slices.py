"""What is big is decided in slices, between which probes leave; nobody ever sees half of it."""

from __future__ import annotations

import math

import pytest

from gtm import brain, events, seen
from gtm.steer import dirty
from tests.stories import world

MANY = 12
TEXT = "\n".join(
    [
        "checks: {web: {kind: http, every: 5s, fall: 1, rise: 1, confirm: 1s}}",
        "endpoints:",
        *(f"  e{one}: {{address: 192.0.2.{one + 1}}}" for one in range(MANY)),
        "  shared: {address: 192.0.2.200}",
        "pools:",
        *(f"  p{one}: {{members: [e{one}, shared], check: web}}" for one in range(MANY)),
        "zones:",
        "  example.com:",
        "    nameservers: {ns1: 192.0.2.53}",
        "    hostmaster: ops@example.com",
        "    steer:",
        *(f"      n{one}: p{one}" for one in range(MANY)),
    ]
)


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a slice be one policy."""
    monkeypatch.setattr(brain, "SLICE", 1)


def test_G1_a_configuration_comes_out_whole_and_not_before(small_slices: None) -> None:
    one = world.World(TEXT)
    assert one.responder is None
    assert one.brain.pending()
    slices = 0
    while one.responder is None:
        assert one.brain.wake_at() is not None
        assert one.brain.wake_at() <= one.now  # type: ignore[operator]
        one.brain.wake(one.now)
        one._carry_out()
        slices += 1
    assert slices > MANY
    assert {len(one.ever(f"n{at}.example.com")) for at in range(MANY)} == {2}
    assert not one.brain.growing


def test_a_fall_while_a_configuration_grows_is_in_the_answers_after_it(small_slices: None) -> None:
    one = world.World(TEXT)
    one.run(20)
    assert one.brain.judged()
    one.sick["shared"] = one.sick["e0"] = "refused"
    one.reload(TEXT.replace("n0: p0", "n0: p0\n      extra: p1"))
    for _ in range(5):
        one.brain.wake(one.now)
        one._carry_out()
    assert one.brain.growing
    one.run(10)
    assert one.ever("n1.example.com") == {"192.0.2.2"}
    assert one.ever("extra.example.com") == {"192.0.2.2"}
    assert not one.brain.pending()


def test_who_looks_while_a_configuration_grows_sees_it_whole(small_slices: None) -> None:
    one = world.World(TEXT)
    assert one.brain.growing
    assert len(one.brain.decisions) == 3 * MANY
    assert (len(one.brain.rungs), len(one.brain.pools), len(one.brain.of_policy(0))) == (MANY, MANY, 3)
    assert not one.brain.growing
    assert [type(effect) for effect in one.brain.effects() if isinstance(effect, events.SwapTable)] != []


def test_a_storm_is_handed_out_in_slices_and_judged_when_the_last_is(small_slices: None) -> None:
    one = world.World(TEXT)
    one.run(20)
    one.sick["shared"] = "refused"
    swaps: list[events.SwapRings] = []
    while one.brain.wake_at() is not None and len(swaps) < MANY and one.now < 1060:
        one.now = max(one.now, one.brain.wake_at() or 0.0)
        while one._results and one._results[0][0] <= one.now:
            one.brain.feed(events.ProbeCame(one._results.pop(0)[2]), one.now)
        one.brain.wake(one.now)
        before = one.brain._effects[:]
        swaps += [effect for effect in before if isinstance(effect, events.SwapRings)]
        one._carry_out()
    assert len(swaps) == MANY
    revisions = [swap.revision for swap in swaps]
    assert revisions == sorted(set(revisions))
    assert {frozenset(one.ever(f"n{at}.example.com")) for at in range(MANY)} == {
        frozenset({f"192.0.2.{at + 1}"}) for at in range(MANY)
    }


def test_A1_it_is_judged_only_when_all_rings_are(small_slices: None) -> None:
    one = world.World(TEXT)
    while not one.said("node"):
        one.run(0.001)
    assert not one.brain.judged()
    one.run(1)
    assert one.brain.judged()


def test_what_costs_much_is_made_anew_after_a_rest_and_never_late_by_more_than_it() -> None:
    one = world.World(TEXT)
    one.run(20)
    one.brain.feed(events.StoreChanged((seen.Override("1", "e0", "drain"),)), one.now)
    due_s = one.brain.wake_at()
    assert due_s is not None
    assert due_s <= one.now + dirty.GATHER_S  # the first is not kept waiting
    assert all_made(one, one.now + 0.1)
    one.brain.woke(one.now + 0.2)
    one.brain.effects()
    one.brain.feed(events.StoreChanged(()), one.now + 0.3)
    rest_s = 0.201 + dirty.REST * 0.1
    assert not all_made(one, one.now + rest_s - 0.01)
    one.brain.woke(one.now + rest_s - 0.01)
    assert all_made(one, one.now + rest_s)
    one.brain.woke(one.now + rest_s + 60)
    one.brain.feed(events.StoreChanged((seen.Override("1", "e0", "drain"),)), one.now + rest_s + 60)
    assert all_made(one, one.now + rest_s + 60 + dirty.MOST_REST_S)


def all_made(one: world.World, now: float) -> bool:
    """Wake the brain for as long as it is due at this moment; say whether nothing is left to be made."""
    one.brain.wake(now)
    while one.brain.pending() and (one.brain.wake_at() or math.inf) <= now:
        one.brain.wake(now)
    return not one.brain.pending()


def test_who_is_touched_while_rings_are_made_waits_for_the_rest_behind_them_too() -> None:
    one = world.World(TEXT)
    one.run(20)
    began_s = one.now
    one.brain.feed(events.StoreChanged((seen.Override("1", "e0", "drain"),)), began_s)
    one.brain.wake(began_s + 0.1)
    assert one.brain.pending()  # it is decided; the rings come at the next wake
    one.brain.feed(events.StoreChanged(()), began_s + 0.1)
    one.brain.wake(began_s + 0.1)
    one.brain.wake(began_s + 0.1)
    one.brain.woke(began_s + 0.2)
    assert not all_made(one, began_s + 0.2 + dirty.REST * 0.1 - 0.01)
    assert all_made(one, began_s + 0.201 + dirty.REST * 0.1)


def test_A1_before_the_first_round_is_through_who_comes_up_costs_no_decision_and_who_goes_down_does() -> None:
    one = world.World(TEXT)
    while one.responder is None:
        one.run(0.01)
    grown = one.brain.revision
    one.run(2)
    assert not one.brain.judged()
    soon = [at for at in range(MANY) if one.brain.health.endpoint_status(f"e{at}", "ipv4") == "up"]
    assert soon
    assert one.brain.revision == grown
    one.run(10)
    assert one.brain.judged()
    assert {member.state for made in one.brain.decisions for tried in made.tried for member in tried.members} == {"up"}
    one = world.World(TEXT)
    one.sick[f"e{soon[0]}"] = "refused"
    one.run(2)
    assert not one.brain.judged()
    assert one.ever(f"n{soon[0]}.example.com") == {"192.0.2.200"}
