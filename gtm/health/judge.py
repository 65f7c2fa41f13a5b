"""A profile's conditions and one probe's measures in, good or bad, and sentences that say why, out."""

from __future__ import annotations

import dataclasses
import functools
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from gtm import model, seen, units
from gtm.health import stalls

MAX_MATCHED = 64 * 1024  # characters that a pattern sees: an expression may be slow, the brain may not be
OVERDUE = 0.6  # of the age that is too old: 1.5 of 2.5 target durations, when the next segment should have been there
# Below the first a time is shown in tenths of a millisecond: a handshake on loopback takes one. Below the second it is
# nothing.
FINE_S, FINEST_S = 0.01, 0.00005
MAX_SHOWN = 60  # characters of a measured text in a sentence: it is read on one line

_ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# What a measure should have done; the others read as they are written: `should be < 6s`.
_WANTED = {"==": "should be", "!=": "should not be", "contains": "should contain", "matches": "should match"}


def judge(profile: model.Profile, result: seen.ProbeResult) -> tuple[bool | None, str]:
    """Return whether a result is good, and why not.

    A probe that failed or could not run keeps its own word and reason; otherwise the first condition that does not
    hold is the reason: `playlist.age is 14.2s, should be < 3 * playlist.target = 6s`.
    """
    if not result.ok:
        return result.ok, result.reason or ("failed" if result.ok is False else "the probe could not run")
    for condition in profile.expect:
        if excused(condition, result.overloaded):
            continue
        for measure in filter(None, (condition.measure, condition.other)):
            if measure not in result.measures:
                return False, f"{condition.text}: {measure} was not measured"
        try:
            held = _holds(condition, result.measures)
        except re.error as wrong:
            # Not the endpoint's fault (A7); a pattern that the loader let through.
            return None, f"{condition.text}: not a pattern: {wrong}"
        if not held:
            said = complaint(condition, result.measures)
            return (None, stalls.sentence(result, said)) if stalls.explains(condition, result) else (False, said)
    return True, result.reason


def warned(profile: model.Profile, result: seen.ProbeResult) -> seen.ProbeResult:
    """Return the result with the `warn` lines that do not hold, as sentences.

    A warning is about something that was seen: a line about what was not measured is silent, and so are all lines of a
    probe that failed, whose own word is worse, or that had too little time to be fair.
    """
    if not profile.warn or result.ok is not True or stalls.unfair(profile, result):
        return result
    found = []
    for condition in profile.warn:
        if not excused(condition, result.overloaded) and all(
            one in result.measures for one in (condition.measure, condition.other) if one
        ):
            try:
                held = _holds(condition, result.measures)
            except re.error:
                held = True  # the same pattern in `expect` says it; nothing was seen here
            if not held:
                found.append(complaint(condition, result.measures))
    return dataclasses.replace(result, warnings=tuple(found))


def runs_out_in_s(profile: model.Profile, measures: Mapping[str, model.Value]) -> float | None:
    """Return in how many seconds an age will be too old by a line of `expect`, when it is most of the way there.

    An age grows by itself, so that the moment is known at which a look will tell; None when nothing is overdue.
    """
    times = []
    for condition in profile.expect:
        if condition.op not in {"<", "<="} or not condition.measure.endswith(".age"):
            continue
        age_s = _number(measures.get(condition.measure, ""))
        limit_s = _number(measures.get(condition.other, "") if condition.other else condition.value or 0.0)
        if age_s is None or limit_s is None:
            continue
        limit_s *= condition.factor if condition.other else 1.0
        if OVERDUE * limit_s <= age_s < limit_s:
            times.append(limit_s - age_s)
    return min(times, default=None)


@dataclasses.dataclass(frozen=True, slots=True)
class Spoken:
    """One condition of a profile before one probe's measures. `holds` None: something in it was not measured."""

    condition: model.Condition
    warns: bool
    holds: bool | None
    sentence: str


def excused(condition: model.Condition, overloaded: str) -> bool:
    """Say whether a line holds whatever was measured, because the endpoint says that it has too much to do."""
    return condition.unless_overloaded and bool(overloaded)


def speak(profile: model.Profile, measures: Mapping[str, model.Value], overloaded: str = "") -> list[Spoken]:
    """Return every condition with whether it holds and the values filled in, for people; those that warn come last."""
    found: list[Spoken] = []
    for condition in (*profile.expect, *profile.warn):
        warns, holds, text = len(found) >= len(profile.expect), None, condition.text
        if all(one in measures for one in (condition.measure, condition.other) if one):
            text = sentence(condition, measures)
            try:
                holds = _holds(condition, measures)
                if not holds and excused(condition, overloaded):
                    holds, text = True, f"{text} unless overloaded"
                elif not holds:
                    text = complaint(condition, measures)
            except re.error as wrong:
                text = f"{condition.text}: not a pattern: {wrong}"
        found.append(Spoken(condition, warns, holds, text))
    return found


def sentence(condition: model.Condition, measures: Mapping[str, model.Value]) -> str:
    """Return a condition with its values filled in, for one that holds: `playlist.age (1.2s) < 3 * ... = 6s`."""
    value = shown(measures[condition.measure], condition.unit)
    return f"{condition.measure} ({value}) {condition.op} {_bound(condition, measures)}"


def complaint(condition: model.Condition, measures: Mapping[str, model.Value]) -> str:
    """Return what a measure is and what it should be: for a condition that does not hold."""
    wanted = _WANTED.get(condition.op, f"should be {condition.op}")
    value = shown(measures[condition.measure], condition.unit)
    return f"{condition.measure} is {value}, {wanted} {_bound(condition, measures)}"


def _bound(condition: model.Condition, measures: Mapping[str, model.Value]) -> str:
    """Return what stands behind the operator, with its value and unit where they are not written there."""
    written = _written(condition)
    if condition.other:
        other = measures[condition.other]
        number = _number(other)
        return f"{written} = {shown(other if number is None else condition.factor * number, condition.unit)}"
    if condition.op in _ORDERED and condition.unit and _number(written) is not None:  # its unit was left out
        return shown(condition.value if condition.value is not None else written, condition.unit)
    return written


def _written(condition: model.Condition) -> str:
    """Return what stands behind the operator."""
    text = condition.text.removesuffix("unless overloaded") if condition.unless_overloaded else condition.text
    return text.strip().removeprefix(condition.measure).strip().removeprefix(condition.op).strip()


def _holds(condition: model.Condition, measures: Mapping[str, model.Value]) -> bool:
    seen_value = measures[condition.measure]
    if condition.op == "in":
        if condition.value_range is not None:
            number = _number(seen_value)
            return number is not None and condition.value_range[0] <= number <= condition.value_range[1]
        return any(_compare("==", seen_value, one) for one in condition.values)
    wanted: model.Value = condition.value if condition.value is not None else ""
    if condition.op == "contains":
        return str(wanted) in str(seen_value)
    if condition.op == "matches":
        return _pattern(str(wanted)).search(str(seen_value)[:MAX_MATCHED]) is not None
    if condition.other:
        other = measures[condition.other]
        number = _number(other)
        return _compare(condition.op, seen_value, other if number is None else condition.factor * number)
    return _compare(condition.op, seen_value, wanted)


def _compare(op: str, left: model.Value, right: model.Value) -> bool:
    """Compare text with text, a number with what reads as one; unlike things are just unequal."""
    if isinstance(left, str) and isinstance(right, str):
        return _ORDERED[op](left, right)
    left_number, right_number = _number(left), _number(right)
    if left_number is not None and right_number is not None:
        return _ORDERED[op](left_number, right_number)
    if left_number is not None or right_number is not None:
        return op == "!="
    return _ORDERED[op](_text(left), _text(right))


def _number(value: model.Value) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _text(value: model.Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@functools.lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def shown(value: model.Value, unit: str) -> str:
    """Return a measure with its unit, short enough for one line."""
    if isinstance(value, bool):
        return _text(value)
    if isinstance(value, str):
        return repr(value if len(value) <= MAX_SHOWN else value[:MAX_SHOWN] + "...")
    if unit == "s" and FINEST_S <= abs(value) < FINE_S:
        return f"{value * 1000:.1f}ms"
    if unit == "s":
        return ("-" if value < 0 else "") + units.show_seconds(abs(value))
    if unit == "bit/s":
        return units.show_bits_per_s(value)
    return f"{round(value, 3):.12g}" + {"bytes": " bytes", "days": " days"}.get(unit, "")
