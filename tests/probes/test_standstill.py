"""The clock that says for how long this process stood still, and what the runner makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gtm import model, seen
from gtm.probes import prober, runner, standstill
from tests.probes.probe_servers import Clock, make


class Ticking:
    """A clock that ticks when its time has come, on a machine that gives it turns."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.said: list[tuple[str, str, str]] = []
        self.clock = standstill.Standstill(lambda *words: self.said.append(words), lambda: self.now_s)
        self.clock.tick()

    def machine(self, span_s: float, runs_s: float, stops_s: float) -> None:
        """Let `span_s` pass on a machine that runs this process for so long and then stops it for so long."""
        ends_s = self.now_s + span_s
        while self.now_s < ends_s:
            sleeps_at_s = self.now_s + runs_s
            while self.now_s + standstill.TICK_S < sleeps_at_s:
                self.now_s += standstill.TICK_S
                self.clock.tick()
            self.now_s = sleeps_at_s + stops_s
            self.clock.tick()


def test_a_process_that_runs_has_not_stood_still() -> None:
    it = Ticking()
    it.machine(60, runs_s=1.0, stops_s=0.0)
    assert it.clock.total_s == 0.0
    assert it.said == []


def test_a_busy_turn_of_some_milliseconds_is_no_stall() -> None:
    it = Ticking()
    for _ in range(1000):
        it.now_s += standstill.TICK_S + 0.015
        it.clock.tick()
    assert it.clock.total_s == 0.0


@pytest.mark.parametrize(("runs_s", "stops_s"), [(0.03, 0.15), (0.02, 0.08), (0.1, 0.4), (1.0, 4.0)])
def test_A7_many_small_stalls_are_counted_as_the_large_ones_are(runs_s: float, stops_s: float) -> None:
    it = Ticking()
    it.machine(18, runs_s, stops_s)
    stopped_s = 18 * stops_s / (runs_s + stops_s)
    assert 0.7 * stopped_s < it.clock.total_s <= stopped_s + stops_s


def test_a_stall_that_is_just_over_counts_before_the_clock_has_ticked() -> None:
    it = Ticking()
    it.now_s += 3.0
    assert it.clock.total_s == pytest.approx(3.0 - standstill.TICK_S)
    it.clock.tick()
    assert it.clock.total_s == pytest.approx(3.0 - standstill.TICK_S)


def test_a_starved_machine_is_said_once_and_so_is_its_end() -> None:
    it = Ticking()
    it.machine(40, runs_s=0.03, stops_s=0.15)
    assert [(before, after) for before, after, _ in it.said] == [("on time", "starved")]
    assert "this machine is starved" in it.said[0][2]
    it.machine(40, runs_s=1.0, stops_s=0.0)
    assert [(before, after) for before, after, _ in it.said] == [("on time", "starved"), ("starved", "on time")]


def test_one_long_turn_in_ten_seconds_is_no_starvation() -> None:
    it = Ticking()
    it.machine(40, runs_s=10.0, stops_s=1.5)
    assert it.said == []


# --- the runner -----------------------------------------------------------------------------------------------------


async def _ran(look: Callable[[prober.Trial], Any], clock: Clock) -> seen.ProbeResult:
    results: asyncio.Queue[seen.ProbeResult] = asyncio.Queue()
    kind = prober.Prober(model.Kind("x", "x"), look)
    run = runner.Runner({"x": kind}, vantage="ns1", deliver=results.put_nowait, monotonic=lambda: clock.now_s)
    run.run(make("x", timeout_s=0.05))
    try:
        async with asyncio.timeout(10):
            return await results.get()
    finally:
        await run.close()


async def test_G4_silence_while_this_process_stood_still_blames_nobody() -> None:
    """A7: no single stall is as long as the time-out, and the last timer is punctual. The sum counts."""
    clock = Clock()

    async def look(trial: prober.Trial) -> str:
        for _ in range(2):
            clock.pass_(standstill.TICK_S + 0.03)  # a machine that gives us no time
            await asyncio.sleep(standstill.TICK_S / 2)
        await asyncio.sleep(60)
        return ""

    result = await _ran(look, clock)
    assert (result.ok, result.reason) == (None, "this process stood still for 100ms of it: no answer within 50ms")


async def test_A7_what_an_endpoint_said_holds_however_late_it_was_heard() -> None:
    clock = Clock()

    async def look(_: prober.Trial) -> str:
        clock.pass_(5.0)
        raise ConnectionRefusedError(111, "refused")

    result = await _ran(look, clock)
    assert (result.ok, result.reason) == (False, "connection refused")
    assert result.stalled_s > 4.9


async def test_silence_that_was_listened_to_is_a_failure() -> None:
    async def look(_: prober.Trial) -> str:
        await asyncio.sleep(60)
        return ""

    result = await _ran(look, Clock())
    assert (result.ok, result.reason) == (False, "no answer within 50ms")


async def test_a_closed_runner_leaves_no_clock_behind() -> None:
    clock = Clock()
    run = runner.Runner({}, vantage="ns1", deliver=lambda result: None, monotonic=lambda: clock.now_s)
    run._standstill.begin()
    await run.close()
    assert run._standstill._timer is None
