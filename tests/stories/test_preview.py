"""What an order would do, foretold: the same that it does when it is given, and nothing while it is only asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtm import brain, model, preview, seen
from gtm.health import suppose
from tests.stories.test_ladder import config, judged
from tests.stories.world import WALL_S, World

FLOORS = "orders: {keep_up: {pool: 1}}\n"


def order(target: str, what: str = "drain", value: float = 1.0, at: float = WALL_S) -> seen.Override:
    return seen.Override(f"{what} {target}", target, what, value, at=at)  # type: ignore[arg-type]


def finish(steps: preview.Steps[Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def moves(world: World, *orders: seen.Override, lifted: tuple[str, ...] = (), **counts: int) -> dict[str, Any]:
    lately = {(f"{name}.live.example.com.", "main"): number for name, number in counts.items()}
    found: dict[str, Any] = finish(preview.moves(world.brain, preview.Wish(orders, lifted), world.now, lately))
    return found


def broken(world: World, *orders: seen.Override) -> list[str]:
    found = finish(preview.breaches(world.brain, preview.Wish(orders), world.now))
    return [f"{one.kind} {one.name} {one.left}" for one in found]


def test_a_preview_says_which_names_and_what_share_would_move() -> None:
    world = judged()
    found = moves(world, order("a1"))
    assert (found["names_total"], found["left_with_nothing"]) == (2, 0)
    stands = {"rung": "first", "pool": "main"}
    for row in found["names"]:
        assert (row["before"], row["after"], row["share"]) == (stands, stands, 0.75)
    assert (found["share"], found["share_by"]) == (0.75, "names")
    assert [(one["pool"], one["before"]["up"], one["after"]["up"]) for one in found["pools"]] == [("main", 2, 1)]


def test_a_preview_weighs_by_what_was_answered_of_late() -> None:
    world = judged()
    found = moves(world, order("main", "weight"), order("pool:main"), play=100)
    assert (found["share"], found["share_by"]) == (1.0, "answers")
    halved = moves(world, order("a1", "weight", 1 / 3), play=1, other=1)
    assert halved["share"] == 0.25  # 3 : 1 becomes 1 : 1


def test_a_preview_shows_who_falls_a_rung_and_who_is_left_with_nothing_first() -> None:
    world = judged(config(when="nodata").replace("other: {try: [main]", "other: {when_all_down: nodata, try: [main]"))
    found = moves(world, order("pool:main"))
    other, play = found["names"]
    assert (other["name"], other["left_with_nothing"], other["after"]["rung"]) == (
        "other.live.example.com.", True, "last_resort",
    )  # fmt: skip
    assert (play["after"], play["left_with_nothing"]) == ({"rung": "fallback", "pool": "backup"}, False)
    assert found["left_with_nothing"] == 1
    assert [one["after"]["usable"] for one in found["pools"]] == [False]


def test_a_preview_changes_nothing() -> None:
    world = judged()
    before = world.brain.current_table()
    moves(world, order("*", "down"), order("a1", "up"), lifted=("a1",))
    world.run(0.1)
    assert world.brain.current_table() == before
    assert world.brain.effects() == []


def test_names_are_capped_and_counted() -> None:
    steer = "".join(f"      n{number}: {{try: [main], ttl: 5s..30s}}\n" for number in range(300))
    found = moves(judged(config() + steer), order("a1"))
    assert (len(found["names"]), found["names_total"]) == (preview.MOST_NAMES, 302)


@pytest.mark.parametrize("what", ["drain", "down"])
def test_the_last_member_of_a_pool_stays(what: str) -> None:
    world = judged(FLOORS + config())
    assert broken(world, order("a1", what)) == []
    assert broken(world, order("a1", what), order("a2", what)) == ["pool main 0", "name other.live.example.com 0"]
    world.sick["a2"] = "connection refused"
    world.run(2)
    assert broken(world, order("a1", what))[0] == "pool main 0"


def test_weight_zero_takes_out_of_service_and_other_weights_do_not() -> None:
    world = judged(FLOORS + config())
    assert broken(world, order("pool:main", "weight", 0.0))[0] == "pool main 0"
    assert broken(world, order("pool:main", "weight", 0.01)) == []


def test_the_release_of_a_force_up_counts() -> None:
    world = judged(FLOORS + config())
    world.sick |= {"a1": "connection refused", "a2": "connection refused"}
    world.run(2)
    world.order(order("a1", "up"))
    world.run(0.1)
    assert broken(world)[0] == "pool main 0"


def test_a_name_keeps_a_member_over_all_its_pools() -> None:
    world = judged("orders: {keep_up: {}}\n" + config())
    assert broken(world, order("pool:main")) == ["name other.live.example.com 0"]
    assert broken(world, order("*"))[-1] == "name play.live.example.com 0"


def test_a_site_counts_whoever_serves_there() -> None:
    world = judged("orders: {keep_up: {site: 1, name: 0}}\n" + config())
    assert broken(world, order("site:fra")) == ["site fra 0"]
    assert broken(world, order("b1")) == []


def test_A6_a_forced_down_router_takes_its_dependants_out_of_service() -> None:
    text = FLOORS + config().replace("site: fra}", "site: fra, depends_on: [router]}", 1)
    text = text.replace("endpoints:\n", "endpoints:\n  router: {address: 192.0.2.1, check: web}\n", 1)
    world = judged(text)
    assert broken(world, order("router", "down"), order("a2")) == ["pool main 0", "name other.live.example.com 0"]
    assert broken(world, order("router"), order("a2")) == []  # a drained router still routes


TEXT = (
    config(failback="20s")
    .replace("site: fra}", "site: fra, depends_on: [b2]}", 1)
    .replace("answers: 1", "answers: 2, slow_start: 9s", 1)
)
TARGETS = ("a1", "a2", "b1", "b2", "pool:main", "site:nyc", "a*", "*")
GIVEN = st.lists(
    st.tuples(st.sampled_from(TARGETS), st.sampled_from(["drain", "down", "up", "weight"]), st.sampled_from([0, 0.5])),
    max_size=4,
)


@given(
    sick=st.sets(st.sampled_from(["a1", "a2", "b1", "b2"])),
    again=st.sets(st.sampled_from(["a1", "a2", "b1", "b2"])),
    given_before=GIVEN,
    given_after=GIVEN,
    lifted=st.sampled_from(["", "a1", "pool:main"]),
)
@settings(max_examples=60, deadline=None)
def test_what_is_foretold_is_what_the_order_then_does(
    sick: set[str],
    again: set[str],
    given_before: list[tuple[str, str, float]],
    given_after: list[tuple[str, str, float]],
    lifted: str,
) -> None:
    world = judged(TEXT)
    world.sick |= dict.fromkeys(sick, "connection refused")
    world.run(3)
    for one in again & sick:
        del world.sick[one]
    world.run(4)
    before = [order(*one, at=WALL_S + at) for at, one in enumerate(given_before)]
    after = [order(*one, at=WALL_S + 10 + at) for at, one in enumerate(given_after)]
    world.order(*before)
    world.run(0.5)
    mind = world.brain
    covered = {"": (), "a1": ("a1",), "pool:main": ("a1", "a2")}[lifted]
    judge, touched = suppose.under(after, covered, mind.snapshot, mind.health.told(), world.now)
    foretold = [decided(mind, index, world.now, judge) for index in range(len(mind.snapshot.policies))]
    untouched = {
        index: mind.of_policy(index) for index in set(range(len(mind.snapshot.policies))) - mind.policies_of(touched)
    }
    world.order(*after, released=(lifted,) if lifted else ())
    world.brain.wake(world.now)  # what follows at once
    now = [decided(mind, index, world.now, None) for index in range(len(mind.snapshot.policies))]
    assert now == foretold
    assert all(decided(mind, index, world.now, None) == shown(same) for index, same in untouched.items())


def decided(mind: brain.Brain, index: int, now: float, judge: suppose.Judge | None) -> list[tuple[object, ...]]:
    policy = mind.snapshot.policies[index]

    def supposed(pool: model.Pool, name: str, family: model.Family) -> seen.Verdict:
        assert judge is not None
        return judge(pool, name, family, policy)

    made = [
        mind.decide(policy, who, (family,), now, supposed if judge else None)[0]
        for who in mind.partition.by_policy[index].audiences
        for family in brain.FAMILIES
    ]
    return shown(made)


def shown(decisions: list[seen.Decision]) -> list[tuple[object, ...]]:
    return [(one.rung, one.pool, one.replies, one.slots) for one in decisions]
