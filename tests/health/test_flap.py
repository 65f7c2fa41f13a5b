"""Flapping and what holds it down (semantics A10)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from gtm import model, seen
from gtm.health import flap
from tests.health import world

FLAP = model.FlapSettings()
STEADY = world.World([world.pool("p", "a", "b", check=world.expr("tcp"))], [world.quick()], flap=FLAP)


def holds(times: list[float], settings: model.FlapSettings = FLAP) -> list[float]:
    """Return the hold-down after each return, in seconds."""
    state, found = seen.HealthState("up"), []
    for at in times:
        state = flap.returned(state, settings, at)
        found.append(max(0.0, state.held_until_s - at))
    return found


def test_A10_from_the_fourth_return_on_the_hold_down_doubles_up_to_its_cap() -> None:
    assert holds([10.0 * number for number in range(1, 12)]) == [0, 0, 0, 30, 60, 120, 240, 480, 600, 600, 600]


def test_A10_returns_outside_the_window_do_not_count() -> None:
    assert holds([0.0, 1.0, 2.0, 901.0]) == [0, 0, 0, 0]
    assert holds([0.0, 1.0, 2.0, 899.0]) == [0, 0, 0, 30]
    assert holds([301.0 * number for number in range(1, 50)])[-1] == 0


def test_A10_is_settable_and_can_be_switched_off() -> None:
    settings = model.FlapSettings(window_s=60.0, returns=2, hold_s=5.0, max_s=8.0)
    assert holds([1.0, 2.0, 3.0, 4.0], settings) == [0, 5, 8, 8]
    assert holds([float(number) for number in range(20)], model.FlapSettings(returns=0)) == [0] * 20


def test_A10_what_is_remembered_is_bounded() -> None:
    state = seen.HealthState("up")
    for at in range(10_000):
        state = flap.returned(state, FLAP, at / 100)
    assert len(state.returns) == flap.MAX_RETURNS
    assert state.held_until_s == 9_999 / 100 + 600


def bounce(run: world.Run, times: int, endpoint: str = "a") -> None:
    """Let an endpoint fall and return, half a minute a turn."""
    for _ in range(times):
        run.finds(endpoint, False)
        run.go(15.0)
        run.finds(endpoint, True)
        run.go(15.0)


def test_A10_a_member_that_returns_too_often_is_held_and_let_go_by_itself() -> None:
    run = world.Run(STEADY)
    run.go(10.0)
    bounce(run, 3)
    assert run.verdict("a").eligible
    run.finds("a", False)
    run.go(15.0)
    run.finds("a", True)
    run.go(6.0)
    verdict = run.verdict("a")
    assert (verdict.state, verdict.held, verdict.eligible) == ("up", True, False)
    assert verdict.why == "up, held back for flapping"
    [(_, subject, before, after)] = run.heard("flap")
    assert (subject, before, after) == ("a", "flapping", "held")
    assert next(one.reason for _, one in run.log if one.kind == "flap") == "4 returns within 15m: held back for 30s"
    run.go(30.0)
    assert run.verdict("a").eligible
    assert run.verdict("b").eligible


def test_A10_the_end_of_a_hold_is_announced_to_the_rings() -> None:
    run = world.Run(STEADY)
    run.go(10.0)
    bounce(run, 4)
    until = run.health.states()[model.CheckKey("tcp", "a", "ipv4")].held_until_s
    run.log.clear()
    run.go(until - run.now)
    assert [(at, one.kind, one.endpoints) for at, one in run.log] == [(until, "step", frozenset({"a"}))]


def test_A10_release_clears_it() -> None:
    run = world.Run(STEADY)
    run.go(10.0)
    bounce(run, 5)
    assert run.verdict("a").held
    assert run.order(released=("a",)) == {"a"}
    assert run.verdict("a").eligible
    assert run.health.states()[model.CheckKey("tcp", "a", "ipv4")].returns == ()
    bounce(run, 1)
    assert run.verdict("a").eligible


def test_A10_a_hold_down_survives_a_reload() -> None:
    run = world.Run(STEADY)
    run.go(10.0)
    bounce(run, 5)
    run.reload(replace(STEADY, guard=0.1))
    assert run.verdict("a").held
    run.go(60.0)
    assert run.verdict("a").eligible


@pytest.mark.parametrize("seed", range(3))
def test_A10_ten_minutes_of_coin_flips_change_the_answer_at_most_once_a_minute(seed: int) -> None:
    coin = random.Random(seed)
    run = world.Run(replace(STEADY, profiles=[world.TCP]), dice=random.Random(seed).random)
    changes, eligible = 0, True
    for _ in range(600):
        run.finds("a", coin.random() < 0.5)
        run.go(1.0)
        changes += run.verdict("a").eligible != eligible
        eligible = run.verdict("a").eligible
    assert run.heard("endpoint")
    assert changes <= 10
