"""The node's single mind: changes and the time come in, effects come out; it dispatches and does not compute.

Health says what each member is worth (`gtm.health`), steering what each audience gets (`gtm.steer`), the compiler
what goes over the wire (`gtm.wire`). What is kept here is only what ties them together: which rings a change of one
endpoint touches, the growing revision (semantics G1), and the last decision of each ring, for people to look at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from gtm import events, model, seen
from gtm import table as tables
from gtm.health import engine, kept, news
from gtm.health import orders as given
from gtm.steer import audience, dirty, followed, services, tiers, users
from gtm.wire import bindings, overlay
from gtm.wire import compile as compiler

# All remembered health is written this often, so that it stays young (semantics A1: it is worth five minutes). What
# has changed is written at once: a dead endpoint must not come back to life because this process died (section 6).
REMEMBER_S = 5.0
# So many decisions are made in one go: some ten milliseconds, in which no probe leaves. What remains of a big
# configuration, or of a storm that touches everything, is done at the next wakes, which follow at once.
SLICE = 128
# Keys the sticky hash. A constant, so that every nameserver with the same pools gives a client the same member (B8)
# and an edit elsewhere in the configuration moves nobody.
STICKY_KEY = b"gtm sticky ring 1"
FAMILIES: tuple[model.Family, ...] = ("ipv4", "ipv6", "cname")
ALIKE = -1  # the view of all policies without checks of their own

_Prepared = tuple[model.Snapshot, seen.Networks, audience.Partition, compiler.Grown, users.Users]
Judge = kept.Judge
Remembered = Mapping[model.CheckKey, seen.Known]


class Brain:
    """One nameserver's mind. All times are monotonic seconds; `wall_offset_s` turns them into wall-clock ones."""

    def __init__(
        self, node: str, *, dice: Callable[[], float], first_revision: int = 1, remembered: Remembered | None = None
    ) -> None:
        self.node = node
        self.wall_offset_s = 0.0
        self.health = engine.Health(node)
        # From the first ConfigCame on; nobody asks before.
        self.snapshot: model.Snapshot
        self.partition: audience.Partition
        self._table: tables.AnswerTable
        self._users = users.Users({}, {}, ())
        self.overlay = overlay.Overlay()
        self._prepared: _Prepared | None = None
        self._configured = False
        self._decisions: list[seen.Decision] = []
        self._rungs: dict[int, model.Rung] = {}
        self._pools: dict[str, seen.Tried] = {}
        self._growth: Iterator[int] = iter(())
        self.growing = False  # a configuration is in force of which not everything is decided yet
        self.revision = first_revision
        self.orders: tuple[seen.Override, ...] = ()
        self._dice = dice
        self._remembered: Remembered = remembered or {}
        self._effects: list[events.Effect] = []
        self._rings: list[tables.Ring] = []
        self._first_ring: list[int] = []
        self._first_service: dict[int, int] = {}
        self.serials: dict[str, int] = {}  # of the zones that are transferred; set before a ConfigCame
        self._soa_rings: dict[str, int] = {}
        self.hosts: Mapping[str, seen.Followed] = {}  # where the host names lead that are followed
        self._now_s = 0.0
        self._dirty = dirty.Dirty()
        self._filling: Iterator[None] | None = None  # rings that are being made, a piece at each wake
        self._kept = kept.Kept()
        self._first_bad_s = 0.0
        self._remember_at_s = 0.0
        self._changed: set[str] = set()
        self._judged = False
        self.judging = False  # judged, but some rings are from before: all of them are made anew

    def prepare(self, snapshot: model.Snapshot, networks: seen.Networks) -> None:
        """Do what does not depend on health for a `ConfigCame` of these two. Needs nothing of the rest: any thread."""
        self._prepared = _prepared(snapshot, networks, self.serials)

    # --- the four verbs -------------------------------------------------------------------------------------------

    def feed(self, change: events.Change, now: float) -> None:
        """Take one change in. What follows from it is in `effects`."""
        self._now_s = now
        match change:
            case events.ProbeCame(result):
                self._heard(self.health.came(result, now), now)
            case events.ConfigCame(snapshot, networks):
                self._configure(snapshot, networks, now)
            case events.StoreChanged():
                self._ordered(change, now)
            case events.SerialGrew(zone, soa, ttl_s) if zone in self._soa_rings and not self.growing:
                self.revision += 1
                ring = self._rings[self._soa_rings[zone]] = compiler.soa_ring(soa, ttl_s)
                self._effects.append(events.SwapRings(self.revision, {self._soa_rings[zone]: ring}))
            case events.HostsFollowed(hosts):
                self.hosts = hosts
                policies = enumerate(self.snapshot.policies if self._configured else ())
                self._dirty.touch([index for index, policy in policies if policy.follow], now)
            case events.WatchBroke(checks):
                self.health.hasten(checks, now)
            case events.ChallengesCame(challenges):
                self._challenged(challenges)

    def effects(self) -> list[events.Effect]:
        """Return what is to be done, and forget it."""
        out, self._effects = self._effects, []
        return out

    def wake_at(self) -> float | None:
        """Return when `wake` must be called next, or None."""
        times = [self.health.wake_at()]
        if self.growing or self._filling is not None:
            times.append(self._now_s)
        elif self._dirty:
            times.append(self._dirty.at_s)
        return min((at for at in times if at is not None), default=None)

    def wake(self, now: float) -> None:
        """Let time do its work: probes that are due, holds that end, rings that wait to be made."""
        self._now_s = now
        self._heard(self.health.wake(now), now)
        self._effects.extend(events.RunProbe(check) for check in self.health.due(now))
        if self.growing:
            self._grow(SLICE)
        elif self._filling is not None or (self._dirty and now >= self._dirty.at_s):
            self._refill(now)
        self._write_down(now)

    def woke(self, now: float) -> None:
        """Hear until when the last `wake` took: what made rings is followed by a rest."""
        self._dirty.made(now, whole=self._filling is None)

    # --- what others may ask --------------------------------------------------------------------------------------
    # Who asks while a big configuration grows gets it whole: then it is decided now, in one go.

    @property
    def decisions(self) -> Sequence[seen.Decision]:
        """The decisions in force: by policy, audience, then ipv4, ipv6, cname."""
        return self._whole()._decisions

    @property
    def rungs(self) -> Mapping[int, model.Rung]:
        """Where each policy stands on the ladder."""
        return self._whole()._rungs

    @property
    def pools(self) -> Mapping[str, seen.Tried]:
        """Each pool by itself."""
        return self._whole()._pools

    @property
    def pools_so_far(self) -> Mapping[str, seen.Tried]:
        """The same, as it stands: while a big configuration grows, a pool is as it was or not yet there."""
        return self._pools

    @property
    def table(self) -> tables.AnswerTable:
        """The table as it was handed out whole; `current_table` has the newest rings, too."""
        return self._whole()._table

    @property
    def owners(self) -> Sequence[Sequence[str]]:
        """The names of each policy."""
        return self._users.owners

    def judged(self) -> bool:
        """Say whether answers come from judged health (semantics A1)."""
        return self._judged and not self.judging

    def pending(self) -> bool:
        """Say whether something was fed that the rings do not show yet."""
        return bool(self._dirty) or self.growing or self._filling is not None

    def remembered(self, now: float, of: Collection[str] | None = None) -> Remembered:
        """Return what is worth keeping over a restart, with the wall clock of its last confirmation.

        `of` are the endpoints that are meant, None all of them.
        """
        return {
            key: known._replace(at_s=now - known.at_s + self.wall_offset_s)
            for key, known in self.health.remember(now, of).items()
        }

    def decide(
        self,
        policy: model.Policy,
        who: audience.Audience,
        families: Sequence[model.Family],
        now: float,
        verdict: Judge | None = None,
    ) -> list[seen.Decision]:
        """Return what `policy` gives to the audience `who`, by family; `verdict` replaces the real ones."""
        endpoints = self.snapshot.endpoints
        real = judge = verdict or self._judge(policy, now)
        if policy.follow:
            judge = lambda pool, name, of: followed.verdict(  # noqa: E731
                real(pool, name, of), endpoints[name].hostname, self.hosts
            )
        made = tiers.decide(
            *(policy, who, families), pools=self.snapshot.pools, endpoints=endpoints, verdict=judge,
            judged=self._judged, shared_key=STICKY_KEY,
        )  # fmt: skip
        return followed.flat(made, families, self.hosts) if policy.follow else made

    def of_policy(self, index: int) -> list[seen.Decision]:
        """Return the decisions in force for a policy: by audience, then ipv4, ipv6, cname."""
        return self._whole()._decided(index)

    def _whole(self) -> Brain:
        self._grow(math.inf)
        return self

    def _decided(self, index: int) -> list[seen.Decision]:
        first = self._first_ring[index]
        return self._decisions[first : first + self._width(index)]

    def policies_of(self, endpoints: Iterable[str]) -> set[int]:
        """Return the policies that name any of these endpoints."""
        return {index for one in endpoints for index in self._users.by_endpoint.get(one, ())}

    def pool_alone(self, name: str, now: float, verdict: Judge | None = None) -> seen.Tried:
        """Return how a pool stands by itself: in IPv4, which all clients have, else in IPv6 (as in B6)."""
        judge = self.health.of_nobody(verdict or self._judge(None, now))
        pool, endpoints = self.snapshot.pools[name], self.snapshot.endpoints
        stands = (tiers.alone(pool, family, endpoints, judge, self._judged) for family in FAMILIES[:2])
        return next((one for one in stands if one.members), seen.Tried(name, False, "no members"))

    # --- inside ---------------------------------------------------------------------------------------------------

    def _judge(self, policy: model.Policy | None, now: float) -> Judge:
        return lambda pool, name, of: self.health.verdict(pool, name, of, policy, now)

    def _configure(self, snapshot: model.Snapshot, networks: seen.Networks, now: float) -> None:
        self.health.configure(snapshot, now, self._dice, self._remembered)
        self._remembered = {}
        ready, self._prepared = self._prepared, None
        if ready is None or ready[0] is not snapshot or ready[1] is not networks:
            ready = _prepared(snapshot, networks, self.serials)
        self.partition, grown, self._users = ready[2:]
        self.snapshot, self._configured = snapshot, True
        self._judged, self.judging = self.health.judged(now), False
        self._decisions, self._rings, self._first_ring = [], [], []
        self._dirty.clear()
        self._filling = None
        self._kept.clear()
        self._first_service, self._soa_rings = {}, {}
        self._growth, self.growing = self._grown(grown), True
        self._grow(SLICE)

    def _grow(self, most: float) -> None:
        """Make about so many decisions more of a new configuration."""
        while self.growing and most > 0:
            most -= next(self._growth)  # what is raised in there leaves it unfinished for ever: half is worse than none

    def _grown(self, grown: compiler.Grown) -> Iterator[int]:
        """Decide for all policies and pools, then hand out the table. Yields how many decisions were made."""
        snapshot = self.snapshot
        for index in range(len(snapshot.policies)):
            self._first_ring.append(len(self._decisions))
            made = self._decide_all(index, self._now_s)
            self._decisions += made
            self._rings += map(compiler.ring, made)
            yield len(made)
        for index, policy in enumerate(snapshot.policies):
            if policy.https is not None or policy.srv:  # their rings stand behind all others
                self._first_service[index] = len(self._rings)
                self._rings += self._services(index)
                yield self._width(index)
        for zone, (soa, ttl_s) in grown.soas.items():
            self._soa_rings[zone] = len(self._rings)
            self._rings.append(compiler.soa_ring(soa, ttl_s))
        before, self._rungs, self._pools = self._pools, {}, {}
        self._note_rungs(range(len(snapshot.policies)), quiet=True)
        for name, pool in snapshot.pools.items():
            self._note_pools({name: pool}, self._now_s, before)
            yield len(FAMILIES)
        self.revision += 1
        self._table = compiler.build(
            snapshot,
            revision=self.revision,
            steerings=tuple(self._steering(index) for index in range(len(snapshot.policies))),
            prefixes=self.partition.prefixes,
            rings=tuple(self._rings),
            places=self.partition.places,
            place_names=self.partition.place_names,
            shared_key=STICKY_KEY,
            grown=grown._replace(names=self.overlay.over(grown)),
            service_rings=self._first_service,
            soa_rings=self._soa_rings,
        )
        self._effects.append(events.SwapTable(self._table))
        self.growing = False
        yield 0

    def _width(self, index: int) -> int:
        return len(self.partition.by_policy[index].audiences) * len(FAMILIES)

    def _decide_all(self, index: int, now: float) -> list[seen.Decision]:
        policy = self.snapshot.policies[index]
        audiences = self.partition.by_policy[index].audiences
        own = policy.name or policy.check is not None  # who has no checks of their own see all members alike
        judge = self._kept.of(index if own else ALIKE, self._judge(policy, now))
        return [decision for who in audiences for decision in self.decide(policy, who, FAMILIES, now, judge)]

    def _services(self, index: int) -> list[tables.Ring]:
        policy = self.snapshot.policies[index]
        return bindings.rings(policy, services.decisions(policy, self._decided(index), self.snapshot))

    def _steering(self, index: int) -> tables.Steering:
        first, width = self._first_ring[index], self._width(index)
        a, aaaa, other = (tuple(range(first + of, first + width, len(FAMILIES))) for of in range(len(FAMILIES)))
        return tables.Steering(self.partition.by_policy[index].prefixes, a, aaaa, other)

    def _ordered(self, change: events.StoreChanged, now: float) -> None:
        before, self.orders = self.orders, change.orders
        for subject, was, now_is, why in given.told(before, change.orders, change.by, now + self.wall_offset_s):
            self._emit("order", subject, was, now_is, why)
        affected = self.health.orders(change.orders, now, self.wall_offset_s, change.released)
        self._touch(affected, "", now)

    def _challenged(self, challenges: Sequence[seen.Challenge]) -> None:
        """Change the entries of single names, in the table that is handed out already; one that grows has them, too."""
        changed = self.overlay.want(challenges)
        if changed:
            self.revision += 1
            self._effects.append(events.SwapRings(self.revision, {}, entries=changed))

    def _heard(self, happened: Iterable[news.Transition], now: float) -> None:
        for change in happened:
            if change.kind == "judged":
                self._emit("node", self.node, "warming up", "judged", change.reason)
                self._judge_all(now)
                continue
            if change.kind != "step":
                self._emit(news.event_kind(change), change.subject, change.before, change.after, change.cause)
                self._changed |= change.endpoints
            if change.first_bad_s and change.after == "down":
                self._first_bad_s = min(self._first_bad_s or change.first_bad_s, change.first_bad_s)
            if not self._judged and (change.before, change.after) == ("unknown", "up"):
                self._kept.forget(change.endpoints)  # until all is judged it counted as up (A1): its rings are true
                continue
            self._touch(change.endpoints, change.name, now)
        if not self._judged and self._configured and self.health.judged(now):
            self._judge_all(now)

    def _judge_all(self, now: float) -> None:
        self._judged = self.judging = True
        self._dirty.touch(range(len(self.snapshot.policies)), now)

    def _touch(self, endpoints: Collection[str], name: str, now: float) -> None:
        self._kept.forget(endpoints)
        if name:  # a stream that left one node touches its own name alone (semantics A12)
            self._dirty.touch([self._users.by_name[name]] if name in self._users.by_name else [], now)
        else:
            self._dirty.touch(self.policies_of(endpoints), now)

    def _refill(self, now: float) -> None:
        """Make the rings of some dirty policies anew, one piece now: a pool of thousands is some of them."""
        if self._filling is None:
            self._filling = self._filled(self._dirty.take(SLICE, self._width, now), now)
        self._dirty.goes_on(now)
        for _ in self._filling:
            return  # the next piece has its turn at the next wake
        self._filling = None

    def _filled(self, some: Sequence[int], now: float) -> Iterator[None]:
        """Decide for some policies, hand out the rings that changed, say what changed for people; yields between."""
        new: list[int] = []
        for index in some:
            for at, decision in enumerate(self._decide_all(index, now), self._first_ring[index]):
                if decision != self._decisions[at]:
                    self._decisions[at] = decision
                    new.append(at)
        yield
        changed = {at: compiler.ring(self._decisions[at]) for at in new}
        for index in some:
            changed |= enumerate(self._services(index), self._first_service.get(index, 0))
        changed = {at: ring for at, ring in changed.items() if ring != self._rings[at]}
        for at, ring in changed.items():
            self._rings[at] = ring
        self.revision += 1
        if changed:
            self._effects.append(events.SwapRings(self.revision, changed, self._first_bad_s))
        if not self._dirty:
            self._first_bad_s, self.judging = 0.0, False
        yield
        for name in dict.fromkeys(pool for index in some for pool in self.snapshot.policies[index].pools):
            self._note_pools({name: self.snapshot.pools[name]}, now, self._pools)
        self._note_rungs(some)

    def current_table(self) -> tables.AnswerTable:
        """Return the whole table as it is now, with all the rings that have been swapped since it was made."""
        whole = self.table
        return replace(whole, revision=self.revision, rings=tuple(self._rings), names=self.overlay.names())

    def _write_down(self, now: float) -> None:
        """Have all health remembered when it is time to, else what has changed since the last time."""
        if now >= self._remember_at_s and self._configured:
            self._remember_at_s = now + REMEMBER_S
            self._effects.append(events.Remember(self.remembered(now)))
        elif self._changed:
            self._effects.append(events.Remember(self.remembered(now, self._changed)))
        self._changed = set()

    def _note_pools(self, pools: Mapping[str, model.Pool], now: float, before: Mapping[str, seen.Tried]) -> None:
        """Judge each pool by itself, and say when it fails or is usable again."""
        for name in pools:
            after = self.pool_alone(name, now, self._kept.of(ALIKE, self._judge(None, now)))
            old = before.get(name)
            if old is not None and old.usable != after.usable:
                words = ("failed", "usable")
                self._emit("pool", name, words[old.usable], words[after.usable], after.reason)
            self._pools[name] = after

    def _note_rungs(self, indices: Iterable[int], quiet: bool = False) -> None:
        """Say when a name climbs or falls on the ladder."""
        for index in indices:
            worst, before = tiers.worst(self._decided(index)), self._rungs.get(index)
            self._rungs[index] = worst.rung
            if not quiet and before is not None and before != worst.rung:
                for name in self._users.owners[index][:10]:  # a policy may serve 100,000 names: ten say it
                    self._emit("name", name, before, worst.rung, worst.why)

    def _emit(self, kind: events.EventKind, subject: str, before: str, after: str, cause: str) -> None:
        at = self._now_s + self.wall_offset_s
        self._effects.append(events.Emit(events.Event(at, kind, subject, before, after, cause)))


def _prepared(snapshot: model.Snapshot, networks: seen.Networks, serials: Mapping[str, int]) -> _Prepared:
    partition, grown = audience.partition(snapshot, networks), compiler.grow(snapshot, serials)
    return snapshot, networks, partition, grown, users.users(snapshot)
