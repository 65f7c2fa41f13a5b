"""However a configuration is broken, reading it ends with a snapshot or with problems, and never raises."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from gtm.config import plan, show
from tests.config.reading import WORLD, read, snapshot

TREE: dict[str, Any] = yaml.safe_load(
    WORLD
    + """
dns: {listen: ["127.0.0.1:5300"], rate_limit: {responses_per_second: 5}, tcp: {idle: 5s}}
web: {tokens: [{name: x, role: viewer, secret_env: X}]}
geo: {databases: [x.mmdb], regions: {n: [EU-SE, AS1, 192.0.2.0/24]}}
guard: {min_alive: 30%}
flap: {returns: 5}
alerts: [{kind: slack, url_env: X, on: [pool]}]
include: [x.yaml]
"""
)
WHOLE = snapshot(WORLD)


def paths(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every node below the root."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [found for key, one in items for found in ((*path, key), *paths(one, (*path, key)))]


PATHS = paths(TREE)
ODD = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(-5, 2**40),
    some.floats(),
    some.text(max_size=20),
    some.sampled_from(
        ["none", "eu", "a", "@", "*", "..", "0/0", "fe80::1", "5s..1s", "{name}", "status in", "EU-", "off"]
    ),
    some.just({}),
    some.just([]),
    some.just([[]]),
    some.just({"a": {}}),
    some.dictionaries(
        some.sampled_from(["try", "for", "rules", "any", "of", "kind", "a"]), some.text(max_size=5), max_size=3
    ),
    some.lists(some.one_of(some.text(max_size=5), some.integers()), max_size=3),
)


def put(tree: Any, path: tuple[Any, ...], value: Any) -> None:
    for part in path[:-1]:
        if not isinstance(tree, dict | list) or (isinstance(tree, list) and not isinstance(part, int)):
            return
        if (isinstance(tree, dict) and part not in tree) or (isinstance(tree, list) and part >= len(tree)):
            return
        tree = tree[part]
    if isinstance(tree, dict) or (isinstance(tree, list) and isinstance(path[-1], int) and path[-1] < len(tree)):
        tree[path[-1]] = value


@given(some.lists(some.tuples(some.sampled_from(PATHS), ODD), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_mutated_configuration_never_raises(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    tree = copy.deepcopy(TREE)
    for path, value in changes:
        put(tree, path, copy.deepcopy(value))
    text = yaml.safe_dump(tree, allow_unicode=True)
    loaded = read(text, {"x.yaml": "sites: {z: {}}\n"})
    assert (loaded.snapshot is None) == any(one.severity == "error" for one in loaded.problems)
    assert all(one.mark is not None and one.message for one in loaded.problems)
    show.problems(loaded.problems, loaded.texts)
    if loaded.snapshot is not None:
        assert 0 <= plan.compare(WHOLE, loaded.snapshot).moved_share <= 1


@given(some.data())
@settings(max_examples=100, deadline=None)
def test_a_damaged_text_never_raises(data: some.DataObject) -> None:
    at = data.draw(some.integers(0, len(WORLD) - 1))
    size = data.draw(some.integers(0, 6))
    text = WORLD[:at] + data.draw(some.text(max_size=4)) + WORLD[at + size :]
    loaded = read(text)
    assert (loaded.snapshot is None) == any(one.severity == "error" for one in loaded.problems)
