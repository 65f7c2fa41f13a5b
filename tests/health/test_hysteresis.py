"""What a row of results makes of a check (semantics A1, A2, A7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import model, seen
from gtm.health import hysteresis

PROFILE = model.Profile("tcp", "tcp", fall=2, rise=3)
UP = seen.HealthState("up", since_s=1.0, last_s=1.0)
DOWN = seen.HealthState("down", since_s=1.0, last_s=1.0, first_bad_s=0.5, reason="refused")


def after(state: seen.HealthState, results: str, profile: model.Profile = PROFILE) -> seen.HealthState:
    """Play `g`ood, `b`ad and `-` (could not run) results, one a second from 10 on."""
    for at, result in enumerate(results, 10):
        state = hysteresis.step(state, {"g": True, "b": False, "-": None}[result], f"why {at}", profile, float(at))
    return state


@pytest.mark.parametrize(
    ("start", "results", "status"),
    [
        (seen.HealthState(), "", "unknown"),
        (seen.HealthState(), "g", "up"),
        (seen.HealthState(), "b", "unknown"),
        (seen.HealthState(), "bb", "down"),
        (seen.HealthState(), "bg", "up"),
        (UP, "b", "up"),
        (UP, "bb", "down"),
        (DOWN, "gg", "down"),
        (DOWN, "ggg", "up"),
        (DOWN, "ggbgg", "down"),
        (DOWN, "ggbggg", "up"),
    ],
)
def test_A2_enough_results_and_no_fewer_change_the_status(
    start: seen.HealthState, results: str, status: model.Status
) -> None:
    assert after(start, results).status == status


def test_A2_a_good_result_does_not_clear_the_count_of_bad_ones() -> None:
    assert after(UP, "bg").bad == 1
    assert after(UP, "bgb").status == "down"
    assert after(UP, "bggb").status == "down"


def test_A2_rise_consecutive_good_ones_clear_the_count() -> None:
    assert after(UP, "bggg") == seen.HealthState("up", since_s=1.0, last_s=13.0)
    assert after(UP, "bgggb").status == "up"


def test_A2_a_bad_one_among_the_good_ones_starts_their_count_anew() -> None:
    profile = model.Profile("tcp", "tcp", fall=3, rise=3)
    assert after(UP, "bggbgg", profile).bad == 2
    assert after(UP, "bggbggb", profile).status == "down"


def test_A7_a_probe_that_could_not_run_keeps_the_verdict_and_marks_it_stale() -> None:
    state = after(UP, "-" * 50)
    assert (state.status, state.stale, state.bad, state.last_s) == ("up", True, 0, 1.0)
    assert not after(UP, "-g").stale
    assert after(DOWN, "g-gg").status == "up"


def test_A7_why_it_could_not_run_does_not_hide_why_it_is_down() -> None:
    assert after(DOWN, "-").reason == "refused"
    assert after(UP, "-").reason == "why 10"


def test_the_fall_is_dated_from_its_first_bad_result() -> None:
    assert after(UP, "ggbb").first_bad_s == 12.0
    assert after(UP, "ggbb").since_s == 13.0
    assert after(UP, "bgggbb").first_bad_s == 14.0
    assert after(seen.HealthState(), "bb").first_bad_s == 10.0
    assert after(DOWN, "ggg").first_bad_s == 0.0


def test_A3_doubt_hurries() -> None:
    assert hysteresis.hurried(after(UP, "b"))
    assert hysteresis.hurried(after(UP, "bgg"))
    assert not hysteresis.hurried(after(UP, "bggg"))
    assert hysteresis.hurried(after(seen.HealthState(), "b"))
    assert not hysteresis.hurried(seen.HealthState())
    assert hysteresis.hurried(after(DOWN, "g"))
    assert not hysteresis.hurried(after(DOWN, "gb"))


@given(st.text("gb-", max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_A2_no_status_changes_without_its_share_of_results(results: str, fall: int, rise: int) -> None:
    profile = model.Profile("tcp", "tcp", fall=fall, rise=rise)
    state, said = seen.HealthState(), ""
    for at, result in enumerate(results):
        before, state = state, after(state, result, profile)
        said += result if result != "-" else ""
        if before.status == "up" and state.status == "down":
            assert said[-1] == "b"
            assert said.count("b") >= fall
        if before.status == "down" and state.status == "up":
            assert said[-rise:] == "g" * rise
        assert state.status != "unknown" or "g" not in said[: at + 1]
        assert state.bad < fall or state.status == "down"
