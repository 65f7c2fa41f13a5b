"""One endpoint's standing, orders and holds in, the verdict that steering sees out (semantics A10, B10, B11, D1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from gtm import model, seen, units
from gtm.health import hysteresis, news, orders, schedule, standings, watches
from gtm.health import load as loads

SLOW_STEPS = 10  # from a tenth to the whole in tenths: fine enough for caches to warm, few enough swaps
NEVER_S = 3600.0  # steps of what no probe can change: longer than any TTL bound in use


def usable_from_s(standing: standings.Standing, pool: model.Pool, held_until_s: float) -> float:
    """Return from when a member that is up may be used in this pool again: failback and flap hold-down (B11, A10).

    0 when it never left; infinity while a manual failback waits for its release.
    """
    if not standing.returned_s:
        return held_until_s
    from_s = standing.returned_s + pool.failback_s
    if standing.released_s >= standing.returned_s:
        from_s = min(from_s, standing.released_s)
    return max(from_s, held_until_s)


def waits_for_idle(standing: standings.Standing, pool: model.Pool, now: float) -> bool:
    """Say whether a member is up and held back until its stand-ins are idle (`failback: when_idle`)."""
    back = standing.status == "up" and standing.released_s < standing.returned_s
    return pool.when_idle and back and now < standing.returned_s + pool.failback_s


def slow_start(standing: standings.Standing, pool: model.Pool, from_s: float, now: float) -> float:
    """Return the share of its weight that a recovered member has by now (B10): 0.1 at first, 1.0 at the end."""
    if not standing.returned_s or not pool.slow_start_s:
        return 1.0
    return (1 + sum(at <= now for at in _steps(pool, from_s))) / SLOW_STEPS


def weight_factor(
    standing: standings.Standing, pool: model.Pool, ordered: orders.Ordered, *, held_until_s: float, now: float
) -> float:
    """Return what orders and a slow start leave of a member's weight."""
    return ordered.factor * slow_start(standing, pool, usable_from_s(standing, pool, held_until_s), now)


def next_change_s(standing: standings.Standing, pool: model.Pool, held_until_s: float, now: float) -> float:
    """Return when time alone will next change this member's verdict in this pool; infinity for never."""
    from_s = usable_from_s(standing, pool, held_until_s)
    times = [from_s, *(_steps(pool, from_s) if standing.returned_s and pool.slow_start_s else ())]
    return min((at for at in times if at > now), default=math.inf)


def _steps(pool: model.Pool, from_s: float) -> list[float]:
    return [from_s + pool.slow_start_s * step / (SLOW_STEPS - 1) for step in range(1, SLOW_STEPS)]


def steps_s(checks: Sequence[watches.Seen]) -> float:
    """Return the soonest time in which any of these checks could change, in whole steps (D1), in seconds."""
    return min((_steps_of(one) for one in checks), default=NEVER_S)


def _steps_of(check: watches.Seen) -> float:
    profile = check.profile
    needed = {"up": profile.fall, "down": profile.rise, "unknown": 1}[check.state.status]
    return profile.every_s + (needed - 1) * schedule.confirm_s(profile)


def of_nobody(real: seen.Verdict, whole: news.EndpointState) -> seen.Verdict:
    """Return the verdict for no name in particular: where only names have checks, what all of them together say."""
    if real.eligible and whole.state == "down" and not real.order:
        return replace(real, eligible=False, state="down", why=whole.reason)
    return real


def of(
    standing: standings.Standing,
    pool: model.Pool,
    ordered: orders.Ordered,
    seen_of: Callable[[model.CheckKey], watches.Seen],
    *,
    held_until_s: float,
    now: float,
) -> seen.Verdict:
    """Return the verdict on one member of `pool`, with its checks as `seen_of` tells them."""
    votes = [seen_of(key) for key in standing.votes]
    watched = [*votes, *map(seen_of, standing.sources)]
    return make(standing, pool=pool, ordered=ordered, votes=votes, watched=watched, held_until_s=held_until_s, now=now)


def make(
    standing: standings.Standing,
    *,
    pool: model.Pool,
    ordered: orders.Ordered,
    votes: Sequence[watches.Seen],
    watched: Sequence[watches.Seen],
    held_until_s: float,
    now: float,
) -> seen.Verdict:
    """Return the verdict on one member of `pool`. `votes` are its ballot's checks, `watched` all that can change it."""
    status = standing.status
    from_s = usable_from_s(standing, pool, held_until_s)
    waits = status == "up" and now < from_s
    free = not ordered.barred and not ordered.forced_up
    why = ordered.why or explain(standing, votes)
    if waits and free:
        why = hold(held_until_s, from_s, pool)
    load = min((one.load for one in votes), key=lambda one: one.factor, default=loads.IDLE)
    if load.level and status == "up" and not ordered.why:
        why += f", {load.said}"
    return seen.Verdict(
        endpoint=standing.ballot.endpoint,
        family=standing.ballot.family,
        eligible=ordered.forced_up or (free and status != "down" and not waits),
        state=status,
        held=free and waits,
        barred=ordered.barred,
        weight_factor=weight_factor(standing, pool, ordered, held_until_s=held_until_s, now=now),
        stale=any(one.state.stale for one in votes),
        in_doubt=any(hysteresis.hurried(one.state) for one in watched),
        steps_s=steps_s(watched),
        since_s=standing.since_s,
        order=ordered.text,
        why=why,
        load_factor=1.0 if ordered.forced_up else load.factor,
        source_down=standing.sourceless and not standing.cause and not ordered.barred,
    )


def hold(held_until_s: float, from_s: float, pool: model.Pool) -> str:
    """Return why a member that is up waits."""
    if from_s == held_until_s:
        return "up, held back for flapping"
    if pool.when_idle:
        return "up, held back until nobody publishes to its stand-in"
    return f"up, held back by failback {units.show_seconds(pool.failback_s)}"


def explain(standing: standings.Standing, votes: Sequence[watches.Seen]) -> str:
    """Return in plain words why a standing is what it is."""
    if standing.cause and standing.status == "down":
        return standing.cause
    if not votes:
        return "up, judged name by name" if standing.by_name else "no check: taken as up"
    if any(one.guarded for one in votes):
        return f"{standing.status}, held by the guard"
    bad = [one for one in votes if one.status == "down"]
    doubtful = [one for one in votes if one.status == "up" and one.state.bad]
    if standing.status == "down":
        return "; ".join(_reason(one, len(votes)) for one in bad)
    if standing.status == "unknown":
        silent = next((one for one in votes if one.state.stale), None)
        return f"not judged yet: {_reason(silent, len(votes))}" if silent and silent.state.reason else "not judged yet"
    if bad:
        return "up, although " + "; ".join(_reason(one, len(votes)) for one in bad)
    if doubtful:
        first = doubtful[0]
        return f"up, in doubt ({first.state.bad} of {first.profile.fall}): {_reason(first, len(votes))}"
    if _stale(votes):
        return "up, stale: " + next(one.state.reason for one in votes if one.state.stale)
    return ", ".join(("up", *(one.note for one in votes if one.note)))


def _stale(votes: Sequence[watches.Seen]) -> bool:
    return any(one.state.stale for one in votes)


def _reason(check: watches.Seen, votes: int) -> str:
    """Return a check's reason, with its name when there are several."""
    reason = check.state.reason or f"{check.status}, as on_stale says"
    return f"{check.key.profile}: {reason}" if votes > 1 else reason
