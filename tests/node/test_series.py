"""What is counted becomes points over time: an hour fine, a day by the minute, a month by ten minutes; all bounded."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import Any, cast

import pytest

from gtm import answering, model, seen
from gtm.app import breathing, geography, measuring, series
from gtm.store import memory
from gtm.web import node as desk
from gtm.wire import steps
from tests.wire import world

NOW = 1_700_000_400  # at the full minute, and ten minutes
Counts = dict[str, dict[tuple[str, ...], int]]
STEERED: Counts = {"steered": {("live.example.", "edge-eu"): 30, ("live.example.", "edge-us"): 10}}
ENDPOINTS: Counts = {"answers": {("fra-1",): 30}, "places": {("live.example.", "EU"): 40}}
ASKED: Counts = {"queries": {("udp", "A"): 50, ("tcp", "A"): 10}, "subnets": {(): 15}}


def ticked(recorder: series.Recorder, first: int, number: int, each: dict[str, int]) -> list[seen.Measured]:
    """Let `number` periods pass, with `each` counted in every one of them, by pool."""
    rows = []
    for at in range(first, first + number * series.FINE_S, series.FINE_S):
        for pool, count in each.items():
            recorder.count("answers", "pool", pool, count)
        rows += recorder.tick(at + 5, series.FINE_S)
    return rows


def test_counts_become_rates_by_pool_endpoint_name_place_and_subnet() -> None:
    recorder = series.Recorder()
    recorder.counts(STEERED | ENDPOINTS | ASKED)
    recorder.tick(NOW + 5, 10.0)
    found = {(kind, by): recorder.hour(kind, by, NOW)[1] for kind, about in series.KINDS.items() for by in about.by}
    assert found["answers", "pool"] == {"edge-eu": [3.0], "edge-us": [1.0]}
    assert found["answers", "name"] == {"live.example.": [4.0]}
    assert found["answers", "total"] == {"total": [4.0]}
    assert found["answers", "endpoint"] == {"fra-1": [3.0]}
    assert found["answers", "place"] == {"EU": [4.0]}
    assert found["queries", "subnet"] == {"with": [1.5], "without": [4.5]}
    assert found["queries", "transport"] == {"udp": [5.0], "tcp": [1.0]}


def test_probes_are_averaged_and_silence_is_no_zero() -> None:
    recorder = series.Recorder()
    recorder.probed("fra-1", 10.0, {"playlist.latency": 4.0, "playlist.age": 1.0})
    recorder.probed("fra-1", 30.0, {"playlist.age": 2.0})
    recorder.probed("fra-2", 0.0, {"playlist.age": "unknown"})
    recorder.tick(NOW + 5, 10.0)
    recorder.tick(NOW + 15, 10.0)
    assert recorder.hour("probe_ms", "endpoint", NOW) == ([NOW, NOW + 10], {"fra-1": [20.0, None]})
    assert recorder.hour("latency_s", "endpoint", NOW)[1] == {"fra-1": [3.0, None]}


def test_minutes_and_ten_minutes_are_the_means_of_what_is_shorter() -> None:
    recorder = series.Recorder()
    rows = ticked(recorder, NOW, 6, {"edge": 10}) + ticked(recorder, NOW + 60, 61, {"edge": 40})
    by_pool = [row for row in rows if row.by == "pool"]
    assert by_pool[0] == seen.Measured(NOW, 60, "answers", "pool", {"edge": 1.0}, 60.0)
    assert by_pool[1] == seen.Measured(NOW + 60, 60, "answers", "pool", {"edge": 4.0}, 60.0)
    tens = [row for row in by_pool if row.step_s == 600]
    assert tens == [seen.Measured(NOW, 600, "answers", "pool", {"edge": 3.7}, 600.0)]


def test_a_process_that_ends_in_the_middle_of_a_minute_keeps_its_rate() -> None:
    recorder = series.Recorder()
    ticked(recorder, NOW, 2, {"edge": 10})
    assert seen.Measured(NOW, 60, "answers", "pool", {"edge": 1.0}, 20.0) in recorder.rest()


def test_periods_that_were_skipped_are_unknown_not_zero_and_a_clock_set_back_writes_over_what_was() -> None:
    recorder = series.Recorder()
    ticked(recorder, NOW, 1, {"edge": 10})
    ticked(recorder, NOW + 30, 1, {"edge": 10})
    assert recorder.hour("answers", "pool", NOW)[1] == {"edge": [1.0, None, None, 1.0]}
    ticked(recorder, NOW, 1, {"edge": 50})
    assert recorder.hour("answers", "pool", NOW)[1] == {"edge": [5.0, None, None, 1.0]}


def test_the_last_hour_has_no_hole_before_a_restart() -> None:
    recorder = series.Recorder()
    kept = [
        seen.Measured(NOW, 60, "answers", "pool", {"edge": 2.0}, 60.0), seen.Measured(NOW, 60, "gone", "x", {}, 60.0)
    ]  # fmt: skip
    recorder.recall(kept, NOW + 65.0)
    ticked(recorder, NOW + 70, 1, {"edge": 10})
    at, values = recorder.hour("answers", "pool", NOW)
    assert at == list(range(NOW, NOW + 80, 10))
    assert values == {"edge": [2.0] * 6 + [None, 1.0]}


def test_series_are_bounded_and_what_is_busy_now_takes_the_place_of_what_was() -> None:
    recorder = series.Recorder()
    ticked(recorder, NOW, 1, {f"n{at}": 1 for at in range(series.MOST_TRACKED)})
    ticked(recorder, NOW + 10, 1, {"busy": 500, "quiet": 0.5})  # type: ignore[dict-item]
    values = recorder.hour("answers", "pool", NOW)[1]
    assert len(values) <= series.MOST_TRACKED + 1
    assert values["busy"][-1] == 50.0
    ticked(recorder, NOW + 20, 1, {f"m{at}": 1 for at in range(2 * series.MOST_TRACKED)})
    values = recorder.hour("answers", "pool", NOW)[1]
    assert len(values) <= series.MOST_TRACKED + 1
    whole = sum(points[-1] or 0 for points in values.values())
    assert whole == pytest.approx(2 * series.MOST_TRACKED / 10, rel=1e-4)


def test_what_is_silent_for_an_hour_is_let_go() -> None:
    recorder = series.Recorder()
    ticked(recorder, NOW, 1, {"old": 10})
    ticked(recorder, NOW + 10, series.FINE_POINTS + 7, {"new": 10})
    assert set(recorder.hour("answers", "pool", NOW)[1]) == {"new"}


def test_rows_hold_the_largest_names_and_the_rest_in_one_number() -> None:
    recorder = series.Recorder()
    rows = ticked(recorder, NOW, 7, {f"n{at}": 10 * (at + 1) for at in range(series.MOST_STORED + 50)})
    values = next(row for row in rows if row.by == "pool").values
    assert len(values) == series.MOST_STORED + 1
    assert values[series.OTHER] == sum(range(1, 51))


def test_the_largest_series_are_shown_and_the_rest_is_summed_or_averaged() -> None:
    values: series.Values = {"a": [1.0, None], "b": [3.0, 4.0], "c": [2.0, None], "other": [9.0, 9.0]}
    assert steps.finish(series.largest(values, 2, counted=True)) == {"b": [3.0, 4.0], "other": [12.0, 9.0]}
    assert list(steps.finish(series.largest(values, 4, counted=True))) == ["b", "c", "a", "other"]
    mean = steps.finish(series.largest({"a": [1.0], "b": [3.0], "c": [2.0]}, 2, counted=False))
    assert mean == {"b": [3.0], "other": [1.5]}


def minute(at: int, rate: float, covered_s: float = 60.0) -> seen.Measured:
    return seen.Measured(at, 60, "answers", "pool", {"edge": rate}, covered_s)


async def test_totals_are_what_was_counted_though_processes_come_and_go_in_the_middle_of_periods() -> None:
    clock, counted = [NOW + 3.5], 0
    store = memory.MemoryStore(now=lambda: clock[0])
    for life in range(7):  # each of another length, some shorter than a period; the last one is still there
        one = measuring.Measuring(lambda *_: None, wall=lambda: clock[0])
        one.recorder.recall(await store.measured(60, "", "", 0), clock[0])
        for _ in range(1 + life * life):
            until = (clock[0] // series.FINE_S + 1) * series.FINE_S
            one.recorder.count("answers", "pool", "edge", 1000)
            counted += 1000
            rows = one.recorder.tick(until - series.FINE_S / 2, until - clock[0])
            clock[0] = until
            await store.keep_measured(rows)
        await store.keep_measured(one.recorder.rest())
        clock[0] += 14.5
    for since in (NOW, NOW - 4000, NOW - 2 * 86400):  # fine, by the minute, by ten minutes
        pools = (await one.report(store, since))["answers"]["pool"]
        assert pools == [{"name": "edge", "count": pytest.approx(counted, rel=1e-4), "share": 1.0}], since


async def ask(now: float, rows: list[seen.Measured], **asked: str | float) -> dict[str, object]:
    store = memory.MemoryStore(now=lambda: now)
    await store.keep_measured(rows)
    one = measuring.Measuring(lambda *_: None, wall=lambda: now)
    words = {"kind": "answers", "by": "pool", "since": now - 86400, "name": ""} | asked
    return dict(await one.series(store, **words))  # type: ignore[arg-type]


async def test_a_day_has_minutes_and_a_month_points_that_fit_on_a_screen() -> None:
    minutes = [minute(NOW - 86400 + 60 * at, float(at)) for at in range(1440)]
    day = await ask(NOW, minutes)
    assert (day["step_s"], day["unit"], len(day["at"])) == (60, "1/s", 1440)  # type: ignore[arg-type]
    tens = [seen.Measured(NOW - 600 * at, 600, "answers", "pool", {"edge": 1.0}, 600.0) for at in range(1, 31 * 144)]
    month = await ask(NOW, tens, since=NOW - 31 * 86400.0)
    assert month["step_s"] == 1800
    assert len(month["at"]) <= measuring.MOST_POINTS  # type: ignore[arg-type]
    assert month["series"][0]["values"][0] == 1.0  # type: ignore[index]


async def test_series_are_chosen_by_a_glob_and_holes_are_null() -> None:
    both = {"a.tv.": 1.0, "b.tv.": 2.0}
    rows = [seen.Measured(NOW - at, 60, "answers", "name", both, 60.0) for at in (7200, 7080)]
    found = await ask(NOW, rows, by="name", name="B.*")
    assert found["series"] == [{"name": "b.tv.", "values": [2.0, None, 2.0]}]


@pytest.mark.parametrize("asked", [{"kind": "wishes"}, {"by": "colour"}, {"kind": "probe_ms", "by": "pool"}])
async def test_what_is_not_measured_is_refused(asked: dict[str, str]) -> None:
    with pytest.raises(desk.Refused):
        await ask(NOW, [], **asked)


def test_a_number_that_is_none_never_reaches_json() -> None:
    recorder = series.Recorder()
    recorder.count("latency_s", "endpoint", "fra-1", math.inf)
    recorder.tick(NOW + 5, 10.0)
    assert recorder.hour("latency_s", "endpoint", NOW)[1] == {}


async def test_what_was_measured_by_checks_that_are_gone_is_forgotten() -> None:
    one = measuring.Measuring(lambda *_: None)
    key = model.CheckKey("http", "fra-1", "ipv4")
    one.probed("http", seen.ProbeResult(key, "ns1", 0.0, True, took_ms=5.0, measures={"status": 200}))
    await one.take(world.snapshot(model.Zone("example.")), cast(Any, None), geography.Atlas())
    assert one.measures == {}
    assert one.probe_counts[("http", "ok")] == 1


def test_G6_texts_that_were_measured_are_not_held() -> None:
    one, key = measuring.Measuring(lambda *_: None), model.CheckKey("http", "fra-1", "ipv4")
    found: dict[str, model.Value] = {"status": 200, "body": "x" * 262_144, "header.Age": "5", "ok": True, "rtt": 0.5}
    one.probed("http", seen.ProbeResult(key, "ns1", 0.0, True, measures=found))
    assert one.measures == {key: {"status": 200, "ok": True, "rtt": 0.5}}


async def test_G6_names_pools_and_endpoints_that_are_gone_are_counted_as_others_and_no_sum_falls() -> None:
    one, service = measuring.Measuring(lambda *_: None), answering.Service("_rtmp._tcp", 1935)
    whole = world.snapshot(
        model.Zone("example.", steer={"live.example.": 0, "*.ch.example.": 0}),
        endpoints=[model.Endpoint("e", ipv4="192.0.2.1")],
        pools=[world.pool("p", "e")],
        policies=[replace(world.policy("p"), srv=(service,))],
    )
    kept: dict[tuple[str, ...], int]
    kept = {("live.example.", "p"): 3, ("*.ch.example.", ""): 2, ("_rtmp._tcp.live.example.", "p"): 1}
    for at in range(1000):
        gone: dict[tuple[str, ...], int] = {(f"event{at}.example.", "p"): 1, ("live.example.", f"p{at}"): 1}
        pairs: dict[tuple[str, ...], int] = {("p", "e"): 1, ("p", f"e{at}"): 1, (f"p{at}", "e"): 1}
        one.counted(0, {"steered": gone | (kept if at == 0 else {}), "answers": {("e",): 1, (f"e{at}",): 1}})
        one.counted(0, {"drawn": pairs, "intended": pairs, "places": {(f"event{at}.example.", "EU"): 1}})
        if not at % 100:
            await one.take(whole, cast(Any, None), geography.Atlas())
    await one.take(whole, cast(Any, None), geography.Atlas())
    assert one.counts["steered"] == {**kept, ("(other)", "(other)"): 2000}
    assert one.counts["answers"] == {("e",): 1000, ("(other)",): 1000}
    assert one.counts["places"] == {("(other)", "(other)"): 1000}
    assert one.counts["drawn"] == one.counts["intended"] == {("p", "e"): 1000, ("(other)", "(other)"): 2000}


async def test_thousands_of_names_are_read_without_holding_up_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breathing, "BREATH_S", 0.0)  # after each step
    one = measuring.Measuring(lambda *said: None, wall=lambda: NOW + 3600.0)
    for at in range(0, 3600, series.FINE_S):
        for name in range(300):
            one.recorder.count("answers", "name", f"n{name}", 1.0)
        one.recorder.tick(NOW + at, series.FINE_S)
    turns = 0

    async def live() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    others = asyncio.create_task(live())
    found = await one.series(memory.MemoryStore(now=lambda: NOW), "answers", "name", NOW, "")
    others.cancel()
    assert (len(found["series"]), len(found["at"])) == (measuring.MOST_SERIES, 360)
    assert turns > 300 / series.STEP_NAMES


def test_a_step_of_the_largest_hour_is_short() -> None:
    recorder = series.Recorder()
    for at in range(0, 3600, series.FINE_S):
        for name in range(300):
            recorder.count("answers", "name", f"n{name}", 1.0)
        recorder.tick(NOW + at, series.FINE_S)
    steps = recorder.hour_in_steps("answers", "name", NOW)
    assert sum(1 for _ in steps) == 300 / series.STEP_NAMES
