"""A pool, a name's policy and an endpoint in, which checks judge it and what they say together out (A5 and A13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gtm import model


@dataclass(frozen=True, slots=True)
class Ballot:
    """All of `parts` must pass; a part passes when `need` of its checks are up. No parts: taken as up (A13)."""

    endpoint: str
    family: model.Family
    parts: tuple[tuple[tuple[model.CheckKey, ...], int], ...]

    @property
    def checks(self) -> tuple[model.CheckKey, ...]:
        """Every check that votes here, once."""
        return tuple(dict.fromkeys(key for keys, _ in self.parts for key in keys))


def make(
    snapshot: model.Snapshot, pool: model.Pool, endpoint: str, family: model.Family, policy: model.Policy | None
) -> Ballot:
    """Return who judges `endpoint` in `pool` for the names of `policy` (None: for no name in particular).

    The endpoint's own check stands in for the pool's; the name's is laid on top of either.
    """
    noun = snapshot.endpoints.get(endpoint)
    own = noun.check if noun is not None else None
    exprs = (own if own is not None else pool.check, policy.check if policy is not None else None)
    name = policy.name if policy is not None else ""
    parts = tuple(_part(snapshot, expr, endpoint, family, name) for expr in exprs if expr is not None)
    return Ballot(endpoint, family, tuple(part for part in parts if part[0]))


def _part(
    snapshot: model.Snapshot, expr: model.CheckExpr, endpoint: str, family: model.Family, name: str
) -> tuple[tuple[model.CheckKey, ...], int]:
    """Return the checks of an expression that vote here; those that only observe never do (A5).

    A profile per name has no check for names that nobody listed (a bare wildcard): it is left out there.
    """
    keys = []
    for profile_name in expr.of:
        profile = snapshot.profiles.get(profile_name)
        if profile is None or profile.observe:
            continue
        key = model.CheckKey(profile_name, endpoint, family, name if profile.per_name else "")
        if key in snapshot.checks:
            keys.append(key)
    return tuple(keys), min(expr.need, len(keys))


def outcome(ballot: Ballot, status_of: Callable[[model.CheckKey], model.Status]) -> model.Status:
    """Return what the checks say together: unknown as long as those still unknown could decide either way."""
    together: model.Status = "up"
    for keys, need in ballot.parts:
        said = [status_of(key) for key in keys]
        up = said.count("up")
        if up + said.count("unknown") < need:
            return "down"
        if up < need:
            together = "unknown"
    return together
