"""What the workers count and what probes measure in; totals for `/metrics`, and points over time for plots, out."""

from __future__ import annotations

import asyncio
import collections
import fnmatch
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from gtm import model, ports, seen
from gtm.app import book, lately, meter, series
from gtm.web import node as desk

HOUR_S, DAY_S, MONTH_S = 3600.0, 86400.0, 31 * 86400.0
MOST_POINTS = 1500
MOST_SERIES = 50


class Measuring:
    """Everything that one node measures. Answering never waits for any of it."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self.counts: dict[str, collections.Counter[tuple[str, ...]]] = collections.defaultdict(collections.Counter)
        self.probe_counts: collections.Counter[tuple[str, ...]] = collections.Counter()
        self.probe_times: dict[str, meter.Meter] = collections.defaultdict(meter.Meter)
        self.measures: dict[model.CheckKey, dict[str, model.Value]] = {}
        self.lately = lately.Lately()
        self.recorder = series.Recorder()
        self._wall = wall
        self._over = asyncio.Event()

    def counted(self, worker: int, counts: Mapping[str, Mapping[tuple[str, ...], int]]) -> None:
        """Take what a worker counted in the last second."""
        for kind, numbers in counts.items():
            self.counts[kind].update(numbers)
        self.lately.add(counts.get("steered", {}))
        self.recorder.counts(counts)

    def probed(self, kind: str, result: seen.ProbeResult) -> None:
        """Take the result of one probe of this kind."""
        word = {True: "ok", False: "failed", None: "could_not_run"}[result.ok]
        self.probe_counts[(kind, word)] += 1
        self.probe_times[kind].add(result.took_ms / 1000)
        self.measures[result.check] = dict(result.measures)
        self.recorder.probed(result.check.endpoint, result.took_ms, result.measures)

    def forget_but(self, checks: Mapping[model.CheckKey, model.Check]) -> None:
        """Let go of what was measured by checks that are no more."""
        self.measures = {key: value for key, value in self.measures.items() if key in checks}

    async def run(self, kept: book.Book, in_charge: asyncio.Event) -> None:
        """End a period every few seconds, and keep the rows that are whole, until `close`."""
        await in_charge.wait()
        self.recorder.recall(await kept.recall_measured(self._wall() - HOUR_S))
        began_s = time.monotonic()
        while not self._over.is_set():
            try:
                async with asyncio.timeout(series.FINE_S - self._wall() % series.FINE_S):
                    await self._over.wait()
            except TimeoutError:
                pass
            now_s = time.monotonic()
            # A moment inside the period that has just ended, whether the timer was early or late.
            rows = self.recorder.tick(self._wall() - series.FINE_S / 2, now_s - began_s)
            began_s = now_s
            if rows:
                await kept.measured(rows)
        await kept.measured(self.recorder.rest())

    def close(self) -> None:
        """Let `run` end once it has kept what there is."""
        self._over.set()

    async def series(self, store: ports.Store, kind: str, by: str, since: float, name: str) -> Mapping[str, Any]:
        """Return what the contract calls series. Raises `Refused`, `StoreError`."""
        about = series.KINDS.get(kind)
        if about is None:
            raise desk.Refused("bad-value", f"{kind[:40]!r} is not measured", f"one of {', '.join(series.KINDS)}")
        if by not in about.by:
            raise desk.Refused("bad-value", f"{kind} are not known by {by[:40]!r}", f"one of {', '.join(about.by)}")
        window_s = self._wall() - since
        if window_s <= HOUR_S:
            step_s, (at, values) = series.FINE_S, self.recorder.hour(kind, by, since)
        else:
            step_s = series.MINUTE_S if window_s <= DAY_S else series.TEN_MINUTES_S
            rows = await store.measured(step_s, kind, by, max(since, self._wall() - MONTH_S))
            whole = (step_s, kind, by)
            going_on = [row for row in self.recorder.rest() if (row.step_s, row.kind, row.by) == whole]
            at, values = series.laid_out([*rows, *going_on])
        every = max(1, math.ceil(len(at) / MOST_POINTS))
        at, values = series.thinned(at, values, every)
        if name:
            values = {one: points for one, points in values.items() if _matches(one, name)}
        shown = series.largest(values, MOST_SERIES, about.counted)
        lines = [{"name": one, "values": points} for one, points in shown.items()]
        return {"kind": kind, "by": by, "unit": about.unit, "step_s": step_s * every, "at": at, "series": lines}


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name.rstrip("."), pattern.lower().rstrip("."))
