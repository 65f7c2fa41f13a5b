"""When checks are run (semantics A3, A8)."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import model
from gtm.health import alarms, schedule
from tests.health import world

KEYS = [model.CheckKey("tcp", f"e{number}", "ipv4") for number in range(100)]
SLOW = replace(world.TCP, every_s=60.0)


def test_A8_first_probes_are_spread_over_the_interval() -> None:
    plan = schedule.Schedule()
    plan.configure(dict.fromkeys(KEYS, world.TCP), 0.0, random.Random(7).random)
    halves = Counter[int]()
    while (at := plan.next_at()) is not None and at < 5.0:
        halves[int(at * 2)] += len(plan.due(at))
    assert sum(halves.values()) == len(KEYS)
    assert len(halves) == 10
    assert max(halves.values()) < 25


def test_A1_even_a_slow_check_is_looked_at_once_within_the_warm_up_and_spread_afterwards() -> None:
    plan, dice = schedule.Schedule(), random.Random(7).random
    plan.configure(dict.fromkeys(KEYS, SLOW), 0.0, dice)
    began: dict[model.CheckKey, list[float]] = {key: [] for key in KEYS}
    while (at := plan.next_at()) is not None and at < 180.0:
        for key in plan.due(at):
            began[key].append(at)
            plan.done(key, False, at, dice)
    assert max(times[0] for times in began.values()) < schedule.FIRST_WITHIN_S
    third = Counter(int(times[2] % 60 // 6) for times in began.values())
    assert len(third) == 10
    assert max(third.values()) < 25


def test_A8_probes_that_began_together_drift_apart() -> None:
    plan, dice = schedule.Schedule(), random.Random(7).random
    plan.configure(dict.fromkeys(KEYS, world.TCP), 0.0, lambda: 0.0)
    for key in plan.due(0.0):
        plan.done(key, False, 0.1, dice)
    assert plan.due(4.74) == []
    assert 20 < len(plan.due(4.875)) < 80
    assert plan.due(5.0)


def test_A8_one_probe_of_a_check_is_out_at_a_time() -> None:
    plan = schedule.Schedule()
    plan.configure({KEYS[0]: world.TCP}, 0.0, lambda: 0.0)
    assert plan.due(0.0) == [KEYS[0]]
    assert plan.due(6.9) == []
    plan.done(KEYS[0], False, 6.9, lambda: 0.0)
    assert plan.due(6.9) == [KEYS[0]]


def test_a_probe_that_never_answers_is_run_again_in_the_end() -> None:
    plan = schedule.Schedule()
    plan.configure({KEYS[0]: world.TCP}, 0.0, lambda: 0.0)
    plan.due(0.0)
    assert plan.due(11.9) == []
    assert plan.due(12.0) == [KEYS[0]]


def test_A3_doubt_brings_the_next_probe_forward() -> None:
    plan = schedule.Schedule()
    plan.configure({KEYS[0]: world.TCP}, 0.0, lambda: 0.0)
    plan.due(0.0)
    plan.done(KEYS[0], True, 2.0, lambda: 0.0)
    assert plan.next_at() == 2.5
    plan.due(2.5)
    plan.done(KEYS[0], False, 2.6, lambda: 0.0)
    assert plan.next_at() == 7.5


def test_A3_confirm_is_never_longer_than_the_interval() -> None:
    assert schedule.confirm_s(replace(world.TCP, every_s=0.2)) == 0.2


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=40), st.randoms(use_true_random=False))
def test_A8_reloads_never_bring_a_probe_forward(steps: list[tuple[float, bool]], dice: random.Random) -> None:
    plan, now, last = schedule.Schedule(), 0.0, float("-inf")
    plan.configure({KEYS[0]: world.TCP}, now, dice.random)
    for step, reload in steps:
        now += step
        if reload:
            plan.configure({KEYS[0]: world.TCP, KEYS[1]: SLOW}, now, dice.random)
        if KEYS[0] in plan.due(now):
            assert now - last >= world.TCP.every_s * (1 - schedule.JITTER)
            last = now
            plan.done(KEYS[0], False, now, dice.random)


def test_A8_a_changed_interval_counts_from_the_last_probe() -> None:
    plan = schedule.Schedule()
    plan.configure({KEYS[0]: SLOW}, 0.0, lambda: 0.0)
    plan.due(0.0)
    plan.done(KEYS[0], False, 0.0, lambda: 0.0)
    plan.configure({KEYS[0]: world.TCP}, 2.0, lambda: 0.0)
    assert plan.next_at() == 5.0
    plan.configure({KEYS[0]: SLOW}, 3.0, lambda: 0.0)
    assert plan.next_at() == 60.0
    plan.configure({}, 4.0, lambda: 0.0)
    assert plan.next_at() is None


@pytest.mark.parametrize(
    ("answer", "worst"), [("silent", lambda one: one.detects_within_s), (False, schedule.refused_detection_s)]
)
def test_A3_no_detection_takes_longer_than_the_worst_that_is_shown(answer: world.Answer, worst: object) -> None:
    profile = replace(world.TCP, fall=3)
    bound_s = {"silent": 5.0 + 3 * 2.0 + 2 * 0.5, False: 5.0 + 2 * 0.5}[answer]
    assert callable(worst)
    assert worst(profile) == bound_s
    found = []
    for seed in range(40):
        run = world.Run(
            world.World([world.pool("p", "a", check=world.expr("tcp"))], [profile]), dice=random.Random(seed).random
        )
        run.go(20.0 + seed / 8)
        run.finds("a", answer)
        dead_s = run.now - world.START_S
        run.go(30.0)
        found.append(next(at for at, _, _, after in run.heard("endpoint") if after == "down") - dead_s)
    assert max(found) <= bound_s + 1e-6
    assert max(found) > bound_s - 1.0


def test_A8_a_check_is_probed_once_however_many_pools_use_it() -> None:
    pools = [world.pool(name, "a", check=world.expr("tcp")) for name in "pqr"]
    run = world.Run(world.World(pools))
    run.go(50.0)
    assert 10 <= len(run.probed) <= 11


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), max_size=60), st.integers(0, 60))
def test_alarms_ring_once_each_in_order(settings: list[tuple[int, int]], now: int) -> None:
    bells: alarms.Alarms[int] = alarms.Alarms()
    wanted: dict[int, int] = {}
    for key, at in settings:
        bells.set(key, at)
        wanted[key] = at
    assert bells.next_at() == min(wanted.values(), default=None)
    rang = bells.rang(now)
    assert sorted(rang) == sorted(key for key, at in wanted.items() if at <= now)
    assert [wanted[key] for key in rang] == sorted(wanted[key] for key in rang)
    assert bells.rang(now) == []


def test_G6_an_alarm_that_is_set_again_and_again_leaves_nothing_behind() -> None:
    bells: alarms.Alarms[int] = alarms.Alarms({key: 1e9 + key for key in range(10)})
    for at in range(10_000):
        bells.set(at % 3, 1e6 - at % 1000)
        assert len(bells._heap) <= 2 * 10 + alarms.SPARE
    assert bells.next_at() == 1e6 - 999
    assert bells.rang(2e9) == [0, 2, 1, *range(3, 10)]


def test_A3_a_broken_watch_runs_the_check_at_once_and_confirms_fast() -> None:
    plan, key = schedule.Schedule(), KEYS[0]
    plan.configure({key: world.TCP}, 0.0, lambda: 0.0)
    assert plan.due(0.0) == [key]
    plan.done(key, False, 0.1, lambda: 0.0)
    plan.hasten([key, KEYS[1]], 1.0)
    assert plan.next_at() == 1.0
    assert plan.due(1.0) == [key]
    plan.done(key, True, 1.001, lambda: 0.0)
    confirmed_s = schedule.confirm_s(world.TCP) * schedule.BROKEN_SHARE
    assert plan.next_at() == pytest.approx(1.001 + confirmed_s)
    assert plan.due(1.1) == [key]
    plan.done(key, False, 1.101, lambda: 0.0)  # it is down now: nothing is in doubt any more
    assert plan.due(5.9) == []
    assert plan.due(6.1) == [key]
    plan.done(key, True, 6.2, lambda: 0.0)  # and what comes next is confirmed as ever
    assert plan.next_at() == pytest.approx(6.2 + schedule.confirm_s(world.TCP))


def test_a_probe_that_was_out_when_the_watch_broke_is_run_once_more() -> None:
    plan, key = schedule.Schedule(), KEYS[0]
    plan.configure({key: world.TCP}, 0.0, lambda: 0.0)
    assert plan.due(0.0) == [key]
    plan.hasten([key], 0.5)
    assert plan.due(0.6) == []
    plan.done(key, False, 0.7, lambda: 0.0)
    assert plan.due(0.7) == [key]
    plan.done(key, False, 0.8, lambda: 0.0)
    assert plan.due(5.6) == []


def test_A3_a_look_that_will_tell_more_comes_before_its_turn_but_not_at_once() -> None:
    plan = schedule.Schedule()
    plan.configure({KEYS[0]: world.TCP}, 0.0, lambda: 0.0)
    for at, tells_in_s, due_s in ((0.0, 1.2, 1.25), (1.25, 0.01, 1.75), (1.75, 60.0, 6.75)):
        plan.due(at)
        plan.done(KEYS[0], False, at, lambda: 0.0, tells_in_s)
        assert plan.next_at() == pytest.approx(due_s)


def test_A8_what_came_due_while_a_configuration_was_taken_does_not_leave_all_at_once() -> None:
    plan = schedule.Schedule()
    plan.configure(dict.fromkeys(KEYS, world.TCP), 0.0, random.Random(7).random)
    assert plan.next_at() == 0.0
    assert plan.due(2.0) == []
    tenths = Counter[int]()
    while (at := plan.next_at()) is not None and at < 5.0:
        tenths[int((at - 2.0) / 0.3)] += len(plan.due(at))
    assert sum(tenths.values()) == len(KEYS), "and still all of them within the interval"
    assert len(tenths) == 10
    assert max(tenths.values()) < 25
