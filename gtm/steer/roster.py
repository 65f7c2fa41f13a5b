"""One pool's members and their verdicts in, who of them may serve and whether the pool is usable out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gtm import model, seen
from gtm.steer import ring

Judge = Callable[[model.Pool, str, model.Family], seen.Verdict]
LEAST_SHARE = 0.125  # of its weight, for a full member without whom the pool would fail
BALANCES_BY_WEIGHT = {"weighted", "sticky", "nearest"}


@dataclass(frozen=True, slots=True)
class Person:
    """One member as it stands: what it would answer, its verdict, and its effective weight (B10)."""

    member: model.Member
    answer: seen.Answer
    site: str
    verdict: seen.Verdict
    weight: float
    known: bool  # up as far as is known; before the first round is judged everybody counts so (A1)
    unsure: bool  # never judged yet

    def counts(self, held: bool) -> bool:
        """Say whether it may serve; `held` lets in those that wait for failback or flap hold-down."""
        return (self.known or self.unsure) and (held or not self.verdict.held)


@dataclass(frozen=True, slots=True)
class Roster:
    """A pool's members that can be answered in one family."""

    pool: model.Pool
    people: tuple[Person, ...]

    def up(self, held: bool) -> list[Person]:
        """Return who may serve."""
        return [person for person in self.people if person.counts(held)]

    def need(self) -> tuple[float, bool]:
        """Return what `min_up` asks for (B3), and whether it is counted in weight instead of heads.

        Never more than the pool has in this family: a pool of three with one IPv6 address can do with that one.
        """
        if self.pool.min_up:
            return min(self.pool.min_up, len(self.people)), False
        total = sum(person.member.weight for person in self.people)
        if not total:  # nothing but standbys: heads instead
            return max(1, _ceil(self.pool.min_up_share * len(self.people))), False
        return _ceil(self.pool.min_up_share * total), True

    def usable(self, held: bool) -> bool:
        """Say whether enough members may serve."""
        up = self.up(held)
        need, by_weight = self.need()
        have = sum(person.member.weight for person in up) if by_weight else len(up)
        return bool(up) and have >= need

    def serving(self, held: bool) -> list[Person]:
        """Return who serves: known before unsure (A1), then the lowest tier (B3), then standbys last (B2)."""
        up = self.up(held)
        best = [person for person in up if person.known] or up
        tier = min((person.member.tier for person in best), default=0)
        best = [person for person in best if person.member.tier == tier]
        return [person for person in best if person.weight > 0] or best

    def without_stream(self) -> Roster:
        """Return those who only lack a stream whose source is dead (A12), as if they had it."""
        left = (replace(person, known=True, unsure=False) for person in self.people if person.verdict.source_down)
        return replace(self, people=tuple(left))

    def turns(self, held: bool) -> list[Person]:
        """Return those whose change could change what is served from this usable pool (D1)."""
        serving = self.serving(held)
        if self.pool.min_up != 1:
            return list(self.people)
        tier = max(person.member.tier for person in serving)
        standby = all(person.weight <= 0 for person in serving)
        return [person for person in self.people if person.member.tier <= tier and (standby or person.weight > 0)]

    def tried(self, held: bool, usable: bool) -> seen.Tried:
        """Return this pool as `explain` shows it."""
        serving = seats(self.serving(held))
        total = sum(seat.weight for seat in serving)
        shares = {seat.answer.endpoint: round(seat.weight / total, 4) for seat in serving}
        views = tuple(
            seen.MemberView(
                person.member.endpoint,
                person.counts(held),
                person.verdict.state,
                round(person.weight, 3),
                person.verdict.why,
                person.verdict.order,
                person.verdict.held,
                shares.get(person.answer.endpoint, 0.0),
            )
            for person in self.people
        )
        known = sum(person.known for person in self.up(held))
        return seen.Tried(self.pool.name, usable, self._reason(held, known), views, known)

    def _reason(self, held: bool, known: int) -> str:
        up = len(self.up(held))
        unsure = up - known
        text = f"{known} of {len(self.people)} up" + (f", {unsure} unknown" if unsure else "")
        need, by_weight = self.need()
        if up and not self.usable(held):
            text += f", needs {self.pool.min_up_share:.0%} of weight" if by_weight else f", needs {need:g}"
        waiting = sum(person.verdict.held and person.counts(held=True) for person in self.people)
        return f"{text}, {waiting} held" if waiting else text


def read(
    pool: model.Pool, family: model.Family, endpoints: Mapping[str, model.Endpoint], judge: Judge, judged: bool
) -> Roster:
    """Return the members of `pool` that have an answer in `family`; a host name (CNAME) answers in every family."""
    people = []
    for member in pool.members:
        endpoint = endpoints[member.endpoint]
        of: model.Family = "cname" if endpoint.hostname else family
        value = endpoint.answer(of)
        if not value:
            continue
        verdict = judge(pool, endpoint.name, of)
        unknown = verdict.state == "unknown" and "up" not in verdict.order.split(", ")
        known = (verdict.eligible and not unknown) or (unknown and not judged)
        # `round-robin` and `all` ignore configured weights, but not an operator's order or a slow start (B8, B10).
        base = member.weight if pool.balance in BALANCES_BY_WEIGHT else min(member.weight, 1)
        people.append(
            Person(
                member=member,
                answer=seen.Answer(endpoint.name, of, value),
                site=endpoint.site,
                verdict=verdict,
                weight=base * verdict.weight_factor,
                known=(known or verdict.held) and not verdict.barred,
                unsure=unknown and not verdict.barred,
            )
        )
    return Roster(pool, tuple(_eased(pool, people)))


def _eased(pool: model.Pool, people: Sequence[Person]) -> Iterator[Person]:
    """Yield people with their load laid over their weights, tier by tier.

    Where everybody is overloaded nobody is: there is no better place. And easing makes nobody a standby who is needed
    for `min_up`.
    """
    for tier in dict.fromkeys(person.member.tier for person in people):
        here = [person for person in people if person.member.tier == tier]
        working = [person for person in here if person.known and person.weight > 0]
        shares = {person.verdict.load_factor for person in here}
        if shares == {1.0} or all(person.verdict.load_factor < 1 for person in working):
            yield from here
            continue
        taking = sum(person.verdict.load_factor > 0 for person in working)
        least = 0.0 if taking >= max(pool.min_up, _ceil(pool.min_up_share * len(working))) else LEAST_SHARE
        for person in here:
            yield replace(person, weight=person.weight * max(person.verdict.load_factor, least))


def seats(people: Sequence[Person], equal: bool = False) -> tuple[ring.Seat, ...]:
    """Return people as seats of a ring; standbys (weight 0) among themselves share alike, as all do if `equal`."""
    flat = equal or all(person.weight <= 0 for person in people)
    return tuple(ring.Seat(person.answer, 1.0 if flat else person.weight, person.site) for person in people)


def _ceil(number: float) -> int:
    """Round up, but not because 0.07 x 100 is a hair above 7."""
    return math.ceil(number - 1e-9)
