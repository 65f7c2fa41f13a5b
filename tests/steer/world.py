"""A small world for the tests of steering: pools, endpoints and verdicts in a line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtm import model, seen
from gtm.steer import audience, tiers

KEY = b"test"


class World:
    """Endpoints, pools and what is thought of them. Verdicts are up unless `think` says otherwise."""

    def __init__(self) -> None:
        self.endpoints: dict[str, model.Endpoint] = {}
        self.pools: dict[str, model.Pool] = {}
        self.sites: dict[str, model.Site] = {}
        self.judged = True
        self._thoughts: dict[tuple[str, str | None], dict[str, Any]] = {}
        self._next = 1

    def endpoint(self, name: str, families: str = "4", **fields: Any) -> None:
        """Add an endpoint with addresses of its own; `families` is "4", "6", "46" or "c" for a host name."""
        number, self._next = self._next, self._next + 1
        if "4" in families:
            fields.setdefault("ipv4", f"192.0.2.{number}")
        if "6" in families:
            fields.setdefault("ipv6", f"2001:db8::{number}")
        if "c" in families:
            fields.setdefault("hostname", f"{name}.cdn.example.")
        self.endpoints[name] = model.Endpoint(name, **fields)

    def pool(self, name: str, members: str | Mapping[str, tuple[int, int]], **fields: Any) -> model.Pool:
        """Add a pool. `members` is "a:3 b c:1:2" (name, weight, tier); unknown endpoints are made, IPv4 only."""
        rows = []
        for text in members.split() if isinstance(members, str) else []:
            endpoint, *rest = text.split(":")
            if endpoint not in self.endpoints:
                self.endpoint(endpoint)
            rows.append(model.Member(endpoint, *(int(one) for one in rest)))
        self.pools[name] = model.Pool(name, tuple(rows), **fields)
        return self.pools[name]

    def think(self, endpoint: str, family: str | None = None, **fields: Any) -> None:
        """Say what the verdict of an endpoint is (in one family, or in all)."""
        self._thoughts[endpoint, family] = fields

    def down(self, *endpoints: str, family: str | None = None) -> None:
        for endpoint in endpoints:
            self.think(endpoint, family, eligible=False, state="down", why="down")

    def verdict(self, pool: model.Pool, endpoint: str, family: model.Family) -> seen.Verdict:
        thought = self._thoughts.get((endpoint, family)) or self._thoughts.get((endpoint, None)) or {}
        fields: dict[str, Any] = {"eligible": True, "state": "up", "steps_s": 10.0} | thought
        return seen.Verdict(endpoint, family, **fields)

    def decide(
        self, policy: model.Policy, family: model.Family = "ipv4", who: audience.Audience = audience.EVERYBODY
    ) -> seen.Decision:
        return tiers.decide(
            policy,
            who,
            (family,),
            pools=self.pools,
            endpoints=self.endpoints,
            verdict=self.verdict,
            judged=self.judged,
            shared_key=KEY,
        )[0]


def policy(*pools: str, **fields: Any) -> model.Policy:
    """A policy with one rule for everybody."""
    return model.Policy((model.Rule(None, pools),), **fields)


def snapshot(*policies: model.Policy, world: World | None = None) -> model.Snapshot:
    """A whole configuration around `policies`."""
    world = world or World()
    return model.Snapshot(
        digest="", node="ns1", dns=model.DnsSettings(), web=model.WebSettings(), store="memory:", geo_databases=(),
        regions={}, profiles={}, endpoints=world.endpoints, sites=world.sites, pools=world.pools,
        policies=policies, zones=(), checks={},
    )  # fmt: skip


def firsts(decision: seen.Decision) -> list[str]:
    """The endpoint that stands first, slot by slot."""
    return [decision.replies[slot][0].endpoint for slot in decision.slots]


def endpoints(decision: seen.Decision) -> set[str]:
    """Every endpoint that may be answered."""
    return {answer.endpoint for reply in decision.replies for answer in reply}
