"""What an operator may expect of a configuration, before it is in force."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gtm import model
from gtm.health import forecast
from tests.health import world

HTTP = replace(world.TCP, name="web", kind="http", every_s=2.0, timeout_s=1.0, fall=2, confirm_s=0.5)
ZONES = (model.Zone("tv.", steer={"a.tv.": 0, "b.tv.": 0}),)


def of(pool: model.Pool, *profiles: model.Profile, ttl: tuple[int, int] = (5, 30)) -> forecast.Forecast:
    laid = replace(world.policy("p"), ttl_min_s=ttl[0], ttl_max_s=ttl[1])
    snapshot = replace(world.World([pool], list(profiles), policies=[laid]).snapshot(), zones=ZONES)
    [one] = forecast.of_names(snapshot)
    return one


@pytest.mark.parametrize(("need", "seen_s"), [(2, 4.5), (1, 18.0)])
def test_A5_a_death_is_seen_by_the_first_check_that_must_pass_or_by_the_last_that_may(need: int, seen_s: float) -> None:
    slow = replace(world.TCP, name="slow", every_s=10.0, timeout_s=2.0, fall=3, confirm_s=1.0)
    one = of(world.pool("p", "x", "y", check=world.expr("web", "slow", need=need)), HTTP, slow)
    assert one.names == ("a.tv.", "b.tv.")
    assert one.detects_s == seen_s


@pytest.mark.parametrize(("ttl", "longest"), [((1, 30), 2), ((5, 30), 5), ((1, 1), 1)])
def test_D1_the_longest_ttl_is_the_soonest_time_at_which_the_answer_could_change(
    ttl: tuple[int, int], longest: int
) -> None:
    one = of(world.pool("p", "x", "y", check=world.expr("web")), HTTP, ttl=ttl)
    assert one.ttl_s == longest
    assert one.moves_s == 4.5 + longest


def test_names_that_nothing_looks_at_are_told() -> None:
    one = of(world.pool("p", "x", "y"))
    assert (one.detects_s, one.moves_s, one.ttl_s) == (None, None, 30)
    assert one.notes == ("no check looks at its members: nothing ever leaves its answers",)


def notes(one: forecast.Forecast) -> str:
    return " / ".join(one.notes)


def test_a_single_address_a_short_ttl_a_long_ttl_and_a_slow_check_are_noted() -> None:
    pool = world.pool("p", "x", "y", check=world.expr("web"))
    assert "one address for playback" not in notes(of(pool, HTTP))
    assert "browsers keep an address for 60s" in notes(of(pool, HTTP))
    assert "one address for playback" in notes(of(replace(pool, answers=1), HTTP))
    assert "one address for playback" in notes(of(world.pool("p", "x", check=world.expr("web")), HTTP))
    assert "longer than a player's buffer" in notes(of(pool, HTTP, ttl=(120, 300)))
    rare = replace(HTTP, every_s=60.0)
    assert "viewers will see a failure before the checks do" in notes(of(pool, rare))
    assert notes(of(replace(pool, answers=1, check=world.expr("tcp")), world.TCP)) == ""  # ingest: one is right


def test_browsers_are_the_last_to_leave_and_ask_for_no_ingest() -> None:
    played = of(world.pool("p", "x", "y", check=world.expr("web")), HTTP)
    assert played.browsers_s == 4.5 + 5 + 60
    assert of(world.pool("p", "x", check=world.expr("tcp")), world.TCP).browsers_s is None
    both = of(world.pool("p", "x", check=world.expr("tcp", "web")), world.TCP, HTTP)
    assert (both.browsers_s, notes(both)) == (None, ""), "an ingest with a health page is no edge"
    assert of(world.pool("p", "x", "y")).browsers_s is None


def test_a_node_that_is_probed_beyond_the_budget_is_noted_with_how_often() -> None:
    stream = replace(world.STREAM, every_s=2.0)
    said = "x gets 20.5 probes a second from 41 checks, 1 more endpoints as many or fewer: a longer `every` is kinder"
    for names, noted in ((40, []), (41, [said])):
        laid = [world.policy("p", name=f"{one}.tv.") for one in range(names)]
        pool = world.pool("p", "x", "y", check=world.expr(stream.name))
        snapshot = world.World([pool], [stream], policies=laid).snapshot()
        assert list(forecast.over_budget(snapshot)) == noted


def test_A8_a_node_is_told_how_many_probes_a_second_it_gets() -> None:
    laid = [world.policy("p", name="a.tv."), world.policy("p", name="b.tv.")]
    stream = replace(world.STREAM, every_s=4.0)
    pools = [world.pool("p", "x", "y", check=world.expr(stream.name)), world.pool("q", "x", check=world.expr("web"))]
    snapshot = world.World(pools, [HTTP, stream], policies=[*laid, world.policy("q")]).snapshot()
    assert forecast.probes(snapshot) == [("x", 3, 1.0), ("y", 2, 0.5)]
