"""A result and for how long this process stood still meanwhile in, what that explains away out (semantics A7)."""

from __future__ import annotations

import dataclasses

from gtm import model, seen, units

# A probe that lost more than this share of its time-out to our own machine had no fair time. It is a small share,
# because to call a machine of healthy endpoints down is worse than to look at a silent one once more.
SHARE = 0.25


def unfair(profile: model.Profile, result: seen.ProbeResult) -> bool:
    """Say whether a probe had too little of its time, because this process stood still."""
    return result.stalled_s > SHARE * profile.timeout_s


def excused(profile: model.Profile, result: seen.ProbeResult) -> seen.ProbeResult:
    """Return the result as it may be held against the endpoint: silence that nobody was there to hear could not run.

    What an endpoint said (that it refuses, that it is ill) holds, however late it was heard.
    """
    if result.ok is not False or not result.silent or not unfair(profile, result):
        return result
    return dataclasses.replace(result, ok=None, reason=sentence(result, result.reason))


def explains(condition: model.Condition, result: seen.ProbeResult) -> bool:
    """Say whether a condition on a time or an age does not hold only because this process stood still.

    An age may have grown while the answer lay unread, just as a time may.
    """
    if not result.stalled_s or condition.unit != "s" or condition.op not in {"<", "<="}:
        return False
    value = _number(result.measures.get(condition.measure))
    limit = _number(result.measures.get(condition.other) if condition.other else condition.value)
    if value is None or limit is None:
        return False
    return value - result.stalled_s < limit * (condition.factor if condition.other else 1.0)


def sentence(result: seen.ProbeResult, what: str) -> str:
    """Return why a probe is not held against the endpoint."""
    return f"this process stood still for {units.show_seconds(round(result.stalled_s, 1))} of it: {what}"


def _number(value: model.Value | None) -> float | None:
    return None if value is None or isinstance(value, (bool, str)) else float(value)
