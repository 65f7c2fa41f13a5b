"""Standings and checks in, what each endpoint is as a whole out: over all pools and names, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gtm import model, names
from gtm.health import load, news, standings, verdict, watches


class Whole:
    """What each endpoint and family of one configuration was last said to be."""

    def __init__(
        self,
        snapshot: model.Snapshot,
        stand: standings.Standings,
        seen_of: Callable[[model.CheckKey], watches.Seen],
        of: watches.Watches,
    ) -> None:
        self._families = {endpoint.name: endpoint.families() for endpoint in snapshot.endpoints.values()}
        self._standings, self._seen_of, self._watches = stand, seen_of, of
        self._said: dict[tuple[str, model.Family], tuple[model.Status, float]] = {}

    def begin(self, before: Whole, now: float) -> None:
        """Take what the endpoints are without a word; who is what it was before has been so since then."""
        for endpoint, families in self._families.items():
            for family in families:
                here, state = (endpoint, family), self._standings.overall(endpoint, family)
                old = before._said.get(here)
                self._said[here] = old if old is not None and old[0] == state else (state, now)

    def status(self, endpoint: str, family: model.Family) -> model.Status:
        """Return what an endpoint is, without a word."""
        return self._said[endpoint, family][0]

    def state(self, endpoint: str, family: model.Family, order: str) -> news.EndpointState:
        """Return what an endpoint is, since when, and why; `order` is what was ordered of it."""
        mine = list(self._standings.of(endpoint, family))
        state, since_s = self._said[endpoint, family]
        # What failed as a whole is the better reason than what one of its streams was down for before.
        bad = sorted((one for one in mine if one.status == "down"), key=lambda one: state != "down" or not one.cause)
        odd = next(iter(bad), None)
        telling = odd or next((one for one in mine if one.status == state), None)
        votes = [self._seen_of(key) for key in telling.votes] if telling else []
        why = verdict.explain(telling, votes) if telling else ""
        without: tuple[str, ...] = ()
        if odd is not None and state != "down":
            without = _whose(vote for one in bad for vote in map(self._seen_of, one.votes) if vote.status == "down")
            why = f"{state}, but not for {names.some(without)}: {why}"
        overload = self._overload(mine) if state == "up" else ""
        stale = any(self._watches[key].state.stale for one in mine for key in one.votes)
        return news.EndpointState(
            state, since_s, f"{why}, {overload}" if overload else why, stale, order, without, overload
        )

    def _overload(self, mine: Sequence[standings.Standing]) -> str:
        """Say how far an endpoint is eased, and for which names if not for all; nothing when it is not."""
        eased = [
            vote
            for one in mine
            if one.status == "up"
            for vote in map(self._seen_of, one.votes)
            if vote.load.level and vote.status == "up"
        ]
        if not eased:
            return ""
        said = min(eased, key=lambda vote: vote.load.factor).load.said
        return f"{said} for {names.some(_whose(eased))}" if all(vote.key.name for vote in eased) else said

    def stale(self, watch: watches.Watch) -> list[news.Transition]:
        """Return word of a check that cannot be probed any more, or is again: of an endpoint's the first and the last.

        One that counts for a name alone, or for nothing, speaks for itself.
        """
        return [] if any(one.state.stale for one in self._others(watch)) else [news.stale(watch)]

    def eased(self, watch: watches.Watch, before: load.Load) -> news.Transition:
        """Return word of another load: what people hear is the smallest share that any check leaves of its endpoint.

        One that counts for a name alone speaks for itself. Pools may ask for different checks, so verdicts are made
        anew even when the endpoint's smallest share stays.
        """
        others = [one.load for one in self._others(watch)]
        was, now = (min([one, *others], key=lambda one: one.factor) for one in (before, watch.load))
        return news.quietly(watch.check.key.endpoint) if was.factor == now.factor else news.eased(watch, was, now)

    def _others(self, watch: watches.Watch) -> list[watches.Watch]:
        """Return the other checks of the same endpoint as a whole; none for one that is not among them."""
        key = watch.check.key
        votes = {one for mine in self._standings.of(key.endpoint, key.family) for one in mine.votes if not one.name}
        return [self._watches[one] for one in votes - {key}] if key in votes else []

    def changed(self, endpoint: str, now: float, first_bad_s: float) -> list[news.Transition]:
        """Return what people are to hear of an endpoint whose standing changed."""
        happened = []
        for family in self._families[endpoint]:
            before, after = self._said[endpoint, family][0], self._standings.overall(endpoint, family)
            if before != after:
                self._said[endpoint, family] = after, now
                why = self.state(endpoint, family, "").reason
                fell_s = first_bad_s if after == "down" else 0.0
                touched = frozenset({endpoint})
                happened.append(news.Transition("endpoint", endpoint, family, before, after, why, touched, fell_s))
        return happened


def _whose(votes: Iterable[watches.Seen]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(vote.key.name or vote.key.profile for vote in votes))
