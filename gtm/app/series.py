"""Counts and measurements as they come in; how they went over the last hour, and rows for the store, out.

Every value is an average over its period (answers a second, milliseconds), so what a period missed because the process
began in the middle of it does not make it smaller, and a longer period is the mean of its shorter ones. How long each
was covered stands beside it: totals are averages times that.
"""

from __future__ import annotations

import copy
import heapq
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gtm import seen
from gtm.wire import steps

FINE_S = 10  # the step of the last hour; a minute is a whole number of them
FINE_POINTS = 360
MINUTE_S, TEN_MINUTES_S = 60, 600
# Of one kind and division in memory (1.4 kB each), and in one row of the store (some 2 kB, packed).
MOST_TRACKED = 2000
MOST_STORED = 200
STEP_NAMES = 20  # so many hours of one name are read in one step: a millisecond
MOST_ROWS = 31 * 86400 // TEN_MINUTES_S + 1
OTHER = "other"
Values = dict[str, list[float | None]]
_Period = tuple[int, float, dict[str, float]]  # when it began, how much of it was covered, averages by name
_FADES = 0.95  # of a series' weight at each step: what was busy five minutes ago gives way to what is busy now


@dataclass(frozen=True, slots=True)
class Kind:
    """What is measured: its unit, whether it is counted (else: observed), and what it is divided by."""

    unit: str
    counted: bool
    by: tuple[str, ...]


KINDS: Mapping[str, Kind] = {
    "answers": Kind("1/s", True, ("total", "pool", "endpoint", "name", "place", "country", "asn")),
    "queries": Kind("1/s", True, ("total", "subnet", "transport")),
    "probe_ms": Kind("ms", False, ("endpoint",)),
    "latency_s": Kind("s", False, ("endpoint",)),
}


class _Track:
    """One kind divided in one way: what this period has gathered, the last hour, and the row that is being made."""

    def __init__(self, counted: bool) -> None:
        self._counted = counted
        self._sums: dict[str, float] = {}
        self._numbers: dict[str, int] = {}
        self.points: dict[str, array[float]] = {}
        self._heard_at: dict[str, int] = {}  # the period in which each last had a value
        self._weight: dict[str, float] = {}

    def add(self, name: str, value: float) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + value
        if not self._counted:
            self._numbers[name] = self._numbers.get(name, 0) + 1

    def end(self, covered_s: float) -> dict[str, float]:
        """End a period that was `covered_s` long; return its values. Too many names end in OTHER."""
        if self._counted:
            values = {name: total / covered_s for name, total in self._sums.items()}
        else:
            values = {name: total / self._numbers[name] for name, total in self._sums.items()}
        self._sums, self._numbers = {}, {}
        return self._let_in(values)

    def _let_in(self, values: dict[str, float]) -> dict[str, float]:
        """Keep the names that are tracked, and of the others the busiest; sum what counts beyond them."""
        for name in list(self._weight):
            self._weight[name] = self._weight[name] * _FADES + values.get(name, 0.0)
        new = [name for name in values if name not in self._weight]
        room = MOST_TRACKED - len(self._weight)
        if len(new) > room:
            weakest = heapq.nsmallest(len(new), self._weight, key=self._weight.__getitem__)
            new.sort(key=values.__getitem__, reverse=True)
            for gone, name in zip(weakest, new[max(0, room) :], strict=False):
                if self._weight[gone] < values[name] and gone not in values:
                    self._drop(gone)
        for name in new:
            if len(self._weight) < MOST_TRACKED:
                self._weight[name] = values[name]
        return _rest([(name, values[name]) for name in values if name in self._weight], values, self._counted)

    def put(self, at: int, values: Mapping[str, float]) -> None:
        """Write the period that began at `at`; who is silent has 0 of what is counted, and nothing else."""
        slot = at // FINE_S % FINE_POINTS
        for name in values:
            self._heard_at[name] = at
            if name not in self.points:
                self.points[name] = array("f", [math.nan]) * FINE_POINTS
        for name, points in self.points.items():
            points[slot] = values.get(name, 0.0 if self._counted else math.nan)

    def forget(self, slot: int) -> None:
        """Empty a slot that nothing is known of."""
        for points in self.points.values():
            points[slot] = math.nan

    def drop_silent(self, at: int) -> None:
        """Let go of what has said nothing for the whole hour before `at`."""
        for name in [name for name, heard_at in self._heard_at.items() if heard_at <= at - FINE_S * FINE_POINTS]:
            if name not in self._sums:
                self._drop(name)

    def _drop(self, name: str) -> None:
        self._weight.pop(name, None)
        self._heard_at.pop(name, None)
        self.points.pop(name, None)


class _Roll:
    """Short periods' values in, the mean of a longer one out."""

    def __init__(self, step_s: int, counted: bool) -> None:
        self.step_s, self._counted = step_s, counted
        self._at = -1
        self._covered_s = 0.0
        self._sums: dict[str, float] = {}
        self._known_s: dict[str, float] = {}

    def add(self, at: int, covered_s: float, values: Mapping[str, float]) -> _Period | None:
        """Take the values of the period that began at `at`; return a longer one that is over."""
        begin, done = at - at % self.step_s, None
        if begin != self._at:
            done = self.end()
            self._at, self._covered_s, self._sums, self._known_s = begin, 0.0, {}, {}
        self._covered_s += covered_s
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * covered_s
            self._known_s[name] = self._known_s.get(name, 0.0) + covered_s
        return done

    def end(self) -> _Period | None:
        """Return what was taken since the last end of a period; None for nothing."""
        return (self._at, self._covered_s, self._mean()) if self._covered_s else None

    def _mean(self) -> dict[str, float]:
        over = (lambda name: self._covered_s) if self._counted else self._known_s.__getitem__
        values = {name: total / over(name) for name, total in self._sums.items()}
        ranked = heapq.nlargest(MOST_STORED, values.items(), key=lambda item: (item[0] != OTHER, item[1]))
        return {name: float(f"{value:.6g}") for name, value in _rest(ranked, values, self._counted).items()}


class Recorder:
    """Everything that is measured over time. Bounded in names and points, whatever is counted."""

    def __init__(self) -> None:
        self._tracks = {(kind, by): _Track(about.counted) for kind, about in KINDS.items() for by in about.by}
        self._rolls = {
            key: (_Roll(MINUTE_S, KINDS[key[0]].counted), _Roll(TEN_MINUTES_S, KINDS[key[0]].counted))
            for key in self._tracks
        }
        self._at = [-1] * FINE_POINTS  # when the period in each slot began
        self._covered_s = array("f", [0.0]) * FINE_POINTS

    def count(self, kind: str, by: str, name: str, number: float) -> None:
        """Add to what is counted (or observed) under `name`. Raises `KeyError` for a division that there is not."""
        self._tracks[kind, by].add(name, number)

    def counts(self, counts: Mapping[str, Mapping[tuple[str, ...], int]]) -> None:
        """Take what the workers counted, as `Responder.drain_counts` shapes it."""
        add = self.count
        for (name, pool), number in counts.get("steered", {}).items():
            add("answers", "name", name, number)
            add("answers", "pool", pool, number)
            add("answers", "total", "total", number)
        for (endpoint,), number in counts.get("answers", {}).items():
            add("answers", "endpoint", endpoint, number)
        for (_, place), number in counts.get("places", {}).items():
            add("answers", "place", place, number)
        subnets = sum(counts.get("subnets", {}).values())
        asked = 0
        for (transport, _), number in counts.get("queries", {}).items():
            add("queries", "transport", transport, number)
            asked += number
        if asked or subnets:
            add("queries", "total", "total", asked)
            add("queries", "subnet", "with", subnets)
            add("queries", "subnet", "without", max(0, asked - subnets))

    def probed(self, endpoint: str, took_ms: float, measures: Mapping[str, object]) -> None:
        """Take one probe: how long it took, and how far behind life the stream was, where it says."""
        if took_ms > 0:
            self.count("probe_ms", "endpoint", endpoint, took_ms)
        for measure in ("playlist.latency", "playlist.age"):
            late_s = measures.get(measure)
            if isinstance(late_s, int | float):
                self.count("latency_s", "endpoint", endpoint, late_s)
                return

    def tick(self, at_s: float, covered_s: float) -> list[seen.Measured]:
        """End the period that began at wall-clock `at_s` and lasted `covered_s`; return the rows that are whole now."""
        at = int(at_s) - int(at_s) % FINE_S
        covered_s = max(covered_s, 0.001)
        self._clear_between(at)
        self._covered_s[at // FINE_S % FINE_POINTS] = covered_s
        rows = []
        for key, track in self._tracks.items():
            values = track.end(covered_s)
            track.put(at, values)
            minute, ten = self._rolls[key]
            if (done := minute.add(at, covered_s, values)) is not None:
                track.drop_silent(at)
                rows.append(_row(MINUTE_S, key, done))
                if (longer := ten.add(*done)) is not None:
                    rows.append(_row(TEN_MINUTES_S, key, longer))
        return rows

    def rest(self) -> list[seen.Measured]:
        """Return the rows that are not whole yet, for a process that ends."""
        return [row for key in self._rolls for row in self.going_on(*key)]

    def going_on(self, kind: str, by: str) -> list[seen.Measured]:
        """Return the rows of one kind and division that are not whole yet: of this minute and of the ten around it."""
        minute, ten = self._rolls[kind, by]
        if (begun := minute.end()) is None:
            return []
        ahead = copy.deepcopy(ten)
        longer = (ahead.add(*begun), ahead.end())
        return [_row(MINUTE_S, (kind, by), begun), *(_row(TEN_MINUTES_S, (kind, by), one) for one in longer if one)]

    def _clear_between(self, at: int) -> None:
        """Empty the slots of periods that were skipped (a stopped process, a clock that jumped)."""
        newest = max(self._at)
        self._at[at // FINE_S % FINE_POINTS] = at
        for missed in range(max(newest + FINE_S, at - FINE_S * (FINE_POINTS - 1)), at if newest >= 0 else 0, FINE_S):
            self._at[missed // FINE_S % FINE_POINTS] = missed
            self._covered_s[missed // FINE_S % FINE_POINTS] = 0.0
            for track in self._tracks.values():
                track.forget(missed // FINE_S % FINE_POINTS)

    def recall(self, rows: Iterable[seen.Measured], now_s: float) -> None:
        """Take minutes that an earlier process stored, oldest first: the last hour has no hole before `now_s`, and the
        periods that it was in the middle of go on.
        """
        for row in rows:
            track = self._tracks.get((row.kind, row.by))
            if track is None or row.step_s != MINUTE_S:
                continue
            ats = range(row.at, min(row.at + MINUTE_S, int(now_s) // FINE_S * FINE_S), FINE_S)
            for at in ats:
                slot = at // FINE_S % FINE_POINTS
                if self._at[slot] <= at:
                    self._at[slot] = at
                    self._covered_s[slot] = row.covered_s / len(ats)
                    track.put(at, track._let_in(dict(row.values)))
            minute, ten = self._rolls[row.kind, row.by]
            (ten if row.at + MINUTE_S <= now_s else minute).add(row.at, row.covered_s, row.values)

    def covered(self, ats: Iterable[int]) -> list[float]:
        """Return how many seconds were covered of the periods of the last hour that began `ats`."""
        return [self._covered_s[at // FINE_S % FINE_POINTS] for at in ats]

    def hour(self, kind: str, by: str, since_s: float) -> tuple[list[int], Values]:
        """Return when the periods since then began, and each name's values in them; None is nothing known."""
        at, found = steps.finish(self.hour_in_steps(kind, by, since_s))
        return at, {name: shown(values) for name, values in found.items()}

    def hour_in_steps(self, kind: str, by: str, since_s: float) -> steps.Steps[tuple[list[int], Values]]:
        """Return the same with all digits, in steps: with very many names it takes long."""
        slots = sorted((at, slot) for slot, at in enumerate(self._at) if at >= 0 and at + FINE_S > since_s)
        found: Values = {}
        for at, (name, ring) in enumerate(list(self._tracks[kind, by].points.items())):
            values = [value if math.isfinite(value := ring[slot]) else None for _, slot in slots]
            if any(value is not None for value in values):
                found[name] = values
            if at % STEP_NAMES == 0:
                yield
        return [at for at, _ in slots], found


def _row(step_s: int, key: tuple[str, str], period: _Period) -> seen.Measured:
    at, covered_s, values = period
    return seen.Measured(at, step_s, *key, values, covered_s)


def laid_out(rows: Sequence[seen.Measured]) -> tuple[list[int], list[float], Values]:
    """Return stored rows of one kind and division, oldest first: when they began, what they covered, their values."""
    if not rows:
        return [], [], {}
    by_at, covered_s = {row.at: row.values for row in rows}, {row.at: row.covered_s for row in rows}
    step_s, counted = rows[0].step_s, KINDS[rows[0].kind].counted
    ats = list(range(rows[0].at, rows[-1].at + step_s, step_s))[-MOST_ROWS:]
    names = dict.fromkeys(name for row in rows for name in row.values)
    silent = {at: 0.0 if counted and at in by_at else None for at in ats}
    values: Values = {name: [by_at.get(at, {}).get(name, silent[at]) for at in ats] for name in names}
    return ats, [covered_s.get(at, 0.0) for at in ats], values


def thinned(ats: list[int], values: Values, every: int) -> tuple[list[int], Values]:
    """Return the means of `every` points at a time."""
    if every <= 1:
        return ats, values
    thin = {name: [_mean(one[at : at + every]) for at in range(0, len(one), every)] for name, one in values.items()}
    return ats[::every], thin


def totals(values: Values, covered_s: Sequence[float]) -> steps.Steps[dict[str, float]]:
    """Return the sum of each series over the seconds that its points cover, in steps."""
    sums = {}
    for at, (name, points) in enumerate(values.items()):
        sums[name] = sum(value * long_s for value, long_s in zip(points, covered_s, strict=True) if value is not None)
        if at % STEP_NAMES == 0:
            yield
    return sums


def largest(values: Values, most: int, counted: bool) -> steps.Steps[Values]:
    """Return the `most` largest series, largest first; the rest is summed in OTHER (or averaged). In steps."""
    sums = yield from totals(values, [1.0] * len(next(iter(values.values()), ())))
    ranked = sorted(values, key=lambda name: (name != OTHER, sums[name]), reverse=True)
    if len(ranked) <= most and (OTHER not in values or len(ranked) <= 1):
        return {name: shown(values[name]) for name in ranked}
    kept = [name for name in ranked if name != OTHER][: most - 1]
    rest = [values[name] for name in ranked if name not in set(kept)]
    fold, others = (_sum if counted else _mean), []
    for column in zip(*rest, strict=True):
        others.append(fold(column))
        yield
    return {name: shown(values[name]) for name in kept} | {OTHER: shown(others)}


def shown(values: Sequence[float | None]) -> list[float | None]:
    """Return values with as many digits as they are good for."""
    return [None if value is None else float(f"{value:.6g}") for value in values]


def _rest(kept: Sequence[tuple[str, float]], values: Mapping[str, float], counted: bool) -> dict[str, float]:
    """Return `kept`, and what of `values` is not among them in OTHER: its sum, or its mean when it is observed."""
    out = dict(kept)
    left = [value for name, value in values.items() if name not in out]
    if left:
        whole = sum(left) if counted else sum(left) / len(left)
        out[OTHER] = out.get(OTHER, 0.0) + whole if counted else whole
    return out


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
