"""From probes to people: a real brain's events and what it sees in, the messages that would have been sent out."""

from __future__ import annotations

import itertools
import types
from dataclasses import replace
from typing import Any, cast

from gtm import model, seen
from gtm.alerts import facts, rules, words
from gtm.app import sight
from tests.stories.world import World

EDGES = 40
CONFIG = f"""
node: ns1
checks: {{edge: {{kind: tcp, port: 443, every: 10s, timeout: 1s}}, look: {{kind: tcp, port: 80, observe: true}}}}
sites: {{fra: {{at: EU-DE}}, nyc: {{at: NA-US-NY}}}}
endpoints:
  router: {{address: 203.0.113.1, check: edge}}
  behind-1: {{address: 203.0.113.2, depends_on: [router]}}
  behind-2: {{address: 203.0.113.3, depends_on: [router]}}
  nyc-1: {{address: 198.51.100.1, site: nyc}}
  nyc-2: {{address: 198.51.100.2, site: nyc, check: [edge, look]}}
{"".join(f"  fra-{n}: {{address: 192.0.2.{n}, site: fra}}{chr(10)}" for n in range(1, EDGES + 1))}
pools:
  eu: {{members: [{", ".join(f"fra-{n}" for n in range(1, EDGES + 1))}], check: edge}}
  us: {{members: [nyc-1, nyc-2], check: edge}}
  far: {{members: [behind-1, behind-2], check: edge}}
zones:
  example.com:
    nameservers: {{ns1: [203.0.113.53]}}
    steer: {{play: [eu, us], live: [eu, us], vod: [far, us]}}
"""
FRA = [f"fra-{n}" for n in range(1, EDGES + 1)]
EVERYTHING = model.Receiver("ops", "exec", ("endpoint", "check", "pool", "name", "guard"))


class Watched:
    """A world with alerting over it, driven second by second."""

    def __init__(self, *receivers: model.Receiver) -> None:
        self.world = World(CONFIG)
        self.node: Any = types.SimpleNamespace(
            brain=self.world.brain, book=types.SimpleNamespace(works=True), path="gtm.yaml",
            config_accepted=True, config_trouble="",
            in_force=lambda: self.world.brain.health.in_force(self.world.now),
        )  # fmt: skip
        self.node.snapshot = replace(self.world.brain.snapshot, alerts=receivers or (EVERYTHING,))
        self._ids = map(str, itertools.count(1))
        self.sight = sight.Sight(cast(Any, self.node))
        self.rules = self.begun()
        self._heard = 0
        self.run(20)

    def begun(self) -> rules.Rules:
        made = rules.Rules(lambda: next(self._ids))
        made.configure(self.node.snapshot, self.sight, {})
        return made

    def run(self, for_s: int) -> list[words.Message]:
        said = []
        for _ in range(for_s):
            self.world.run(1)
            for event in self.world.log[self._heard :]:
                self.rules.hear(event, self.world.now)
            self._heard = len(self.world.log)
            said += [message for _, message in self.rules.wake(self.world.now)]
        return said


def test_a_site_of_forty_endpoints_falls_and_rises_and_that_is_two_messages() -> None:
    it = Watched()
    it.world.sick |= dict.fromkeys(FRA, "connection refused")
    (said,) = it.run(120)
    assert (said.what, said.group) == ("firing", "site:fra")
    assert "40 of 40 endpoints are down; pool eu failed" in said.title
    assert "play.example.com" in said.title
    assert "is answered from us now (fallback)" in said.text
    assert "37 more: is down (connection refused)" in said.text
    it.world.sick.clear()
    (over,) = it.run(120)
    assert (over.what, over.incident) == ("resolved", said.incident)
    assert it.run(60) == []
    assert not any(one.facts for one in it.rules.incidents.values())


def test_a_router_takes_what_is_behind_it_along_in_one_message() -> None:
    it = Watched()
    it.world.sick["router"] = "time-out"
    (said,) = it.run(60)
    assert said.group == "endpoint:router"
    assert said.title.startswith("[ns1] ERROR: router is down, and 2 endpoints behind it; pool far failed")


def test_a_check_that_only_observes_is_told_and_its_end_too() -> None:
    it = Watched()
    for _ in range(2):
        it.world.sick["nyc-2"] = "no banner"
        assert [one.what for one in it.run(60)] == ["firing"]
        it.world.sick.clear()
        it.run(60)
        it.rules.review(it.world.now)
        assert it.sight.present() == []
        it.run(60)


def test_drained_endpoints_may_fall_unheard_and_are_heard_of_when_they_are_released() -> None:
    it = Watched()
    it.world.order(seen.Override("o", "site:fra", "drain"))
    it.run(10)
    it.world.sick |= dict.fromkeys(FRA, "connection refused")
    assert it.run(300) == []
    it.world.order()
    assert [one.what for one in it.run(30)] == ["firing"]


def test_a_look_at_the_node_finds_all_that_its_events_said_and_nothing_else() -> None:
    it = Watched()
    it.world.sick |= {**dict.fromkeys(FRA, "connection refused"), "nyc-1": "time-out"}
    it.run(60)
    heard = {one.key: one for incident in it.rules.incidents.values() for one in incident.facts.values()}
    found = {one.key: one for one in it.sight.present()}
    assert found.keys() == heard.keys()
    assert len(found) == EDGES + 1 + 1 + 2
    for key, fact in found.items():
        assert (fact.state, fact.severity, fact.reason) == (
            heard[key].state, heard[key].severity, heard[key].reason,
        )  # fmt: skip
        assert it.sight.still(fact)
    again = it.begun()
    again.review(it.world.now, whole=True)
    it.rules = again
    assert sorted(one.group for one in it.run(30)) == ["site:fra", "site:nyc"]
    it.world.sick.clear()
    it.run(60)
    assert not any(map(it.sight.still, found.values()))


def test_what_is_not_there_any_more_is_wrong_no_more() -> None:
    it = Watched()
    for kind, subject, state in (
        ("endpoint", "gone", "down"),
        ("pool", "gone", "failed"),
        ("name", "gone.", "fallback"),
    ):
        fact = facts.wrong(cast(Any, kind), subject, state, since=0, reason="", family="ipv4")
        assert not it.sight.still(fact)
    assert not it.sight.still(facts.Fact("check", "edge/gone/ipv4", "", "down", 0, "", "warning"))
    assert not it.sight.still(facts.Fact("guard", "ns1", "", "tripped", 0, "", "critical"))
    assert (it.sight.serving("gone."), it.sight.pool("gone")) == ((), "no longer configured")
