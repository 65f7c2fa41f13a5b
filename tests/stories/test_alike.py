"""Of thousands of names that fare alike a preview looks at one: what it says is what it would say of each by itself."""

from __future__ import annotations

from collections.abc import Container, Hashable
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtm import model, preview
from gtm.health import alike
from tests.stories.test_preview import finish, order
from tests.stories.world import World

NAMES = tuple(f"n{at}" for at in range(6))
CONFIG = """
orders: {keep_up: {pool: 1, site: 1, name: 1}}
flap: {window: 15m, returns: 2, hold: 30s, max: 10m}
checks:
  channel: {kind: http, path: "/{label}.m3u8", every: 1s, timeout: 500ms, fall: 2, rise: 2, confirm: 200ms}
endpoints:
  a: {address: [192.0.2.11, "2001:db8::11"], site: fra}
  b: {address: 192.0.2.12, site: fra}
  c: {address: 198.51.100.21, site: nyc}
sites: {fra: {}, nyc: {}}
pools:
  near: {members: {a: 2, b: 1}, answers: 1, check: channel HELD}
  far: {members: [c], check: none}
zones:
  tv.example.com:
    nameservers: {ns1: [203.0.113.53]}
    steer:
"""
ENDPOINTS = st.sampled_from(["a", "b", "c"])
WHERE = st.sets(st.tuples(ENDPOINTS, st.sampled_from(NAMES)), max_size=4)


def by_itself(policy: model.Policy, apart: Container[str]) -> Hashable:
    return policy.name


def foretold(world: World, target: str, what: str) -> tuple[Any, ...]:
    wish, counts = preview.Wish((order(target, what),)), {("n1.tv.example.com.", "near"): 3}
    moved = finish(preview.moves(world.brain, wish, world.now, counts))
    return moved, finish(preview.breaches(world.brain, wish, world.now))


def world(held: str = "") -> World:
    steer = "".join(f"      {name}: {{try: [{'near, far' if name < 'n4' else 'far, near'}]}}\n" for name in NAMES)
    made = World(CONFIG.replace(" HELD", held) + steer)
    made.run(3)
    assert made.brain.judged()
    return made


HELD = st.sampled_from(["", ", slow_start: 9s", ", failback: 9s"])
ORDERS = st.tuples(
    st.sampled_from(["a", "b", "c", "site:fra", "pool:near", "*"]), st.sampled_from(["drain", "up", "down"])
)


@given(dead=WHERE, away=WHERE, busy=st.sets(ENDPOINTS, max_size=1), held=HELD, wanted=ORDERS)
@settings(max_examples=40, deadline=None)
def test_what_is_said_of_names_that_fare_alike_is_true_of_each(
    dead: set[tuple[str, str]], away: set[tuple[str, str]], busy: set[str], held: str, wanted: tuple[str, str]
) -> None:
    one = world(held)
    for endpoint, name in dead | away:
        one.dead[endpoint, f"{name}.tv.example.com."] = "stands still"
    one.busy |= dict.fromkeys(busy, "too many viewers")
    one.run(4)
    for endpoint, name in away - dead:
        del one.dead[endpoint, f"{name}.tv.example.com."]
    one.run(4)  # those are back, and may be held or slowed
    assert_alike(one, *wanted)


def assert_alike(one: World, target: str, what: str) -> None:
    together = foretold(one, target, what)
    with mock.patch.object(alike, "key_of", by_itself):
        assert foretold(one, target, what) == together


@pytest.mark.parametrize(("held", "times"), [(", slow_start: 20s", 1), (", failback: 20s", 1), ("", 2)])
def test_who_came_back_and_is_held_or_slowed_fares_by_itself(held: str, times: int) -> None:
    one = world(held)
    for _ in range(times):  # the second return is flapping
        one.dead["a", "n1.tv.example.com."] = "stands still"
        one.run(3)
        del one.dead["a", "n1.tv.example.com."]
        one.run(4)
    assert one.brain.health.told().restless() == {"n1.tv.example.com."}
    assert_alike(one, "b", "drain")
    assert_alike(one, "a", "drain")


@pytest.mark.parametrize("name", [*NAMES, ""])
def test_only_who_is_restless_is_looked_at_by_itself(name: str) -> None:
    one = world()
    if name:
        one.dead["a", f"{name}.tv.example.com."] = "stands still"
        one.run(3)
    told = one.brain.health.told()
    assert told.restless() == ({f"{name}.tv.example.com."} if name else set())
    keys = {alike.key_of(policy, told.restless()) for policy in one.brain.snapshot.policies}
    assert len(keys) == 2 + bool(name)  # two ways of steering, and the one that fares by itself
