"""What the workers count and what probes measure in; totals for `/metrics`, and points over time for plots, out."""

from __future__ import annotations

import asyncio
import collections
import fnmatch
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gtm import brain, events, model, ports, seen
from gtm.app import analytics, book, breathing, geography, lately, meter, series, watching
from gtm.serve import tap
from gtm.web import metrics
from gtm.web import node as desk
from gtm.wire import steps

HOUR_S, DAY_S, MONTH_S = 3600.0, 86400.0, 31 * 86400.0
SLACK_S = 30.0  # who asks for the last hour asks a moment later
MOST_POINTS = 1500  # of one series, about as many as a plot has dots
MOST_SERIES = 50  # of one plot; the rest is summed
Points = tuple[int, list[int], list[float], series.Values]


class Measuring:
    """Everything that one node measures. Answering never waits for any of it."""

    def __init__(self, happened: analytics.Happened, wall: Callable[[], float] = time.time) -> None:
        self.counts: dict[str, collections.Counter[tuple[str, ...]]] = collections.defaultdict(collections.Counter)
        self.probe_counts: collections.Counter[tuple[str, ...]] = collections.Counter()
        self.probe_times: dict[str, meter.Meter] = collections.defaultdict(meter.Meter)
        self.departures = meter.Meter()  # how late each probe left
        self.measures: dict[model.CheckKey, dict[str, float]] = {}
        self.lately = lately.Lately()
        self.recorder = series.Recorder()
        self.analytics = analytics.Analytics(self.recorder, happened)
        self.watching = watching.Watching(self.analytics, happened)
        self._wall = wall
        self._over = asyncio.Event()

    def counted(self, worker: int, counts: Mapping[str, Mapping[tuple[str, ...], int]]) -> None:
        """Take what a worker counted in the last second."""
        for kind, numbers in counts.items():
            self.counts[kind].update(numbers)
        self.lately.add(counts.get("steered", {}))
        self.recorder.counts(counts)
        self.analytics.shares.counts(counts)

    def probed(self, kind: str, result: seen.ProbeResult) -> None:
        """Take the result of one probe of this kind."""
        word = {True: "ok", False: "failed", None: "could_not_run"}[result.ok]
        self.probe_counts[(kind, word)] += 1
        self.probe_times[kind].add(result.took_ms / 1000)
        # Texts are judged by now, and nobody asks for them again: a body in each check would be gigabytes.
        self.measures[result.check] = {one: said for one, said in result.measures.items() if not isinstance(said, str)}
        self.recorder.probed(result.check.endpoint, result.took_ms, result.measures)

    def happened(self, event: events.Event) -> None:
        """Take an event: it is counted, and may move the audience."""
        self.counts["events"][(event.kind,)] += 1
        self.analytics.movements.happened(event)

    async def take(self, snapshot: model.Snapshot, mind: brain.Brain, atlas: geography.Atlas) -> None:
        """Take a configuration that is in force now, and let go of what checks measured that are no more."""
        self.measures = {key: value for key, value in self.measures.items() if key in snapshot.checks}
        await breathing.through(_fold(self.counts, snapshot))
        await self.watching.configure(snapshot, mind, atlas)

    async def run(self, kept: book.Book, in_charge: asyncio.Event, taps: Sequence[tap.Reader]) -> None:
        """Look at the workers' answers, and keep what was measured, until `close`."""
        await in_charge.wait()
        await asyncio.gather(self.watching.run(taps), self._measure(kept))

    async def _measure(self, kept: book.Book) -> None:
        """End a period every few seconds, and keep the rows that are whole."""
        self.recorder.recall(await kept.recall_measured(self._wall() - HOUR_S), self._wall())
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
            if rows:  # a minute has passed
                self.analytics.minute(self._wall())
                await kept.measured(rows)
        await kept.measured(self.recorder.rest())

    async def close(self) -> None:
        """Let `run` end once it has kept what there is."""
        self._over.set()
        await self.watching.close()

    async def series(self, store: ports.Store, kind: str, by: str, since: float, name: str) -> Mapping[str, Any]:
        """Return what the contract calls series. Raises `Refused`, `StoreError`."""
        about = series.KINDS.get(kind)
        if about is None:
            raise desk.Refused("bad-value", f"{kind[:40]!r} is not measured", f"one of {', '.join(series.KINDS)}")
        if by not in about.by:
            raise desk.Refused("bad-value", f"{kind} are not known by {by[:40]!r}", f"one of {', '.join(about.by)}")
        step_s, at, _, values = await self._points(store, kind, by, since)
        every = max(1, math.ceil(len(at) / MOST_POINTS))
        at, values = series.thinned(at, values, every)
        if name:
            values = {one: points for one, points in values.items() if _matches(one, name)}
        shown = await breathing.through(series.largest(values, MOST_SERIES, about.counted))
        lines = [{"name": one, "values": points} for one, points in shown.items()]
        return {"kind": kind, "by": by, "unit": about.unit, "step_s": step_s * every, "at": at, "series": lines}

    async def _points(self, store: ports.Store, kind: str, by: str, since: float) -> Points:
        """Return the step, and since then the moments, the seconds covered and the values, as fine as they are kept."""
        now = self._wall()
        if now - since <= HOUR_S + SLACK_S:
            at, values = await breathing.through(self.recorder.hour_in_steps(kind, by, since))
            return series.FINE_S, at, self.recorder.covered(at), values
        step_s = series.MINUTE_S if now - since <= DAY_S + SLACK_S else series.TEN_MINUTES_S
        rows = await store.measured(step_s, kind, by, max(since, now - MONTH_S))
        going_on = [row for row in self.recorder.going_on(kind, by) if row.step_s == step_s]
        return step_s, *series.laid_out([*rows, *going_on])

    async def report(self, store: ports.Store, since: float) -> Mapping[str, Any]:
        """Return what the contract calls analytics. Raises `StoreError`."""
        now, locate = self._wall(), self.watching.locate
        totals: dict[str, dict[str, Any]] = {}
        for kind in ("answers", "queries"):
            totals[kind] = {}
            for by in series.KINDS[kind].by:
                _, _, covered_s, values = await self._points(store, kind, by, since)
                totals[kind][by] = await breathing.through(analytics.ranked(values, covered_s))
        return {
            "since": since,
            "until": now,
            **totals,
            "resolvers": self.analytics.resolvers(now, locate),
            "shares": self.analytics.delivered(),
            "movements": self.analytics.movements.show(since),
            "samples": {"taken": self.watching.taken, "lost": self.watching.lost},
        }


def _fold(counts: Mapping[str, collections.Counter[tuple[str, ...]]], snapshot: model.Snapshot) -> steps.Steps[None]:
    """Sum as `OTHER` what was counted of names, pools and endpoints that are no more, step by step.

    A name for each event that is streamed makes labels without end; sums stay what they were, as counters must.
    """
    names = set[str]().union(*(zone.steer for zone in snapshot.zones))
    before = tuple({f"{service.name}." for policy in snapshot.policies for service in policy.srv})

    def is_name(text: str) -> bool:
        return text in names or any(text.removeprefix(one) in names for one in before)

    def is_pool(text: str) -> bool:
        return not text or text in snapshot.pools

    def is_endpoint(text: str) -> bool:
        return text in snapshot.endpoints

    tests: Mapping[str, Sequence[Callable[[str], bool]]] = {
        "steered": (is_name, is_pool), "places": (is_name, bool), "answers": (is_endpoint,),
        "drawn": (is_pool, is_endpoint), "intended": (is_pool, is_endpoint),
    }  # fmt: skip
    for kind, known in tests.items():
        counted = counts[kind]
        for at, labels in enumerate(list(counted)):
            if not at % steps.ITEMS:
                yield
            if not all(test(label) for test, label in zip(known, labels, strict=True)):
                number = counted.pop(labels)
                counted[(metrics.OTHER,) * len(labels)] += number


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name.rstrip("."), pattern.lower().rstrip("."))
