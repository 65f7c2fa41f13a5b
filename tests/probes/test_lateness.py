"""What a benchmark says of late probes, out of two scrapes of a real exposition."""

from __future__ import annotations

import math

import pytest

from benchmarks import lateness
from gtm.app import meter
from gtm.web import metrics


def scraped(late: meter.Meter) -> str:
    return metrics.Exposition(lambda: {"probe_late_seconds": {(): late.histogram()}}).text().decode()


def test_late_probes_are_told_by_the_bounds_of_their_buckets_and_only_of_the_time_between() -> None:
    late = meter.Meter()
    late.add(7.0)  # the start
    before = scraped(late)
    for late_s in (0.0004,) * 980 + (0.004,) * 19 + (0.2,):
        late.add(late_s)
    found = lateness.between(before, scraped(late))
    assert list(found) == pytest.approx([1000, 5.0, 250.0])
    assert found.text() == "1,000 probes, p99 within 5 ms, all within 250 ms"
    assert list(lateness.between("", before)) == [1, 10_000.0, 10_000.0]


def test_no_probe_at_all_is_late_without_end() -> None:
    text = scraped(meter.Meter())
    assert list(lateness.between(text, text)) == [0, math.inf, math.inf]
