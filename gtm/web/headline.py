"""How things stand in, one sentence out: all is well, or what is wrong, since when and why. The worst goes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from gtm import names
from gtm.web import rows

Level = Literal["ok", "warn", "bad"]
MOST = 12  # sentences
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


def make(
    status: Mapping[str, Any], shown: Mapping[str, rows.Rows], *, ready: bool, why: str, since: Since
) -> list[Headline]:
    """Return the sentence of the day, and behind it what else is wrong, the worse first."""
    found = [] if ready else [_not_ready(status, why)]
    names = list(shown["names"].values())
    for rung, words in WORDS.items():
        if low := [one for one in names if one.get("rung") == rung]:
            level: Level = "warn" if rung == "fallback" else "bad"
            whose = "their" if len(low) > 1 else "its"
            where = f"{words} for some of {whose} clients" if all(one.get("partly") for one in low) else words
            found.append(_names([str(one["name"]) for one in low], len(names), where, level, shown=shown, since=since))
    found += _below(status, shown, since, suffers=bool(found))
    found += [Headline(one["level"], one["text"], one["why"], one["since"]) for one in status.get("troubles", ())]
    found += _unseen(shown, since)
    return found[:MOST] or [_well(status, shown)]


def _not_ready(status: Mapping[str, Any], why: str) -> Headline:
    last = status.get("last_table")
    if last is None:
        return Headline("bad", "Not ready.", f"{why[0].upper()}{why[1:]}." if why else "No table is judged yet.")
    text = "The configuration is refused: what is answered is the last table of before."
    return Headline("bad", text, str(status["config"]["trouble"]), last["at"])


def _names(
    low: Sequence[str], total: int, words: str, level: Level, *, shown: Mapping[str, rows.Rows], since: Since
) -> Headline:
    which = names.some(low)
    text = f"{which} {'is' if len(low) == 1 else 'are'} {words}"
    if len(low) > 3:
        text = f"{len(low):,} of {total:,} names are {words}: {which}"
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
    others = len(failed) - 1
    more = f"; {others} more {'pool is' if others == 1 else 'pools are'} down" if others else ""
    return words + more + ".", began(first) or None


def _below(
    status: Mapping[str, Any], shown: Mapping[str, rows.Rows], since: Since, *, suffers: bool
) -> Iterator[Headline]:
    """Yield what is wrong beside the names that are not answered from their first pool."""
    if status.get("guard"):
        at, cause = _newest(since, "guard")
        yield Headline("warn", "The guard holds the verdicts of before.", cause or "Too many fell at once.", at)
    if dead := [str(one["name"]) for one in shown["names"].values() if one.get("source_down")]:
        at, cause = since.get(("name", dead[0]), (None, ""))
        text = f"{names.some(dead)} {'is' if len(dead) == 1 else 'are'} dead at the source."
        yield Headline("bad", text, cause or "No node that carries it has it.", at)
    config = status.get("config", {})
    if config and not config.get("accepted", True) and "last_table" not in status:
        at, _ = _newest(since, "config")
        text = "The configuration on disk was refused; the old one stays."
        yield Headline("warn", text, config.get("trouble", ""), at)
    but = "" if suffers else "Every name is on its first pool, but "
    # Whose pool has failed is told with the names that suffer from it.
    told = {key for key, row in shown["pools"].items() if row["condition"] == "down"} if suffers else set()
    down = [row for row in shown["endpoints"].values() if row["state"] == "down" and told.isdisjoint(row["pools"])]
    if down:
        who = list(dict.fromkeys(str(row["endpoint"]) for row in down))
        first = min(down, key=lambda row: row.get("since") or float("inf"))
        text = f"{but}{names.some(who)} {'is' if len(who) == 1 else 'are'} down."
        reason = str(first.get("reason") or "")
        why = f"{first['endpoint']}: {reason}." if reason and len(who) > 1 else f"{reason}." if reason else ""
        yield Headline("warn", text, why.replace("..", "."), first.get("since"))
    yield from _partly(shown, since, but)
    yield from _eased(shown, since, but)


def _newest(since: Since, kind: str) -> tuple[float | None, str]:
    """Return when something of a kind was said last, and why; nothing when nobody knows."""
    return max((known for (of, _), known in since.items() if of == kind), default=(None, ""))


def _partly(shown: Mapping[str, rows.Rows], since: Since, but: str) -> Iterator[Headline]:
    """Say which endpoints are up, but not for every name: a stream that stands still."""
    weak = [row for row in shown["endpoints"].values() if row.get("not_for") and row["state"] != "down"]
    if not weak:
        return
    first = weak[0]
    without = [str(name) for name in first["not_for"]]
    others = len({row["endpoint"] for row in weak}) - 1
    more = f" {others} more {'is' if others == 1 else 'are'} up for some names only." if others else ""
    why = str(first.get("reason") or "").partition(f"not for {names.some(without)}: ")[2]
    at = min((at for (kind, of), (at, _) in since.items() if kind == "check" and _is(of, first, without)), default=None)
    text = f"{but}{first['endpoint']} is down for {names.some(without)}.{more}"
    yield Headline("warn", text, f"{why}." if why else "", at)


def _eased(shown: Mapping[str, rows.Rows], since: Since, but: str) -> Iterator[Headline]:
    """Say which endpoints have too much to do, and have less than their share for it."""
    eased = [row for row in shown["endpoints"].values() if row.get("overload")]
    if eased:
        who = list(dict.fromkeys(str(row["endpoint"]) for row in eased))
        text = f"{but}{names.some(who)} {'has' if len(who) == 1 else 'have'} too much to do."
        why = f"{who[0]}: {eased[0]['overload']}." if len(who) > 1 else f"{eased[0]['overload']}."
        at = max((at for (kind, of), (at, _) in since.items() if _of(kind, of) == who[0]), default=None)
        yield Headline("warn", text, why, at)


def _of(kind: str, subject: str) -> str:
    """Return the endpoint that an event is about, itself or one of its checks (PROFILE/ENDPOINT/...); else nothing."""
    return subject if kind == "endpoint" else subject.split("/")[1] if kind == "check" else ""


def _is(check: str, row: rows.Row, names: Sequence[str]) -> bool:
    """Say whether a check (PROFILE/ENDPOINT/FAMILY/NAME) is of this row and of one of these names."""
    _, endpoint, _, name = (*check.split("/", 3), "", "", "")[:4]
    return endpoint == row["endpoint"] and name in names


def _unseen(shown: Mapping[str, rows.Rows], since: Since) -> Iterator[Headline]:
    """Say whose checks could not be made for long: what is said of them is what was known last."""
    stale = [row for row in shown["endpoints"].values() if row.get("stale")]
    if stale:
        who = list(dict.fromkeys(str(row["endpoint"]) for row in stale))
        reason = str(stale[0].get("reason") or "")
        text = f"{names.some(who)} cannot be checked: what is known of {'it' if len(who) == 1 else 'them'} is old."
        yield Headline("warn", text, f"{reason}." if reason else "", since.get(("endpoint", who[0]), (None, ""))[0])


def _well(status: Mapping[str, Any], shown: Mapping[str, rows.Rows]) -> Headline:
    names, endpoints = shown["names"], shown["endpoints"]
    up = sum(1 for one in endpoints.values() if one["state"] == "up")
    every = {0: "No name is steered yet.", 1: "All is well. The one name is answered from its first pool."}.get(
        len(names), f"All is well. All {len(names):,} names are answered from their first pool."
    )
    return Headline("ok", every, f"{up:,} of {len(endpoints):,} endpoint addresses are up.")
