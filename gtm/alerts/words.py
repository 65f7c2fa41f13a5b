"""What alerting keeps and says, as plain data: silences, messages, letters, and each of them as text and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from gtm import model
from gtm.alerts import facts

What = Literal["firing", "update", "reminder", "refresh", "resolved", "news", "test"]
# A message names so many things; who wants all of them looks at the page.
MOST_FACTS = 50


class Sight(Protocol):
    """What a node sees right now; handed in, so that nothing here keeps a second opinion."""

    def still(self, fact: facts.Fact) -> bool:
        """Say whether something that was wrong is wrong still."""

    def present(self) -> list[facts.Fact]:
        """Return all that is wrong, but for single checks."""

    def ordered(self, endpoint: str) -> bool:
        """Say whether an operator holds this endpoint out, up or down: it is being worked on."""

    def serving(self, name: str) -> tuple[str, ...]:
        """Return the pools that answer for a name."""

    def pool(self, name: str) -> str:
        """Return how a pool is, in few words: `2 of 3 up`."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Until when (wall clock) nobody is told of what `target` names, by whose wish, and why."""

    id: str
    target: str
    by: str
    why: str
    at: float
    until: float


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to say to one receiver. `id` stays the same however often it is tried, `incident` over all messages
    about one trouble; `severity_before` is what was said of it the last time. Times are wall-clock seconds.
    """

    id: str
    incident: str
    node: str
    what: What
    group: str
    severity: model.Severity
    since: float
    at: float
    title: str
    text: str
    severity_before: str = ""
    look: str = ""
    facts: tuple[Mapping[str, Any], ...] = ()
    left_out: int = 0

    @property
    def over(self) -> bool:
        """Whether there is nothing to do any more, or never was."""
        return self.what in {"resolved", "news", "test"}


@dataclass(frozen=True, slots=True)
class Letter:
    """A message on its way. `due` and `made` are by alerting's clock; `trouble` is why the last try failed."""

    receiver: str
    message: Message
    made: float
    due: float
    tries: int = 0
    trouble: str = ""

    @property
    def id(self) -> str:
        """The message's own."""
        return self.message.id


@dataclass(slots=True)
class Told:
    """What one receiver knows of an incident. `at` is when the newest message was made, `taken` when it took one last
    (0: none yet), `calm` since when there is nothing wrong for it (0: there is), `over` when it was told so (0: it was
    not), `returns` how often trouble came back soon after.
    """

    at: float
    severity: model.Severity
    title: str
    since: float
    calm: float = 0.0
    over: float = 0.0
    returns: int = 0
    taken: float = 0.0


@dataclass(slots=True)
class Incident:
    """What is wrong for one cause, and who has been told.

    `past` are facts that ended while it went on: when each was heard of, and when it ended.
    """

    id: str
    group: str
    facts: dict[str, facts.Fact] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    past: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def open_for(self) -> list[str]:
        """Who has been told of it, and not yet that it is over."""
        return [name for name, told in self.told.items() if not told.over]


def dump(one: Silence | Letter | Incident) -> str:
    """Return it as text for the store."""
    return json.dumps(asdict(one), separators=(",", ":"))


def silence(text: str) -> Silence:
    """Read a silence. Raises `ValueError`, `TypeError` or `LookupError` for what is none."""
    return Silence(**json.loads(text))


def letter(text: str) -> Letter:
    """Read a letter. Raises as `silence` does."""
    told = json.loads(text)
    body = told.pop("message")
    body["facts"] = tuple(body["facts"])
    return Letter(message=Message(**body), **told)


def incident(text: str) -> Incident:
    """Read an incident. Raises as `silence` does."""
    told = json.loads(text)
    return Incident(
        told["id"],
        told["group"],
        {key: facts.Fact(**one) for key, one in told["facts"].items()},
        {name: Told(**one) for name, one in told["told"].items()},
        {key: (seen, ended) for key, (seen, ended) in told["past"].items()},
    )
