"""A decision and who asked in, why they get the answer that they get out: as a dictionary, and as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gtm import names, seen

RCODES = {0: "NOERROR", 2: "SERVFAIL"}  # RFC 1035 section 4.1.1; steering has no others
RUNGS = {
    "first": "the first pool of the rule",
    "fallback": "a later pool of the rule",
    "degraded": "no pool is usable, but some members are up",
    "last_resort": "nobody is up: when_all_down",
}


def explanation(
    decision: seen.Decision,
    *,
    name: str,
    qtype: str,
    client: str = "",
    place: str = "",
    ecs_scope: int = 0,
    slot: int | None = None,
) -> dict[str, Any]:
    """Return a decision in the shape of the interface contract (`explain`), with a few keys more.

    `answers` are the records of the reply in `slot` of the ring, or, without one, all records that may be answered
    now, most answered first; `shares` says how often each stands first. `ecs_scope` is what a worker answers with: it
    comes from the configuration, and health does not change it (semantics C7).
    """
    replies = decision.replies
    return {
        "name": name,
        "type": qtype,
        "client": client,
        "place": place,
        "rule": decision.rule,
        "rung": decision.rung,
        "pool": decision.pool,
        "tried": [_tried(one) for one in decision.tried],
        "answers": [one.value for one in (replies[decision.slots[slot]] if slot is not None else _all(decision))],
        "shares": _shares(decision),
        "sticky": list(decision.sticky) if decision.sticky else None,
        "ttl": decision.ttl_s,
        "ecs_scope": ecs_scope,
        "rcode": RCODES[decision.rcode],
        "why": decision.why,
    }


def text(explained: Mapping[str, Any]) -> str:
    """Return an explanation as lines for a terminal, without colour; takes what `explanation` returns."""
    who = explained["client"] or "anybody"
    where = f" in {explained['place']}" if explained["place"] else ""
    lines = [f"{names.shown(explained['name'])} {explained['type']} for {who}{where}"]
    if explained["rule"] is not None:
        pool = f"pool {explained['pool']}" if explained["pool"] else "no pool"
        lines.append(f"  rule {explained['rule']}, {pool}: {RUNGS[explained['rung']]}")
    for tried in explained["tried"]:
        lines.append(f"  {'+' if tried['usable'] else '-'} {tried['pool']}: {tried['reason']}")
        lines.extend(_columns([_member_row(member) for member in tried["members"]]))
    answers = explained["answers"]
    said = (
        f"{', '.join(map(names.shown, answers))}  (ttl {explained['ttl']}s)"
        if answers
        else f"no records, {explained['rcode']}"
    )
    lines.append(f"  answers: {said}")
    shares = explained.get("shares") or {}
    if len(shares) > 1:
        lines.append("  first:   " + ", ".join(f"{names.shown(value)} {share:.1%}" for value, share in shares.items()))
    lines.append(f"  client subnet scope: /{explained['ecs_scope']}")
    lines.append(f"  because: {explained['why']}")
    return "\n".join(lines)


def _tried(one: seen.Tried) -> dict[str, Any]:
    return {
        "pool": one.pool,
        "usable": one.usable,
        "reason": one.reason,
        "members": [
            {
                "endpoint": member.endpoint,
                "eligible": member.eligible,
                "state": member.state,
                "weight": member.weight,
                "reason": member.reason,
                "order": member.order,
                "held": member.held,
                "standby": member.eligible and not member.share,
            }
            for member in one.members
        ],
    }


def _shares(decision: seen.Decision) -> dict[str, float]:
    """Return how often each record stands first in one turn of the ring, most often first."""
    turns = len(decision.slots)
    counts: dict[str, int] = {}
    for slot in decision.slots:
        value = decision.replies[slot][0].value
        counts[value] = counts.get(value, 0) + 1
    ordered = sorted(counts.items(), key=lambda one: -one[1])
    return {value: round(count / turns, 4) for value, count in ordered}


def _all(decision: seen.Decision) -> Sequence[seen.Answer]:
    """Return every record that may be answered: by share of first places, then those that only follow."""
    by_value = {answer.value: answer for reply in decision.replies for answer in reply}
    return [by_value[value] for value in dict.fromkeys((*_shares(decision), *by_value))]


def _member_row(member: Mapping[str, Any]) -> tuple[str, ...]:
    used = "standby" if member.get("standby") else "in" if member["eligible"] else "out"
    order = f"[{member['order']}]" if member.get("order") else ""
    return used, member["endpoint"], member["state"], f"weight {member['weight']:g}", order, member["reason"]


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width).rstrip() for row in rows
    )
    return [f"      {line}" for line in lines]
