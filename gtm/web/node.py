"""What the web asks of the control process, as one Protocol, with the few types that pass between them.

`gtm.app` implements `WebNode`; the web never imports it. All times are wall-clock seconds since the epoch, for people.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from aiohttp import web

from gtm import errors, events, model, seen

Code = Literal[
    "bad-value",
    "no-match",
    "no-such-name",
    "no-such-check",
    "conflict",
    "below-floor",
    "too-many-orders",
    "refused",
    "unavailable",
]


class Refused(errors.GtmError):
    """The node says no. `code` is for machines and gives the HTTP status, `hint` says what to try."""

    def __init__(self, code: Code, message: str, hint: str = "") -> None:
        self.code: Code = code
        self.hint = hint
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Credential:
    """An API token ready for comparing. An empty `secret` (it could not be read) lets nobody in."""

    name: str
    role: Literal["operator", "viewer", "pusher", "acme"]
    secret: str = field(repr=False)
    endpoints: tuple[str, ...] = ()  # globs: whom a pusher speaks for; empty is everybody


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order with what it does: `endpoints` it covers, `safe_at` when the last old answer has died out (semantics
    D3; 0 while unknown), `safe` whether that is past, `overruled_by` the newer orders that win on some of its
    endpoints, and `unconfirmed`, the nodes that have not swapped to it yet.
    """

    order: seen.Override
    endpoints: tuple[str, ...] = ()
    safe_at: float = 0.0
    safe: bool = False
    overruled_by: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Released:
    """What a release lifted: ids of orders, and endpoints or pools whose latch (hold-down, manual failback) went; and
    the ids of the orders that still lie on these endpoints.
    """

    orders: tuple[str, ...] = ()
    latches: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reloaded:
    """How a reload went. Not accepted and `needs_yes`: the plan stands in `plan` and waits for a yes (semantics G3);
    not accepted otherwise: `problems` (as `gtm.config.show.as_json` gives them) and `text`, the same for people.
    """

    accepted: bool
    plan: tuple[str, ...] = ()
    needs_yes: bool = False
    problems: Sequence[Mapping[str, Any]] = ()
    text: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Replaced:
    """How a replacement went. Not done: `why`, and `needs_yes` when only a yes is missing."""

    done: bool
    why: str = ""
    needs_yes: bool = False


@dataclass(frozen=True, slots=True)
class Push:
    """News for a `kind: push` check. `valid_for_s` is how long they hold; 0 leaves that to the profile.

    `overloaded`: it lives and has too much to do; why, in few words.
    """

    ok: bool
    reason: str = ""
    valid_for_s: float = 0.0
    measures: Mapping[str, model.Value] = field(default_factory=dict)
    overloaded: str = ""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Observations in buckets: (upper bound, how many at or below it), growing, without the last `+Inf`."""

    buckets: tuple[tuple[float, float], ...]
    count: float
    sum: float


Samples = Mapping[tuple[str, ...], float | Histogram]
Metrics = Mapping[str, Samples]  # metric without `gtm_` -> label values in `gtm.web.metrics.METRICS`' order -> value


class WebNode(Protocol):
    """The control process as the web sees it. Any method may raise `GtmError`, best a `Refused`."""

    async def decided(self) -> None:
        """Wait until all of the configuration in force is decided: who asks before for more has it done in one go."""

    async def status(self) -> Mapping[str, Any]:
        """Return the shape `status` of the contract, when all is decided. Cheap: it is asked often."""

    def explain(self, name: str, qtype: str, client: str, assume: Sequence[str]) -> Mapping[str, Any]:
        """Return the shape `explain`. `client` is an address, a prefix, or empty; `assume` are `GLOB=down|up`."""

    def ready(self) -> tuple[bool, str]:
        """Say whether DNS is answered from a judged table, and if not, why."""

    def metrics(self) -> Metrics:
        """Return all counts and gauges as they are now."""

    def credentials(self) -> Sequence[Credential]:
        """Return the tokens of the configuration in force (see `gtm.web.auth.credentials`)."""

    def public(self) -> bool:
        """Say whether everybody may see the names and their rungs (`web: {public: names}`)."""

    def event_streams(self) -> int:
        """Return how many event streams there may be at a time (semantics G6)."""

    def subscribe(self, tell: Callable[[events.Event], None]) -> Callable[[], None]:
        """Call `tell` with every event (with its id) from now on, in the loop's thread; return what ends that.

        `tell` never blocks and never raises; the web bounds its own queues.
        """

    async def events(self, since: float, after_id: int, limit: int) -> Sequence[events.Event]:
        """Return the newest `limit` events, oldest first (see `ports.Store`)."""

    async def series(self, kind: str, by: str, since: float, name: str) -> Mapping[str, Any]:
        """Return what was measured since then: `{"kind", "by", "unit", "step_s", "at", "series"}`, at most 50 series of
        1500 points. `name` is a glob, or empty for all. Refuses `bad-value`.
        """

    async def analytics(self, since: float) -> Mapping[str, Any]:
        """Return who asked what from where since then, and whether answers went as intended."""

    async def doctor(self, zone: str) -> Mapping[str, Any]:
        """Return what is served (one zone, or the first ones) and how this machine is; refuse `no-match`."""

    async def orders(self) -> Sequence[OrderView]:
        """Return the orders in force."""

    async def put_order(self, order: seen.Override) -> OrderView:
        """Keep an order (id, by, at, until are filled in) and wait until it is answered; refuse `no-match`, and
        `below-floor` unless glass is broken.
        """

    async def preview_order(self, order: seen.Override) -> Mapping[str, Any]:
        """Return what an order would do (the shape `preview`), and keep nothing; refuse `no-match`."""

    async def drop_order(self, which: str, by: str, break_glass: bool = False) -> Released:
        """Release an order by id, or all orders and latches of a target; refuse `no-match`, `below-floor`."""

    async def preview_drop(self, which: str) -> Mapping[str, Any]:
        """Return what a release would do (the shape `preview`), and release nothing; refuse `no-match`."""

    def denied(self, what: str, why: str) -> None:
        """Write an event of somebody who was refused at the door to orders."""

    async def reload(self, yes: bool, by: str) -> Reloaded:
        """Read the configuration again and take it, unless it has problems or its plan needs a yes."""

    async def replace(self, yes: bool, within_s: float, by: str) -> Replaced:
        """Let the installed version take over once it has proved itself within so many seconds; `yes` lets it answer
        from a configuration that is not the one in force.
        """

    def alerts(self) -> Mapping[str, Any]:
        """Return `receivers`, `open` alerts, the `outbox` with how many are `waiting`, and `silences`."""

    async def test_alerts(self, which: str) -> Sequence[Mapping[str, Any]]:
        """Send a test to the receivers of that name or kind (empty: all), say what came back; refuse `no-match`."""

    async def silence(self, target: str, for_s: float, why: str, by: str) -> Mapping[str, Any]:
        """Tell nobody of what a target names for so long; refuse `no-match`."""

    async def unsilence(self, which: str, by: str) -> bool:
        """End a silence by its id; say whether it was there."""

    def challenges(self) -> Sequence[Mapping[str, Any]]:
        """Return the ACME challenges that are held."""

    async def put_challenge(self, name: str, value: str, for_s: float, by: str) -> Mapping[str, Any]:
        """Hold a challenge for so long (0: as long as is usual), and wait until it is answered; refuse `refused`."""

    async def drop_challenge(self, name: str, value: str, by: str) -> int:
        """Let go of one challenge at a name, or without a value of all; return how many there were."""

    def dns(self, packet: bytes, family: int, address: int) -> tuple[bytes, int] | None:
        """Return the answer to a DNS message and for how many seconds it holds, or None for what is no question;
        refuse `no-match` where DNS over HTTPS is off.
        """

    async def push(self, profile: str, endpoint: str, news: Push) -> None:
        """Take pushed news; refuse `no-such-check`."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every handler reaches for: the node, the wall clock, and the event streams that are open now, each with
    whether its reader may see everything.
    """

    node: WebNode
    now: Callable[[], float]
    streams: dict[asyncio.Task[Any], bool] = field(default_factory=dict)


CONTEXT = web.AppKey("context", Context)


def context(request: web.Request) -> Context:
    """Return the context of the application that `request` came to."""
    return request.app[CONTEXT]
