"""A small world that is told what happens, second by second; the messages that its people get come out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from gtm import events, model
from gtm.alerts import facts, outbox, rules, words
from tests.config import reading

NOW = 1_700_000_000.0
EDGES = 40
HEAD = """
node: ns1
web: {url: "https://gtm.example.com"}
checks: {edge: {kind: tcp, port: 443, every: 5s}}
sites: {fra: {at: EU-DE}, nyc: {at: NA-US-NY}}
"""
ZONES = """
zones:
  example.com:
    nameservers: {ns1: [203.0.113.53]}
    steer: {play: [eu, us], live: [eu, us], vod: [us]}
"""


def world(alerts: str, edges: int = EDGES) -> str:
    """Return a configuration: so many edges in fra, behind a router; two in nyc; one nowhere."""
    fra = "".join(f"  fra-{n}: {{address: 192.0.2.{n}, site: fra}}\n" for n in range(1, edges + 1))
    members = ", ".join(f"fra-{n}" for n in range(1, edges + 1))
    return f"""{HEAD}
alerts: {alerts}
endpoints:
{fra}  nyc-1: {{address: 198.51.100.1, site: nyc}}
  nyc-2: {{address: [198.51.100.2, "2001:db8::2"], site: nyc}}
  router: {{address: 203.0.113.1, check: edge}}
  behind: {{address: 203.0.113.2, depends_on: [router]}}
  alone: {{address: 203.0.113.9}}
pools:
  eu: {{members: [{members}], check: edge}}
  us: {{members: [nyc-1, nyc-2, behind, alone], check: edge}}
{ZONES}"""


class Sight:
    """What the node sees: as the story told it, unless the story says otherwise."""

    def __init__(self) -> None:
        self.wrong: dict[str, facts.Fact] = {}
        self.at_work: set[str] = set()

    def still(self, fact: facts.Fact) -> bool:
        return fact.key in self.wrong

    def present(self) -> list[facts.Fact]:
        return [one for one in self.wrong.values() if one.kind != "check"]

    def ordered(self, endpoint: str) -> bool:
        return endpoint in self.at_work

    def serving(self, name: str) -> tuple[str, ...]:
        return ("us",)

    def pool(self, name: str) -> str:
        return "0 of 40 up"


class Story:
    """Runs the rules a second at a time; what was said stands in `said` as (second, receiver, message)."""

    def __init__(self, alerts: str, edges: int = EDGES, refresh_s: Mapping[str, float] | None = None) -> None:
        self.snapshot = reading.snapshot(world(alerts, edges))
        self.sight, self.now, self.refresh_s = Sight(), NOW, refresh_s or {}
        self.waiting: set[tuple[str, str]] = set()  # receivers that have yet to take a message about an incident
        self.papers: dict[tuple[str, str], str | None] = {}
        self.said: list[tuple[int, str, words.Message]] = []
        self._ids = map(str, itertools.count(1))
        self.rules = self._begun()

    def _begun(self) -> rules.Rules:
        made = rules.Rules(lambda: next(self._ids), lambda receiver, incident: (receiver, incident) in self.waiting)
        made.configure(self.snapshot, self.sight, self.refresh_s)
        return made

    def reload(self, alerts: str) -> None:
        """Put other receivers in force."""
        self.snapshot = reading.snapshot(world(alerts))
        self.rules.configure(self.snapshot, self.sight, self.refresh_s)

    def restart(self) -> None:
        """Kill the process: what was not written is gone."""
        self.rules = self._begun()
        kept = [words.incident(body) for (kind, _), body in self.papers.items() if kind == rules.KIND and body]
        self.rules.recall(kept)
        self.rules.review(self.now, whole=True)

    def hear(self, kind: events.EventKind, subject: str, after: str, cause: str = "", before: str = "") -> None:
        """Let something happen now."""
        event = events.Event(self.now, kind, subject, before, after, cause)
        said = facts.read(event)
        if said is not None and said[0] == "wrong":
            self.sight.wrong[said[1].key] = said[1]
        elif said is not None:
            self.sight.wrong.pop(said[1].key, None)
        self.rules.hear(event, self.now)

    def down(self, *endpoints: str, why: str = "connection refused", family: model.Family = "ipv4") -> None:
        for one in endpoints:
            self.hear("endpoint", one, "down", f"{family}: {why}")

    def up(self, *endpoints: str, family: model.Family = "ipv4") -> None:
        for one in endpoints:
            self.hear("endpoint", one, "up", f"{family}: up")

    def run(self, for_s: int) -> list[words.Message]:
        """Let so many seconds pass; return what was said in them."""
        before = len(self.said)
        for _ in range(for_s):
            self.now += 1
            for receiver, message in self.rules.wake(self.now):
                self.said.append((int(self.now - NOW), receiver, message))
            self.papers.update(self.rules.written())
        return [message for _, _, message in self.said[before:]]

    def site_falls(self) -> None:
        """Let fra fall, edge by edge, as probes find it; then the pool and the names."""
        for n in range(1, EDGES + 1):
            self.down(f"fra-{n}", why="connection refused" if n > 2 else "status 503")
            if n % 8 == 0:
                self.run(1)
        self.hear("pool", "eu", "failed", "0 of 40 up")
        for name in ("play", "live"):
            self.hear("name", f"{name}.example.com.", "fallback", "rule 1; pool us; eu failed: 0 of 40 up; ttl 5")

    def site_rises(self) -> None:
        """Bring fra back."""
        self.up(*(f"fra-{n}" for n in range(1, EDGES + 1)))
        self.hear("pool", "eu", "usable", "40 of 40 up")
        for name in ("play", "live"):
            self.hear("name", f"{name}.example.com.", "first", "rule 1; pool eu; ttl 5")


def whats(messages: list[words.Message]) -> list[str]:
    """Return what kind of message each one is."""
    return [one.what for one in messages]


__all__ = ["NOW", "Story", "outbox", "whats", "world"]
