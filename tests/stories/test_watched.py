"""A watched process dies: its check looks at once, is confirmed fast, and answers change long before the interval."""

from __future__ import annotations

from gtm import events, model
from tests.stories import world

CONFIG = """
node: ns1
checks:
  edge: {kind: http, every: 10s, timeout: 2s, fall: 3, watch: true}
endpoints:
  a: {address: 192.0.2.1}
  b: {address: 192.0.2.2}
pools:
  edges: {members: [a, b], answers: 1, check: edge}
zones:
  live.example.com:
    nameservers: {ns1: [203.0.113.53]}
    hostmaster: ops@example.com
    steer: {play: edges}
"""
KEY = model.CheckKey("edge", "a", "ipv4")


def watch_breaks(here: world.World) -> None:
    here.brain.feed(events.WatchBroke((KEY,)), here.now)


def test_A2_a_broken_watch_is_no_verdict_but_three_failures_are_and_they_come_fast() -> None:
    here = world.World(CONFIG)
    here.run(35)
    here.sick["a"] = "connection refused"
    watch_breaks(here)
    here.run(0.1)
    assert here.ever("play.live.example.com") == {"192.0.2.1", "192.0.2.2"}, "three results are not in yet"
    here.run(0.1)
    assert here.ever("play.live.example.com") == {"192.0.2.2"}


def test_an_ordinary_end_of_a_connection_costs_one_probe_and_changes_nothing() -> None:
    here = world.World(CONFIG)
    here.run(31)
    before = len(here.probed)
    watch_breaks(here)
    here.run(0.5)
    assert here.probed[before:] == [(here.probed[before][0], str(KEY))]
    here.run(60)
    assert here.said("endpoint", "a") == [("unknown", "up")]
    assert here.ever("play.live.example.com") == {"192.0.2.1", "192.0.2.2"}


def test_a_break_of_a_check_that_a_reload_took_away_is_passed_over() -> None:
    here = world.World(CONFIG)
    here.run(5)
    here.brain.feed(events.WatchBroke((model.CheckKey("gone", "a", "ipv4"),)), here.now)
    here.run(1)
    assert here.ever("play.live.example.com") == {"192.0.2.1", "192.0.2.2"}
