"""Checks and their results in, what each check is measured to be out, silence that lasts too long included (A7)."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gtm import model, seen
from gtm.health import alarms, compare, hysteresis, judge, load

REMEMBERED_S = 300.0  # semantics A1: what is older than five minutes is not known any more
STALE_INTERVALS = 10  # semantics A7


@dataclass(slots=True)
class Watch:
    """One check under watch. `limit_s` is when its silence becomes too long, `expired` that it has.

    `cut_offs` are the probes in a row that had no way to the endpoint's network.

    `ignore_next` says that a probe of what the check was before a reload is still out. `load` is how far the weight
    has been eased, `reached` whether the server itself answered the last probe, `edge` where the live edge was then,
    and `lags_s` how far that has been behind the other nodes (the last of them noted at `learned_s`); `note` says
    what sets it apart and does no harm.
    """

    check: model.Check
    state: seen.HealthState
    limit_s: float
    expired: bool = False
    ignore_next: bool = False
    cut_offs: int = 0
    load: load.Load = load.IDLE
    reached: bool = False
    edge: compare.Edge | None = None
    lags_s: collections.deque[float] = field(default_factory=lambda: collections.deque(maxlen=compare.PAST))
    learned_s: float = 0.0
    note: str = ""

    @property
    def profile(self) -> model.Profile:
        """How the check is judged."""
        return self.check.profile

    @property
    def measured(self) -> model.Status:
        """What was seen, `on_stale` laid over it after too long a silence."""
        if self.expired and self.profile.on_stale != "keep":
            return self.profile.on_stale
        return self.state.status

    def known(self, status: model.Status, now: float) -> seen.Known:
        """Return what the next start is to know, with its age; `status` is the one that counts."""
        state, eased = self.state, self.load
        return seen.Known(status, now - state.last_s, state.reason, self.reached, eased.level, eased.why)

    @property
    def in_sight(self) -> model.Status:
        """What the guard counts: as measured, but down when as many probes as a fall takes found no way there (A9)."""
        return "down" if self.cut_offs >= self.profile.fall else self.measured


@dataclass(frozen=True, slots=True)
class Seen:
    """One check behind a verdict. `status` is the one that counts (guard and `on_stale` laid over the state's)."""

    key: model.CheckKey
    state: seen.HealthState
    profile: model.Profile
    status: model.Status
    guarded: bool = False
    load: load.Load = load.IDLE
    note: str = ""


class Watches:
    """All checks of one configuration under watch."""

    def __init__(self) -> None:
        self._watches: dict[model.CheckKey, Watch] = {}
        self._silences: alarms.Alarms[model.CheckKey] = alarms.Alarms()

    def configure(self, checks: Mapping[model.CheckKey, model.Check], now: float) -> set[model.CheckKey]:
        """Take the checks of a new configuration and return those under watch before that are gone or changed."""
        before, self._watches, self._silences = self._watches, {}, alarms.Alarms()
        for key, check in checks.items():
            watch = before.get(key)
            if watch is not None and _looks_alike(watch.check, check):
                watch.check = check
            else:
                limit_s = now + STALE_INTERVALS * check.profile.every_s
                watch = Watch(check, seen.HealthState(since_s=now, last_s=now), limit_s)
            self._watches[key] = watch
            self._silences.set(key, max(watch.limit_s, now))
        return {key for key, watch in before.items() if self._watches.get(key) is not watch}

    def recall(self, remembered: Mapping[model.CheckKey, seen.Known], now: float) -> None:
        """Take what is remembered, with its age, where it is young enough."""
        for key, known in remembered.items():
            watch = self._watches.get(key)
            if watch is not None and abs(known.at_s) < REMEMBERED_S:  # a clock was set back: it may be of any age
                then_s = now - max(0.0, known.at_s)
                watch.state = seen.HealthState(known.status, since_s=then_s, last_s=then_s, reason=known.reason)
                watch.reached = known.reached
                watch.load = load.recalled(known.eased, known.overload)

    def __getitem__(self, key: model.CheckKey) -> Watch:
        return self._watches[key]

    def get(self, key: model.CheckKey) -> Watch | None:
        """Return the watch over a check, None when there is none."""
        return self._watches.get(key)

    def items(self) -> Iterator[tuple[model.CheckKey, Watch]]:
        """Yield all of them."""
        yield from self._watches.items()

    def take(self, watch: Watch, ok: bool | None, reason: str, result: seen.ProbeResult, now: float) -> None:
        """Take one result and what was judged of it; its `valid_for_s` (0: ten intervals) is how long it lasts."""
        watch.state = hysteresis.step(watch.state, ok, reason, watch.profile, now)
        watch.cut_offs = watch.cut_offs + 1 if result.cut_off else 0
        if ok is None:
            return
        watch.load = load.step(watch.load, ok, watch.profile, result)
        watch.reached = result.reached
        watch.expired = False
        watch.limit_s = now + (result.valid_for_s or STALE_INTERVALS * watch.profile.every_s)
        # An alarm that rings too early is set anew by `silent`: cheaper than a heap that grows with every result.
        rings_s = self._silences.at(watch.check.key)
        if rings_s is None or watch.limit_s < rings_s:
            self._silences.set(watch.check.key, watch.limit_s)

    def judge(
        self, watch: Watch, carriers: Sequence[model.CheckKey], result: seen.ProbeResult, now: float
    ) -> tuple[bool | None, str, seen.ProbeResult]:
        """Return whether a result is good, why not, and the result with its warnings.

        `carriers` are the checks of the same stream on every node that has it, with which a good one is compared.
        """
        result = judge.warned(watch.profile, result)
        ok, reason = judge.judge(watch.profile, result)
        return self._compared(watch, carriers, result, now) if ok else (ok, reason, result)

    def _compared(
        self, watch: Watch, carriers: Sequence[model.CheckKey], result: seen.ProbeResult, now: float
    ) -> tuple[bool, str, seen.ProbeResult]:
        """Compare the live edge that a good result shows with that of the other nodes which have the stream.

        Return whether the result is still good, why not, and the result with a warning where a node stands apart.
        """
        watch.edge, watch.note = compare.edge(result.measures), ""
        if watch.edge is None or len(carriers) < compare.MIN_NODES:
            return True, result.reason, result
        siblings = [self._watches[key] for key in carriers if key != watch.check.key]
        others = [
            # What they may have fallen back since they were looked at speaks for this one.
            replace(one.edge, latency_s=one.edge.latency_s + now - one.state.last_s)
            for one in siblings
            if one.edge and one.measured == "up" and now - one.state.last_s <= compare.FRESH * one.profile.every_s
        ]
        lag_s = compare.lag_s(watch.edge, others)
        if lag_s is None:
            return True, result.reason, result
        past = (*watch.lags_s, lag_s)
        if len(watch.lags_s) < compare.PAST or now - watch.learned_s >= compare.LEARNS_EVERY_S:
            watch.lags_s.append(lag_s)
            watch.learned_s = now
        found = compare.remark(watch.edge, past)
        if found is None:
            return True, result.reason, result
        if found.harmless:
            watch.note = found.text
            return True, result.reason, result
        if found.severe:
            return False, found.text, result
        return True, result.reason, replace(result, warnings=(*result.warnings, found.text))

    def silent(self, now: float) -> list[model.CheckKey]:
        """Return the checks whose silence has become too long just now; `expire` takes note of it."""
        found = []
        for key in self._silences.rang(now):
            watch = self._watches[key]
            if watch.limit_s > now:
                self._silences.set(key, watch.limit_s)
            elif not watch.expired:
                found.append(key)
        return found

    def next_at(self) -> float | None:
        """Return when `silent` must be asked next."""
        return self._silences.next_at()


def expire(watch: Watch, now: float) -> None:
    """Hold a check's news to be too old."""
    watch.expired = True
    watch.state = hysteresis.step(watch.state, None, watch.state.reason or "no news for too long", watch.profile, now)


def _looks_alike(old: model.Check, new: model.Check) -> bool:
    """Say whether two checks see the same thing in the same way; intervals and counts may differ."""
    return (
        (old.address, old.port, old.host) == (new.address, new.port, new.host)
        and old.options == new.options
        and old.profile.kind == new.profile.kind
        and old.profile.expect == new.profile.expect
    )
