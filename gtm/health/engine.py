"""Configuration, results, orders and the time in; verdicts, and what changed, out: the room's one stateful object."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from gtm import model, seen
from gtm.health import (
    alarms,
    alike,
    flap,
    guard,
    hysteresis,
    idle,
    judge,
    kept,
    news,
    orders,
    schedule,
    source,
    standings,
    suppose,
    verdict,
    warm_up,
    watches,
    whole,
)

MAX_RUN_GAP_S = 60.0  # falls further apart are no one cut, however slow the checks are
MAX_SETTLE_S = 60.0  # nor is a slow check waited for longer than this after a cut

_NOTHING_YET = model.Snapshot(
    "", "", model.DnsSettings(), model.WebSettings(), "", (), {}, {}, {}, {}, {}, policies=(), zones=(), checks={}
)


class Health:
    """What one vantage holds of every check, endpoint and order. All times are monotonic seconds."""

    def __init__(self, vantage: str, *, passive: frozenset[str] = frozenset({"push"})) -> None:
        self.vantage = vantage
        self._passive = passive
        self._dice: Callable[[], float] = float
        self._configured = False
        self._snapshot = _NOTHING_YET
        self._watches = watches.Watches()
        self._schedule = schedule.Schedule()
        self.hasten = self._schedule.hasten
        self._standings = standings.Standings(_NOTHING_YET)
        self._sources = source.Sources(self._status, lambda key: self._watches[key].reached)
        self._idle = idle.Idle(_NOTHING_YET)
        self._orders = orders.Orders()
        self._looks: alarms.Alarms[str] = alarms.Alarms()
        self._guard = guard.Guard()
        self._whole = whole.Whole(_NOTHING_YET, self._standings, self._seen, self._watches)
        self._warm_up = warm_up.WarmUp()
        self._pending: list[news.Transition] = []
        self._pending_s = 0.0

    # --- in: configuration and orders -----------------------------------------------------------------------------

    def configure(
        self,
        snapshot: model.Snapshot,
        now: float,
        dice: Callable[[], float],
        remembered: Mapping[model.CheckKey, seen.Known],
    ) -> None:
        """Take a new configuration. Checks that survive keep state and time; new ones are unknown.

        `remembered` is by check, with its age, and used by the first configuration only. `dice` gives numbers from 0
        to 1.
        """
        first, self._configured = not self._configured, True
        self._snapshot, self._dice = snapshot, dice
        gone = self._watches.configure(snapshot.checks, now)
        if first:
            self._watches.recall(remembered, now)
        self._guard.forget(gone)
        for key in gone & snapshot.checks.keys():
            self._watches[key].ignore_next = self._schedule.in_flight(key)
        active = {key: check.profile for key, check in snapshot.checks.items() if not self._is_passive(check)}
        self._schedule.configure(active, now, dice)
        before, self._standings = self._standings, standings.Standings(snapshot)
        self._standings.inherit(before, now)
        counted, self._idle = self._idle, idle.Idle(snapshot)
        self._idle.inherit(counted)
        self._sources.configure(self._standings.streams)
        self._orders.lay(snapshot, now)
        self._refresh(snapshot.endpoints, now, quiet=first)
        self._looks = alarms.Alarms()
        for name in snapshot.endpoints:
            self._look_again(name, now)
        told, self._whole = self._whole, whole.Whole(snapshot, self._standings, self._seen, self._watches)
        self._whole.begin(told, now)
        checked = (key.endpoint for key, check in snapshot.checks.items() if not check.profile.observe)
        self._guard.watch(checked, self._alive)
        self._later(self._settle((), now), now)  # the guard's share, or the guard itself, may be another now
        self._warm(first, now)

    def orders(
        self, overrides: Sequence[seen.Override], now: float, wall_offset_s: float, released: Sequence[str] = ()
    ) -> set[str]:
        """Take all orders that are in force, and say whose verdicts may have changed.

        `wall_offset_s` is wall clock minus monotonic clock, by which `until` is turned into a time that no jump of
        the wall clock moves (G4). `released` are targets whose latches are lifted: flap hold-down, failback.
        """
        self._orders.put(overrides, wall_offset_s)
        lifted = {name for target in released for name in orders.matching(target, self._snapshot)}
        for key, watch in self._watches.items():
            if key.endpoint in lifted:
                watch.state = flap.released(watch.state)
        for endpoint in lifted:
            self._standings.release(endpoint, now)
            self._look_again(endpoint, now)
        affected = self._orders.lay(self._snapshot, now) | lifted
        self._later(self._settle(affected, now), now)
        return affected.union(*(one.endpoints for one in self._pending))

    # --- the clock ------------------------------------------------------------------------------------------------

    def due(self, now: float) -> list[model.Check]:
        """Return the checks to run now; each is in flight until its result comes."""
        return [self._watches[key].check for key in self._schedule.due(now)]

    def wake_at(self) -> float | None:
        """Return when `wake` and `due` have work again; None when never."""
        times = (
            self._pending_s if self._pending else None,
            self._schedule.next_at(),
            self._watches.next_at(),
            self._looks.next_at(),
            self._orders.next_at(),
            self._guard.settles_at_s,
            self._warm_up.until_s,
        )
        return min((at for at in times if at is not None), default=None)

    def wake(self, now: float) -> list[news.Transition]:
        """Let time do its work: silence that lasts too long, holds, slow starts, orders, the guard, the warm-up."""
        happened, self._pending = self._pending, []
        for key in self._watches.silent(now):
            happened += self._silent(key, now)
        for endpoint in self._looks.rang(now):
            self._look_again(endpoint, now)
            happened.append(news.quietly(endpoint))
        gone = self._orders.expire(now)
        if gone:
            touched = frozenset(self._orders.lay(self._snapshot, now))
            happened += [news.Transition("order", one.target, None, one.order, "", "ran out", touched) for one in gone]
            happened += self._settle(touched, now)
        if self._guard.settles_at_s is not None and now >= self._guard.settles_at_s:
            happened += self._trust(now)
        if self._warm_up.until_s is not None and self._warm_up.over(now):
            happened.append(self._warmed("the warm-up's time is over"))
        return happened

    # --- in: results ----------------------------------------------------------------------------------------------

    def came(self, result: seen.ProbeResult, now: float) -> list[news.Transition]:
        """Take one result. One of a check that is not configured (any more) is dropped."""
        key = result.check
        watch = self._watches.get(key)
        if watch is None:
            return []
        if watch.ignore_next:
            watch.ignore_next = False
            self._schedule.done(key, True, now, self._dice)
            return []
        before, measured, in_sight = watch.state, watch.measured, watch.in_sight
        eased, reached = watch.load, watch.reached
        ok, reason, result = self._watches.judge(watch, self._standings.streams.carriers(key), result, now)
        self._watches.take(watch, ok, reason, result, now)
        tells_in_s = judge.runs_out_in_s(watch.profile, result.measures) if ok else None
        hurry = ok is not None and hysteresis.hurried(watch.state)
        self._schedule.done(key, hurry, now, self._dice, tells_in_s)
        happened: list[news.Transition] = []
        back = before.status == "down" and watch.state.status == "up"
        if back and not watch.profile.observe and not self._guard.tripped and not self._sources.excuses(key):
            happened += self._returned(key, watch, now)
        if watch.measured != measured:
            happened += self._moved(key, measured, now)
        elif watch.reached != reached and watch.measured == "down":
            carriers = self._sources.look(key)
            told = news.source(watch, carriers, self._sources.is_dead(key))
            happened += [*told, *self._settle(carriers | {key.endpoint}, now)]
        elif watch.in_sight != in_sight:
            happened += self._settle({key.endpoint}, now)
        if hysteresis.hurried(before) != hysteresis.hurried(watch.state):
            happened.append(news.doubt(watch, self._standings.dependants(key.endpoint)))
        if before.stale != watch.state.stale:
            happened += self._whole.stale(watch)
        if watch.load.factor != eased.factor and not watch.profile.observe:
            happened.append(self._whole.eased(watch, eased))
        happened += self._given_back(watch, result, now)
        if self._warm_up.heard(key):
            happened.append(self._warmed("every check was judged"))
        return happened

    # --- out ------------------------------------------------------------------------------------------------------

    def verdict(
        self, pool: model.Pool, endpoint: str, family: model.Family, policy: model.Policy | None, now: float
    ) -> seen.Verdict:
        """Return the verdict on a member of `pool` for the names of `policy` (None: for no name in particular)."""
        standing = self._standings.find(pool, endpoint, family, policy)
        held_until_s = self._held_until_s(standing)
        ordered = self._orders.of(endpoint)
        return verdict.of(standing, pool, ordered, self._seen, held_until_s=held_until_s, now=now)

    def of_nobody(self, judge: kept.Judge) -> kept.Judge:
        """Return verdicts for no name in particular: where only names have checks, what all of them together say."""

        def judged(pool: model.Pool, endpoint: str, family: model.Family) -> seen.Verdict:
            real = judge(pool, endpoint, family)
            if self.endpoint_status(endpoint, family) != "down":  # why is only asked of who is: it costs more
                return real
            return verdict.of_nobody(real, self.endpoint_state(endpoint, family))

        return judged

    def told(self) -> suppose.Told:
        """Return what is needed to suppose other orders than those in force."""
        apart = lambda: alike.restless(self._watches, self._guard.held, self._standings)  # noqa: E731
        return suppose.Told(self._standings, self._orders.laid, self._held_until_s, self._seen, apart)

    def endpoint_state(self, endpoint: str, family: model.Family) -> news.EndpointState:
        """Return what an endpoint is as a whole, over all pools and names, and why."""
        return self._whole.state(endpoint, family, self._orders.of(endpoint).text)

    def endpoint_status(self, endpoint: str, family: model.Family) -> model.Status:
        """Return what an endpoint is as a whole, without saying why: much cheaper where there are many."""
        return self._whole.status(endpoint, family)

    def weight_factor(self, pool: model.Pool, endpoint: str, family: model.Family, now: float) -> float:
        """Return what orders and a slow start leave of the weight of a member, as its verdict says it too."""
        standing = self._standings.find(pool, endpoint, family, None)
        ordered = self._orders.of(endpoint)
        return verdict.weight_factor(standing, pool, ordered, held_until_s=self._held_until_s(standing), now=now)

    def judged(self, now: float) -> bool:
        """Say whether the warm-up is over: everything was looked at once, or its time has run out (A1)."""
        return self._configured and self._warm_up.over(now)

    @property
    def guard_tripped(self) -> bool:
        """Whether this node distrusts its own eyes at present (A9)."""
        return self._guard.tripped

    @property
    def dead_sources(self) -> frozenset[str]:
        """The steered names whose stream is dead on every node that carries it (A12)."""
        return self._sources.names()

    def eased(self) -> frozenset[model.CheckKey]:
        """Return the checks whose endpoints have less than their weight because of their load."""
        return frozenset(key for key, watch in self._watches.items() if watch.load.level)

    def in_force(self, now: float) -> tuple[seen.Override, ...]:
        """Return the orders that have neither run out nor been released."""
        return self._orders.in_force(now)

    def states(self) -> Mapping[model.CheckKey, seen.HealthState]:
        """Return what is measured, by check."""
        return {key: watch.state for key, watch in self._watches.items()}

    def remember(self, now: float, of: Collection[str] | None = None) -> Mapping[model.CheckKey, seen.Known]:
        """Return what the next start is to know, with its age, by check; what the guard holds stays held."""
        return {
            key: watch.known(status, now)
            for key, watch in self._watches.items()
            if (of is None or key.endpoint in of) and (status := self._status(key)) != "unknown"
        }

    # --- statuses -------------------------------------------------------------------------------------------------

    def _alive(self, endpoint: str) -> bool:
        return self._standings.alive(endpoint, lambda key: self._watches[key].in_sight, self._sources.excuses)

    def _status(self, key: model.CheckKey) -> model.Status:
        """Return the status that counts: the guard's where it holds one (A9), else what is measured."""
        return self._guard.held.get(key) or self._watches[key].measured

    def _seen(self, key: model.CheckKey) -> watches.Seen:
        watch = self._watches[key]
        held = key in self._guard.held
        return watches.Seen(key, watch.state, watch.profile, self._status(key), held, watch.load, watch.note)

    def _refresh(self, endpoints: Iterable[str], now: float, *, quiet: bool) -> standings.Changed:
        forced = self._orders.forced()
        return self._standings.refresh(endpoints, self._status, self._sources.excuses, forced, now, quiet=quiet)

    def _held_until_s(self, standing: standings.Standing) -> float:
        return max((self._watches[key].state.held_until_s for key in standing.votes), default=0.0)

    # --- inside: what follows from a change -----------------------------------------------------------------------

    def _moved(self, key: model.CheckKey, before: model.Status, now: float) -> list[news.Transition]:
        """Follow a check whose measured status is another now."""
        watch = self._watches[key]
        after = watch.measured
        if after == "down":
            gap_s = min(watch.profile.detects_within_s, MAX_RUN_GAP_S)
            self._guard.fell(key, before, now, gap_s)
        else:
            self._guard.rose(key)
        first_bad_s = watch.state.first_bad_s if after == "down" else 0.0
        carriers = self._sources.look(key)
        told = news.source(watch, carriers, self._sources.is_dead(key))
        touched = {key.endpoint, *self._standings.streams.companions(key, self._status)}
        happened = told + self._settle(touched | carriers, now, first_bad_s)
        if any(one.kind == "endpoint" and one.subject == key.endpoint for one in happened):
            return happened
        happened = [one for one in happened if one != news.quietly(key.endpoint)]  # the check itself says it better
        return [*happened, news.check(watch, before, first_bad_s)]

    def _given_back(self, watch: watches.Watch, result: seen.ProbeResult, now: float) -> list[news.Transition]:
        """Use again who only waited for the publishers of this endpoint to go (`failback: when_idle`)."""
        happened, key = [], watch.check.key
        if watch.profile.publishers:
            self._idle.heard(key, watch.profile, result, now)
            for standing in self._idle.given_back(key.endpoint, self._standings, self._status, now):
                standing.released_s = now
                self._look_again(standing.ballot.endpoint, now)
                happened.append(news.given_back(standing.ballot))
        return happened

    def _settle(self, endpoints: Iterable[str], now: float, first_bad_s: float = 0.0) -> list[news.Transition]:
        """Judge endpoints anew, the guard first, and return what changed."""
        happened = self._weigh(endpoints, now)
        tripped = any(one.after == "tripped" for one in happened)
        # The guard changes many checks at once, and with them which streams are down everywhere: a whole sweep.
        touched = self._guard.checked.union(endpoints) if happened else endpoints
        if happened:
            self._sources.look_at_all()
        changed = self._refresh(touched, now, quiet=tripped)
        for endpoint in changed.returned:
            self._look_again(endpoint, now)
        for endpoint in sorted(changed.endpoints):
            happened += self._whole.changed(endpoint, now, first_bad_s) or [news.quietly(endpoint)]
        return happened

    def _weigh(self, endpoints: Iterable[str], now: float) -> list[news.Transition]:
        """Let the guard see how many endpoints are alive, and say when it trips or starts to settle."""
        least, tripped = self._snapshot.guard_min_alive, self._guard.tripped
        if least is None and not tripped:
            return []
        held = tuple(self._guard.held)
        slowest_s = max((schedule.recovery_s(self._watches[key].profile) for key in held), default=0.0)
        self._guard.look(endpoints, self._alive)
        self._guard.weigh(least, min(slowest_s, MAX_SETTLE_S), now)
        if self._guard.tripped == tripped:
            return []
        if tripped:
            return [news.guard(self.vantage, "tripped", "clear", "the guard was switched off", held)]
        return [news.tripped(self.vantage, self._guard, least)]

    def _trust(self, now: float) -> list[news.Transition]:
        """End the guard: enough endpoints have been back for long enough."""
        held = tuple(self._guard.held)
        self._guard.release()
        said = news.guard(
            self.vantage, "tripped", "clear", "enough endpoints are alive again: what is measured counts", held
        )
        return [said, *self._settle(said.endpoints, now)]

    def _returned(self, key: model.CheckKey, watch: watches.Watch, now: float) -> list[news.Transition]:
        """Count a return from down, and hold the check back when there were too many (A10)."""
        settings = self._snapshot.flap
        watch.state = flap.returned(watch.state, settings, now)
        if watch.state.held_until_s <= now:
            return []
        self._look_again(key.endpoint, now)
        return [news.held_back(watch, settings.window_s, now)]

    def _silent(self, key: model.CheckKey, now: float) -> list[news.Transition]:
        """Take note that a check's news is too old; `on_stale` decides (A7)."""
        watch = self._watches[key]
        before, was_stale = watch.measured, watch.state.stale
        watches.expire(watch, now)
        happened = [] if was_stale else self._whole.stale(watch)
        if watch.measured != before:
            happened += self._moved(key, before, now)
        return happened

    def _look_again(self, endpoint: str, now: float) -> None:
        """Wake when time alone will next change a verdict on this endpoint: the end of a hold, a slow start's step."""
        at = min(
            (
                verdict.next_change_s(standing, pool, self._held_until_s(standing), now)
                for standing in self._standings.of(endpoint)
                for pool in self._standings.pools_of.get(endpoint, ())
            ),
            default=math.inf,
        )
        if at < math.inf:
            self._looks.set(endpoint, at)

    def _later(self, happened: list[news.Transition], now: float) -> None:
        """Keep transitions for the next `wake`, which is due at once."""
        if happened:
            self._pending, self._pending_s = self._pending + happened, now

    def _warm(self, first: bool, now: float) -> None:
        """Begin the warm-up with the first configuration; forget checks that a reload took away in the midst of it."""
        unknown = {
            key: watch.profile
            for key, watch in self._watches.items()
            if watch.state.status == "unknown" and not watch.profile.observe and not self._is_passive(watch.check)
        }
        if first:
            self._warm_up.begin(unknown, now)
        elif self._warm_up.keep(unknown.keys()):
            self._later([self._warmed("nothing is left to judge")], now)

    def _warmed(self, why: str) -> news.Transition:
        self._warm_up.end()
        return news.Transition(
            "judged", self.vantage, None, "warming up", "judged", why, frozenset(self._snapshot.endpoints)
        )

    def _is_passive(self, check: model.Check) -> bool:
        return check.profile.kind in self._passive
