"""Results, orders, reloads and time in any order: what must hold whatever happens (semantics A1 to A13, B5)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gtm import model, seen
from gtm.health import news
from tests.health import world

ROUTER = model.Endpoint("router", ipv4="192.0.2.200", check=world.expr("tcp"))
ENDPOINTS = [
    ROUTER,
    model.Endpoint("a", ipv4="192.0.2.1", ipv6="2001:db8::1", site="fra"),
    model.Endpoint("b", ipv4="192.0.2.2", site="nyc"),
    model.Endpoint("c", hostname="c.cdn.net.", check=model.CheckExpr((), 0)),
]
SITES = [model.Site("fra"), model.Site("nyc", depends_on=("router",))]
WORLD = world.World(
    pools=[
        world.pool("p", "a", "b", "c", check=world.expr("tcp"), failback_s=20.0, slow_start_s=9.0),
        world.pool("q", "a", check=world.expr("tcp", "hls", need=1), failback_s=model.MANUAL_S),
    ],
    profiles=[world.TCP, world.STREAM],
    endpoints=ENDPOINTS,
    sites=SITES,
    policies=[
        world.policy("p", "q"),
        *(world.policy("p", "q", name=f"s{number}.tv.", check=world.expr("hls")) for number in range(3)),
    ],
    flap=model.FlapSettings(returns=2),
)
OTHERS = [
    WORLD,
    replace(WORLD, guard=0.5),
    replace(WORLD, pools=WORLD.pools[:1], policies=[world.policy("p")]),
    replace(WORLD, profiles=[replace(world.TCP, observe=True), world.STREAM]),
]
TARGETS = st.sampled_from(["a", "b", "router", "*", "site:fra", "pool:p", "nothing"])
ORDERS = st.builds(
    lambda what, target, value, for_s: (what, target, value, for_s),
    st.sampled_from(["drain", "down", "up", "weight"]),
    TARGETS,
    st.floats(0, 2),
    st.sampled_from([0.0, 5.0, 30.0]),
)


class Machine(RuleBasedStateMachine):
    """The model beside it counts results only: enough to say what must not happen."""

    @initialize(number=st.integers(0, len(OTHERS) - 1))
    def begin(self, number: int) -> None:
        self.run_ = world.Run(OTHERS[number])
        self.good_ever: set[model.CheckKey] = set()
        self.bad_ever: set[model.CheckKey] = set()
        self.orders: list[seen.Override] = []

    def _heard(self, key: model.CheckKey, ok: bool | None) -> None:
        (self.good_ever if ok else self.bad_ever if ok is False else set()).add(key)

    @rule(data=st.data(), ok=st.sampled_from([True, False, False, None]), times=st.integers(1, 4))
    def result(self, data: st.DataObject, ok: bool | None, times: int) -> None:
        keys = sorted(self.run_.snapshot.checks)
        if keys:
            key = data.draw(st.sampled_from(keys))
            for _ in range(times):
                before, since = self._decided(), len(self.run_.log)
                self.run_.result(key, ok)
                self._heard(key, ok)
                self._all_touched(before, [one for _, one in self.run_.log[since:]])

    @rule(for_s=st.floats(0.01, 15))
    def time_passes(self, for_s: float) -> None:
        for name in self.run_.snapshot.endpoints:  # nothing is answered: only silence and timers work
            self.run_.finds(name, None)
        self.run_.go(for_s)

    @rule(bad=st.sets(st.sampled_from(["a", "b", "router"])), for_s=st.floats(1, 40))
    def probes_run(self, bad: set[str], for_s: float) -> None:
        for name in self.run_.snapshot.endpoints:
            self.run_.finds(name, name not in bad)
        since = len(self.run_.probed)
        self.run_.go(for_s)
        for _, key in self.run_.probed[since:]:
            self._heard(key, key.endpoint not in bad)

    @rule(given=st.lists(ORDERS, max_size=3), released=st.lists(TARGETS, max_size=1))
    def orders_come(self, given: list[tuple[Any, ...]], released: list[str]) -> None:
        wall = self.run_.now + world.WALL_S
        self.orders = [
            world.order(what, target, value=value, at=wall + at, until=wall + for_s if for_s else 0.0)
            for at, (what, target, value, for_s) in enumerate(given)
        ]
        before = self._decided()
        affected = self.run_.order(*self.orders, released=tuple(released))
        after = self._decided()
        assert {at[1] for at in before if before[at] != after[at]} <= affected

    @rule(number=st.integers(0, len(OTHERS) - 1))
    def reload(self, number: int) -> None:
        gone = set(self.run_.snapshot.checks)
        self.run_.reload(OTHERS[number])
        gone -= set(self.run_.snapshot.checks)
        self.good_ever -= gone
        self.bad_ever -= gone

    def _decided(self) -> dict[tuple[str, str, str, int], tuple[object, ...]]:
        """Return what steering would see of every member for every policy."""
        run = self.run_
        found: dict[tuple[str, str, str, int], tuple[object, ...]] = {}
        for index, policy in enumerate(run.snapshot.policies):
            for pool in run.snapshot.pools.values():
                if pool.name not in policy.rules[0].pools:
                    continue
                for member in pool.members:
                    for family in run.snapshot.endpoints[member.endpoint].families():
                        one = run.health.verdict(pool, member.endpoint, family, policy, run.now)
                        found[pool.name, member.endpoint, family, index] = (
                            one.eligible, one.held, one.barred, one.weight_factor, one.in_doubt, one.state, one.steps_s,
                        )  # fmt: skip
        return found

    def _all_touched(self, before: dict[Any, Any], happened: list[news.Transition]) -> None:
        """Whoever steers differently now was named by some transition, with the right name."""
        after = self._decided()
        for at, was in before.items():
            if was != after[at]:
                name = self.run_.snapshot.policies[at[3]].name
                # `steps_s` counts only when the verdict is made for another reason too.
                if was[:-1] != after[at][:-1]:
                    assert any(at[1] in one.endpoints and one.name in {"", name} for one in happened), (
                        at,
                        was,
                        after[at],
                    )

    @invariant()
    def unknown_is_never_counted_down_and_down_needs_bad_results(self) -> None:
        for key, state in self.run_.health.states().items():
            if state.status == "down":
                assert key in self.bad_ever
            if state.status == "up":
                assert key in self.good_ever
            assert state.bad < max(1, self.run_.snapshot.profiles[key.profile].fall)

    @invariant()
    def verdicts_make_sense(self) -> None:
        run = self.run_
        for policy in run.snapshot.policies:
            for pool in (run.snapshot.pools[name] for name in policy.rules[0].pools):
                for member in pool.members:
                    for family in run.snapshot.endpoints[member.endpoint].families():
                        one = run.health.verdict(pool, member.endpoint, family, policy, run.now)
                        assert not (one.barred and (one.eligible or one.held))
                        assert not (one.eligible and one.held)
                        forced = "up" in one.order.split(", ")
                        assert one.eligible or one.held or one.barred or one.state == "down"
                        assert one.state != "down" or forced or not one.eligible
                        assert one.state != "unknown" or not one.held
                        assert 0.0 <= one.weight_factor < math.inf
                        assert one.steps_s > 0
                        assert one.why

    @invariant()
    def there_is_always_a_next_time_while_there_are_checks(self) -> None:
        if self.run_.snapshot.checks:
            at = self.run_.health.wake_at()
            assert at is not None
            assert at < self.run_.now + 3600


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None, derandomize=True)
