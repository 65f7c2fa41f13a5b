"""How things stand in, one sentence out: all is well, or what is wrong, since when and why. The worst goes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from gtm.web import rows

Level = Literal["ok", "warn", "bad"]
WORDS = {"last_resort": "on the last resort", "degraded": "degraded", "fallback": "on a fallback pool"}
Since = Mapping[tuple[str, str], tuple[float, str]]  # (event kind, subject) -> when its state began, and the cause


@dataclass(frozen=True, slots=True)
class Headline:
    """`text` is the sentence, `why` another one or nothing, `since` wall-clock seconds or None."""

    level: Level
    text: str
    why: str = ""
    since: float | None = None

    def shape(self) -> dict[str, Any]:
        """Return it for the API."""
        return asdict(self)


def make(status: Mapping[str, Any], shown: Mapping[str, rows.Rows], *, ready: bool, why: str, since: Since) -> Headline:
    """Return the sentence of the day."""
    if not ready:
        return Headline("bad", "Not ready.", why or "No table is judged yet.")
    names = list(shown["names"].values())
    for rung, words in WORDS.items():
        if low := [str(one["name"]) for one in names if one.get("rung") == rung]:
            return _names(low, len(names), words, "warn" if rung == "fallback" else "bad", shown=shown, since=since)
    return _below(status, shown, since) or _well(status, shown)


def _names(
    low: Sequence[str], total: int, words: str, level: Level, *, shown: Mapping[str, rows.Rows], since: Since
) -> Headline:
    which = ", ".join(name.rstrip(".") for name in low[:3]) + (f" and {len(low) - 3} more" if len(low) > 3 else "")
    text = f"{which} {'is' if len(low) == 1 else 'are'} {words}"
    if len(low) > 3:
        text = f"{len(low)} of {total} names are {words}: {which}"
    known = [since[("name", name)] for name in low if ("name", name) in since]
    down = _failed(shown, since)
    if down:
        why, began = down
        return Headline(level, f"{text}.", why, min((at for at, _ in known), default=began))
    began, cause = min(known, default=(0.0, ""))
    return Headline(level, f"{text}.", cause, began or None)


def _failed(shown: Mapping[str, rows.Rows], since: Since) -> tuple[str, float | None] | None:
    """Say which pool failed first, and with which last words of a member."""
    failed = [row for row in shown["pools"].values() if row["condition"] == "down"]
    if not failed:
        return None

    def began(row: rows.Row) -> float:
        known = since.get(("pool", row["pool"]))
        return known[0] if known else max((one["since"] or 0.0 for one in row["roster"]), default=0.0)

    first = min(failed, key=lambda row: began(row) or float("inf"))
    worst = next((one for one in first["roster"] if one["condition"] != "up"), None)
    words = f"Pool {first['pool']}: " + (str(first.get("reason", "")) or f"{first['up']} of {first['members']} up")
    if worst is not None:
        said = worst["order"] or worst["measured"]
        words += f"; {worst['endpoint']}: {said}" if said else ""
    more = f"; {len(failed) - 1} more pools are down" if len(failed) > 1 else ""
    return words + more + ".", began(first) or None


def _below(status: Mapping[str, Any], shown: Mapping[str, rows.Rows], since: Since) -> Headline | None:
    """Say what is wrong though every name is answered from its first pool; None for nothing."""
    if status.get("guard"):
        at, cause = next((known for (kind, _), known in since.items() if kind == "guard"), (None, ""))
        return Headline("warn", "The guard holds the verdicts of before.", cause or "Too many fell at once.", at)
    config = status.get("config", {})
    if config and not config.get("accepted", True):
        return Headline("warn", "The configuration on disk was refused; the old one stays.", config.get("trouble", ""))
    down = [row for row in shown["endpoints"].values() if row["state"] == "down"]
    if not down:
        return _partly(shown)
    who = list(dict.fromkeys(str(row["endpoint"]) for row in down))
    which = ", ".join(who[:3]) + (f" and {len(who) - 3} more" if len(who) > 3 else "")
    first = min(down, key=lambda row: row.get("since") or float("inf"))
    text = f"Every name is on its first pool, but {which} {'is' if len(who) == 1 else 'are'} down."
    reason = str(first.get("reason") or "")
    why = f"{first['endpoint']}: {reason}." if reason and len(who) > 1 else f"{reason}." if reason else ""
    return Headline("warn", text, why.replace("..", "."), first.get("since"))


def _partly(shown: Mapping[str, rows.Rows]) -> Headline | None:
    """Say which endpoints are up, but not for every name: a stream that stands still; None for nothing."""
    weak = [row for row in shown["endpoints"].values() if row["condition"] == "weak"]
    if not weak:
        return None
    first = weak[0]
    names = [str(name).rstrip(".") for name in first["not_for"]]
    which = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    others = len({row["endpoint"] for row in weak}) - 1
    more = f" {others} more {'is' if others == 1 else 'are'} up for some names only." if others else ""
    why = str(first.get("reason") or "").rpartition(".: ")[2]
    text = f"Every name is on its first pool, but {first['endpoint']} is down for {which}.{more}"
    return Headline("warn", text, f"{why}." if why else "")


def _well(status: Mapping[str, Any], shown: Mapping[str, rows.Rows]) -> Headline:
    names, endpoints = shown["names"], shown["endpoints"]
    up = sum(1 for one in endpoints.values() if one["state"] == "up")
    every = {0: "No name is steered yet.", 1: "All is well. The one name is answered from its first pool."}.get(
        len(names), f"All is well. All {len(names):,} names are answered from their first pool."
    )
    return Headline("ok", every, f"{up:,} of {len(endpoints):,} endpoint addresses are up.")
