"""Verdicts in, the same verdicts out again until something touches their endpoint: a change costs what it changed.

Whatever may change a verdict is told with the endpoints that it touches (`news.Transition`, and the answer to orders),
the steps that time alone makes too. What is not told is the wording: a reason may be the one of the last touch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gtm import model, seen

Judge = Callable[[model.Pool, str, model.Family], seen.Verdict]


class Kept:
    """The verdicts of one configuration. A *view* is a number for who judges: the same number, the same verdicts."""

    def __init__(self) -> None:
        self._of: dict[str, dict[tuple[int, str, model.Family], seen.Verdict]] = {}

    def forget(self, endpoints: Iterable[str]) -> None:
        """Judge these endpoints anew."""
        for one in endpoints:
            self._of.pop(one, None)

    def clear(self) -> None:
        """Judge everybody anew."""
        self._of.clear()

    def of(self, view: int, judge: Judge) -> Judge:
        """Return what says the same as `judge`, and asks it only of what it was not told yet."""

        def kept(pool: model.Pool, endpoint: str, family: model.Family) -> seen.Verdict:
            mine = self._of.get(endpoint)
            if mine is None:
                mine = self._of[endpoint] = {}
            place = view, pool.name, family
            found = mine.get(place)
            if found is None:
                found = mine[place] = judge(pool, endpoint, family)
            return found

        return kept
