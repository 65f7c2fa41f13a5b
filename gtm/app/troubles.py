"""A running node in, what is wrong with the node itself out: its store, workers, alerts, certificates, geography,
probes and shares, for the headline. What it steers says for itself how it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from gtm import events
from gtm.app import herald, machine
from gtm.app import node as nodes
from gtm.probes import dial, lateness

# Certificates are looked at this often: they change slowly, and there may be as many as there are checks.
CERTIFICATES_S = 60.0
SHARES_S = 10.0  # shares are uneven by the minute, and there may be thousands of members
# An endpoint's certificate is a trouble this many days before its end: whoever renews by machine has done so by then.
ENDPOINT_DAYS = 7.0
MOST = 20  # at a time; who has more begins with the gravest
MOST_SINCE = 1000  # subjects of which it is known since when: far more than are shown
_HEARD = frozenset({"alert", "geo", "node", "pool", "config"})


class Troubles:
    """What is wrong now. `since` is when it was said, in wall-clock seconds; nothing else of events is used."""

    def __init__(self, node: nodes.Node, crier: herald.Herald, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._node, self._herald, self._monotonic = node, crier, monotonic
        self._since: dict[tuple[str, str], float] = {}
        self._kept: dict[str, tuple[float, list[Mapping[str, Any]]]] = {}
        self.unread: tuple[str, ...] = ()  # tokens whose secret cannot be had
        node.listeners.add(self._heard)

    def _heard(self, event: events.Event) -> None:
        if event.kind in _HEARD:
            self._since.pop((event.kind, event.subject), None)
            self._since[event.kind, event.subject] = event.at
            if len(self._since) > MOST_SINCE:
                del self._since[next(iter(self._since))]

    def now(self) -> list[Mapping[str, Any]]:
        """Return what is wrong, the gravest first: kind, level, text, why, since."""
        found = [
            *self._workers(), *self._store(), *self._receivers(), *self._secrets(),
            *self._seldom("certificates", CERTIFICATES_S, lambda: (*self._ours(time.time()), *self._theirs())),
            *self._geography(), *self._probes(), *self._seldom("shares", SHARES_S, self._shares),
        ]  # fmt: skip
        return found[:MOST]

    def _seldom(
        self, what: str, every_s: float, look: Callable[[], Iterable[Mapping[str, Any]]]
    ) -> list[Mapping[str, Any]]:
        """Return what `look` finds, or found lately: a status is asked for ten times a second."""
        until_s, found = self._kept.get(what, (0.0, []))
        if self._monotonic() >= until_s:
            found = list(look())
            self._kept[what] = self._monotonic() + every_s, found
        return found

    def _one(self, kind: str, text: str, why: str = "", *, subject: str = "", of: str = "") -> Mapping[str, Any]:
        """Return a trouble, with when it was said (`of` is the event's kind when it is not the trouble's)."""
        known = [at for (what, about), at in self._since.items() if what == (of or kind) and subject in {"", about}]
        return {"kind": kind, "level": "warn", "text": text, "why": why, "since": max(known, default=None)}

    def _workers(self) -> Iterator[Mapping[str, Any]]:
        pids = [pid for role, pid in self._node.processes if role == "worker"]
        if missing := sum(1 for pid in pids if not pid):
            said = f"{missing} of {len(pids)} workers {'is' if missing == 1 else 'are'} not running."
            yield self._one("worker", said, "It is started again; the others answer.", of="none")

    def _store(self) -> Iterator[Mapping[str, Any]]:
        if not self._node.book.works:
            said = "The store cannot be used: no order can be given, and a restart would forget."
            yield {**self._one("store", said, self._node.book.trouble), "since": self._node.book.failed_at}

    def _receivers(self) -> Iterator[Mapping[str, Any]]:
        for one in self._herald.receivers():
            if one["trouble"]:
                said = f"Alerts do not reach {one['name']}."
                yield self._one("alert", said, f"{one['trouble']}.".replace("..", "."), subject=one["name"])

    def _secrets(self) -> Iterator[Mapping[str, Any]]:
        for why in (*self._node.vault.troubles, *self.unread):
            yield self._one("config", "A secret or certificate of the configuration cannot be used.", f"{why}.")

    def _ours(self, wall: float) -> Iterator[Mapping[str, Any]]:
        for one in machine.certificates(self._node.snapshot, wall):
            if one.level != "ok":
                yield self._one(
                    "certificate", f"The {one.about}: {one.what}.", f"{one.do[:1].upper()}{one.do[1:]}.", of="none"
                )

    def _theirs(self) -> Iterator[Mapping[str, Any]]:
        left: dict[str, float] = {}
        for key, measures in self._node.measuring.measures.items():
            days = measures.get(dial.DAYS_LEFT.name)
            if isinstance(days, (int, float)) and days < ENDPOINT_DAYS:
                left[key.endpoint] = min(left.get(key.endpoint, ENDPOINT_DAYS), float(days))
        if left:
            first = min(left, key=lambda one: left[one])
            more = f", and {len(left) - 1} more within a week" if len(left) > 1 else ""
            end = f"ends in {left[first]:.1f} days" if left[first] > 0 else "is over"
            yield self._one("certificate", f"The certificate of {first} {end}{more}.", of="none")

    def _geography(self) -> Iterator[Mapping[str, Any]]:
        if troubles := self._node.atlas.troubles:
            said = "A geography database cannot be used: it places nobody."
            yield self._one("geo", said, f"{troubles[0]}.".replace("..", "."))

    def _probes(self) -> Iterator[Mapping[str, Any]]:
        if self._node.runner.lag_s >= lateness.LATE_S:
            said = f"Probes leave {self._node.runner.lag_s:.1f} s late: there are too many for this machine."
            yield self._one("probes", said, of="node", subject="probes")

    def _shares(self) -> Iterator[Mapping[str, Any]]:
        for one in self._node.measuring.analytics.delivered():
            if one["uneven"]:
                about = f"{one['pool']}/{one['endpoint']}"
                said = f"{one['endpoint']} gets {one['delivered']:.0%} of the answers of {one['pool']}"
                why = f"Of {one['answers']:,} answers in ten minutes."
                yield self._one("shares", f"{said}; {one['intended']:.0%} are intended.", why, of="pool", subject=about)
