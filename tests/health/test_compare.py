"""The same stream on several nodes: who stands apart, and why (streaming 1.12)."""

from __future__ import annotations

import pytest

from gtm import model
from gtm.health import compare
from tests.health import world

TARGET_S = 2.0


def edge(latency_s: float, **more: float) -> compare.Edge:
    return compare.Edge(latency_s, TARGET_S, **more)


def test_the_edge_is_read_from_what_hls_and_dash_measure() -> None:
    measures: dict[str, model.Value] = {"playlist.latency": 7.5, "playlist.target": 2, "clock.skew": 0.3}
    assert compare.edge(measures) == compare.Edge(7.5, 2, 0.0, 0.3)
    assert compare.edge({"manifest.latency": 4.0, "manifest.segment": 4.0, "manifest.cached": 9}) == compare.Edge(
        4, 4, 9
    )
    assert compare.edge({"playlist.target": 2.0}) is None
    assert compare.edge({"playlist.latency": 7.5, "playlist.target": 0}) is None


def test_of_two_that_differ_nobody_knows_which_is_right() -> None:
    assert compare.lag_s(edge(20), [edge(6)]) is None
    assert compare.lag_s(edge(20), [edge(6), edge(7)]) == 13.5


@pytest.mark.parametrize(
    ("lag_s", "more", "said", "severe"),
    [
        (3.9, {}, None, False),
        (4.5, {}, "4.5s behind the other nodes: it pulls the stream too late", False),
        (6.5, {}, "6.5s behind the other nodes: it pulls the stream too late", True),
        (6.5, {"age_s": 3.5}, "6.5s behind the other nodes: it has stood still for 4s", True),
        (9.0, {"cached_s": 38.0}, "9.0s behind the other nodes: a cache has held its playlist for 38s", True),
        (9.0, {"skew_s": 8.0}, "9.0s behind the other nodes: its clock is off by 8.0s", False),
        (-9.0, {"skew_s": 9.5}, "9.0s ahead of the other nodes: its clock is off by 9.5s", False),
        (-9.0, {}, None, False),
    ],
)
def test_a_node_apart_is_told_with_its_cause(
    lag_s: float, more: dict[str, float], said: str | None, severe: bool
) -> None:
    found = compare.remark(edge(10, **more), [lag_s - 6.5, lag_s])
    assert (found.text if found else None) == said
    assert bool(found and found.severe) == severe


@pytest.mark.parametrize(("sign", "where"), [(1, "behind"), (-1, "ahead of")])
def test_a_constant_distance_is_a_clock_or_a_way_and_no_failure(sign: int, where: str) -> None:
    lags = [sign * (9.0 + step / 10) for step in range(compare.PAST)]
    found = compare.remark(edge(10), lags)
    assert found == compare.Remark(
        f"always {abs(lags[-1]):.1f}s {where} the other nodes: another encoder's clock, or a longer way", harmless=True
    )
    early = compare.remark(edge(10), lags[:1])
    assert early
    assert (early.severe, early.harmless) == (False, True), "it was so when it was first seen"
    assert early.text == f"9.0s {where} the other nodes: another encoder's clock, or a longer way"


def test_a_distance_is_only_said_to_be_always_there_when_it_was_at_first_too() -> None:
    stepped = compare.remark(edge(10), [0.1] * 3 + [9.0] * (compare.PAST - 2))
    assert stepped == compare.Remark(
        "9.0s behind the other nodes: another encoder's clock, or a longer way", harmless=True
    )
    for early in ([0.1, 9.0, 9.0], [9.0, 0.1, 9.0], [9.0, 9.0, 9.0]):
        found = compare.remark(edge(10), early + [9.0] * compare.PAST)
        assert found
        assert found.text.startswith("always 9.0s behind"), "one of them may be a hiccup"


def look(run: world.Run, node: str, latency_s: float) -> None:
    key = model.CheckKey("hls", node, "ipv4", "news.tv.")
    run.result(key, True, measures={"playlist.latency": latency_s, "playlist.target": TARGET_S})


def test_A12_a_laggard_leaves_its_stream_alone_and_the_reason_says_why() -> None:
    laid = [world.policy("p", name="news.tv."), world.policy("p", name="sport.tv.")]
    pool = world.pool("p", "n1", "n2", "n3", check=world.expr("hls"))
    run = world.Run(world.World([pool], [world.quick(world.STREAM)], policies=laid))
    run.go(10.0)
    for node in ("n2", "n3"):
        look(run, node, 6.0)
    look(run, "n1", 11.0)
    verdict = run.verdict("n1", policy=laid[0])
    assert verdict.state == "up"
    look(run, "n1", 18.0)
    verdict = run.verdict("n1", policy=laid[0])
    assert verdict.state == "down"
    assert verdict.why == "12.0s behind the other nodes: it pulls the stream too late"
    assert run.verdict("n1", policy=laid[1]).state == "up"
    assert [run.verdict(node, policy=laid[0]).state for node in ("n2", "n3")] == ["up", "up"]
    look(run, "n1", 7.0)
    assert run.verdict("n1", policy=laid[0]).state == "up"


def test_A12_a_node_that_fell_behind_stays_out_for_minutes_and_not_for_ten_looks() -> None:
    laid = [world.policy("p", name="news.tv.")]
    pool = world.pool("p", "n1", "n2", "n3", check=world.expr("hls"))
    run = world.Run(world.World([pool], [world.quick(world.STREAM)], policies=laid))
    key = model.CheckKey("hls", "n3", "ipv4", "news.tv.")

    def looks(count: int, behind_s: float) -> None:
        for _ in range(count):
            for node, latency_s in (("n1", 5.0), ("n2", 5.1), ("n3", 5.0 + behind_s)):
                look(run, node, latency_s)
            run.go(2.0)

    looks(30, 0.0)
    assert run.health.states()[key].status == "up"
    looks(120, 9.0)  # four minutes
    assert run.health.states()[key].status == "down"
    looks(60, 9.0)
    assert run.health.states()[key].status == "up"
    looks(5, 0.0)  # and it may have caught up at any time
    assert run.health.states()[key].status == "up"


def test_when_all_nodes_are_late_together_nobody_stands_apart() -> None:
    laid = [world.policy("p", name="news.tv.")]
    pool = world.pool("p", "n1", "n2", "n3", check=world.expr("hls"))
    run = world.Run(world.World([pool], [world.quick(world.STREAM)], policies=laid))
    run.go(10.0)
    for latency_s in (6.0, 12.0, 30.0):
        for node in ("n1", "n2", "n3"):
            look(run, node, latency_s)
        run.now += 18.0  # the first of each round is compared with what the others were some time ago
    assert [run.verdict(node, policy=laid[0]).state for node in ("n1", "n2", "n3")] == ["up", "up", "up"]


def test_A12_a_node_that_was_always_behind_keeps_its_share_and_the_reason_says_what_sets_it_apart() -> None:
    laid = [world.policy("p", name="news.tv.")]
    pool = world.pool("p", "n1", "n2", "n3", check=world.expr("hls"))
    run = world.Run(world.World([pool], [world.quick(world.STREAM)], policies=laid))
    run.go(10.0)
    for _ in range(2 * compare.PAST):
        for node in ("n2", "n3"):
            look(run, node, 6.0)
        look(run, "n1", 15.0)
        verdict = run.verdict("n1", policy=laid[0])
        assert (verdict.state, verdict.load_factor) == ("up", 1.0)
    assert verdict.why == "up, always 9.0s behind the other nodes: another encoder's clock, or a longer way"


def test_A12_a_node_that_was_always_behind_is_not_blamed_for_a_hiccup_of_the_others() -> None:
    lags = [11.7, 11.5, 11.9, 11.6, 11.7, 5.2, 4.9, 11.8]
    found = compare.remark(edge(20), lags)
    assert found
    assert (found.severe, found.harmless) == (False, True)
    late = compare.remark(edge(10), [0.1, 0.0, 0.2, 8.0])
    assert late
    assert late.severe, "who has just fallen back is blamed at the first look"
    for looks in range(1, 9):
        still = compare.remark(edge(10), [0.1] * (compare.PAST - looks) + [8.0] * looks)
        assert still
        assert still.severe


def test_A12_nobody_is_compared_with_what_was_looked_at_long_ago() -> None:
    laid = [world.policy("p", name="news.tv.")]
    pool = world.pool("p", "n1", "n2", "n3", check=world.expr("hls"))
    run = world.Run(world.World([pool], [world.quick(world.STREAM)], policies=laid))
    run.go(10.0)
    others = ("n2", "n3")
    for _ in range(3):
        for node in others:
            look(run, node, 6.0)
        look(run, "n1", 18.0)
    run.now += 60.0  # this process stood still: how far the others are by now nobody knows
    for _ in range(compare.PAST):
        look(run, "n1", 18.0)
    for node in others:
        look(run, node, 6.0)
    for _ in range(3):
        look(run, "n1", 18.0)
        assert run.verdict("n1", policy=laid[0]).state == "up"
