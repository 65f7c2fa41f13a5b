"""What is known at the start and what a reload keeps (semantics A1, A7, A8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from gtm import model, seen
from gtm.health import engine
from tests.health import world

KEY_A = model.CheckKey("tcp", "a", "ipv4")
KEY_B = model.CheckKey("tcp", "b", "ipv4")
TWO = world.World([world.pool("p", "a", "b", check=world.expr("tcp"))])


def test_A1_unknown_is_neither_up_nor_down() -> None:
    run = world.Run(TWO)
    verdict = run.verdict("a")
    assert (verdict.state, verdict.eligible, verdict.why) == ("unknown", True, "not judged yet")
    run.finds("a", False)
    run.finds("b", None)
    run.go(30.0)
    assert run.state("a") == "down"
    assert run.state("b") == "unknown"


def test_A7_who_could_never_be_looked_at_says_what_is_in_the_way() -> None:
    run = world.Run(TWO)
    run.finds("a", None)
    run.go(120.0)
    assert (run.verdict("a").state, run.verdict("a").stale) == ("unknown", True)
    assert run.verdict("a").why == "not judged yet: no socket"


def test_A1_the_warm_up_ends_when_everything_was_looked_at() -> None:
    run = world.Run(TWO)
    assert not run.health.judged(run.now)
    run.go(5.0)
    assert run.health.judged(run.now)
    [(at, _, before, after)] = run.heard("judged")
    assert at <= 5.0
    assert (before, after) == ("warming up", "judged")


def test_A1_the_warm_up_is_bounded() -> None:
    slow = replace(world.TCP, every_s=3600.0, timeout_s=60.0)
    run = world.Run(world.World([world.pool("p", "a", check=world.expr("tcp"))], [slow]), dice=lambda: 0.9)
    run.finds("a", "silent")
    run.go(9.9)
    assert not run.health.judged(run.now)
    run.go(0.2)
    assert run.health.judged(run.now)
    assert [at for at, *_ in run.heard("judged")] == [10.0]
    assert run.state("a") == "unknown"


def test_A1_without_checks_there_is_nothing_to_wait_for() -> None:
    run = world.Run(world.World([world.pool("p", "a")]))
    assert run.health.judged(run.now)
    assert not engine.Health("ns1").judged(0.0)


def test_A1_pushed_results_are_not_waited_for() -> None:
    push = model.Profile("push", "push")
    run = world.Run(world.World([world.pool("p", "a", check=world.expr("push"))], [push]))
    assert run.health.judged(run.now)
    run.go(20.0)
    assert run.probed == []


@pytest.mark.parametrize(
    ("age_s", "status"), [(299.0, "down"), (300.0, "unknown"), (-20.0, "down"), (-300.0, "unknown")]
)
def test_A1_remembered_health_counts_for_five_minutes(age_s: float, status: model.Status) -> None:
    run = world.Run(TWO, remembered={KEY_A: seen.Known("down", age_s, "refused"), KEY_B: seen.Known("up", 1.0, "")})
    assert run.verdict("a").state == status
    assert run.verdict("b").state == "up"
    assert run.health.judged(run.now) is (status == "down")
    assert run.health.states()[KEY_A].since_s <= run.now


def test_A1_what_is_remembered_of_checks_that_are_gone_is_dropped() -> None:
    run = world.Run(TWO, remembered={model.CheckKey("old", "z", "ipv6"): seen.Known("down", 1.0, "")})
    assert set(run.health.states()) == {KEY_A, KEY_B}


def test_A1_what_is_to_be_remembered_is_what_the_next_start_takes() -> None:
    run = world.Run(TWO)
    run.finds("a", False)
    run.go(30.0)
    kept = run.health.remember(run.now)
    assert kept[KEY_A][0] == "down"
    assert 0.0 <= kept[KEY_A][1] <= 5.0
    assert kept[KEY_A][2] == "refused"
    again = world.Run(TWO, remembered=kept)
    assert (again.verdict("a").state, again.verdict("a").why) == ("down", "refused")


def test_A1_an_old_memory_is_not_made_young_by_restarts() -> None:
    run = world.Run(TWO, remembered={KEY_A: seen.Known("down", 200.0, "refused")})
    assert run.health.remember(run.now + 50.0)[KEY_A][1] == 250.0


def test_A1_a_member_added_by_a_reload_starts_unknown_and_the_others_keep_their_state() -> None:
    run = world.Run(TWO)
    run.finds("a", False)
    run.go(30.0)
    before = run.health.states()
    run.reload(world.World([world.pool("p", "a", "b", "c", check=world.expr("tcp"))]))
    assert run.verdict("c").state == "unknown"
    assert run.verdict("a").state == "down"
    assert {key: state for key, state in run.health.states().items() if key in before} == before
    assert run.health.judged(run.now)
    assert run.verdict("b").since_s < run.now
    run.go(5.0)
    assert run.verdict("c").state == "up"


def test_A1_a_check_that_looks_at_something_else_starts_unknown() -> None:
    run = world.Run(TWO)
    run.go(20.0)
    moved = replace(TWO, endpoints=[model.Endpoint("a", ipv4="192.0.2.99")])
    run.reload(moved)
    assert run.verdict("a").state == "unknown"
    assert run.verdict("b").state == "up"


def test_A1_a_check_that_is_only_counted_otherwise_keeps_its_state() -> None:
    run = world.Run(TWO)
    run.go(20.0)
    run.reload(replace(TWO, profiles=[replace(world.TCP, every_s=20.0, fall=5)]))
    assert run.verdict("a").state == "up"


def test_a_probe_that_was_out_while_its_check_changed_is_not_believed() -> None:
    run = world.Run(TWO)
    run.go(20.0)
    key = next(check.key for check in run.health.due(run.now + 6.0) if check.key == KEY_A)
    run.reload(replace(TWO, endpoints=[model.Endpoint("a", ipv4="192.0.2.99")], profiles=[world.quick()]))
    run.result(key, False)
    assert run.verdict("a").state == "unknown"
    run.go(1.0)
    assert run.verdict("a").state == "up"


def test_a_result_of_a_check_that_is_gone_is_dropped() -> None:
    run = world.Run(TWO)
    run.reload(world.World([world.pool("p", "b", check=world.expr("tcp"))]))
    assert run.result(KEY_A, False) == []


def test_the_warm_up_ends_when_a_reload_takes_away_what_was_waited_for() -> None:
    run = world.Run(TWO)
    run.reload(world.World([world.pool("p", "a")]))
    assert run.health.wake_at() == run.now
    assert [one.kind for one in run.health.wake(run.now)] == ["judged"]
    assert run.health.judged(run.now)


# --- A7: silence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("on_stale", "status"), [("keep", "up"), ("down", "down"), ("up", "up")])
def test_A7_past_ten_intervals_on_stale_decides(on_stale: Literal["keep", "up", "down"], status: model.Status) -> None:
    profile = model.Profile("tcp", "tcp", on_stale=on_stale)
    run = world.Run(world.World([world.pool("p", "a", check=world.expr("tcp"))], [profile]))
    run.go(20.0)
    run.finds("a", None)
    run.go(44.0)
    assert (run.verdict("a").state, run.verdict("a").stale) == ("up", True)
    run.go(7.0)
    assert run.verdict("a").state == status
    assert [after for _, _, _, after in run.heard("stale")] == ["stale"]


def test_A7_on_stale_up_forgives_a_check_that_was_down() -> None:
    profile = replace(world.TCP, on_stale="up")
    run = world.Run(world.World([world.pool("p", "a", check=world.expr("tcp"))], [profile]))
    run.finds("a", False)
    run.go(20.0)
    run.finds("a", None)
    run.go(60.0)
    assert run.verdict("a").eligible
    run.finds("a", False)
    run.go(6.0)
    assert not run.verdict("a").eligible


def test_A7_the_first_news_ends_what_on_stale_decided() -> None:
    profile = replace(world.TCP, on_stale="down")
    run = world.Run(world.World([world.pool("p", "a", check=world.expr("tcp"))], [profile]))
    run.go(20.0)
    run.finds("a", None)
    run.go(60.0)
    assert run.verdict("a").why == "no socket"
    run.finds("a", True)
    run.go(5.0)
    assert (run.verdict("a").state, run.verdict("a").stale) == ("up", False)


def test_A7_pushed_news_holds_as_long_as_it_says() -> None:
    push = model.Profile("push", "push", on_stale="down")
    run = world.Run(world.World([world.pool("p", "a", check=world.expr("push"))], [push]))
    key = model.CheckKey("push", "a", "ipv4")
    run.result(key, True, valid_for_s=30.0)
    run.go(29.0)
    run.result(key, True, valid_for_s=30.0)
    run.go(29.9)
    assert run.verdict("a").state == "up"
    run.go(0.2)
    assert (run.verdict("a").state, run.verdict("a").stale) == ("down", True)
    run.result(key, True, valid_for_s=5.0)
    assert run.verdict("a").state == "up"
    run.go(5.1)
    assert run.verdict("a").state == "down"


def test_A7_pushed_news_without_a_term_holds_for_ten_intervals() -> None:
    push = model.Profile("push", "push", on_stale="down")
    run = world.Run(world.World([world.pool("p", "a", check=world.expr("push"))], [push]))
    run.result(model.CheckKey("push", "a", "ipv4"), True)
    run.go(49.9)
    assert run.verdict("a").state == "up"
    run.go(0.2)
    assert run.verdict("a").state == "down"
