"""An event in, what it says out: something is wrong, is well again, or simply happened."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from gtm import events, model

Word = Literal["wrong", "well", "once"]
Aspect = Literal["", "eased", "held", "source", "stale"]
SEVERITIES: tuple[model.Severity, ...] = ("info", "warning", "error", "critical")
FAMILIES = ("ipv4", "ipv6", "cname")

# What an event ends in while something is wrong, and how bad that is. A pool that failed has others behind it; a name
# at its last resort has nothing.
_WRONG: dict[tuple[str, str], model.Severity] = {
    ("endpoint", "down"): "warning",
    ("check", "down"): "warning",
    ("pool", "failed"): "error",
    ("name", "fallback"): "warning",
    ("name", "degraded"): "error",
    ("name", "last_resort"): "critical",
    ("guard", "tripped"): "critical",
    ("config", "refused"): "error",
    ("store", "unusable"): "error",
}
# What ends one of these. An endpoint that is held back for flapping, or whose checks could not run, is neither.
_WELL: dict[str, frozenset[str]] = {
    "endpoint": frozenset({"up", "unknown"}),
    "check": frozenset({"up", "unknown"}),
    "pool": frozenset({"usable", "as intended"}),
    "name": frozenset({"first"}),
    "guard": frozenset({"clear"}),
    "store": frozenset({"usable"}),
}
# What may be wrong beside being down: an overloaded node that keeps a part of its weight, one that is held back because
# it comes and goes (nothing says when that ends; it is looked for), one whose checks cannot be run, so that its last
# verdict stands (A7), a stream that no node has. How bad, by what it ends in; None ends it.
_BESIDE: dict[tuple[str, str], tuple[Aspect, model.Severity | None]] = {
    **{(kind, f"weight {share}%"): ("eased", "warning")
       for kind in ("endpoint", "check") for share in ("50", "25", "12.5", "0")},
    **{(kind, "weight 100%"): ("eased", None) for kind in ("endpoint", "check")},
    **{(kind, "held"): ("held", "warning") for kind in ("endpoint", "check")},
    **{(kind, "stale"): ("stale", "warning") for kind in ("endpoint", "check")},
    **{(kind, "fresh"): ("stale", None) for kind in ("endpoint", "check")},
    ("name", "source down"): ("source", "error"),
    ("name", "on air"): ("source", None),
}  # fmt: skip
# What happens once and is over, when it is more than a piece of news.
_ONCE: dict[tuple[str, str], model.Severity] = {
    ("pool", "uneven"): "warning",  # counted by each process anew: no other could say that it is over
    ("worker", "restarted"): "warning",
    ("store", "begun anew"): "error",
    ("geo", "unusable"): "warning",
    ("config", "unusable"): "warning",
    ("node", "unusable"): "warning",
    ("node", "in force"): "warning",
    ("node", "refused"): "warning",
    ("node", "late"): "warning",  # of its probes
    ("node", "starved"): "warning",  # its machine gives it too little time
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is wrong, or (`once`) that happened.

    `family` is an endpoint's; `since` is for people (wall clock), `seen` is when alerting heard of it, by the clock
    that it is driven by. `aspect` is what is wrong when it is not the plain thing.
    """

    kind: str
    subject: str
    family: str
    state: str
    since: float
    reason: str
    severity: model.Severity
    once: bool = False
    seen: float = 0.0
    aspect: Aspect = ""

    @property
    def key(self) -> str:
        """What tells facts apart: there is one of each at a time."""
        return f"{self.kind}/{self.subject}/{self.family}{self.aspect and '/' + self.aspect}"

    @property
    def endpoint(self) -> str:
        """The endpoint that it is about, or nothing. A check's subject is PROFILE/ENDPOINT/FAMILY[/NAME]."""
        if self.kind == "check":
            return self._part(1)
        return self.subject if self.kind == "endpoint" else ""

    @property
    def covered_by(self) -> str:
        """The key of the fact that says it all: of a check, that all of its endpoint is down (or eased, or held).

        Who is down because nothing was heard of it (`on_stale: down`) is down.
        """
        aspect = "" if self.aspect == "stale" else self.aspect and "/" + self.aspect
        if self.kind == "check":
            return f"endpoint/{self._part(1)}/{self._part(2)}{aspect}"
        return f"endpoint/{self.subject}/{self.family}" if self.aspect == "stale" else ""

    def _part(self, at: int) -> str:
        """Return a part of a check's subject; a name may hold anything, a slash too."""
        return (*self.subject.split("/", 3), "", "", "")[at]

    @property
    def name(self) -> str:
        """The steered name that it is about, or nothing."""
        if self.kind == "check":
            return self._part(3)
        return self.subject if self.kind == "name" else ""


def read(event: events.Event) -> tuple[Word, Fact] | None:
    """Return what an event says; None for what nobody is told."""
    kind, after = event.kind, event.after
    if kind == "alert":  # or a receiver that fails would be told so, again and again
        return None
    if (kind, event.subject) == events.MANY:  # which they are is looked for
        return None
    head, colon, rest = event.cause.partition(": ")
    of_family = kind == "endpoint" and bool(colon) and head in FAMILIES
    family, reason = (head, rest) if of_family else ("", event.cause)
    aspect, bad = _BESIDE.get((kind, after), ("", None))
    if aspect:
        found = Fact(kind, event.subject, family, after, event.at, reason, bad or "info", aspect=aspect)
        return ("wrong" if bad else "well"), found
    wrong = _WRONG.get((kind, after))
    if wrong is not None:
        return "wrong", Fact(kind, event.subject, family, after, event.at, reason, wrong)
    if after in _WELL.get(kind, ()) or (kind == "config" and after != "unusable"):
        return "well", Fact(kind, event.subject, family, after, event.at, reason, "info")
    severity = _ONCE.get((kind, after), "info")
    return "once", Fact(kind, event.subject, family, after or "over", event.at, reason, severity, once=True)


def wrong(kind: events.EventKind, subject: str, state: str, *, since: float, reason: str, family: str = "") -> Fact:
    """Return the fact that an event would have been read as: for what is found wrong without having been heard."""
    aspect, bad = _BESIDE.get((kind, state), ("", None))
    return Fact(kind, subject, family, state, since, reason, bad or _WRONG[kind, state], aspect=aspect)


def worst(severities: list[model.Severity]) -> model.Severity:
    """Return the worst of some severities; `info` of none."""
    return max(severities, key=SEVERITIES.index, default="info")


def as_json(fact: Fact) -> dict[str, Any]:
    """Return a fact as plain data; `Fact(**that)` is it again."""
    return asdict(fact)
