"""Stories of streams: one channel of one node, a source that dies, a slate, and nodes with too much to do."""

from __future__ import annotations

import collections

import dns.rcode
import pytest

from gtm import view
from gtm.wire import steps
from tests.stories.world import World

CONFIG = """
checks:
  channel: {kind: http, path: "/{label}.m3u8", every: 1s, timeout: 500ms, fall: 2, rise: 3, confirm: 200ms}
  web: {kind: http, every: 1s, timeout: 500ms, fall: 2, rise: 3, confirm: 200ms}
endpoints:
  a: {address: 192.0.2.11}
  b: {address: 192.0.2.12}
  far: {address: 198.51.100.21}
  slate: {address: 203.0.113.1}
pools:
  edges: {members: [a, b], answers: 1, check: channel POOL}
  backup: {members: [far], check: web}
  slate: {members: [slate], check: web}
zones:
  tv.example.com:
    nameservers: {ns1: [203.0.113.53]}
    steer:
      news: {try: [edges TRY], ttl: 5s..30s MORE}
      sport: {try: [edges], ttl: 5s..30s}
      slated: {try: [slate], ttl: 5s}
      spare: {try: [backup], ttl: 5s}
"""
NEWS, SPORT = "news.tv.example.com", "sport.tv.example.com"
A, B, FAR, SLATE = "192.0.2.11", "192.0.2.12", "198.51.100.21", "203.0.113.1"


def judged(pool: str = "", tried: str = "", more: str = "") -> World:
    world = World(CONFIG.replace(" POOL", pool).replace(" TRY", tried).replace(" MORE", more))
    world.run(3)
    assert world.brain.judged()
    return world


def die(world: World, *nodes: str) -> None:
    """Let the news freeze on these nodes, which go on answering."""
    world.dead |= {(node, NEWS + "."): "playlist.age is 9s, should be < 3 * playlist.target = 6s" for node in nodes}
    world.run(3)


def test_A12_a_stream_frozen_on_one_node_leaves_that_node_and_no_other_name_does() -> None:
    world = judged()
    die(world, "a")
    assert world.ever(NEWS) == {B}
    assert world.ever(SPORT) == {A, B}


def test_A12_a_dead_source_keeps_the_answers_and_is_an_event() -> None:
    world = judged()
    die(world, "a", "b")
    assert world.ever(NEWS) == {A, B}
    assert ("on air", "source down") in world.said("name", NEWS + ".")
    world.sick["a"] = "connection refused"  # now a node dies as well: it is not kept
    world.run(3)
    assert world.ever(NEWS) == {B}
    assert world.ever(SPORT) == {B}


def test_A12_the_way_back_is_said_and_quick() -> None:
    world = judged()
    die(world, "a", "b")
    world.dead.clear()
    world.run(3)
    assert world.ever(NEWS) == {A, B}
    assert world.said("name", NEWS + ".")[-1][1] in {"on air", "first"}
    assert ("source down", "on air") in world.said("name", NEWS + ".")


def test_A12_another_pool_that_has_the_stream_goes_before_a_dead_source() -> None:
    world = judged(tried=", backup")
    die(world, "a", "b")
    assert world.ever(NEWS) == {FAR}


@pytest.mark.parametrize(("pool", "more"), [("", ", source_down: slate"), (", source_down: slate", "")])
def test_A12_the_name_or_its_pool_may_name_a_slate_for_a_dead_source(pool: str, more: str) -> None:
    world = judged(pool=pool, more=more)
    die(world, "a", "b")
    assert world.ever(NEWS) == {SLATE}
    assert world.ever(SPORT) == {A, B}
    world.sick["slate"] = "connection refused"
    world.run(3)
    assert world.ever(NEWS) == {A, B}  # no slate either: the answers are kept
    world.sick.clear()
    world.dead.clear()
    world.run(5)
    assert world.ever(NEWS) == {A, B}


def test_A12_a_name_may_keep_its_answers_although_its_pool_has_a_slate() -> None:
    world = judged(pool=", source_down: slate", more=", source_down: keep")
    die(world, "a", "b")
    assert world.ever(NEWS) == {A, B}


def test_B4_what_an_operator_wrote_for_when_all_are_down_holds_for_a_dead_source_too() -> None:
    world = judged(more=", when_all_down: servfail")
    die(world, "a", "b")
    assert world.message(NEWS).rcode() == dns.rcode.SERVFAIL
    world = judged(more=", when_all_down: servfail, source_down: keep")
    die(world, "a", "b")
    assert world.ever(NEWS) == {A, B}


def test_an_overloaded_member_gets_half_of_its_share_and_half_again_and_all_of_it_back() -> None:
    world = judged()
    world.busy["a"] = "status 503, retry after 30"

    def share() -> float:
        answers = collections.Counter(world.ask(SPORT)[0] for _ in range(360))
        return answers[A] / answers[B]

    world.run(2.5)
    assert share() == pytest.approx(0.5, abs=0.02)
    world.run(2)
    assert share() == pytest.approx(0.25, abs=0.02)
    world.run(10)
    assert world.ever(SPORT) == {B}  # it takes nobody: a standby, but not down
    world.sick["b"] = "connection refused"
    world.run(3)
    assert world.ever(SPORT) == {A}
    world.sick.clear()
    world.busy.clear()
    world.run(20)
    assert share() == pytest.approx(1.0, abs=0.02)


def test_overload_is_ignored_where_everybody_is_overloaded() -> None:
    world = judged()
    world.busy |= {"a": "full", "b": "full"}
    world.run(20)
    answers = collections.Counter(world.ask(SPORT)[0] for _ in range(100))
    assert answers[A] == answers[B] == 50


def test_overload_never_leaves_a_pool_with_less_than_min_up() -> None:
    world = judged(pool=", min_up: 2")
    world.busy["a"] = "full"
    world.run(20)
    assert world.ever(SPORT, times=100) == {A, B}


def test_a_pool_whose_checks_are_its_names_stands_as_its_nodes_do() -> None:
    world = judged()
    world.dead |= {("a", name + "."): "connection refused" for name in (NEWS, SPORT)}
    world.run(6)
    a, b = world.brain.pools["edges"].members
    assert (a.endpoint, a.state, a.eligible, a.reason) == ("a", "down", False, "connection refused")
    assert b.eligible


def test_an_endpoint_says_for_which_names_it_is_down_and_for_which_it_has_too_much_to_do() -> None:
    world = judged()
    die(world, "a")
    world.busy["a"] = "status 503, retry after 30"
    world.run(2.5)
    (row,) = (one for one in steps.finish(view.endpoints_view(world.brain, world.now)) if one["endpoint"] == "a")
    assert row["not_for"] == [NEWS + "."]
    assert row["overload"] == f"overloaded (status 503, retry after 30): weight 50% for {SPORT}"
    assert row["reason"] == (
        f"up, but not for {NEWS}: playlist.age is 9s, should be < 3 * playlist.target = 6s, {row['overload']}"
    )


def test_A13_a_member_s_share_of_its_pool_is_what_names_with_checks_of_their_own_give_it() -> None:
    world = judged()

    def roster() -> dict[str, tuple[float, str]]:
        (edges,) = (one for one in view.pools_view(world.brain) if one["pool"] == "edges")
        return {one["endpoint"]: (one["share"], one["reason"]) for one in edges["roster"]}

    well = "up, judged name by name"
    assert roster() == {"a": (0.5, well), "b": (0.5, well)}
    die(world, "a")
    assert roster() == {"a": (0.25, well), "b": (0.75, well)}  # none of the news, half of the sport


def test_A12_a_source_that_was_dead_when_the_process_ended_is_dead_when_it_starts_again() -> None:
    world = judged(more=", source_down: slate")
    die(world, "a", "b")
    assert world.ever(NEWS) == {SLATE}
    wall_s = world.now + world.brain.wall_offset_s
    again = World(
        CONFIG.replace(" POOL", "").replace(" TRY", "").replace(" MORE", ", source_down: slate"),
        remembered={key: known._replace(at_s=wall_s - known.at_s) for key, known in world.kept.items()},
    )
    assert again.ever(NEWS) == {SLATE}
