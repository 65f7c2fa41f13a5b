"""A small configuration built in a line or two, and a run of it as fast as arithmetic: probes answer by decree."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gtm import model, seen
from gtm.health import engine, news

START_S = 1000.0  # the monotonic clock begins anywhere but at 0
WALL_S = 1_700_000_000.0  # wall clock minus monotonic clock

TCP = model.Profile("tcp", "tcp")
STREAM = model.Profile("hls", "hls", per_name=True)


def expr(*names: str, need: int | None = None) -> model.CheckExpr:
    return model.CheckExpr(names, len(names) if need is None else need)


def pool(name: str, *members: str, check: model.CheckExpr | None = None, **more: Any) -> model.Pool:
    return model.Pool(name, tuple(model.Member(one) for one in members), check=check, **more)


def policy(*pools: str, name: str = "", check: model.CheckExpr | None = None) -> model.Policy:
    return model.Policy((model.Rule(None, pools),), check=check, name=name)


@dataclass
class World:
    """Nouns to make a Snapshot of. Pools' members that nobody defined get an IPv4 address and no site."""

    pools: list[model.Pool]
    profiles: list[model.Profile] = field(default_factory=lambda: [TCP])
    endpoints: list[model.Endpoint] = field(default_factory=list)
    sites: list[model.Site] = field(default_factory=list)
    policies: list[model.Policy] = field(default_factory=list)
    guard: float | None = None
    flap: model.FlapSettings = field(default_factory=lambda: model.FlapSettings(returns=0))

    def snapshot(self) -> model.Snapshot:
        """Return the whole with its checks, made as the loader makes them."""
        endpoints = {one.name: one for one in self.endpoints}
        for one in self.pools:
            for member in one.members:
                if member.endpoint not in endpoints:
                    endpoints[member.endpoint] = model.Endpoint(member.endpoint, ipv4=f"192.0.2.{len(endpoints) + 1}")
        policies = self.policies or [policy(*(one.name for one in self.pools))]
        profiles = {one.name: one for one in self.profiles}
        checks: dict[model.CheckKey, model.Check] = {}

        def need(expression: model.CheckExpr | None, endpoint: model.Endpoint, name: str) -> None:
            for profile in (profiles[one] for one in (expression.of if expression else ())):
                if profile.per_name and not name:
                    continue
                for family in endpoint.families():
                    key = model.CheckKey(profile.name, endpoint.name, family, name if profile.per_name else "")
                    checks[key] = model.Check(key, profile, endpoint.answer(family), 80, endpoint.name)

        by_name = {one.name: one for one in self.pools}
        for endpoint in endpoints.values():
            if endpoint.check is not None:
                need(endpoint.check, endpoint, "")
        for laid in policies:
            for name in {name for rule in laid.rules for name in rule.pools}:
                for member in by_name[name].members:
                    endpoint = endpoints[member.endpoint]
                    own = endpoint.check if endpoint.check is not None else by_name[name].check
                    need(own, endpoint, laid.name)
                    need(laid.check, endpoint, laid.name)
        return model.Snapshot(
            digest="d", node="ns1", dns=model.DnsSettings(), web=model.WebSettings(), store="memory:",
            geo_databases=(), regions={}, profiles=profiles, endpoints=endpoints,
            sites={one.name: one for one in self.sites}, pools=by_name, policies=tuple(policies), zones=(),
            checks=checks, guard_min_alive=self.guard, flap=self.flap,
        )  # fmt: skip


Answer = bool | None | str
"""What a probe finds: good, bad at once, could not run; `"silent"`: bad after the time-out; `"cut off"`: no way."""


class Run:
    """A Health under way. `say` decides what each probe finds; nothing here waits for anything."""

    def __init__(
        self,
        world: World,
        *,
        remembered: Mapping[model.CheckKey, seen.Known] | None = None,
        dice: Callable[[], float] | None = None,
    ) -> None:
        self.world = world
        self.snapshot = world.snapshot()
        self.health = engine.Health("ns1")
        self.now = START_S
        self.answers: dict[str, Answer] = {}
        self.dice = dice or random.Random(1).random
        self.log: list[tuple[float, news.Transition]] = []
        self.probed: list[tuple[float, model.CheckKey]] = []
        self._under_way: list[tuple[float, int, model.CheckKey, Answer]] = []
        self.health.configure(self.snapshot, self.now, self.dice, remembered or {})

    def finds(self, what: str, answer: Answer) -> None:
        """Let probes of `what` (an endpoint, endpoint/name, or a whole check's text) find `answer` from now on."""
        self.answers[what] = answer

    def reload(self, world: World) -> None:
        self.world, self.snapshot = world, world.snapshot()
        self.health.configure(self.snapshot, self.now, self.dice, {})

    def order(self, *orders: seen.Override, released: tuple[str, ...] = ()) -> set[str]:
        return self.health.orders(orders, self.now, WALL_S, released)

    def go(self, for_s: float) -> list[news.Transition]:
        """Let `for_s` seconds pass; return what people heard (no `step`)."""
        end, heard = self.now + for_s, []
        while True:
            times = [at for at in (self.health.wake_at(), self._under_way[0][0] if self._under_way else None) if at]
            if not times or min(times) > end:
                break
            self.now = max(self.now, min(times))
            heard += self._note(self.health.wake(self.now))
            for check in self.health.due(self.now):
                self._start(check)
            while self._under_way and self._under_way[0][0] <= self.now:
                _, _, key, answer = heapq.heappop(self._under_way)
                heard += self.result(key, answer)
        self.now = end
        return heard

    def result(self, key: model.CheckKey, answer: Answer, **more: Any) -> list[news.Transition]:
        if answer == "cut off":
            answer, more = None, {**more, "cut_off": True}
        ok = False if answer == "silent" else answer
        reason = {True: "", None: "no socket", False: "refused"}[ok]  # type: ignore[index]
        result = seen.ProbeResult(key, "ns1", self.now, ok, "timed out" if answer == "silent" else reason, **more)  # type: ignore[arg-type]
        return self._note(self.health.came(result, self.now))

    def verdict(
        self, endpoint: str, pool: str = "", family: model.Family = "ipv4", policy: model.Policy | None = None
    ) -> seen.Verdict:
        of = self.snapshot.pools[pool or next(iter(self.snapshot.pools))]
        return self.health.verdict(of, endpoint, family, policy or self.snapshot.policies[0], self.now)

    def state(self, endpoint: str, family: model.Family = "ipv4") -> model.Status:
        return self.health.endpoint_state(endpoint, family).state

    def heard(self, kind: str) -> list[tuple[float, str, str, str]]:
        """Return (seconds since the start, subject, before, after) of the transitions of a kind."""
        return [(at - START_S, one.subject, one.before, one.after) for at, one in self.log if one.kind == kind]

    def _start(self, check: model.Check) -> None:
        key = check.key
        self.probed.append((self.now, key))
        answer: Answer = True
        for what in (key.endpoint, f"{key.endpoint}/{key.family}", f"{key.endpoint}/{key.name}", str(key)):
            answer = self.answers.get(what, answer)
        took_s = check.profile.timeout_s if answer == "silent" else 0.0
        heapq.heappush(self._under_way, (self.now + took_s, len(self.probed), key, answer))

    def _note(self, happened: list[news.Transition]) -> list[news.Transition]:
        self.log += [(self.now, one) for one in happened]
        return [one for one in happened if one.kind != "step"]


def order(what: str, target: str, *, value: float = 1.0, at: float = WALL_S, until: float = 0.0) -> seen.Override:
    return seen.Override(f"{what}-{target}-{at}", target, what, value, "ops", "works", at, until)  # type: ignore[arg-type]


def quick(profile: model.Profile = TCP, **more: Any) -> model.Profile:
    """Return a profile that judges at the first result each way, so that a test counts nothing."""
    return replace(profile, fall=1, rise=1, **more)
