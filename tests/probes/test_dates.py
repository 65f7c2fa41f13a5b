"""Dates and durations as servers write them."""

from __future__ import annotations

import pytest

from gtm.probes import dates


@pytest.mark.parametrize(
    ("text", "span_s"),
    [
        ("PT2S", 2),
        ("PT0.033S", 0.033),
        ("PT1M2.5S", 62.5),
        ("PT1H", 3600),
        ("P1DT1H1M1S", 90061),
        ("P1D", 86400),
        ("P0Y0M0DT0H3M30.000S", 210),
        ("PT0S", 0),
        (" PT5S ", 5),
    ],
)
def test_durations_are_read(text: str, span_s: float) -> None:
    assert dates.duration_s(text) == pytest.approx(span_s)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "2S", "PT2", "-PT2S", "PT1e3S", "PT1.S", "P1DT", "PT" + "9" * 100 + "S", "PT٣S\x00"]
)
def test_what_is_no_duration_is_none(text: str) -> None:
    assert dates.duration_s(text) is None


def test_moments_without_a_zone_are_utc() -> None:
    assert dates.moment("2026-11-23T10:00:00Z") == dates.moment("2026-11-23T10:00:00") == 1795428000
    assert dates.moment("2026-11-23T11:00:00.500+01:00") == 1795428000.5
    assert dates.moment("yesterday") is None


def test_the_servers_clock_is_its_date_and_the_caches_age() -> None:
    headers = {"Date": "Mon, 23 Nov 2026 10:00:00 GMT", "Age": "30"}
    assert dates.server_clock(headers) == 1795428030
    assert dates.server_clock({"Age": "30"}) is None
    for wrong in ("x", "-1", "9" * 40, "٣", ""):
        assert dates.held_s({"Age": wrong}) is None
        assert dates.http_date({"Date": wrong}, "Date") is None
