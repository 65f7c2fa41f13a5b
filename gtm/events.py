"""What comes into the brain, what it wants done, and what happened: plain data, one class a word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gtm import model, seen, table

EventKind = Literal[
    "endpoint", "check", "pool", "name", "config", "guard", "order", "worker", "geo", "store", "node", "alert"
]

# Kind and subject of the one event that stands for a flood of checks that cannot be probed, or can again.
MANY: tuple[EventKind, str] = ("node", "checks")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: the single stream that feeds the page, the timeline, alerts and drills.

    `at` is wall-clock seconds since the epoch (for people; nothing is measured by it), `before` and `after` are
    words (`up`, `down`, `first`, `fallback`), `cause` a sentence. `id` is given by whoever keeps the history.
    """

    at: float
    kind: EventKind
    subject: str
    before: str
    after: str
    cause: str
    id: int = 0


# --- changes: what the brain is fed -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfigCame:
    """A whole accepted configuration, and the world as its places see it. `networks` may be empty."""

    snapshot: model.Snapshot
    networks: seen.Networks


@dataclass(frozen=True, slots=True)
class ProbeCame:
    """One probe of one check ended."""

    result: seen.ProbeResult


@dataclass(frozen=True, slots=True)
class StoreChanged:
    """The orders that are in force now, all of them; released ones are simply gone.

    `released` names targets whose latches (flap hold-down, manual failback) an operator has just lifted, `by` who
    released them, or the orders that are gone.
    """

    orders: tuple[seen.Override, ...]
    released: tuple[str, ...] = ()
    by: str = ""


@dataclass(frozen=True, slots=True)
class WatchBroke:
    """The connection that was held to the place of these checks is gone: they are to look now."""

    checks: tuple[model.CheckKey, ...]


@dataclass(frozen=True, slots=True)
class ChallengesCame:
    """The ACME challenges that are to be answered now, all of them."""

    challenges: tuple[seen.Challenge, ...]


@dataclass(frozen=True, slots=True)
class HostsFollowed:
    """Where the host names lead that stand at the apex of a zone, all of them."""

    hosts: Mapping[str, seen.Followed]


@dataclass(frozen=True, slots=True)
class SerialGrew:
    """A zone that is transferred has a new serial: this is its SOA's rdata."""

    zone: str
    soa: bytes
    ttl_s: int


Change = ConfigCame | ProbeCame | StoreChanged | WatchBroke | ChallengesCame | SerialGrew | HostsFollowed


# --- effects: what the brain wants done ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunProbe:
    """Run this check now, once."""

    check: model.Check


@dataclass(frozen=True, slots=True)
class SwapTable:
    """Give every worker a new answer table (after a reload)."""

    table: table.AnswerTable


@dataclass(frozen=True, slots=True)
class SwapRings:
    """Give every worker these rings, by index into the table's `rings` (after a change of health or order), and these
    `entries` of single names (after a change of challenges).

    `first_bad_s` is when the fall that caused this was first seen (monotonic; 0: no fall), for `gtm_failover_seconds`.
    """

    revision: int
    rings: Mapping[int, table.Ring]
    first_bad_s: float = 0.0
    entries: table.Changed = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Emit:
    """Something happened."""

    event: Event


@dataclass(frozen=True, slots=True)
class Remember:
    """Keep this health for the next start, by check."""

    states: Mapping[model.CheckKey, seen.Known]


Effect = RunProbe | SwapTable | SwapRings | Emit | Remember
