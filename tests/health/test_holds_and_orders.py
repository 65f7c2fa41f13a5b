"""What holds a member back or lets it in whatever is measured (semantics B5, B10, B11, D1, G4)."""

from __future__ import annotations

import copy
import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import model, seen
from gtm.health import ballot, engine, orders, standings, verdict
from tests.health import world

SITES = [
    model.Endpoint("fra-1", ipv4="192.0.2.1", site="fra"),
    model.Endpoint("fra-2", ipv4="192.0.2.2", site="fra"),
    model.Endpoint("ams-1", ipv4="192.0.2.3", site="ams"),
]


def start(**more: Any) -> world.Run:
    pool = world.pool("eu", "fra-1", "fra-2", "ams-1", check=world.expr("tcp"), **more)
    other = world.pool("cdn", "ams-1", check=world.expr("tcp"))
    run = world.Run(world.World([pool, other], [world.quick()], SITES))
    run.go(10.0)
    return run


def bounce(run: world.Run, endpoint: str = "fra-1") -> float:
    """Let an endpoint fall and return; stop at the moment of its return and say when that was."""
    run.finds(endpoint, False)
    run.go(10.0)
    run.finds(endpoint, True)
    run.log.clear()
    while not run.log:
        run.go(run.health.wake_at() - run.now)  # type: ignore[operator]
    assert run.log[0][1].after == "up"
    return run.now


# --- B11: failback -------------------------------------------------------------------------------------------------


def test_B11_a_recovered_member_waits_for_failback() -> None:
    run = start(failback_s=60.0)
    bounce(run)
    verdict = run.verdict("fra-1")
    assert (verdict.state, verdict.held, verdict.eligible) == ("up", True, False)
    assert verdict.why == "up, held back by failback 1m"
    run.go(59.9)
    assert run.verdict("fra-1").held
    run.log.clear()
    run.go(0.2)
    assert run.verdict("fra-1").eligible
    assert [one.endpoints for _, one in run.log if one.kind == "step"] == [{"fra-1"}]


def test_B11_failing_over_is_never_delayed() -> None:
    run = start(failback_s=60.0)
    bounce(run)
    run.finds("fra-1", False)
    run.go(6.0)
    assert (run.verdict("fra-1").state, run.verdict("fra-1").held) == ("down", False)


def test_B11_the_wait_begins_anew_with_each_return() -> None:
    run = start(failback_s=60.0)
    bounce(run)
    run.go(50.0)
    bounce(run)
    run.go(59.0)
    assert run.verdict("fra-1").held


def test_B11_the_first_judgement_at_the_start_is_no_return() -> None:
    run = start(failback_s=60.0, slow_start_s=60.0)
    assert run.verdict("fra-1").eligible
    assert run.verdict("fra-1").weight_factor == 1.0


def test_B11_a_member_that_was_down_at_the_start_returns_like_any_other() -> None:
    run = world.Run(
        world.World([world.pool("eu", "fra-1", check=world.expr("tcp"), failback_s=60.0)], [world.quick()]),
        remembered={model.CheckKey("tcp", "fra-1", "ipv4"): seen.Known("down", 10.0, "refused")},
    )
    run.go(10.0)
    assert run.verdict("fra-1").held


def test_B11_is_read_on_each_pool_by_itself() -> None:
    run = start(failback_s=60.0)
    bounce(run, "ams-1")
    assert run.verdict("ams-1", "eu").held
    assert run.verdict("ams-1", "cdn").eligible


@functools.cache
def long_held() -> world.Run:
    """Return a run in which a member has waited for its release for more than a day; it is to be copied."""
    run = start(failback_s=model.MANUAL_S)
    bounce(run)
    run.go(100_000.0)
    return run


@pytest.mark.parametrize("target", ["fra-1", "pool:eu", "site:fra", "fra-*"])
def test_B11_manual_waits_for_release(target: str) -> None:
    run = copy.deepcopy(long_held())
    assert run.verdict("fra-1").held
    assert run.verdict("fra-1").why == "up, held back by failback manual"
    assert "fra-1" in run.order(released=(target,))
    assert run.verdict("fra-1").eligible
    bounce(run)
    assert run.verdict("fra-1").held


def test_B11_a_reload_neither_ends_a_wait_nor_begins_one() -> None:
    run = start(failback_s=60.0)
    bounce(run)
    run.go(30.0)
    run.reload(run.world)
    assert run.verdict("fra-1").held
    assert run.verdict("fra-2").eligible
    run.go(31.0)
    assert run.verdict("fra-1").eligible


# --- B10: slow start and weight ------------------------------------------------------------------------------------


def test_B10_slow_start_grows_from_a_tenth_to_the_whole() -> None:
    run = start(slow_start_s=90.0)
    bounce(run)
    factors = []
    for _ in range(10):
        factors.append(run.verdict("fra-1").weight_factor)
        run.go(10.0)
    assert factors == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    steps = [one.endpoints for _, one in run.log if one.kind == "step"]
    assert steps == [{"fra-1"}] * 9
    assert run.verdict("fra-2").weight_factor == 1.0


def test_B10_slow_start_begins_when_the_wait_for_failback_ends() -> None:
    run = start(failback_s=60.0, slow_start_s=90.0)
    bounce(run)
    run.go(61.0)
    assert (run.verdict("fra-1").eligible, run.verdict("fra-1").weight_factor) == (True, 0.1)
    run.go(90.0)
    assert run.verdict("fra-1").weight_factor == 1.0


def test_B10_slow_start_begins_with_the_release() -> None:
    run = start(failback_s=model.MANUAL_S, slow_start_s=90.0)
    bounce(run)
    run.go(1000.0)
    run.order(released=("fra-1",))
    assert run.verdict("fra-1").weight_factor == 0.1
    run.go(90.0)
    assert run.verdict("fra-1").weight_factor == 1.0


def test_B10_orders_multiply_the_weight_and_slow_start_multiplies_that() -> None:
    run = start(slow_start_s=90.0)
    assert run.order(world.order("weight", "fra-1", value=0.5)) == {"fra-1"}
    assert (run.verdict("fra-1").weight_factor, run.verdict("fra-1").order) == (0.5, "weight 50%")
    bounce(run)
    assert run.verdict("fra-1").weight_factor == pytest.approx(0.05)


# --- B5: drained, forced down, forced up ---------------------------------------------------------------------------


@pytest.mark.parametrize(("what", "said"), [("drain", "drained"), ("down", "forced down")])
def test_B5_a_drained_or_forced_down_member_is_barred_and_its_measured_state_stays_visible(
    what: str, said: str
) -> None:
    run = start()
    assert run.order(world.order(what, "fra-1")) == {"fra-1"}
    verdict = run.verdict("fra-1")
    assert (verdict.eligible, verdict.barred, verdict.state, verdict.order) == (False, True, "up", what)
    assert verdict.why == f"{said} by ops: works"
    assert run.health.endpoint_state("fra-1", "ipv4").order == what
    assert run.order() == {"fra-1"}
    assert run.verdict("fra-1").eligible


def test_B5_forced_up_is_eligible_whatever_is_measured() -> None:
    run = start(failback_s=60.0)
    run.finds("fra-1", False)
    run.go(10.0)
    run.order(world.order("up", "fra-1"))
    verdict = run.verdict("fra-1")
    assert (verdict.eligible, verdict.held, verdict.state, verdict.order) == (True, False, "down", "up")
    run.finds("fra-1", True)
    run.go(6.0)
    assert run.verdict("fra-1").eligible


def test_the_newest_order_wins_and_weight_stands_beside_it() -> None:
    run = start()
    site = world.order("drain", "site:fra", at=1.0)
    up = world.order("up", "fra-1", at=2.0)
    half = world.order("weight", "fra-1", value=0.5, at=0.5)
    run.order(up, half, site)
    assert (run.verdict("fra-1").eligible, run.verdict("fra-1").order) == (True, "up, weight 50%")
    assert run.verdict("fra-2").barred


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("fra-1", {"fra-1"}),
        ("fra-*", {"fra-1", "fra-2"}),
        ("*", {"fra-1", "fra-2", "ams-1"}),
        ("site:fra", {"fra-1", "fra-2"}),
        ("site:*", {"fra-1", "fra-2", "ams-1"}),
        ("pool:cdn", {"ams-1"}),
        ("pool:nothing", set()),
        ("fra-9", set()),
        ("site:", set()),
    ],
)
def test_targets(target: str, names: set[str]) -> None:
    assert orders.matching(target, start().snapshot) == names


def test_an_order_applies_to_members_that_a_reload_brings() -> None:
    run = start()
    run.order(world.order("drain", "fra-*"))
    run.reload(world.World([world.pool("eu", "fra-1", "fra-3", check=world.expr("tcp"))], [world.quick()], SITES[:1]))
    assert run.verdict("fra-3").barred


def test_G4_an_order_ends_by_the_monotonic_clock_whatever_the_wall_clock_does() -> None:
    run = start()
    until = run.now + world.WALL_S + 30.0
    run.order(world.order("drain", "fra-1", until=until))
    run.go(29.0)
    assert run.verdict("fra-1").barred
    run.go(2.0)
    assert run.verdict("fra-1").eligible
    [(_, subject, before, after)] = run.heard("order")
    assert (subject, before, after) == ("fra-1", "drain", "")


def test_an_order_that_has_run_out_already_does_nothing() -> None:
    run = start()
    run.order(world.order("drain", "fra-1", until=run.now + world.WALL_S - 1.0))
    assert run.verdict("fra-1").eligible


def test_orders_that_come_before_any_configuration_are_kept() -> None:
    health = engine.Health("ns1")
    assert health.orders([world.order("drain", "a")], 0.0, world.WALL_S) == set()
    snapshot = world.World([world.pool("p", "a")]).snapshot()
    health.configure(snapshot, 0.0, lambda: 0.0, {})
    assert health.verdict(snapshot.pools["p"], "a", "ipv4", None, 0.0).barred


# --- D1 ------------------------------------------------------------------------------------------------------------


def test_D1_steps_are_the_soonest_time_to_a_change_in_whole_steps() -> None:
    run = world.Run(world.World([world.pool("p", "a", check=world.expr("tcp"))]))
    assert run.verdict("a").steps_s == 5.0  # unknown: one good result
    run.go(10.0)
    assert run.verdict("a").steps_s == 5.5  # fall 2: an interval and one confirmation
    run.finds("a", False)
    run.go(20.0)
    assert run.verdict("a").steps_s == 6.0  # rise 3: an interval and two confirmations


def test_D1_the_soonest_check_counts() -> None:
    fast = model.Profile("fast", "tcp", every_s=1.0, timeout_s=0.5, fall=1)
    run = world.Run(world.World([world.pool("p", "a", check=world.expr("tcp", "fast"))], [world.TCP, fast]))
    run.go(10.0)
    assert run.verdict("a").steps_s == 1.0


def test_D1_a_member_is_in_doubt_while_results_point_the_other_way() -> None:
    run = world.Run(world.World([world.pool("p", "a", check=world.expr("tcp"))]))
    run.go(10.0)
    assert not run.verdict("a").in_doubt
    run.finds("a", "silent")
    run.log.clear()
    while not run.log:
        run.go(0.1)
    assert run.verdict("a").in_doubt
    assert run.verdict("a").why == "up, in doubt (1 of 2): timed out"
    run.finds("a", True)
    run.go(10.0)
    assert not run.verdict("a").in_doubt
    assert [one.kind for _, one in run.log] == ["step", "step"]


@given(st.floats(0, 200), st.floats(0.001, 100), st.floats(0, 100))
def test_B10_the_wake_ups_are_where_the_verdict_changes(returned: float, slow: float, failback: float) -> None:
    pool = world.pool("p", "fra-1", failback_s=failback, slow_start_s=slow)
    now = 1.0 + returned
    standing = standings.Standing(ballot.Ballot("fra-1", "ipv4", ()), (), (), returned_s=now)

    def look(at: float) -> tuple[bool, float]:
        from_s = verdict.usable_from_s(standing, pool, 0.0)
        return at < from_s, verdict.slow_start(standing, pool, from_s, at)

    seen_changes = 0
    while (at := verdict.next_change_s(standing, pool, 0.0, now)) != float("inf"):
        assert look(at) != look(now)
        assert look((now + at) / 2) in {look(now), look(at)}
        now, seen_changes = at, seen_changes + 1
    assert look(now) == (False, 1.0)
    assert seen_changes <= 10


def test_G4_an_order_keeps_its_length_when_the_wall_clock_jumps_and_it_is_given_again() -> None:
    run = start()
    until = run.now + world.WALL_S + 30.0
    one, other = world.order("drain", "fra-1", until=until), world.order("drain", "fra-2")
    run.order(one)
    for jump_s in (86400.0, -86400.0):
        run.health.orders((one, other), run.now, world.WALL_S + jump_s)
    run.go(29.0)
    assert run.health.in_force(run.now) == (one, other)
    run.go(2.0)
    assert run.health.in_force(run.now) == (other,)
    run.health.orders((one, other), run.now, world.WALL_S - 86400.0)
    assert run.health.in_force(run.now) == (other,), "what has run out does not come back"
    assert run.go(1.0) == []
