"""What a process that stood still may hold against an endpoint, and what not."""

from __future__ import annotations

from typing import Any

import pytest

from gtm import model, seen
from gtm.health import judge, stalls

KEY = model.CheckKey("hls", "fra-1", "ipv4")
FAST = model.Condition("time.total < 500ms", "time.total", "<", value=0.5, unit="s")
FRESH = model.Condition(
    "playlist.age < 3 * playlist.target", "playlist.age", "<", factor=3.0, other="playlist.target", unit="s"
)
FINE = model.Condition("status == 200", "status", "==", value=200)
HEALTHY = {"time.total": 0.1, "playlist.age": 1.0, "playlist.target": 2.0, "status": 200}


def result(ok: bool | None = True, **more: Any) -> seen.ProbeResult:
    measures = {**HEALTHY, **more.pop("measures", {})}
    return seen.ProbeResult(KEY, "ns1", 0.0, ok, more.pop("reason", ""), measures=measures, **more)


def profile(**lines: Any) -> model.Profile:
    return model.Profile("hls", "hls", timeout_s=2.0, **lines)


@pytest.mark.parametrize(("stalled_s", "ok"), [(0.0, False), (0.4, False), (0.5, False), (0.6, None), (1.9, None)])
def test_A7_silence_is_held_against_nobody_when_more_than_a_quarter_of_the_time_out_was_lost_here(
    stalled_s: float, ok: bool | None
) -> None:
    silent = result(False, reason="no connection within 2s", silent=True, stalled_s=stalled_s)
    assert stalls.excused(profile(), silent).ok is ok


def test_A7_the_reason_says_the_seconds() -> None:
    silent = result(False, reason="no connection within 2s", silent=True, stalled_s=1.64)
    said = "this process stood still for 1.6s of it: no connection within 2s"
    assert stalls.excused(profile(), silent).reason == said


def test_A7_a_refusal_is_believed_on_a_starved_machine() -> None:
    refused = result(False, reason="connection refused", stalled_s=1.9)
    assert stalls.excused(profile(), refused) is refused


@pytest.mark.parametrize(
    ("measures", "stalled_s", "ok"),
    [
        ({"time.total": 0.9}, 0.0, False),
        ({"time.total": 0.9}, 0.3, False),
        ({"time.total": 0.9}, 0.5, None),
        ({"playlist.age": 7.0}, 0.5, False),
        ({"playlist.age": 7.0}, 1.1, None),
        ({"status": 503}, 1.9, False),
    ],
)
def test_A7_a_condition_on_a_time_is_not_judged_when_the_stall_explains_it(
    measures: dict[str, model.Value], stalled_s: float, ok: bool | None
) -> None:
    found, reason = judge.judge(profile(expect=(FINE, FAST, FRESH)), result(measures=measures, stalled_s=stalled_s))
    assert found is ok
    assert reason.startswith("this process stood still for ") is (ok is None)


@pytest.mark.parametrize(("stalled_s", "warnings"), [(0.4, 1), (0.6, 0)])
def test_A7_a_probe_that_had_no_fair_time_warns_of_nothing(stalled_s: float, warnings: int) -> None:
    slow = result(measures={"time.total": 0.9}, stalled_s=stalled_s)
    assert len(judge.warned(profile(warn=(FAST,)), slow).warnings) == warnings
