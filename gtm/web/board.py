"""The node in, what the page shows out: a summary, the rows, and what has changed since somebody looked last.

However many look, the node is asked at most once in `FRESH_S`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gtm import errors, events
from gtm.web import headline, node, read, rows

FRESH_S = 0.1  # whoever asks within this time sees the same
MAX_ORDERS = 50  # on the page; the API has them all
MAX_COVERED = 20  # endpoints named in one of them
MAX_SINCE = 10_000  # subjects whose last change is remembered
MAX_CHANGED = 200  # rows of one kind in one change; beyond that whoever looks asks for the list again
RECALLED = 1000  # events that are read to learn since when things stand as they do


@dataclass(frozen=True, slots=True)
class Look:
    """How everything stood at `at` (wall-clock seconds)."""

    at: float
    summary: Mapping[str, Any]
    shown: Mapping[str, rows.Rows]


@dataclass(frozen=True, slots=True)
class Change:
    """What changed between two looks: rows by kind, keys that are gone, and kinds of which too much changed."""

    changed: dict[str, list[rows.Row]] = field(default_factory=dict)
    gone: dict[str, list[str]] = field(default_factory=dict)
    many: list[str] = field(default_factory=list)
    summary: bool = False

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone or self.many or self.summary)


class Board:
    """The one look that everybody shares."""

    def __init__(self, of: node.WebNode, now: Callable[[], float]) -> None:
        self._node, self._now = of, now
        self._last: Look | None = None
        self._since: dict[tuple[str, str], tuple[float, str]] = {}
        self._last_id = 0
        self.followed = False  # whether somebody tells us of every event by `heard`

    def heard(self, event: events.Event) -> None:
        """Remember since when something stands as it does."""
        self._last_id = max(self._last_id, event.id)
        self._since.pop((event.kind, event.subject), None)
        self._since[(event.kind, event.subject)] = (event.at, event.cause)
        if len(self._since) > MAX_SINCE:
            del self._since[next(iter(self._since))]

    def dated(self, kind: str, row: rows.Row) -> rows.Row:
        """Return a row of a name or a pool with `since`, wall-clock seconds, or None when nobody knows."""
        key = {"names": "name", "pools": "pool"}.get(kind)
        if key is None:
            return row
        at, _ = self._since.get((key, row[key]), (None, ""))
        return {**row, "since": at}

    async def look(self, *, fresh: bool = False) -> Look:
        """Return how everything stands; `fresh`: not what somebody else has just seen."""
        at = self._now()
        if self._last is not None and not fresh and 0 <= at - self._last.at < FRESH_S:
            return self._last
        if not self.followed:
            try:
                for event in await self._node.events(0.0, self._last_id, RECALLED):
                    self.heard(event)
            except errors.StoreError:
                pass  # the page can do without: it says nothing about since when
        orders = [order_shape(one) for one in await self._node.orders()]
        status = await self._node.status()
        shown = rows.make(status)
        self._last = Look(at, self._summary(status, shown, orders), shown)
        return self._last

    def _summary(
        self, status: Mapping[str, Any], shown: Mapping[str, rows.Rows], orders: list[dict[str, Any]]
    ) -> dict[str, Any]:
        ready, why = self._node.ready()
        said = headline.make(status, shown, ready=ready, why=why, since=self._since)
        counts = {
            kind: {"total": len(found)} | Counter(rows.word(kind, row) for row in found.values())
            for kind, found in shown.items()
        }
        workers = [one["pid"] for one in status.get("processes", ()) if one.get("role") == "worker"]
        kept = {
            key: status[key]
            for key in ("node", "version", "revision", "digest", "guard", "config", "geo")
            if key in status
        }
        return {
            **{"headline": said[0].shape(), "also": [one.shape() for one in said[1:]]},
            **{"ready": ready, "counts": counts, **kept},
            **{
                "workers": {"alive": sum(1 for pid in workers if pid), "of": len(workers)},
                "listen": status.get("listen", {}),
            },
            **{"orders": orders[:MAX_ORDERS], "orders_total": len(orders)},
        }


def order_shape(view: node.OrderView) -> dict[str, Any]:
    """Return an order as the summary has it: of a thousand endpoints it names the first."""
    shape = read.order_dict(view)
    return shape | {"endpoints": shape["endpoints"][:MAX_COVERED], "covers": len(shape["endpoints"])}


def reduced(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what everybody may see of a summary with `web: {public: names}`: no addresses, endpoints or reasons."""
    said, names = summary["headline"], summary["counts"]["names"]
    low = {word: names.get(word, 0) for word in rows.NAMES_TROUBLE if names.get(word)}
    text = "All names are answered from their first pool."
    if low:
        text = f"{sum(low.values()):,} of {names['total']:,} names are not on their first pool."
    level = "bad" if not summary["ready"] or low.keys() - {"fallback"} else "warn" if low else "ok"
    if not summary["ready"]:
        text = "Not ready."
    since = said["since"] if low else None
    return {"headline": {"level": level, "text": text, "why": "", "since": since}, "counts": {"names": names}}


def reduced_name(row: rows.Row) -> dict[str, Any]:
    """Return what everybody may see of a name."""
    return {"name": row["name"], "rung": row["rung"]}


def difference(before: Look, after: Look) -> Change:
    """Return what has changed, bounded."""
    found = Change(summary=before.summary != after.summary)
    for kind in rows.KINDS:
        old, new = before.shown[kind], after.shown[kind]
        changed = [row for key, row in new.items() if old.get(key) is not row and old.get(key) != row]
        gone = [key for key in old if key not in new] if old.keys() != new.keys() else []
        if len(changed) + len(gone) > MAX_CHANGED:
            found.many.append(kind)
            continue
        if changed:
            found.changed[kind] = changed
        if gone:
            found.gone[kind] = gone
    return found


BOARD: web.AppKey[Board] = web.AppKey("board", Board)
