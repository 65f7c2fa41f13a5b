"""Health per stream: a stale channel leaves its name alone, a stale node leaves all (semantics A12)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gtm import model
from tests.health import world

HLS = world.quick(world.STREAM)
NODES = ("n1", "n2")
TV = world.policy("p", name="news.tv.")


def channels(count: int, *nodes: str) -> world.Run:
    """Return a judged run of `count` names over one pool, and a bare wildcard beside them as the last policy."""
    check = world.expr("hls")
    names = [world.policy("p", name=f"ch{number}.tv.") for number in range(1, count + 1)]
    run = world.Run(
        world.World(
            [world.pool("p", *(nodes or NODES), check=check)], [HLS, world.TCP], policies=[*names, world.policy("p")]
        )
    )
    run.go(10.0)
    return run


def of(run: world.Run, number: int, node: str = "n1") -> model.Status:
    return run.verdict(node, policy=run.snapshot.policies[number - 1]).state


def fail(run: world.Run, node: str, *numbers: int, ok: bool = False) -> None:
    for number in numbers:
        run.finds(f"{node}/ch{number}.tv.", ok)
    run.go(6.0)


def test_A12_a_stale_channel_leaves_that_name_alone() -> None:
    run = channels(5)
    fail(run, "n1", 2)
    assert [of(run, number) for number in range(1, 7)] == ["up", "down", "up", "up", "up", "up"]
    assert of(run, 2, "n2") == "up"
    assert run.state("n1") == "up"
    [heard] = [one for _, one in run.log if one.after == "down"]
    assert (heard.kind, heard.name, heard.subject) == ("check", "ch2.tv.", "hls/n1/ipv4/ch2.tv.")
    assert "not for ch2.tv: " in run.health.endpoint_state("n1", "ipv4").reason


def test_A12_more_than_half_of_three_or_more_judge_the_node_for_all_its_names() -> None:
    run = channels(5)
    fail(run, "n1", 1, 2)
    assert of(run, 3) == "up"
    fail(run, "n1", 3)
    assert [of(run, number) for number in range(1, 7)] == ["down"] * 6
    assert [of(run, number, "n2") for number in range(1, 7)] == ["up"] * 6
    assert run.verdict("n1", policy=run.snapshot.policies[3]).why == "3 of 5 streams failed on this node"
    assert run.state("n1") == "down"
    assert run.health.endpoint_state("n1", "ipv4").reason == "3 of 5 streams failed on this node"
    assert run.log[-1][1].name == ""
    fail(run, "n1", 3, ok=True)
    assert [of(run, number) for number in range(1, 7)] == ["down", "down", "up", "up", "up", "up"]


@pytest.mark.parametrize(("streams", "failed", "wild"), [(2, 2, "up"), (3, 1, "up"), (3, 2, "down"), (4, 2, "up")])
def test_A12_half_is_not_more_than_half_and_two_are_not_three(streams: int, failed: int, wild: model.Status) -> None:
    run = channels(streams)
    fail(run, "n1", *range(1, failed + 1))
    assert of(run, streams + 1) == wild


@pytest.mark.parametrize("streams", [1, 2])
def test_A12_a_node_whose_few_streams_all_fail_is_shown_down(streams: int) -> None:
    run = channels(streams)
    fail(run, "n1", *range(1, streams + 1))
    assert run.state("n1") == "down"


def test_A12_streams_that_are_down_everywhere_have_lost_their_source_and_blame_no_node() -> None:
    run = channels(5)
    for node in NODES:
        fail(run, node, 1, 2, 3)
    for node in NODES:
        assert [of(run, number, node) for number in range(1, 6)] == ["down", "down", "down", "up", "up"]
    fail(run, "n2", 1, ok=True)
    assert [of(run, number, "n1") for number in (4, 5)] == ["up", "up"]
    fail(run, "n2", 2, 3, ok=True)
    assert [of(run, number, "n1") for number in (4, 5)] == ["down", "down"]


def test_A12_nodes_on_which_nothing_works_are_down_even_when_that_is_so_everywhere() -> None:
    run = channels(3)
    for node in NODES:
        fail(run, node, 1, 2, 3)
    assert [of(run, 4, node) for node in NODES] == ["down", "down"]


def test_A12_a_single_node_is_judged_by_its_streams() -> None:
    run = channels(3, "n1")
    fail(run, "n1", 1, 2)
    assert of(run, 3) == "down"


def test_A12_streams_that_are_only_observed_judge_nobody() -> None:
    run = channels(3)
    run.reload(replace(run.world, profiles=[replace(HLS, observe=True)]))
    fail(run, "n1", 1, 2, 3)
    assert [of(run, number) for number in range(1, 5)] == ["up"] * 4


def test_A13_a_name_that_nobody_listed_under_a_wildcard_uses_the_pools_own_check_alone() -> None:
    tcp = world.quick()
    laid = [
        world.policy("p", name="news.tv.", check=world.expr("hls")),
        world.policy("p", check=world.expr("hls")),
    ]
    run = world.Run(world.World([world.pool("p", "n1", check=world.expr("tcp"))], [tcp, HLS], policies=laid))
    run.go(10.0)
    run.finds("n1/news.tv.", False)
    run.go(10.0)
    assert of(run, 1) == "down"
    assert of(run, 2) == "up"
    run.finds("tcp/n1/ipv4", False)
    run.go(10.0)
    assert of(run, 2) == "down"


def test_a_doubt_about_one_stream_touches_its_name_alone() -> None:
    run = channels(3)
    slow = replace(HLS, fall=3, rise=3)
    run.reload(replace(run.world, profiles=[slow]))
    run.log.clear()
    run.finds("n1/ch1.tv.", False)
    while not run.log:
        run.go(0.1)
    assert [(one.kind, one.name) for _, one in run.log] == [("step", "ch1.tv.")]
    assert run.verdict("n1", policy=run.snapshot.policies[0]).in_doubt
    assert not run.verdict("n1", policy=run.snapshot.policies[1]).in_doubt


def test_A3_an_overdue_stream_is_looked_at_when_its_age_is_too_much_and_not_at_its_next_turn() -> None:
    line = model.Condition("playlist.age < 6s", "playlist.age", "<", value=6.0, unit="s")
    slow = replace(world.STREAM, every_s=5.0, confirm_s=0.5, expect=(line,))
    run = world.Run(world.World([world.pool("p", "n1", check=world.expr("hls"))], [slow], policies=[TV]))
    key = model.CheckKey("hls", "n1", "ipv4", "news.tv.")
    for age_s, in_s in ((1.0, 5.0), (5.0, 1.05), (5.9, 0.5)):
        run.now += 10.0
        assert run.health.due(run.now)
        run.result(key, True, measures={"playlist.age": age_s})
        assert run.health.wake_at() == pytest.approx(run.now + in_s, abs=0.3)
