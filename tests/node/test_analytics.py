"""Who asks most, whether members get their shares, and what failovers move: by arithmetic, in bounded memory."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from gtm import events, seen
from gtm.app import analytics, movements, series, shares, sketch
from gtm.serve import tap
from gtm.wire import report

NOW = 1_700_000_400


def test_the_heaviest_are_found_among_very_many_and_counted_within_their_error() -> None:
    dice, one, true = random.Random(3), sketch.Sketch(64), dict.fromkeys(("a", "b", "c"), 0)
    for number in range(20_000):
        name = dice.choices(("a", "b", "c", f"once-{number}"), (20, 10, 5, 65))[0]
        if name in true:
            true[name] += 1
        one.add(name, 1.0, marked=name == "b")
    found = sketch.heaviest([one], 3)
    assert [heavy.name for heavy in found] == ["a", "b", "c"]
    assert all(heavy.weight - heavy.error <= true[heavy.name] <= heavy.weight for heavy in found)
    assert found[1].marked == true["b"]
    assert found[0].marked == 0
    assert len(one.all()) == 64


def test_sketches_of_several_times_are_added_up() -> None:
    early, late = sketch.Sketch(4), sketch.Sketch(4)
    early.add("a", 5.0)
    early.add("b", 3.0)
    late.add("b", 4.0)
    assert [(heavy.name, heavy.weight) for heavy in sketch.heaviest([early, late], 5)] == [("b", 7.0), ("a", 5.0)]


def minute(one: shares.Shares, drawn: Mapping[str, int], intended: Mapping[str, int], total: int) -> tuple[int, int]:
    """Let a minute pass in which a pool gave so many answers; return how many began and ceased to be uneven."""
    one.counts({
        "steered": {("live.", "edges"): total},
        "drawn": {("edges", endpoint): number for endpoint, number in drawn.items()},
        "intended": {("edges", endpoint): 1000 * number for endpoint, number in intended.items()},
    })  # fmt: skip
    new, over = one.minute()
    return len(new), len(over)


def test_a_member_that_gets_too_much_for_long_is_said_once_and_once_when_it_is_over() -> None:
    one = shares.Shares()
    uneven = [minute(one, {"a": 800, "b": 200}, {"a": 500, "b": 500}, 1000) for _ in range(6)]
    assert uneven == [(0, 0), (0, 0), (2, 0), (0, 0), (0, 0), (0, 0)]
    found = {share.endpoint: share for share in one.now()}
    assert (found["a"].intended, found["a"].delivered, found["a"].differs_s) == (0.5, 0.8, 360.0)
    even = [minute(one, {"a": 500, "b": 500}, {"a": 500, "b": 500}, 1000) for _ in range(12)]
    assert sum(new for new, _ in even) == 0
    assert sum(over for _, over in even) == 2


@pytest.mark.parametrize(
    ("drawn", "total"),
    [({"a": 80, "b": 20}, 100), ({"a": 520, "b": 480}, 1000), ({"a": 0, "b": 0}, 0)],
    ids=["too few answers", "within a few points", "no answers at all"],
)
def test_chance_is_no_warning(drawn: dict[str, int], total: int) -> None:
    one = shares.Shares()
    for _ in range(4):  # within ten minutes that is not yet enough of the few
        new, _ = minute(one, drawn, {"a": total // 2, "b": total // 2}, total)
        assert new == 0


def test_two_members_in_each_answer_have_whole_shares() -> None:
    one = shares.Shares()
    minute(one, {"a": 1000, "b": 1000}, {"a": 1000, "b": 1000}, 1000)
    assert [(share.intended, share.delivered) for share in one.now()] == [(1.0, 1.0), (1.0, 1.0)]


def event(at: float, subject: str, before: str, after: str, kind: events.EventKind = "endpoint") -> events.Event:
    return events.Event(at, kind, subject, before, after, "status 503")


def world(before: Mapping[str, float], after: Mapping[str, float]) -> movements.Movements:
    """Return movements of endpoints that had these answers a second before NOW, and those after it."""
    return movements.Movements(lambda by, since, until: before if until <= NOW else after)


def test_a_failover_says_what_it_moved_once_it_has_settled() -> None:
    one = world({"fra": 10.0, "ams": 5.0}, {"ams": 14.5})
    one.happened(event(NOW, "fra", "up", "down"))
    (shown,) = one.show(NOW - 60)
    assert (shown["settled"], shown["answers_per_minute_before"]) == (False, 900.0)
    one.look(NOW + movements.SETTLES_S + movements.AFTER_S - 1)
    assert not one.show(0)[0]["settled"]
    one.look(NOW + movements.SETTLES_S + movements.AFTER_S)
    (shown,) = one.show(0)
    assert shown["endpoints"] == {
        "from": [{"endpoint": "fra", "before": 600.0, "after": 0.0}],
        "to": [{"endpoint": "ams", "before": 300.0, "after": 870.0}],
        "moved_per_minute": 570.0,
    }
    assert one.show(NOW + 1) == []


def test_a_site_that_falls_is_one_movement_and_what_moves_nobody_is_none() -> None:
    one = world({}, {})
    for number in range(40):
        one.happened(event(NOW + number / 10, f"fra-{number}", "up", "down"))
    one.happened(event(NOW + 60, "fra-1", "unknown", "up"))
    one.happened(event(NOW + 60, "gtm.yaml", "a", "b", "config"))
    (shown,) = one.show(0)
    assert len(shown["subjects"]) == movements.MOST_SUBJECTS
    one.happened(event(NOW + 90, "fra-1", "", "drain", "order"))
    assert len(one.show(0)) == 2


def test_movements_are_bounded() -> None:
    one = world({}, {})
    for number in range(2 * movements.MOST):
        one.happened(event(NOW + 10 * number, "fra", "up", "down"))
    assert len(one.show(0)) == movements.MOST


SAMPLE = tap.Sample(NOW + 1.0, 7, 4, 0xC0000235, 5353, "udp", b"", b"")
FOUND = report.Report("live.example.", "A", (4, 0xC6336400, 24), "NOERROR", 5, ("192.0.2.1",), False)
PLACES = {"198.51.100.0/24": seen.Location("EU", "DE", "BY", 3320), "192.0.2.53": seen.Location("NA", "US", asn=15169)}


def locate(client: str) -> seen.Location:
    return PLACES.get(client, seen.Location())


def test_samples_stand_for_many_by_country_network_and_resolver() -> None:
    said: list[tuple[str, ...]] = []
    recorder = series.Recorder()
    one = analytics.Analytics(recorder, lambda *words: said.append(words))
    one.sampled(SAMPLE, 7.0, FOUND, True, locate)
    one.sampled(SAMPLE, 7.0, FOUND._replace(subnet=None), True, locate)
    one.sampled(SAMPLE, 7.0, FOUND, False, locate)  # a static record: who asks counts, from where does not
    recorder.tick(NOW + 5, 10.0)
    assert recorder.hour("answers", "country", NOW)[1] == {"EU-DE": [0.7], "NA-US": [0.7]}
    assert recorder.hour("answers", "asn", NOW)[1] == {"AS3320": [0.7], "AS15169": [0.7]}
    (row,) = one.resolvers(NOW + 60, locate)
    assert row == {
        "address": "192.0.2.53", "queries": 21, "error": 0, "share": 1.0, "with_subnet": 0.667, "place": "NA-US",
        "asn": 15169,
    }  # fmt: skip
    assert one.resolvers(NOW + 7200, locate) == []
    assert said == []


def test_an_uneven_pool_is_an_event() -> None:
    said: list[tuple[str, ...]] = []
    one = analytics.Analytics(series.Recorder(), lambda *words: said.append(words))
    for _ in range(3):
        one.shares.counts({
            "steered": {("live.", "edges"): 1000},
            "drawn": {("edges", "a"): 900}, "intended": {("edges", "a"): 500_000},
        })  # fmt: skip
        one.minute(NOW)
    assert said == [
        ("pool", "edges/a", "as intended", "uneven", "90% of 3000 answers in ten minutes, 50% intended"),
    ]
    assert one.delivered()[0]["uneven"]
