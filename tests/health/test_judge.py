"""Conditions and measures: what holds, and the sentence for what does not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from gtm import model, seen
from gtm.health import judge

KEY = model.CheckKey("hls", "fra-1", "ipv4")


def said(condition: model.Condition, **measures: model.Value) -> tuple[bool | None, str]:
    given = {name.replace("__", "."): value for name, value in measures.items()}
    profile = model.Profile("hls", "hls", expect=(condition,))
    return judge.judge(profile, seen.ProbeResult(KEY, "ns1", 0.0, True, measures=given))


def condition(text: str, **more: Any) -> model.Condition:
    measure, op, _ = text.split(maxsplit=2)
    return model.Condition(text, measure, op, **more)  # type: ignore[arg-type]


def test_the_sentence_shows_the_values_filled_in() -> None:
    age = condition("playlist.age < 3 * playlist.target", factor=3.0, other="playlist.target", unit="s")
    assert said(age, playlist__age=14.2, playlist__target=2.0) == (
        False,
        "playlist.age is 14.2s, should be < 3 * playlist.target = 6s",
    )
    assert said(age, playlist__age=5.9, playlist__target=2.0) == (True, "")


@pytest.mark.parametrize(
    ("text", "more", "value", "holds"),
    [
        ("status == 200", {"value": 200}, 200, True),
        ("status == 200", {"value": 200}, 503, False),
        ("status != 200", {"value": 200}, 503, True),
        ("status == 200", {"value": 200}, "200", True),
        ("status == 200", {"value": 200}, "ok", False),
        ("status != 200", {"value": 200}, "ok", True),
        ("status >= 200", {"value": 200.0}, 200, True),
        ("status > 200", {"value": 200.0}, 200, False),
        ("status <= 200", {"value": 200.0}, 201, False),
        ("status < 200", {"value": 200.0}, "ok", False),
        ("status in 200..299", {"value_range": (200.0, 299.0)}, 299, True),
        ("status in 200..299", {"value_range": (200.0, 299.0)}, 300, False),
        ("status in 200..299", {"value_range": (200.0, 299.0)}, "ok", False),
        ("status in [200, 204]", {"values": (200.0, 204.0)}, 204, True),
        ("status in [200, 204]", {"values": (200.0, 204.0)}, 404, False),
        ("live == true", {"value": True}, True, True),
        ("live == true", {"value": True}, False, False),
        ("live == true", {"value": True}, 1, False),
        ("body == 1.0", {"value": "1.0"}, "1.00", False),
        ("body contains ok", {"value": "ok"}, "all ok", True),
        ("body contains ok", {"value": "ok"}, "bad", False),
        ("body matches ^o", {"value": "^o"}, "ok", True),
        ("body matches ^o", {"value": "^o"}, "no", False),
    ],
)
def test_each_operator(text: str, more: dict[str, Any], value: model.Value, holds: bool) -> None:
    one = condition(text, **more)
    assert said(one, **{one.measure: value})[0] is holds


@pytest.mark.parametrize(
    ("text", "more", "value", "sentence"),
    [
        ("status == 200", {"value": 200}, 503, "status is 503, should be 200"),
        ("status in 200..299", {"value_range": (200.0, 299.0)}, 404, "status is 404, should be in 200..299"),
        ("size > 1KB", {"value": 1000.0, "unit": "bytes"}, 12, "size is 12 bytes, should be > 1KB"),
        ("left > 14", {"value": 14.0, "unit": "days"}, 2.25, "left is 2.25 days, should be > 14 days"),
        ("age < 1s", {"value": 1.0, "unit": "s"}, 90.0, "age is 1m30s, should be < 1s"),
        ("rtt > 1s", {"value": 1.0, "unit": "s"}, 0.00013, "rtt is 0.1ms, should be > 1s"),
        ("rtt > 1s", {"value": 1.0, "unit": "s"}, 0.00002, "rtt is 0s, should be > 1s"),
        ("rtt > 1s", {"value": 1.0, "unit": "s"}, 0.0, "rtt is 0s, should be > 1s"),
        ("age > 0s", {"value": 0.0, "unit": "s"}, -0.25, "age is -250ms, should be > 0s"),
        (
            "rate >= 4.2Mbit/s",
            {"value": 4.2e6, "unit": "bit/s"},
            800_000.0,
            "rate is 800 kbit/s, should be >= 4.2Mbit/s",
        ),
        ("rate >= 2000000", {"value": 2e6, "unit": "bit/s"}, 1.23456e6, "rate is 1.23 Mbit/s, should be >= 2 Mbit/s"),
        (
            "rate < 1kbit/s",
            {"value": 1e3, "unit": "bit/s"},
            2_345_678_901.0,
            "rate is 2.35 Gbit/s, should be < 1kbit/s",
        ),
        ("rate > 1kbit/s", {"value": 1e3, "unit": "bit/s"}, 12.0, "rate is 12 bit/s, should be > 1kbit/s"),
        ("text != a", {"value": "a"}, "a", "text is 'a', should not be a"),
        ("body matches ^x", {"value": "^x"}, "ab", "body is 'ab', should match ^x"),
        ("live == true", {"value": True}, False, "live is false, should be true"),
        ("body contains x", {"value": "x"}, "a" * 99, f"body is {('a' * 60 + '...')!r}, should contain x"),
    ],
)
def test_values_are_shown_with_their_unit(text: str, more: dict[str, Any], value: model.Value, sentence: str) -> None:
    one = condition(text, **more)
    assert said(one, **{one.measure: value}) == (False, sentence)


def test_a_line_unless_overloaded_holds_when_the_endpoint_says_that_it_has_too_much_to_do() -> None:
    line = condition("status in 200..299 unless overloaded", value_range=(200.0, 299.0), unless_overloaded=True)
    plain = condition("status in 200..299", value_range=(200.0, 299.0))
    full = seen.ProbeResult(KEY, "ns1", 0.0, True, measures={"status": 503}, overloaded="status 503, retry after 30")
    broken = dataclasses.replace(full, overloaded="")
    for one, result, good in ((line, full, True), (line, broken, False), (plain, full, False)):
        ok, reason = judge.judge(model.Profile("p", "http", expect=(one,)), result)
        assert (ok, reason) == (good, "" if good else "status is 503, should be in 200..299")
        (spoken,) = judge.speak(model.Profile("p", "http", expect=(one,)), result.measures, result.overloaded)
        assert spoken.holds is good
        assert spoken.sentence == (
            "status (503) in 200..299 unless overloaded" if good else "status is 503, should be in 200..299"
        )
    assert judge.warned(model.Profile("p", "http", warn=(line,)), full).warnings == ()
    assert judge.warned(model.Profile("p", "http", warn=(plain,)), full).warnings == (
        "status is 503, should be in 200..299",
    )


def test_a_missing_measure_fails_and_says_which() -> None:
    age = condition("playlist.age < 3 * playlist.target", factor=3.0, other="playlist.target", unit="s")
    assert said(age, playlist__age=1.0) == (
        False,
        "playlist.age < 3 * playlist.target: playlist.target was not measured",
    )


def test_two_measures_of_text_are_compared_as_text() -> None:
    same = condition("json.a == json.b", other="json.b")
    assert said(same, json__a="x", json__b="x") == (True, "")
    assert said(same, json__a="x", json__b="y") == (False, "json.a is 'x', should be json.b = 'y'")


def test_a_pattern_sees_a_bounded_text() -> None:
    late = condition("body matches needle", value="needle")
    assert said(late, body="x" * judge.MAX_MATCHED + "needle")[0] is False


def test_A7_a_pattern_that_cannot_be_read_is_not_the_endpoints_fault() -> None:
    assert said(condition("body matches (", value="("), body="x")[0] is None


@pytest.mark.parametrize("ok", [False, None])
def test_a_probe_that_failed_or_could_not_run_keeps_its_own_word(ok: bool | None) -> None:
    profile = model.Profile("tcp", "tcp", expect=(condition("status == 200", value=200),))
    assert judge.judge(profile, seen.ProbeResult(KEY, "ns1", 0.0, ok, "its reason")) == (ok, "its reason")
    assert judge.judge(profile, seen.ProbeResult(KEY, "ns1", 0.0, ok))[1]


def warned(*lines: model.Condition, ok: bool | None = True, **measures: model.Value) -> tuple[str, ...]:
    profile = model.Profile("hls", "hls", warn=lines)
    return judge.warned(profile, seen.ProbeResult(KEY, "ns1", 0.0, ok, measures=measures)).warnings


def test_a_warning_is_a_sentence_and_fails_nothing() -> None:
    slow, dear = condition("rtt < 80ms", value=0.08, unit="s"), condition("cost < 5", value=5.0)
    assert warned(slow, dear, rtt=0.12, cost=3) == ("rtt is 120ms, should be < 80ms",)
    assert warned(slow, dear, rtt=0.02, cost=3) == ()
    result = seen.ProbeResult(KEY, "ns1", 0.0, True, measures={"rtt": 0.12})
    assert judge.judge(model.Profile("hls", "hls", warn=(slow,)), result) == (True, "")


def test_a_warning_about_what_was_not_measured_is_silent() -> None:
    assert warned(condition("rtt < 80ms", value=0.08, unit="s"), cost=3) == ()
    assert warned(condition("rtt < 3 * usual", factor=3.0, other="usual", unit="s"), rtt=9.0) == ()


@pytest.mark.parametrize("ok", [False, None])
def test_a_probe_that_failed_is_not_warned_about(ok: bool | None) -> None:
    assert warned(condition("rtt < 80ms", value=0.08, unit="s"), ok=ok, rtt=0.12) == ()


def test_a_bad_pattern_warns_of_nothing() -> None:
    assert warned(condition("body matches (", value="("), body="x") == ()


@pytest.mark.parametrize(
    ("age_s", "in_s"),
    [(0.0, None), (3.5, None), (3.6, 2.4), (5.8, 0.2), (6.0, None), (9.0, None)],
)
def test_an_age_that_is_overdue_says_when_it_will_be_too_old(age_s: float, in_s: float | None) -> None:
    age = condition("playlist.age < 3 * playlist.target", factor=3.0, other="playlist.target", unit="s")
    fixed = condition("playlist.age < 6s", value=6.0, unit="s")
    late = condition("time.first_byte < 6s", value=6.0, unit="s")
    for one in (age, fixed):
        profile = model.Profile("hls", "hls", expect=(one, late))
        found = judge.runs_out_in_s(profile, {"playlist.age": age_s, "playlist.target": 2, "time.first_byte": 5.9})
        assert found == (None if in_s is None else pytest.approx(in_s))
    assert judge.runs_out_in_s(profile, {}) is None


def test_for_people_a_condition_that_holds_shows_its_bound_too() -> None:
    age = condition("playlist.age < 0.6 * playlist.patience", factor=0.6, other="playlist.patience", unit="s")
    rate = condition("rate > 2000000", value=2e6, unit="bit/s")
    profile = model.Profile("p", "hls", expect=(age, rate))
    spoken = judge.speak(profile, {"playlist.age": 1.2, "playlist.patience": 6.0, "rate": 4.213e6})
    assert [one.sentence for one in spoken] == [
        "playlist.age (1.2s) < 0.6 * playlist.patience = 3.6s",
        "rate (4.21 Mbit/s) > 2 Mbit/s",
    ]
