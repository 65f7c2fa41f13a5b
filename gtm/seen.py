"""What was seen of the world and what was decided about it: results, states, verdicts, places, decisions.

Frozen and plain like the nouns of `gtm.model`; units in names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from gtm import model

# --- health --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one probe saw. `at_s` is the monotonic clock at its end, `took_ms` its length.

    `ok` True: it got far enough for its conditions to be judged on `measures`; False: it failed, and `reason` says
    how; None: it could not run, which says nothing about the endpoint (semantics A7). `valid_for_s` is for pushed
    results: how long the news holds. `cut_off`: it could not run because this machine has no way to the endpoint's
    network, which the guard counts (A9). `overloaded`: the endpoint lives, and says that it has too much to do; in few
    words, why (`503, retry after 30`). It speaks of the weight alone: whether it is up is for `ok` and the conditions.
    `warnings`: the profile's `warn` lines that do not hold, as sentences with the values filled in; the judge fills
    them in as the result comes to the brain, and only for good results. `reached`: the server itself answered, so
    that what failed is the stream and not the way to it. `silent`: it failed because no answer came in time.
    `stalled_s`: for so long of it this process stood still (`health.stalls`).
    """

    check: model.CheckKey
    vantage: str
    at_s: float
    ok: bool | None
    reason: str = ""
    took_ms: float = 0.0
    measures: Mapping[str, model.Value] = field(default_factory=dict)
    valid_for_s: float = 0.0
    cut_off: bool = False
    overloaded: str = ""
    warnings: tuple[str, ...] = ()
    reached: bool = False
    silent: bool = False
    stalled_s: float = 0.0


class Known(NamedTuple):
    """What is known of a check and outlives the process. `at_s` is the wall clock at its last confirmation, inside the
    health engine the age of that, in seconds; `reached` says whether the server itself answered then. `eased` is how
    many steps its weight was down for its load, and `overload` the sign of that.
    """

    status: model.Status
    at_s: float
    reason: str
    reached: bool = False
    eased: int = 0
    overload: str = ""


@dataclass(frozen=True, slots=True)
class HealthState:
    """What one check is held to be. Times are monotonic seconds.

    `bad` counts bad results while up (cleared by `rise` good ones), `good` counts consecutive good ones; `in_doubt`
    says that the last result points the other way. `first_bad_s` is when the present fall began (0: none), for
    `gtm_failover_seconds`. `stale` says that probes could not run lately.
    """

    status: model.Status = "unknown"
    bad: int = 0
    good: int = 0
    since_s: float = 0.0
    last_s: float = 0.0
    first_bad_s: float = 0.0
    reason: str = ""
    stale: bool = False
    returns: tuple[float, ...] = ()
    held_until_s: float = 0.0

    @property
    def in_doubt(self) -> bool:
        """Whether results point away from `status`, so that it is being confirmed."""
        return (self.status == "up" and self.bad > 0) or (self.status != "up" and self.good > 0)


@dataclass(frozen=True, slots=True)
class Override:
    """An operator's order. `target` is an endpoint, a glob, `site:NAME` or `pool:NAME`; `until` and `at` are wall
    clock seconds (`until` 0: until released). `value` is the factor for `weight` (0.5 for 50%). `break_glass`: it was
    given whatever the safety rules say.
    """

    id: str
    target: str
    order: Literal["drain", "down", "up", "weight"]
    value: float = 1.0
    by: str = ""
    why: str = ""
    at: float = 0.0
    until: float = 0.0
    break_glass: bool = False


@dataclass(frozen=True, slots=True)
class Challenge:
    """A text that proves a domain to a certificate authority (RFC 8555 section 8.4). `name` is absolute, in lower case;
    `at` and `until` are wall clock seconds.
    """

    name: str
    value: str
    by: str = ""
    at: float = 0.0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The only thing that steering sees of a member, for one pool, family and (where checked per name) one name.

    `eligible`: may be answered in the ordinary way. `held`: up, but waiting for `failback` or flap hold-down; used
    before anything worse. `barred`: drained or forced down, out of fail-open too (semantics B5). `weight_factor`
    multiplies the configured weight (orders, slow start). `steps_s`: the soonest time in which this verdict could
    change, counted in whole probe steps (semantics D1); `in_doubt`: results point the other way right now.
    `load_factor` is the share of its weight that an overloaded member keeps (1: it is not; 0: it takes nobody new).
    `source_down`: it is down because the stream is dead on every node that carries it, and for nothing else (A12).
    """

    endpoint: str
    family: model.Family
    eligible: bool
    state: model.Status
    held: bool = False
    barred: bool = False
    weight_factor: float = 1.0
    stale: bool = False
    in_doubt: bool = False
    steps_s: float = 3600.0
    since_s: float = 0.0
    order: str = ""
    why: str = ""
    load_factor: float = 1.0
    source_down: bool = False


# --- measured over time --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured in the `step_s` seconds from wall-clock `at` on, of one `kind` (`answers`), divided `by`
    something (`pool`): averages by name over the `covered_s` of them in which a process was there to measure. Stores
    keep these for plots.
    """

    at: int
    step_s: int
    kind: str
    by: str
    values: Mapping[str, float]
    covered_s: float


# --- places ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Location:
    """What is known of an address: continent (`EU`), country (`DE`), subdivision (`BY`), AS number, coordinates."""

    continent: str = ""
    country: str = ""
    subdivision: str = ""
    asn: int = 0
    lat: float | None = None
    lon: float | None = None

    @property
    def place(self) -> str:
        """The place from wide to narrow, `NA-US-CA`; empty when nothing is known."""
        return "-".join(part for part in (self.continent, self.country, self.subdivision) if part)


@dataclass(frozen=True, slots=True)
class Networks:
    """The databases as steering needs them: sorted ranges over both address spaces.

    Range `i` of a family goes from `starts[i]` to before `starts[i + 1]`; `values[i]` indexes `locations`, where 0
    is the empty Location. Locations keep only what the configuration can tell apart, so neighbours are merged.
    """

    locations: tuple[Location, ...] = (Location(),)
    v4_starts: tuple[int, ...] = (0,)
    v4_values: tuple[int, ...] = (0,)
    v6_starts: tuple[int, ...] = (0,)
    v6_values: tuple[int, ...] = (0,)


# --- followed ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Followed:
    """Where a host name leads: addresses of both families, and for how long they hold."""

    addresses: tuple[str, ...]
    ttl_s: int


# --- decided -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MemberView:
    """One member as `explain` shows it. `weight` is the effective one, `share` its part of its pool's answers as the
    pool stands: 0 for a standby and for a later tier.
    """

    endpoint: str
    eligible: bool
    state: model.Status
    weight: float
    reason: str = ""
    order: str = ""
    held: bool = False
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Tried:
    """One pool that was tried, whether it was usable, and why or why not in a few words (`0 of 3 up`); `up` are its
    members that are known to be, for unknown is a state of its own (semantics A1).
    """

    pool: str
    usable: bool
    reason: str
    members: tuple[MemberView, ...] = ()
    up: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """One record to give: `value` is an address, or an absolute host name for `cname`. `endpoint` may be empty
    (last resort).
    """

    endpoint: str
    family: model.Family
    value: str


@dataclass(frozen=True, slots=True)
class Offer(Answer):
    """A host that offers a service, as an SRV record says it (RFC 2782): family `cname`, lowest priority first."""

    priority: int = 0
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What steering decided for one policy, audience and family (`ipv4`, `ipv6`; `cname` for all other types).

    `replies` are the different answers, `slots` the turn of the ring over them; both empty with `rcode` 0 is
    NODATA. `pool` is the serving pool (empty for none), `rule` counts from 1, `why` is the one line for EDE:
    `rule 2; pool edge-us; edge-eu failed: 0 of 3 up; ttl 5`.
    """

    rule: int
    rung: model.Rung
    pool: str
    tried: tuple[Tried, ...]
    replies: tuple[tuple[Answer, ...], ...]
    slots: tuple[int, ...]
    ttl_s: int
    sticky: tuple[int, int] | None = None
    rcode: int = 0
    why: str = ""
