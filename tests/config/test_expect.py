"""Conditions: `MEASURE OP VALUE` becomes numbers in the measure's own unit."""

from __future__ import annotations

import re

import pytest

from gtm import model
from gtm.config import expect

KIND = model.Kind(
    "x",
    "",
    measures=(
        model.Measure("status", "", ""),
        model.Measure("ok", "", ""),
        model.Measure("body", "text", ""),
        model.Measure("header.*", "text", ""),
        model.Measure("json.*", "text", ""),
        model.Measure("perf.*", "", ""),
        model.Measure("age", "s", ""),
        model.Measure("target", "s", ""),
        model.Measure("size", "bytes", ""),
        model.Measure("certificate.days_left", "days", ""),
        model.Measure("speed", "bit/s", ""),
    ),
)


def condition(text: str, measure: str, op: str, unit: str, **more: object) -> model.Condition:
    return model.Condition(text, measure, op, unit=unit, **more)  # type: ignore[arg-type]  # spelt out below


@pytest.mark.parametrize(
    ("line", "measure", "op", "unit", "more"),
    [
        ("status == 200", "status", "==", "", {"value": 200.0}),
        ("status==200", "status", "==", "", {"value": 200.0}),
        ("status != 0x1f", "status", "!=", "", {"value": 31.0}),
        ("status in 200..299", "status", "in", "", {"value_range": (200.0, 299.0)}),
        ("status in [200, 206]", "status", "in", "", {"values": (200.0, 206.0)}),
        ("ok == true", "ok", "==", "", {"value": True}),
        ("status < 50%", "status", "<", "", {"value": 0.5}),
        ("age < 1m30s", "age", "<", "s", {"value": 90.0}),
        ("age <= 500ms", "age", "<=", "s", {"value": 0.5}),
        ("age > 3", "age", ">", "s", {"value": 3.0}),
        ("age in 1s..1m", "age", "in", "s", {"value_range": (1.0, 60.0)}),
        ("age < 3 * target", "age", "<", "s", {"factor": 3.0, "other": "target"}),
        ("age < 1.5*target", "age", "<", "s", {"factor": 1.5, "other": "target"}),
        ("age <= target", "age", "<=", "s", {"other": "target"}),
        ("size >= 64KiB", "size", ">=", "bytes", {"value": 65536.0}),
        ("size < 1000", "size", "<", "bytes", {"value": 1000.0}),
        ("certificate.days_left > 3", "certificate.days_left", ">", "days", {"value": 3.0}),
        ("certificate.days_left > 14d", "certificate.days_left", ">", "days", {"value": 14.0}),
        ("body contains #EXTM3U", "body", "contains", "text", {"value": "#EXTM3U"}),
        ('body contains " a b "', "body", "contains", "text", {"value": " a b "}),
        ("body matches ^a.*b$", "body", "matches", "text", {"value": "^a.*b$"}),
        ("body == 200..299", "body", "==", "text", None),
        ("body == '200..299'", "body", "==", "text", {"value": "200..299"}),
        ("body in [a, 'b c']", "body", "in", "text", {"values": ("a", "b c")}),
        ("header.X-Foo == 007", "header.X-Foo", "==", "text", {"value": 7}),
        ("json.viewers.total < 100", "json.viewers.total", "<", "text", {"value": 100.0}),
        ("json.live == true", "json.live", "==", "text", {"value": True}),
        ("json.state == running", "json.state", "==", "text", {"value": "running"}),
        ("speed >= 4.2Mbit/s", "speed", ">=", "bit/s", {"value": 4.2e6}),
        ("speed >= 800 kbit/s", "speed", ">=", "bit/s", {"value": 8e5}),
        ("speed in 5e5..1Gbit/s", "speed", "in", "bit/s", {"value_range": (5e5, 1e9)}),
        ("speed > 2000000", "speed", ">", "bit/s", {"value": 2e6}),
        ("status == 200 unless overloaded", "status", "==", "", {"value": 200.0, "unless_overloaded": True}),
        (
            "status in 200..299  unless overloaded",
            "status",
            "in",
            "",
            {"value_range": (200.0, 299.0), "unless_overloaded": True},
        ),
        ("body contains 'unless overloaded'", "body", "contains", "text", {"value": "unless overloaded"}),
        ("perf.load in 0..0.5", "perf.load", "in", "", {"value_range": (0.0, 0.5)}),
    ],
)
def test_a_line_is_read(line: str, measure: str, op: str, unit: str, more: dict[str, object] | None) -> None:
    if more is None:
        with pytest.raises(expect.ExpectError):
            expect.condition(KIND, line)
    else:
        assert expect.condition(KIND, line) == condition(line, measure, op, unit, **more)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "not MEASURE OP VALUE"),
        ("status", "not MEASURE OP VALUE"),
        ("status ==", "not MEASURE OP VALUE"),
        ("status is 200", "not MEASURE OP VALUE"),
        ("unless overloaded", "not MEASURE OP VALUE"),
        ("status == 200 unless full", "not a number"),
        ("stats == 200", "does not measure"),
        ("header. == x", "does not measure"),
        ("status == fine", "not a number"),
        ("status == 'ok'", "is text"),
        ("status < .nan", "not a number"),
        ("status contains 2", "goes with text"),
        ("status in 200", "wants a list or a range"),
        ("status == [200]", "a list goes with `in`"),
        ("status < 1..2", "a range goes with `in`"),
        ("status in 3..2", "is empty"),
        ("status in [1, ]", "empty item"),
        ("age < 3 parsecs", "not a duration"),
        ("age < 3 * status", "different units"),
        ("age < 3 * aeg", "does not measure"),
        ("body < z", "has no order"),
        ("body == 2 * header.x", "cannot be compared"),
        ("body matches (", "not a regular expression"),
        ("body matches " + "a" * 501, "longer than"),
        ("status < 500%", "not a percentage"),
        ("speed > 4 mbit/s", "not a rate"),
        ("speed > 4Mbps", "not a number"),
        ("speed > 1s", "not a number"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(line: str, words: str) -> None:
    with pytest.raises(expect.ExpectError, match=re.escape(words)):
        expect.condition(KIND, line)


def test_the_nearest_measure_is_hinted_at() -> None:
    with pytest.raises(expect.ExpectError) as caught:
        expect.condition(KIND, "stauts == 200")
    assert caught.value.hint == "did you mean 'status'?"
