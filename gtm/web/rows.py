"""The node's status in, the rows of the page out: by kind and key, the worst first where somebody lists them.

A row is what the API and the stream of changes send, and what the page shows; it is bounded, however big the world is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gtm.web import chart

Row = Mapping[str, Any]
Rows = Mapping[str, Row]  # key -> row, in the order of the configuration

KINDS = ("names", "pools", "endpoints", "sites")
ROSTER = 24  # members that a pool's row carries: the worst; the list of endpoints has them all
NAMES_TROUBLE = ("last_resort", "degraded", "fallback")
RANK = {
    "names": {word: rank for rank, word in enumerate((*NAMES_TROUBLE, "first"))},
    "pools": {"down": 0, "weak": 1, "up": 2},
    "endpoints": {"down": 0, "weak": 1, "unknown": 2, "ordered": 3, "stale": 4, "up": 5},
    "sites": {"down": 0, "weak": 1, "up": 2},
}
FIELDS = {
    "names": ("name", "pools"),
    "pools": ("pool", "reason"),
    "endpoints": ("endpoint", "site", "address", "reason", "order"),
    "sites": ("site", "at"),
}


def make(status: Mapping[str, Any]) -> dict[str, dict[str, Row]]:
    """Return all rows of a status (see `WebNode.status`), by kind and key."""
    endpoints = {f"{one['endpoint']}/{one['family']}": one for one in status.get("endpoints", ())}
    homes: dict[str, list[str]] = {}
    for pool in status.get("pools", ()):
        for member in pool.get("roster", ()):
            homes.setdefault(member["endpoint"], []).append(pool["pool"])
    shown = {
        key: {**one, "key": key, "condition": condition(one), "pools": homes.get(one["endpoint"], [])}
        for key, one in endpoints.items()
    }
    serving: Counter[str] = Counter(pool for name in status.get("names", ()) for pool in name.get("pools", ()))
    first_family: dict[str, Row] = {}
    for row in shown.values():
        known = first_family.get(row["endpoint"])
        if known is None or rank("endpoints", row) < rank("endpoints", known):  # the worse of two families speaks
            first_family[row["endpoint"]] = row
    return {
        "names": {one["name"]: one for one in status.get("names", ())},
        "pools": {one["pool"]: _pool(one, serving[one["pool"]], first_family) for one in status.get("pools", ())},
        "endpoints": shown,
        "sites": _sites(status, first_family),
    }


def condition(endpoint: Row) -> str:
    """Return the one word under which an endpoint is listed: trouble first (`weak`: up, but not for every name, or with
    too much to do), then what an operator did.
    """
    state = str(endpoint.get("state", "unknown"))
    if state != "up":
        return state
    if endpoint.get("not_for") or endpoint.get("overload"):
        return "weak"
    return "ordered" if endpoint.get("order") else "stale" if endpoint.get("stale") else "up"


def word(kind: str, row: Row) -> str:
    """Return the word that a row of a kind is ranked and filtered by."""
    return str(row.get({"names": "rung"}.get(kind, "condition"), ""))


def rank(kind: str, row: Row) -> int:
    """Return how urgent a row is; 0 is the worst."""
    return RANK[kind].get(word(kind, row), 0)


def _pool(one: Row, names: int, endpoints: Mapping[str, Row]) -> Row:
    roster = [_member(member, endpoints.get(member["endpoint"], {})) for member in one.get("roster", ())]
    up, members = int(one.get("up", 0)), int(one.get("members", 0))
    well = up == members and all(member["condition"] != "weak" for member in roster)
    said = "down" if not one.get("usable") else "up" if well else "weak"
    kept = sorted(roster, key=lambda member: rank("endpoints", member))[:ROSTER]
    return {**one, "key": one["pool"], "condition": said, "names": names, "roster": kept}


def _member(member: Row, endpoint: Row) -> Row:
    more = {key: endpoint.get(key) for key in ("since", "site", "stale", "not_for", "overload")}
    reason = endpoint.get("reason", "") or member.get("reason", "")
    return {**member, **more, "measured": reason, "condition": condition({**more, **member})}


def _sites(status: Mapping[str, Any], endpoints: Mapping[str, Row]) -> dict[str, Row]:
    """Return the sites with their place on the map and how many of their endpoints are up."""
    total: Counter[str] = Counter()
    up: Counter[str] = Counter()
    weak: Counter[str] = Counter()
    for row in endpoints.values():
        total[row.get("site", "")] += 1
        up[row.get("site", "")] += row.get("state") == "up"
        weak[row.get("site", "")] += row["condition"] == "weak"
    found: dict[str, Row] = {}
    for site in status.get("sites", ()):
        name, lat, lon = site["site"], site.get("lat"), site.get("lon")
        at = chart.point(lat, lon) if lat is not None and lon is not None else chart.of_place(site.get("at", ""))
        said = "up" if up[name] == total[name] and not weak[name] else "weak" if up[name] else "down"
        found[name] = {
            **{"key": name, "site": name, "at": site.get("at", ""), "x": at[0] if at else None},
            **{"y": at[1] if at else None, "up": up[name], "endpoints": total[name], "condition": said},
        }
    return found


def listed(
    kind: str, rows: Rows, *, search: str = "", states: Sequence[str] = (), where: Mapping[str, str] | None = None
) -> list[Row]:
    """Return the rows that fit, the worst first. `states` may name `trouble`; in `where` a list must hold the value."""
    asked, wanted = search.lower(), {word for word in states if word}
    if "trouble" in wanted:
        wanted |= set(RANK[kind]) - {"up", "first"}
    fields = FIELDS[kind]
    tests: list[Callable[[Row], bool]] = []
    if wanted:
        tests.append(lambda row: word(kind, row) in wanted)
    if asked:
        tests.append(lambda row: any(asked in str(row.get(field, "")).lower() for field in fields))
    if compared := [(field, value) for field, value in (where or {}).items() if value]:
        tests.append(lambda row: all(_holds(row.get(field), value) for field, value in compared))
    found = [row for row in rows.values() if all(test(row) for test in tests)]
    return sorted(found, key=lambda row: rank(kind, row))


def _holds(has: object, value: str) -> bool:
    return value in has if isinstance(has, (list, tuple)) else str(has) == value
