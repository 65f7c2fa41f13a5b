"""An incident and what the node sees in, a message that a tired person understands at three in the morning out.

What is wrong, since when, why (with the value that was measured), what was done about it, and where to look.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence

from gtm import model, names, units
from gtm.alerts import facts, topology, words

LINES = 8  # of one sort; the rest is counted
MOST_CHARACTERS = 500  # of one reason: an answer's whole page is no reason
# What is said of what is wrong beside being down, and what they are when they are many.
_BESIDE: tuple[tuple[facts.Aspect, str, str], ...] = (
    ("source", "off the air: no node has it", "streams"),
    ("held", "held back for coming and going", "endpoints"),
    ("eased", "overloaded and eased", "endpoints"),
    ("stale", "cannot be looked at: the last verdict stands", "endpoints"),
)
_PREFIX: dict[words.What, str] = {"update": "UPDATE, ", "reminder": "STILL ", "refresh": ""}


def moment(at: float) -> str:
    """Return a wall-clock moment, in UTC: those who read it may be anywhere."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def lasted(duration_s: float) -> str:
    """Return a duration in its two largest units."""
    whole_s = max(0, round(duration_s))
    coarse_s = next((size for limit, size in ((2 * 86400, 3600), (7200, 60)) if whole_s >= limit), 1)
    return units.show_seconds(whole_s // coarse_s * coarse_s)


def headline(group: str, found: Sequence[facts.Fact], world: topology.Topology) -> str:
    """Return in one line what is wrong."""
    parts = []
    found = _telling(found)
    news = [one for one in found if one.once]
    plain = [one for one in found if not one.once and not one.aspect]
    down = list(dict.fromkeys(one.subject for one in plain if one.kind == "endpoint"))
    kind, _, name = group.partition(":")
    if any(one.kind == "guard" for one in found):
        parts.append("this nameserver distrusts its own eyes: the verdicts from before are held")
    if kind == "endpoint" and name in down and len(down) > 1:
        parts.append(f"{name} is down, and {_count(len(down) - 1, 'endpoint')} behind it")
    elif len(down) == 1:
        families = sorted(one.family for one in plain if one.kind == "endpoint")
        every = world.snapshot.endpoints.get(down[0])
        partly = every is not None and len(families) < len(every.families())
        parts.append(f"{down[0]} is down{' over ' + ', '.join(families) if partly else ''}")
    elif down:
        whole = f" of {len(world.at_site(name))}" if kind == "site" else ""
        parts.append(f"{len(down)}{whole} endpoints are down")
    for aspect, said, many in _BESIDE:
        of = [names.shown(one.name) or one.endpoint for one in found if one.aspect == aspect]
        parts += _listed("", said, list(dict.fromkeys(of)), many)
    for word, after in (("pool", "failed"), ("check", "fails")):
        parts += _listed(word, after, [names.shown(one.subject) for one in plain if one.kind == word])
    for rung, said in (("last_resort", "at the last resort"), ("degraded", "degraded"), ("fallback", "on a fallback")):
        parts += _listed("", said, [names.shown(one.subject) for one in plain if one.state == rung], "names")
    parts += [f"{one.kind} {one.subject}: {one.state}" for one in plain if one.kind in {"config", "store"}]
    if news:
        parts += _listed("", "", [_news(one) for one in news], "events")
    site = f"site {name}: " if kind == "site" else ""
    return site + "; ".join(parts)


def _telling(found: Sequence[facts.Fact]) -> list[facts.Fact]:
    """Return what is worth a word: that checks of a dead endpoint fail is none."""
    keys = {one.key for one in found}
    return [one for one in found if one.covered_by not in keys]


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _listed(word: str, after: str, subjects: list[str], many: str = "") -> list[str]:
    """Return a sentence for a few subjects by name, for many by number."""
    if not subjects:
        return []
    plural = {"failed": "failed", "fails": "fail"}.get(after, after)
    if len(subjects) > 2:
        return [f"{len(subjects)} {many or word + 's'} {plural}".strip()]
    named = " and ".join(subjects)
    return [f"{word} {named} {after}".strip() if len(subjects) == 1 else f"{named} {plural}".strip()]


def _news(one: facts.Fact) -> str:
    return f"{one.kind} {names.shown(one.subject)}: {one.state}"


def body(  # noqa: PLR0917  # all that a message is made of
    what: words.What,
    group: str,
    found: Sequence[facts.Fact],
    world: topology.Topology,
    sight: words.Sight,
    now: float,
) -> str:
    """Return the text below the headline."""
    if all(one.once for one in found):
        return "\n".join(f"{moment(one.since)}  {_news(one)} ({_cut(one.reason)})" for one in found[:LINES])
    since = min(one.since for one in found)
    found = _telling(found)
    lines = [f"Since {moment(since)}, {lasted(now - since)} ago."]
    lines += ["", "Why:", *_reasons(found)]
    done = _done(found, world, sight)
    lines += ["", "What GTM did:", *done] if done else []
    return "\n".join(lines)


def _reasons(found: Sequence[facts.Fact]) -> list[str]:
    """Return what was measured, the same reason once with who has it."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for one in found:
        if one.kind == "endpoint":
            by_reason.setdefault((one.state if one.aspect else "is down", _cut(one.reason)), []).append(one.subject)
        elif one.kind != "name" or one.aspect:
            who = one.subject if one.kind == "guard" else f"{one.kind} {names.shown(one.subject)}"
            by_reason.setdefault((one.state, _cut(one.reason)), []).append(who)
    rows = Counter({key: len(set(subjects)) for key, subjects in by_reason.items()})
    lines = []
    for (state, reason), number in rows.most_common(LINES):
        subjects = list(dict.fromkeys(by_reason[state, reason]))
        more = f" and {number - 3} more" if number > 3 else ""
        lines.append(f"  {', '.join(subjects[:3])}{more}: {state}" + (f" ({reason})" if reason else ""))
    if len(rows) > LINES:
        lines.append(f"  and {len(rows) - LINES} reasons more")
    if not lines:
        lines = [f"  {names.shown(one.subject)}: {_cut(one.reason)}" for one in found[:LINES]]
    return lines


def _done(found: Sequence[facts.Fact], world: topology.Topology, sight: words.Sight) -> list[str]:
    """Return where answers come from now."""
    lines = []
    moved = [one for one in found if one.kind == "name" and not one.aspect]
    for one in moved[:LINES]:
        pools = sight.serving(one.subject)
        served = f"answered from {' and '.join(pools)} now" if pools else "answered by `when_all_down` now"
        lines.append(f"  {names.shown(one.subject)} is {served} ({one.state.replace('_', ' ')})")
    if len(moved) > LINES:
        lines.append(f"  and {len(moved) - LINES} names more")
    seen = [one for one in found if one.aspect != "stale"]  # of the others nothing was changed
    touched = {pool for one in seen if one.endpoint for pool in world.pools(one.endpoint)}
    touched |= {one.subject for one in found if one.kind == "pool"}
    failed = {one.subject for one in found if one.kind == "pool"}
    for pool in sorted(touched)[:LINES]:
        rest = "" if pool in failed else "; those that are up carry its answers"
        lines.append(f"  pool {pool}: {sight.pool(pool)}{rest}")
    return lines


def compose(  # noqa: PLR0917  # all that a message is made of
    message_id: str,
    incident: words.Incident,
    what: words.What,
    told: words.Told | None,
    world: topology.Topology,
    sight: words.Sight,
    now: float,
) -> words.Message:
    """Return the message about an incident. `told` is what this receiver heard of it before."""
    found = sorted(incident.facts.values(), key=lambda one: (-facts.SEVERITIES.index(one.severity), one.key))
    node, look = world.snapshot.node, world.snapshot.web.url
    if what == "resolved" and told is not None:
        severity: model.Severity = told.severity
        title, since = f"{told.title}: over after {lasted(told.calm - told.since)}", told.since
        text = f"Well again since {moment(told.calm)}. It had lasted from {moment(since)}, {lasted(told.calm - since)}."
        label = "RESOLVED"
    else:
        # An incident does not grow milder while it goes on: to an Alertmanager, that would be another one.
        severity = facts.worst([one.severity for one in found] + ([told.severity] if told else []))
        since = min(one.since for one in found)
        title = headline(incident.group, found, world)
        text = body(what, incident.group, found, world, sight, now)
        label = "NOTE" if what == "news" else f"{_PREFIX.get(what, '')}{severity.upper()}"
    where = _look(node, look, found)
    return words.Message(
        id=message_id, incident=incident.id, node=node, what=what, group=incident.group, severity=severity,
        since=since, at=now, title=f"[{node}] {label}: {title}", text=f"{text}\n\n{where}",
        severity_before=told.severity if told else "", look=look,
        facts=tuple(facts.as_json(one) for one in found[: words.MOST_FACTS]),
        left_out=max(0, len(found) - words.MOST_FACTS),
    )  # fmt: skip


def _look(node: str, look: str, found: Sequence[facts.Fact]) -> str:
    """Return where to look further."""
    name = next((names.shown(one.name) for one in found if one.name and "*" not in one.name), "")
    commands = "`gtm status`, `gtm alerts`" + (f", `gtm explain {name}`" if name else "")
    return f"Look: {look + '/ or ' if look else ''}{commands} on {node}"


def _cut(reason: str) -> str:
    clean = " ".join("".join(c if c.isprintable() else " " for c in reason).split())
    return clean if len(clean) <= MOST_CHARACTERS else clean[: MOST_CHARACTERS - 1] + "…"


def trial(message_id: str, snapshot: model.Snapshot, now: float) -> words.Message:
    """Return the message of `gtm alerts test`."""
    node, look = snapshot.node, snapshot.web.url
    text = f"Nobody has to do anything: somebody tries at {moment(now)} whether alerts of {node} come through."
    return words.Message(
        id=message_id, incident=message_id, node=node, what="test", group="test", severity="info", since=now, at=now,
        title=f"[{node}] TEST: this is only a test", text=f"{text}\n\n{_look(node, look, ())}", look=look,
    )  # fmt: skip
