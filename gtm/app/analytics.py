"""Counts and samples of answers in; who asks, from where, and whether answers go as intended, out."""

from __future__ import annotations

import collections
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gtm import events, seen
from gtm.app import movements, series, shares, sketch
from gtm.serve import tap
from gtm.wire import report, steps

RESOLVERS = 512  # of ten minutes; whoever asks more than a 500th of all questions is among them
SKETCHES, SKETCH_S = 6, 600.0  # the last hour
TOP = 50  # rows of a list for people

Locate = Callable[[str], seen.Location]
Happened = Callable[[events.EventKind, str, str, str, str], None]


class Analytics:
    """Bounded, whatever is asked. `happened` is told when a member's share is not what it should be."""

    def __init__(self, recorder: series.Recorder, happened: Happened) -> None:
        self.shares = shares.Shares()
        self.movements = movements.Movements(lambda by, since, until: _rates(recorder, by, since, until))
        self._recorder = recorder
        self._happened = happened
        self._resolvers: collections.deque[tuple[float, sketch.Sketch]] = collections.deque(maxlen=SKETCHES)

    def sampled(self, sample: tap.Sample, weight: float, found: report.Report, steered: bool, locate: Locate) -> None:
        """Take one question that stands for `weight` of them. Where it comes from counts for steered answers only."""
        if not self._resolvers or sample.at - self._resolvers[-1][0] >= SKETCH_S:
            self._resolvers.append((sample.at - sample.at % SKETCH_S, sketch.Sketch(RESOLVERS)))
        asker = str(ipaddress.ip_address(sample.address.to_bytes(4 if sample.family == 4 else 16, "big")))
        self._resolvers[-1][1].add(asker, weight, marked=found.subnet is not None)
        if steered and found.rcode == "NOERROR":
            place = locate(asker if found.subnet is None else shown(*found.subnet))
            country = "-".join(part for part in (place.continent, place.country) if part)
            self._recorder.count("answers", "country", country or "unknown", weight)
            self._recorder.count("answers", "asn", f"AS{place.asn}" if place.asn else "unknown", weight)

    def minute(self, now: float) -> None:
        """Look whether members get their shares, and how the audience has moved; once a minute."""
        self.movements.look(now)
        new, over = self.shares.minute()
        for one in new:
            self._happened("pool", f"{one.pool}/{one.endpoint}", "as intended", "uneven", _said(one))
        for one in over:
            self._happened("pool", f"{one.pool}/{one.endpoint}", "uneven", "as intended", _said(one))

    def resolvers(self, now: float, locate: Locate) -> Sequence[Mapping[str, Any]]:
        """Return who asked most in the last hour, by estimate: the sketch counts too high by `error` at most."""
        recent = [(at, one) for at, one in self._resolvers if at > now - SKETCHES * SKETCH_S - SKETCH_S]
        if not recent:
            return []
        total = sum(heavy.weight - heavy.error for _, one in recent for heavy in one.all())
        rows = []
        for heavy in sketch.heaviest((one for _, one in recent), TOP):
            place = locate(heavy.name)
            rows.append(
                {
                    "address": heavy.name,
                    "queries": round(heavy.weight),
                    "error": round(heavy.error),
                    "share": round(min(1.0, (heavy.weight - heavy.error) / max(total, 1e-9)), 4),
                    "with_subnet": round(heavy.marked / max(heavy.weight - heavy.error, 1e-9), 3),
                    "place": place.place,
                    "asn": place.asn or None,
                }
            )
        return rows

    def delivered(self) -> list[Mapping[str, Any]]:
        """Return intended beside delivered shares of the last ten minutes."""
        return [
            {
                "pool": one.pool, "endpoint": one.endpoint, "intended": round(one.intended, 4),
                "delivered": round(one.delivered, 4), "answers": one.answers,
                "uneven": one.differs_s >= 60 * shares.PATIENCE_MINUTES, "differs_s": one.differs_s,
            }
            for one in self.shares.now()
        ]  # fmt: skip


def shown(family: int, network: int, bits: int) -> str:
    """Return a prefix as text."""
    return f"{ipaddress.ip_address(network.to_bytes(4 if family == 4 else 16, 'big'))}/{bits}"


def ranked(values: series.Values, covered_s: Sequence[float]) -> steps.Steps[list[Mapping[str, Any]]]:
    """Return rates over time as totals with their shares, largest first, at most TOP; in steps."""
    sums = yield from series.totals(values, covered_s)
    whole = sum(sums.values()) or 1.0
    ordered = sorted((item for item in sums.items() if item[1] > 0), key=lambda item: (-item[1], item[0]))
    return [{"name": name, "count": round(count), "share": round(count / whole, 4)} for name, count in ordered[:TOP]]


def _rates(recorder: series.Recorder, by: str, since: float, until: float) -> Mapping[str, float]:
    at, values = recorder.hour("answers", by, since)
    inside = [index for index, begin in enumerate(at) if begin >= since - series.FINE_S and begin < until]
    return {
        name: sum(points[index] or 0.0 for index in inside) / max(1, len(inside)) for name, points in values.items()
    }


def _said(one: shares.Share) -> str:
    return f"{one.delivered:.0%} of {one.answers} answers in ten minutes, {one.intended:.0%} intended"
