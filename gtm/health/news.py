"""What the health engine found in, the words in which it says so out: for the brain to act on and to announce."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gtm import events, model, units
from gtm.health import ballot, load, watches
from gtm.health import guard as guards

Kind = Literal["endpoint", "check", "guard", "flap", "stale", "order", "judged", "load", "source", "idle", "step"]


@dataclass(frozen=True, slots=True)
class Transition:
    """Something changed. `endpoints` are those whose verdicts may differ now.

    `endpoint`: an endpoint and family as a whole; `check`: a single check without its endpoint (a stream, one of
    several pools, one that only observes); `load`: an overloaded endpoint got another share of its weight; `source`: a
    stream is dead everywhere, or lives again; `idle`: a member is given back because its stand-ins are idle; `step`:
    nothing that people need to hear (doubt, slow start, the end of a hold), with `before == after`. `name` is the
    steered name when only that name is touched. `first_bad_s` is when the fall began, 0 when nothing fell. `subject`
    is an endpoint's name, for `check` the check, for `order` the order's target, for `source` the steered name.
    """

    kind: Kind
    subject: str
    family: model.Family | None
    before: str
    after: str
    reason: str
    endpoints: frozenset[str]
    first_bad_s: float = 0.0
    name: str = ""

    @property
    def cause(self) -> str:
        """The reason, with the family where only that one is meant."""
        return f"{self.family}: {self.reason}" if self.family else self.reason


@dataclass(frozen=True, slots=True)
class EndpointState:
    """An endpoint and family as a whole, for people: down when it is down for every pool and name. `not_for` are the
    names (or profiles) that it is down for although it is not down, `overload` says of what is up how far it is eased,
    and for which names if not for all; empty when it is not.
    """

    state: model.Status
    since_s: float
    reason: str
    stale: bool
    order: str
    not_for: tuple[str, ...] = ()
    overload: str = ""


def event_kind(change: Transition) -> events.EventKind:
    """Return what kind of event tells of a transition."""
    of_endpoint = change.kind in {"flap", "stale", "load"} and change.subject in change.endpoints
    if change.kind in {"endpoint", "idle"} or of_endpoint:
        return "endpoint"
    if change.kind == "source":
        return "name"
    return "order" if change.kind == "order" else "guard" if change.kind == "guard" else "check"


def quietly(endpoint: str) -> Transition:
    """Return word of a verdict that may differ, which nobody needs to hear."""
    return Transition("step", endpoint, None, "", "", "", frozenset({endpoint}))


def doubt(watch: watches.Watch, dependants: set[str]) -> Transition:
    """Return word of a doubt that came or went: the TTL follows it (D1), also of those that depend on it."""
    key = watch.check.key
    if watch.profile.observe:
        return Transition("step", key.endpoint, key.family, "", "", "", frozenset())
    touched = frozenset({key.endpoint, *dependants})
    return Transition("step", key.endpoint, key.family, "", "", "", touched, name="" if dependants else key.name)


def stale(watch: watches.Watch) -> Transition:
    """Return word of a check that cannot be probed any more, or is again (A7)."""
    key = watch.check.key
    words = ("fresh", "stale") if watch.state.stale else ("stale", "fresh")
    why = f"{key.profile}: {watch.state.reason}" if watch.state.stale else f"{key.profile} is probed again"
    touched = _votes(watch)
    subject = str(key) if key.name or not touched else key.endpoint
    return Transition("stale", subject, key.family, *words, why, touched, name=key.name)


def eased(watch: watches.Watch, before: load.Load, after: load.Load) -> Transition:
    """Return word of an endpoint that got another share of its weight because of its load, as `watch` has found."""
    key = watch.check.key
    why = after.why if after.level > before.level else f"quiet again after: {before.why}"
    subject = str(key) if key.name else key.endpoint
    return Transition("load", subject, key.family, before.text, after.text, why, _votes(watch), name=key.name)


def source(watch: watches.Watch, nodes: frozenset[str], dead: bool) -> list[Transition]:
    """Return word of a stream that is dead on all `nodes` that carry it, or of one that lives again (A12)."""
    if not nodes:
        return []
    key = watch.check.key
    words, why = ("source down", "on air"), "a node has it again"
    if dead:
        words, why = ("on air", "source down"), f"dead on all {len(nodes)} nodes: {watch.state.reason}"
    return [Transition("source", key.name, key.family, *words, why, nodes, name=key.name)]


def given_back(one: ballot.Ballot) -> Transition:
    """Return word of a member that waited for its stand-ins' publishers to go, and now has its part back (B11)."""
    why = "nobody publishes to those that stood in for it"
    return Transition("idle", one.endpoint, one.family, "held", "given back", why, frozenset({one.endpoint}))


def guard(vantage: str, before: str, after: str, why: str, held: Iterable[model.CheckKey]) -> Transition:
    """Return word of the guard (A9), with the checks whose verdicts it holds or held."""
    return Transition("guard", vantage, None, before, after, why, frozenset(key.endpoint for key in held))


def tripped(vantage: str, of: guards.Guard, least: float | None) -> Transition:
    """Return word that the guard has tripped, because fewer than the share `least` of the endpoints are alive."""
    share = f"{of.alive} of {len(of.checked)}"
    why = f"{share} endpoints alive, under {least or 0:.0%}: the verdicts from before the fall are held"
    return guard(vantage, "clear", "tripped", why, of.held)


def held_back(watch: watches.Watch, window_s: float, now: float) -> Transition:
    """Return word of a check that has come back too often within `window_s` (A10)."""
    key, state = watch.check.key, watch.state
    hold = units.show_seconds(state.held_until_s - now)
    why = f"{len(state.returns)} returns within {units.show_seconds(window_s)}: held back for {hold}"
    subject = str(key) if key.name else key.endpoint
    touched = frozenset({key.endpoint})
    return Transition("flap", subject, key.family, "flapping", "held", why, touched, name=key.name)


def check(watch: watches.Watch, before: str, first_bad_s: float) -> Transition:
    """Return word of a check whose measured status is another, while its endpoint's is not."""
    key, why = watch.check.key, watch.state.reason or watch.measured
    fell_s = 0.0 if watch.profile.observe else first_bad_s
    return Transition("check", str(key), key.family, before, watch.measured, why, _votes(watch), fell_s, key.name)


def _votes(watch: watches.Watch) -> frozenset[str]:
    return frozenset() if watch.profile.observe else frozenset({watch.check.key.endpoint})
