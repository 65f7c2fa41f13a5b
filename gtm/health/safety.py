"""Who is in service before and after an order in, the floors that it would break out: arithmetic of safety rules.

A member is *in service* when it may be answered in the ordinary way: up as far as is known, not drained or forced
down, not waiting for failback or a flap's hold-down, and not ordered down to 0% of its weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from gtm import seen

NAMED = 3  # so many groups are spelled out in a refusal; the rest is a number

Kind = Literal["pool", "site", "name"]


@dataclass(frozen=True, slots=True)
class Service:
    """Who is in service, by family. Host names (CNAME) answer in both."""

    ipv4: frozenset[str] = frozenset()
    ipv6: frozenset[str] = frozenset()

    def joined(self, other: Service) -> Service:
        """Return both together."""
        return Service(self.ipv4 | other.ipv4, self.ipv6 | other.ipv6)

    @property
    def members(self) -> frozenset[str]:
        """Who is in service in any family."""
        return self.ipv4 | self.ipv6


@dataclass(frozen=True, slots=True)
class Group:
    """One pool, site or name, its floor, and who is in service of it now and after the order."""

    kind: Kind
    name: str
    floor: int
    before: Service
    after: Service


@dataclass(frozen=True, slots=True)
class Breach:
    """A group that an order would leave with `left` members in service, fewer than now and than its floor."""

    kind: Kind
    name: str
    floor: int
    left: int
    family: str

    @property
    def text(self) -> str:
        """The breach in words: `pool edge-eu would keep 0 members in service (floor 1)`."""
        of = "" if self.family == "ipv4" else " for IPv6"
        members = "member" if self.left == 1 else "members"
        return f"{self.kind} {self.name} would keep {self.left} {members} in service{of} (floor {self.floor})"


def in_service(verdict: seen.Verdict) -> bool:
    """Say whether a member is in service by its verdict."""
    return verdict.eligible and not verdict.barred and verdict.weight_factor > 0


def breaches(groups: Iterable[Group]) -> Iterator[Breach]:
    """Yield the groups that would be lowered to below their floor; one that is below already may not be lowered.

    IPv6 may run out where IPv4 keeps its floor: clients then use IPv4 (semantics B6).
    """
    for one in groups:
        if not one.floor:
            continue
        for family, before, after in (
            ("ipv4", one.before.ipv4, one.after.ipv4),
            ("ipv6", one.before.ipv6, one.after.ipv6),
        ):
            spared = family == "ipv6" and len(one.after.ipv4) >= one.floor
            if len(after) < len(before) and len(after) < one.floor and not spared:
                yield Breach(one.kind, one.name, one.floor, len(after), family)
                break


def said(found: list[Breach]) -> str:
    """Return breaches in one line: the first few by name, the others as a number; nothing for none."""
    shown = [one.text for one in found[:NAMED]]
    more = [f"and {len(found) - NAMED} more"] if len(found) > NAMED else []
    return "; ".join(shown + more)
