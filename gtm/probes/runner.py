"""Checks to run in, their results out by a callback: each check once at a time, all within bounds and deadlines."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import functools
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gtm import model, ports, seen, units
from gtm.health import stalls
from gtm.probes import lateness, standstill, watch

log = logging.getLogger(__name__)

# One probe holds one open file, and 1,024 is a process's usual bound; the rest is for DNS, web and store. With a
# timeout of 2 s this is 450 probes per second even when every endpoint is dead.
LIMIT = 900
# So many probes leave in one turn of the loop, which costs about a millisecond each until it is over. Those that wait
# for an answer take no part in a turn, those that have one are gone on with in it; so however much there is to do, a
# probe that left sees turns of some milliseconds, and its deadline measures the endpoint and not this machine.
STARTS_A_TURN = 4
# A kind has its own deadline inside; this much later its probe is given up from outside, because its code hangs.
GRACE_S = 0.25
# Mistakes in a kind's code are logged at most this often for each kind, so that they cannot fill a disk.
LOG_EVERY_S = 60.0


@dataclasses.dataclass(slots=True)
class _Flight:
    """A check between being asked for and its result; `task` is None while it waits for a place.

    `stalled_s` is for how long this process had stood still in all when the probe began.
    """

    check: model.Check
    asked_s: float
    started_s: float = 0.0
    stalled_s: float = 0.0
    task: asyncio.Task[seen.ProbeResult] | None = None
    alarm: asyncio.TimerHandle | None = None


class Runner:
    """Runs checks on the loop that it was called from. See `gtm.ports.Prober` for what a kind owes it."""

    def __init__(
        self,
        probers: Mapping[str, ports.Prober],
        *,
        vantage: str,
        deliver: Callable[[seen.ProbeResult], None],
        broke: watch.Broke = lambda keys: None,
        tell: Callable[[str, str, str, str], None] = lambda subject, before, after, why: None,
        left: Callable[[float], None] = lambda late_s: None,
        limit: int = LIMIT,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tell` hears, once, that `probes` leave late, and later that they do not: subject, before, after, why.

        It hears in the same way of a `machine` on which this process stands still for too much of its time.
        `left` hears of each probe how many seconds late it left.
        """
        self._probers = probers
        self._vantage = vantage
        self._deliver = deliver
        self._limit = limit
        self._monotonic = monotonic
        self._flights: dict[model.CheckKey, _Flight] = {}
        self._waiting: collections.deque[_Flight] = collections.deque()
        self._flying = 0
        self._departing = False  # a turn is asked for in which more leave
        self._memories: dict[model.CheckKey, tuple[model.Check, dict[str, Any]]] = {}
        self._abandoned: dict[model.CheckKey, asyncio.Task[seen.ProbeResult]] = {}
        self._logged: dict[str, tuple[float, int]] = {}
        self._watcher = watch.Watcher(broke, monotonic=monotonic)
        self._closed = False
        self._left = left
        self._lateness = lateness.Lateness(functools.partial(tell, "probes"))
        self._standstill = standstill.Standstill(functools.partial(tell, "machine"), monotonic)

    @property
    def lag_s(self) -> float:
        """The longest wait of a probe from being due to leaving, in the last one to two windows."""
        return self._lateness.longest_s(self._monotonic())

    @property
    def stalled_s(self) -> float:
        """For how long this process has stood still in all, since its first probe."""
        return self._standstill.total_s

    @property
    def watched(self) -> int:
        """How many endpoints have a connection held to them."""
        return self._watcher.held

    @property
    def flying(self) -> int:
        """How many probes are under way now."""
        return self._flying

    @property
    def waiting(self) -> int:
        """How many checks wait for a place."""
        return len(self._waiting)

    def run(self, check: model.Check, late_s: float = 0.0) -> None:
        """Run this check now, or as soon as there is a place. While it is under way, asking again does nothing.

        `late_s` says for how long it has been due already.
        """
        if self._closed or check.key in self._flights:
            return
        self._standstill.begin()
        flight = _Flight(check, self._monotonic() - late_s)
        if check.key in self._abandoned:
            result = self._not_run(flight, "its last probe still hangs")
            asyncio.get_running_loop().call_soon(self._hand_on, result)
            return
        self._flights[check.key] = flight
        self._waiting.append(flight)
        self._more_depart()

    def keep(self, keys: Iterable[model.CheckKey]) -> None:
        """Forget what is remembered of all other checks, and those of them that still wait for a place."""
        wanted = set(keys)
        for key in self._memories.keys() - wanted:
            del self._memories[key]
        for flight in self._waiting:
            if flight.check.key not in wanted:
                del self._flights[flight.check.key]
        self._waiting = collections.deque(flight for flight in self._waiting if flight.check.key in wanted)
        self._watcher.keep(wanted)

    async def close(self) -> None:
        """Give up everything under way; nothing is delivered any more."""
        self._closed = True
        self._standstill.close()
        self._watcher.close()
        self._waiting.clear()
        tasks = set(self._abandoned.values())
        for flight in self._flights.values():
            if flight.alarm:
                flight.alarm.cancel()
            if flight.task:
                tasks.add(flight.task)
        self._flights.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)

    def _more_depart(self) -> None:
        """Let some of those that wait leave in the next turn of the loop, if there are places."""
        if self._waiting and self._flying < self._limit and not self._departing and not self._closed:
            self._departing = True
            asyncio.get_running_loop().call_soon(self._depart)

    def _depart(self) -> None:
        """Start those that have waited longest: they come in the order in which they were due."""
        self._departing = False
        for _ in range(min(STARTS_A_TURN, self._limit - self._flying, len(self._waiting))):
            self._start(self._waiting.popleft())
        self._more_depart()

    def _start(self, flight: _Flight) -> None:
        check = flight.check
        self._flying += 1
        known = self._memories.get(check.key)
        if known is None or known[0] != check:  # another path or port: what was remembered is of something else
            known = self._memories[check.key] = (check, {})
        loop = asyncio.get_running_loop()
        flight.task = loop.create_task(self._fly(flight, known[1]))
        flight.task.add_done_callback(lambda task: self._landed(flight, task))
        ends_s = loop.time() + check.profile.timeout_s + GRACE_S
        flight.alarm = loop.call_at(ends_s, self._give_up, flight, ends_s)

    async def _fly(self, flight: _Flight, memory: dict[str, Any]) -> seen.ProbeResult:
        flight.started_s, flight.stalled_s = self._monotonic(), self._standstill.total_s
        late_s = flight.started_s - flight.asked_s
        self._lateness.left(late_s, flight.started_s)
        self._left(late_s)
        return await self._probers[flight.check.profile.kind].run(flight.check, memory)

    def _landed(self, flight: _Flight, task: asyncio.Task[seen.ProbeResult]) -> None:
        """A probe's task is over: hand its result on, unless it was given up before."""
        if self._abandoned.get(flight.check.key) is task:
            del self._abandoned[flight.check.key]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._note(flight.check.profile.kind, error)
        if self._flights.get(flight.check.key) is not flight:
            return
        if task.cancelled():
            result = self._not_run(flight, "the probe was cancelled")
        elif error is not None:
            result = self._not_run(flight, f"the probe itself failed: {type(error).__name__}: {error}"[:300])
        else:
            stalled_s = self._standstill.total_s - flight.stalled_s
            result = dataclasses.replace(task.result(), vantage=self._vantage, stalled_s=stalled_s)
            result = stalls.excused(flight.check.profile, result)
        self._end(flight, result)

    def _give_up(self, flight: _Flight, ends_s: float, again: bool = False) -> None:
        """A kind has overrun its own deadline: it is cancelled and not waited for."""
        if self._flights.get(flight.check.key) is not flight or flight.task is None or flight.task.done():
            return
        loop = asyncio.get_running_loop()
        if not again and loop.time() - ends_s > GRACE_S:  # this loop stood still: the kind had no time to see it
            flight.alarm = loop.call_later(GRACE_S, self._give_up, flight, ends_s, True)
            return
        self._abandoned[flight.check.key] = flight.task
        flight.task.cancel()
        timeout = units.show_seconds(flight.check.profile.timeout_s)
        self._end(flight, self._not_run(flight, f"the probe did not end by itself after {timeout}"))

    def _not_run(self, flight: _Flight, reason: str) -> seen.ProbeResult:
        now_s = self._monotonic()
        took_ms = (now_s - (flight.started_s or now_s)) * 1000
        return seen.ProbeResult(flight.check.key, self._vantage, now_s, None, reason, took_ms)

    def _end(self, flight: _Flight, result: seen.ProbeResult) -> None:
        if flight.alarm:
            flight.alarm.cancel()
        del self._flights[flight.check.key]
        self._flying -= 1
        self._more_depart()
        self._hand_on(result)
        if not self._closed:
            self._watcher.came(flight.check, result.ok)

    def _hand_on(self, result: seen.ProbeResult) -> None:
        if not self._closed:
            self._deliver(result)

    def _note(self, kind: str, error: BaseException) -> None:
        """Log a mistake in a kind's code, with a count of those that were held back."""
        now_s = self._monotonic()
        last_s, held_back = self._logged.get(kind, (-LOG_EVERY_S, 0))
        if now_s - last_s < LOG_EVERY_S:
            self._logged[kind] = (last_s, held_back + 1)
            return
        self._logged[kind] = (now_s, 0)
        log.error("probe kind %s failed (%d more held back)", kind, held_back, exc_info=error)
