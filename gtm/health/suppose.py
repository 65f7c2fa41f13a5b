"""Orders as they would be in, what every member would then be worth out; what is measured stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from gtm import model, seen
from gtm.health import orders, standings, verdict, watches

Laid = Mapping[str, orders.Ordered]
# A pool, an endpoint, a family, and the names of which policy (None: no name in particular).
Judge = Callable[[model.Pool, str, model.Family, model.Policy | None], seen.Verdict]


@dataclass(frozen=True, slots=True)
class Told:
    """What the engine holds: where everybody stands, what is ordered, how long a standing and what a check is, and
    which names fare by themselves (see `alike`).
    """

    places: standings.Standings
    laid: Laid
    held_until_s: Callable[[standings.Standing], float]
    seen_of: Callable[[model.CheckKey], watches.Seen]
    restless: Callable[[], Collection[str]]


def under(
    overrides: Sequence[seen.Override], lifted: Collection[str], snapshot: model.Snapshot, told: Told, now: float
) -> tuple[Judge, set[str]]:
    """Return verdicts as they would be if `overrides` were all orders, and whose verdicts may differ from those now.

    `lifted` are endpoints whose latches would be lifted, too. `now` is monotonic seconds.
    """
    laid = orders.lay(overrides, snapshot)
    supposed = told.places.under(orders.forced(laid), now)
    touched = orders.differing(told.laid, laid).union(lifted)
    touched = touched.union(*(told.places.dependants(name) for name in touched))

    def judge(pool: model.Pool, endpoint: str, family: model.Family, policy: model.Policy | None) -> seen.Verdict:
        standing = told.places.find(pool, endpoint, family, policy)
        until_s = 0.0 if endpoint in lifted else told.held_until_s(standing)
        if endpoint in lifted:
            standing = replace(standing, released_s=now)
        ordered = laid.get(endpoint, orders.NOTHING)
        return verdict.of(supposed(standing), pool, ordered, told.seen_of, held_until_s=until_s, now=now)

    return judge, touched
