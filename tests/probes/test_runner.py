"""The runner, with kinds that behave and kinds that do not."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gtm import model, ports, seen
from gtm.probes import lateness, runner
from tests.probes.probe_servers import make


class Kind:
    """A prober whose probes end when the test says so."""

    def __init__(self, name: str = "x") -> None:
        self.kind = model.Kind(name, "")
        self.started: list[model.Check] = []
        self.memories: list[dict[str, Any]] = []
        self.ends: list[asyncio.Future[bool | None]] = []
        self.cancelled = 0

    async def run(self, check: model.Check, memory: dict[str, Any]) -> seen.ProbeResult:
        self.started.append(check)
        self.memories.append(memory)
        end: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        self.ends.append(end)
        try:
            ok = await end
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return seen.ProbeResult(check.key, "", 1.0, ok, "said so")


class Inbox:
    """What was delivered, and a way to wait for it."""

    def __init__(self) -> None:
        self.results: asyncio.Queue[seen.ProbeResult] = asyncio.Queue()

    async def next(self) -> seen.ProbeResult:
        async with asyncio.timeout(5):
            return await self.results.get()


@dataclasses.dataclass
class Bench:
    kind: Kind
    inbox: Inbox
    runners: list[runner.Runner] = dataclasses.field(default_factory=list)

    def runner(self, limit: int = 100, **more: ports.Prober) -> runner.Runner:
        made = runner.Runner(
            {"x": self.kind, **more}, vantage="ns1", deliver=self.inbox.results.put_nowait, limit=limit
        )
        self.runners.append(made)
        return made


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench(Kind(), Inbox())
    yield made
    for each in made.runners:
        await each.close()


def check(endpoint: str = "a", timeout_s: float = 5.0, kind: str = "x", **options: Any) -> model.Check:
    return make(kind, endpoint=endpoint, timeout_s=timeout_s, **options)


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_result_is_delivered_with_its_vantage(bench: Bench) -> None:
    run = bench.runner()
    run.run(check())
    await settle()
    bench.kind.ends[0].set_result(True)
    result = await bench.inbox.next()
    assert (result.check.endpoint, result.vantage, result.ok, result.reason) == ("a", "ns1", True, "said so")
    assert run.flying == 0


async def test_a_check_is_under_way_only_once(bench: Bench) -> None:
    run = bench.runner()
    for _ in range(3):
        run.run(check())
        await settle()
    assert len(bench.kind.started) == 1
    bench.kind.ends[0].set_result(True)
    await bench.inbox.next()
    run.run(check())
    await settle()
    assert len(bench.kind.started) == 2


async def test_no_more_probes_than_the_limit_are_under_way_and_none_is_lost(bench: Bench) -> None:
    run = bench.runner(limit=2)
    for name in "abcde":
        run.run(check(name))
    await settle()
    assert (run.flying, run.waiting) == (2, 3)
    for done in range(5):
        bench.kind.ends[done].set_result(True)
        await bench.inbox.next()
        await settle()
        assert run.flying <= 2
    assert [each.key.endpoint for each in bench.kind.started] == list("abcde")


async def test_a_slow_endpoint_does_not_keep_the_others_waiting(bench: Bench) -> None:
    run = bench.runner()
    for number in range(50):
        run.run(check(f"slow-{number}"))
    run.run(check("fast"))
    while len(bench.kind.started) <= 50:
        await settle()
    bench.kind.ends[-1].set_result(True)
    assert (await bench.inbox.next()).check.endpoint == "fast"
    assert run.lag_s < 0.2


async def test_lag_is_the_wait_for_a_place(bench: Bench) -> None:
    now_s = 0.0
    run = runner.Runner(
        {"x": bench.kind}, vantage="v", deliver=bench.inbox.results.put_nowait, limit=1, monotonic=lambda: now_s
    )
    bench.runners.append(run)
    run.run(check("a"))
    run.run(check("b"))
    await settle()
    now_s = 3.0
    bench.kind.ends[0].set_result(True)
    await bench.inbox.next()
    await settle()
    assert run.lag_s == 3.0


async def test_lag_counts_from_when_a_probe_was_due_and_is_told_for_a_minute_or_two(bench: Bench) -> None:
    now_s = 1000.0
    run = runner.Runner({"x": bench.kind}, vantage="v", deliver=bench.inbox.results.put_nowait, monotonic=lambda: now_s)
    bench.runners.append(run)
    run.run(check("a"), 0.5)
    await settle()
    assert run.lag_s == 0.5
    now_s += lateness.WINDOW_S
    run.run(check("b"), 0.2)
    await settle()
    assert run.lag_s == 0.5
    now_s += lateness.WINDOW_S
    assert run.lag_s == pytest.approx(0.2)
    now_s += 2 * lateness.WINDOW_S
    assert run.lag_s == 0.0


async def test_a_machine_with_too_many_checks_gives_each_probe_its_time_and_runs_them_in_turn() -> None:
    """Work that takes the processor, by a clock that moves with it: a look costs 3 ms, in six turns of the loop."""
    now_s = 0.0

    class Working(Kind):
        flying = most = 0
        longest_s = 0.0

        async def run(self, check: model.Check, memory: dict[str, Any]) -> seen.ProbeResult:
            nonlocal now_s
            began_s = now_s
            self.started.append(check)
            self.flying += 1
            self.most = max(self.most, self.flying)
            for _ in range(6):
                now_s += 0.0005
                await asyncio.sleep(0)
            self.flying -= 1
            self.longest_s = max(self.longest_s, now_s - began_s)
            return seen.ProbeResult(check.key, "", now_s, True)

    kind, inbox = Working(), Inbox()
    said: list[tuple[str, str, str]] = []
    run = runner.Runner(
        {"x": kind}, vantage="v", deliver=inbox.results.put_nowait, monotonic=lambda: now_s,
        tell=lambda subject, before, after, why: said.append((before, after, why)),
    )  # fmt: skip
    names = [f"e{one}" for one in range(2000)]
    for name in names:
        run.run(check(name))
    assert {(await inbox.next()).ok for _ in names} == {True}
    await run.close()
    assert [one.key.endpoint for one in kind.started] == names
    assert kind.most <= 7 * runner.STARTS_A_TURN
    assert kind.longest_s < 0.15  # where all 900 at once would take 2.7 s each, and none would end in time
    assert run.lag_s == pytest.approx(6, abs=0.2)
    assert said == [("on time", "late", "probes leave 1s late: too many checks for this machine")]


async def test_that_probes_leave_late_is_said_once_and_that_it_is_over_once() -> None:
    said: list[str] = []
    late = lateness.Lateness(lambda before, after, why: said.append(after))
    for at_s in range(600):
        late.left(3.0 if at_s < 200 else 0.1, float(at_s))
    assert said == ["late", "on time"]


async def test_memory_lives_as_long_as_its_check(bench: Bench) -> None:
    run = bench.runner()

    async def once(which: model.Check) -> dict[str, Any]:
        run.run(which)
        await settle()
        bench.kind.ends[-1].set_result(True)
        await bench.inbox.next()
        return bench.kind.memories[-1]

    (await once(check("a")))["edge"] = 1
    (await once(check("b")))["edge"] = 2
    assert await once(check("a")) == {"edge": 1}
    run.keep([check("b").key])
    assert await once(check("a")) == {}
    assert await once(check("b")) == {"edge": 2}
    assert await once(check("b", path="/other")) == {}


async def test_a_check_that_went_away_does_not_leave_from_the_queue(bench: Bench) -> None:
    run = bench.runner(limit=1)
    for name in "abc":
        run.run(check(name))
    await settle()
    run.keep([check("a").key, check("c").key])
    assert run.waiting == 1
    bench.kind.ends[0].set_result(True)
    await bench.inbox.next()
    await settle()
    assert [each.key.endpoint for each in bench.kind.started] == ["a", "c"]


async def test_A7_a_kind_that_raises_does_not_blame_the_endpoint_and_is_logged_now_and_then(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Kind):
        async def run(self, check: model.Check, memory: dict[str, Any]) -> seen.ProbeResult:
            raise ZeroDivisionError("oops")

    run = bench.runner(broken=Broken("broken"))
    with caplog.at_level(logging.ERROR):
        for name in "abc":
            run.run(check(name, kind="broken"))
            result = await bench.inbox.next()
            assert (result.ok, result.reason) == (None, "the probe itself failed: ZeroDivisionError: oops")
            assert result.vantage == "ns1"
    assert len([record for record in caplog.records if "broken" in record.message]) == 1
    assert run.flying == 0


async def test_an_unknown_kind_does_not_blame_the_endpoint(bench: Bench) -> None:
    bench.runner().run(check(kind="nosuch"))
    assert (await bench.inbox.next()).ok is None


async def test_a_kind_that_overruns_its_deadline_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "GRACE_S", 0.01)
    run = bench.runner()
    run.run(check(timeout_s=0.03))
    result = await bench.inbox.next()
    assert (result.ok, result.reason) == (None, "the probe did not end by itself after 30ms")
    await settle()
    assert bench.kind.cancelled == 1
    assert run.flying == 0
    run.run(check())
    await settle()
    assert len(bench.kind.started) == 2


async def test_A7_a_loop_that_stood_still_lets_a_kind_say_so_itself(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "GRACE_S", 0.05)

    class Timed(Kind):
        async def run(self, check: model.Check, memory: dict[str, Any]) -> seen.ProbeResult:
            try:
                async with asyncio.timeout(check.profile.timeout_s):
                    await asyncio.Event().wait()
            except TimeoutError:
                for _ in range(3):  # sessions take some turns to close
                    await asyncio.sleep(0)
            return seen.ProbeResult(check.key, "", 1.0, None, "this process stood still")

    run = bench.runner(timed=Timed("timed"))
    run.run(check(kind="timed", timeout_s=0.01))
    await settle()
    time.sleep(0.2)  # noqa: ASYNC251 - nobody is waited for: the loop stands still, as on a machine without time
    result = await bench.inbox.next()
    assert (result.ok, result.reason) == (None, "this process stood still")
    assert run.flying == 0


async def test_a_kind_that_cannot_be_stopped_holds_up_its_own_check_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "GRACE_S", 0.01)
    release = asyncio.Event()

    class Stubborn(Kind):
        async def run(self, check: model.Check, memory: dict[str, Any]) -> seen.ProbeResult:
            self.started.append(check)
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    self.cancelled += 1
            return seen.ProbeResult(check.key, "", 1.0, True)

    stubborn = Stubborn("stubborn")
    run = bench.runner(limit=1, stubborn=stubborn)
    run.run(check("a", kind="stubborn", timeout_s=0.01))
    assert (await bench.inbox.next()).ok is None
    run.run(check("a", kind="stubborn"))
    assert (await bench.inbox.next()).reason == "its last probe still hangs"
    run.run(check("b"))
    await settle()
    bench.kind.ends[0].set_result(True)
    assert (await bench.inbox.next()).check.endpoint == "b"
    release.set()
    await settle()
    run.run(check("a", kind="stubborn"))
    assert (await bench.inbox.next()).ok is True
    assert len(stubborn.started) == 2


async def test_closing_gives_up_everything_and_delivers_nothing_more(bench: Bench) -> None:
    run = bench.runner(limit=2)
    for name in "abc":
        run.run(check(name))
    await settle()
    began = time.monotonic()
    await run.close()
    assert time.monotonic() - began < 0.5
    assert bench.kind.cancelled == 2
    run.run(check("d"))
    await settle()
    assert len(bench.kind.started) == 2
    assert bench.inbox.results.empty()
