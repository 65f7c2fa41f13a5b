"""Overload is not death: signs of it ease the weight in steps, quiet brings it back in steps."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import pytest

from gtm import model, seen
from gtm.health import load
from tests.health import world

KEY = model.CheckKey("tcp", "a", "ipv4")
BUSY = model.Profile("busy", "http", load=model.Load("json.sessions", 800, 1000))


def look(sessions: float | None = None, **more: object) -> seen.ProbeResult:
    measures = {} if sessions is None else {"json.sessions": sessions}
    return seen.ProbeResult(KEY, "ns1", 0.0, True, measures=measures, **more)  # type: ignore[arg-type]


def after(*results: seen.ProbeResult, of: load.Load = load.IDLE) -> load.Load:
    for one in results:
        of = load.step(of, True, BUSY, one)
    return of


def test_one_sign_of_overload_is_nothing_and_two_in_a_row_halve_the_weight() -> None:
    assert after(look(1200)).factor == 1.0
    assert after(look(1200), look(700), look(1200)).factor == 1.0
    eased = after(look(1200), look(1000))
    assert (eased.factor, eased.why) == (0.5, "json.sessions (1000) >= 1000")


def test_each_step_halves_and_an_eighth_is_the_least_that_watermarks_leave() -> None:
    assert after(*[look(1200)] * 4).factor == 0.25
    assert after(*[look(1200)] * 100).factor == 0.125


def test_an_endpoint_that_takes_nobody_becomes_a_standby() -> None:
    assert after(*[look(overloaded="no free slot")] * 8).factor == 0.0
    refused = after(*[look(overloaded="no free slot")] * 8)
    assert after(look(1200), look(1200), of=refused).factor == 0.0  # a lesser sign does not promote it


def test_between_the_watermarks_nothing_changes() -> None:
    eased = after(look(1200), look(1200))
    assert after(*[look(900)] * 50, of=eased).factor == 0.5


def test_three_quiet_results_in_a_row_give_a_step_back() -> None:
    eased = after(*[look(1200)] * 4)
    assert after(look(800), look(800), of=eased).factor == 0.25
    assert after(look(800), look(900), look(800), look(800), of=eased).factor == 0.25
    assert after(*[look(800)] * 3, of=eased).factor == 0.5
    assert after(*[look(800)] * 6, of=eased).factor == 1.0


def test_a_warning_eases_and_a_failure_says_nothing_of_load() -> None:
    warned = look(warnings=("playlist.age is 4s, should be < 1.5 * playlist.target = 3s",))
    eased = after(warned, warned)
    assert (eased.factor, eased.why) == (0.5, "playlist.age is 4s, should be < 1.5 * playlist.target = 3s")
    assert load.step(eased, False, BUSY, look(1200)) == eased
    assert load.step(eased, None, BUSY, look(1200)) == eased


@pytest.mark.parametrize("value", ["full", True, None])
def test_what_is_no_number_is_no_sign(value: object) -> None:
    measures = {} if value is None else {"json.sessions": value}
    result = seen.ProbeResult(KEY, "ns1", 0.0, True, measures=measures)  # type: ignore[arg-type]
    assert after(*[result] * 10).factor == 1.0


@hypothesis.given(st.lists(st.sampled_from([look(100), look(900), look(2000), look(overloaded="full")]), max_size=60))
def test_no_result_ever_changes_the_weight_by_more_than_one_step(results: list[seen.ProbeResult]) -> None:
    of = load.IDLE
    for one in results:
        before, of = of, load.step(of, True, BUSY, one)
        assert abs(of.level - before.level) <= 1


def test_the_verdict_of_an_overloaded_member_is_up_with_less_weight_and_says_why() -> None:
    check = world.expr("tcp")
    run = world.Run(world.World([world.pool("p", "a", "b", check=check)], [world.quick()]))
    run.go(10.0)
    for _ in range(2):
        run.result(KEY, True, overloaded="status 503, retry after 30")
    verdict = run.verdict("a")
    assert (verdict.eligible, verdict.state, verdict.load_factor) == (True, "up", 0.5)
    assert verdict.why == "up, overloaded (status 503, retry after 30): weight 50%"
    assert run.heard("load")[0][1:] == ("a", "weight 100%", "weight 50%")
    assert run.verdict("b").load_factor == 1.0
    run.order(world.order("up", "a"))
    assert run.verdict("a").load_factor == 1.0  # an operator knows better


def test_a_restart_gives_an_overloaded_member_no_more_than_it_had() -> None:
    world_ = world.World([world.pool("p", "a", "b", check=world.expr("tcp"))], [world.quick()])
    before = world.Run(world_)
    before.go(10.0)
    for _ in range(4):
        before.result(KEY, True, overloaded="full")
    run = world.Run(world_, remembered=before.health.remember(before.now))
    assert (run.verdict("a").load_factor, run.verdict("b").load_factor) == (0.25, 1.0)
    assert run.verdict("a").why.endswith("overloaded (full): weight 25%")
    for _ in range(3):
        run.result(KEY, True)
    assert run.verdict("a").load_factor == 0.5


@pytest.mark.parametrize(("level", "factor"), [(-1, 1.0), (4, 0.0), (99, 0.0)])
def test_a_remembered_load_is_one_that_there_is(level: int, factor: float) -> None:
    assert load.recalled(level, "full").factor == factor


def test_what_is_told_of_an_endpoint_is_the_smallest_share_that_its_checks_leave_and_ends_with_the_last() -> None:
    other = model.CheckKey("http", "a", "ipv4")
    plain = world.pool("q", "a", check=world.expr("http"))
    both = world.pool("p", "a", "b", check=world.expr("tcp", "http"))
    run = world.Run(world.World([both, plain], [world.quick(), world.quick(model.Profile("http", "http"))]))
    run.go(10.0)

    def shares(key: model.CheckKey, times: int, **more: str) -> tuple[float, float, list[str]]:
        heard = len(run.heard("load"))
        for _ in range(times):
            run.result(key, True, **more)
        told = [f"{before} to {now}" for _, _, before, now in run.heard("load")[heard:]]
        return run.verdict("a", "p").load_factor, run.verdict("a", "q").load_factor, told

    assert shares(KEY, 2, overloaded="full") == (0.5, 1.0, ["weight 100% to weight 50%"])
    assert shares(other, 2, overloaded="busy") == (0.5, 0.5, [])
    assert shares(other, 2, overloaded="busy") == (0.25, 0.25, ["weight 50% to weight 25%"])
    assert shares(KEY, 3) == (0.25, 0.25, [])
    assert shares(other, 3) == (0.5, 0.5, ["weight 25% to weight 50%"])
    assert shares(other, 3) == (1.0, 1.0, ["weight 50% to weight 100%"])
