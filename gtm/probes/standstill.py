"""Ticks of one small clock in, for how long this process has stood still, and a word when it is starved, out.

A machine that gives this process a fifth of its time lets probes run out of theirs, one small stall after the other.
No probe can see that by its own timer. A clock that should tick every few milliseconds can: what it is late by, nobody
here was there to read an answer, whatever was the reason (a throttled container, a stolen processor, too long a turn
of the loop). What follows from it for a result is `health.stalls`' to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gtm import units

# Two ticks fit between the stalls of a machine that is given some tens of milliseconds at a time; fifty wake-ups a
# second are a thousandth of one core.
TICK_S = 0.02
# A turn of a busy loop takes some milliseconds, which is no stall: probes are gone on with in the midst of it.
TURN_S = 0.02
# Starvation is told by windows: a reload may stand still for a moment in any of them.
WINDOW_S = 10.0
STARVED_SHARE, WELL_SHARE = 0.25, 0.1

Tell = Callable[[str, str, str], None]


class Standstill:
    """Counts the time in which this process stood still. `tell` gets (before, after, why) when it is starved.

    `monotonic` is seconds. `begin` needs a running loop; without it, `tick` is to be called every `TICK_S`.
    """

    def __init__(self, tell: Tell, monotonic: Callable[[], float]) -> None:
        self._tell = tell
        self._monotonic = monotonic
        self._stalled_s = self._before_s = 0.0  # in all, and when the window began
        self._due_s = self._began_s = monotonic()
        self._starved = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def total_s(self) -> float:
        """For how long it has stood still in all; a stall that is just over counts before the clock has ticked."""
        return self._stalled_s + self._late_s(self._monotonic())

    def begin(self) -> None:
        """Let the clock tick by itself, from now on until `close`. Does nothing while it does."""
        if self._timer is None:
            self._due_s = self._monotonic()
            self._tick_on()

    def close(self) -> None:
        """Let it tick no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def tick(self) -> None:
        """Take note of the time."""
        now_s = self._monotonic()
        self._stalled_s += self._late_s(now_s)
        self._due_s = now_s + TICK_S
        if now_s >= self._began_s + WINDOW_S:
            self._judge(self._stalled_s - self._before_s, now_s - self._began_s)
            self._before_s, self._began_s = self._stalled_s, now_s

    def _tick_on(self) -> None:
        self.tick()
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick_on)

    def _late_s(self, now_s: float) -> float:
        late_s = now_s - self._due_s
        return late_s if late_s >= TURN_S else 0.0

    def _judge(self, stalled_s: float, window_s: float) -> None:
        of = f"{units.show_seconds(round(stalled_s, 1))} of {units.show_seconds(round(window_s, 1))}"
        if not self._starved and stalled_s >= STARVED_SHARE * window_s:
            self._starved = True
            why = f"this process stood still for {of}: this machine is starved, so silence is held against no endpoint"
            self._tell("on time", "starved", why)
        elif self._starved and stalled_s < WELL_SHARE * window_s:
            self._starved = False
            self._tell("starved", "on time", f"this process stood still for {of} only: silence counts again")
