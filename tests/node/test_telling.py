"""Events that come in floods, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable

from gtm import events
from gtm.app import telling


class Loop:
    """Calls back when the test says so."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def later(self, wait_s: float, call: Callable[[], None]) -> None:
        self.calls.append((wait_s, call))

    def turn(self) -> None:
        calls, self.calls = self.calls, []
        for _, call in calls:
            call()


def event(subject: str, after: str) -> events.Event:
    before = {"stale": "fresh", "fresh": "stale"}.get(after, "up")
    return events.Event(5.0, "endpoint", subject, before, after, f"ipv4: {subject} said so")


def test_A7_a_thousand_checks_that_cannot_be_probed_are_ten_events_and_one_of_all_others() -> None:
    loop, kept = Loop(), list[events.Event]()
    counted: list[events.Event] = []
    told = telling.Telling(count=counted.append, keep=kept.append, later=loop.later)
    for number in range(1000):
        told.take(event(f"e{number}", "stale"))
    told.take(event("e0", "down"))  # what changes answers never waits
    assert [one.after for one in kept] == ["stale"] * telling.ONE_BY_ONE + ["down"]
    assert [wait_s for wait_s, _ in loop.calls] == [telling.GATHER_S]
    loop.turn()
    last = kept[-1]
    assert (last.kind, last.subject, last.before, last.after) == ("node", "checks", "fresh", "stale")
    assert last.cause == "990 checks more within a second; one of e10: ipv4: e10 said so"
    assert counted == kept
    told.take(event("e1", "fresh"))
    assert (kept[-1].subject, len(kept)) == ("e1", telling.ONE_BY_ONE + 3)


def test_what_waits_to_be_told_is_told_at_the_end() -> None:
    loop, kept = Loop(), list[events.Event]()
    told = telling.Telling(count=lambda one: None, keep=kept.append, later=loop.later)
    for number in range(telling.ONE_BY_ONE + 2):
        told.take(event(f"e{number}", "fresh"))
    told.flush()
    told.flush()
    assert len(kept) == telling.ONE_BY_ONE + 1
    assert kept[-1].cause.startswith("2 checks more")
