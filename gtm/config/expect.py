"""One `expect` line and the measures of its kind in, a Condition with plain numbers out."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from typing import Literal, NamedTuple, cast

from gtm import errors, model, units
from gtm.config import fields, marks

Op = Literal["==", "!=", "<", "<=", ">", ">=", "in", "contains", "matches"]

_LINE = re.compile(r"(\S+?)\s*(==|!=|<=|>=|<|>|\s(?:in|contains|matches)\s)\s*(\S.*)", re.DOTALL)
_UNLESS = re.compile(r"(.*\S)\s+unless\s+overloaded", re.DOTALL)
_RELATIVE = re.compile(r"(?:(\d+(?:\.\d+)?)\s*\*\s*)?([A-Za-z][\w.*\-\[\]]*)")
_RANGE = re.compile(r"(.+?)\.\.(.+)")
_QUOTES = ('"', "'")
_NOT_A = {"s": ("duration", "time: write 500ms or 5s"), "bit/s": ("rate", "rate: write 800kbit/s or 4.2Mbit/s")}
MAX_PATTERN_CHARACTERS = 500
"""Regular expressions run on every probe: a longer one is a program."""


class ExpectError(errors.UnitError):
    """A line cannot be a condition; `hint` says what to try."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(message)


class _Line(NamedTuple):
    text: str
    name: str
    op: Op
    said: str
    about: model.Measure

    @property
    def free(self) -> bool:
        """Whether the measure is of a family whose members may be text or number (`json.*`, `*` of push)."""
        return self.about.name.endswith("*")


def measure(kind: model.Kind, name: str) -> model.Measure | None:
    """Return what a kind says about a measure; `json.viewers.total` is found in the family `json.*`."""
    for one in kind.measures:
        family = one.name.removesuffix("*")
        if one.name == name or (family != one.name and name.startswith(family) and name != family):
            return one
    return None


def condition(kind: model.Kind, text: str) -> model.Condition:
    """Read `MEASURE OP VALUE`, with or without `unless overloaded`. Raises `ExpectError`."""
    found = _UNLESS.fullmatch(text.strip())
    if found:
        return dataclasses.replace(_plain(kind, found[1]), text=text, unless_overloaded=True)
    return _plain(kind, text)


def _plain(kind: model.Kind, text: str) -> model.Condition:
    found = _LINE.fullmatch(text.strip())
    if not found:
        raise ExpectError(f"{text!r} is not MEASURE OP VALUE", "for example `status == 200`")
    line = _Line(text, found[1], cast("Op", found[2].strip()), found[3].strip(), known(kind, found[1]))
    if line.op in {"contains", "matches"}:
        return _on_text(line)
    if not line.said.startswith(_QUOTES):
        if line.said.startswith("[") and line.said.endswith("]"):
            return _one_of(line)
        bounds = _RANGE.fullmatch(line.said)
        if bounds:
            return _between(line, bounds[1].strip(), bounds[2].strip())
        relative = _RELATIVE.fullmatch(line.said)
        if relative and (relative[1] or measure(kind, relative[2])):
            return _relative(line, float(relative[1] or 1), relative[2], known(kind, relative[2]))
    if line.op == "in":
        hint = f"{line.name} in 200..299, or {line.name} == {line.said}"
        raise ExpectError(f"`in` wants a list or a range, not {line.said!r}", hint)
    value = _figure(line, line.said) if line.op in {"<", "<=", ">", ">="} else _literal(line, line.said)
    return model.Condition(line.text, line.name, line.op, value=value, unit=line.about.unit)


def known(kind: model.Kind, name: str) -> model.Measure:
    """Return what a kind says about a measure. Raises `ExpectError` for one that it does not have."""
    about = measure(kind, name)
    if about is None:
        words = [one.name for one in kind.measures]
        near = difflib.get_close_matches(name, words, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"{kind.name} measures {', '.join(words) or 'nothing'}"
        raise ExpectError(f"{kind.name} does not measure {name!r}", hint)
    return about


def _on_text(line: _Line) -> model.Condition:
    if line.about.unit != "text" and not line.free:
        raise ExpectError(f"{line.name} is a number: `{line.op}` goes with text")
    text = _unquoted(line.said)
    if line.op == "matches":
        if len(text) > MAX_PATTERN_CHARACTERS:
            raise ExpectError(f"the pattern is longer than {MAX_PATTERN_CHARACTERS} characters")
        try:
            re.compile(text)
        except (re.error, OverflowError, RecursionError) as wrong:
            raise ExpectError(f"{text!r} is not a regular expression: {wrong}") from None
    return model.Condition(line.text, line.name, line.op, value=text, unit=line.about.unit)


def _one_of(line: _Line) -> model.Condition:
    if line.op != "in":
        raise ExpectError(f"a list goes with `in`, not with `{line.op}`", f"{line.name} in {line.said}")
    items = [one.strip() for one in line.said[1:-1].split(",")]
    if not all(items):
        raise ExpectError(f"{line.said!r} has an empty item")
    values = tuple(_literal(line, one) for one in items)
    return model.Condition(line.text, line.name, "in", values=values, unit=line.about.unit)


def _between(line: _Line, low: str, high: str) -> model.Condition:
    if line.op != "in":
        raise ExpectError(f"a range goes with `in`, not with `{line.op}`", f"{line.name} in {line.said}")
    bounds = _figure(line, low), _figure(line, high)
    if bounds[0] > bounds[1]:
        raise ExpectError(f"the range {line.said} is empty", f"{high}..{low}")
    return model.Condition(line.text, line.name, "in", value_range=bounds, unit=line.about.unit)


def _relative(line: _Line, factor: float, name: str, other: model.Measure) -> model.Condition:
    if other.unit != line.about.unit:
        raise ExpectError(f"{line.name} and {name} have different units")
    if other.unit == "text" and not line.free:
        raise ExpectError(f"{line.name} is text: it cannot be compared with another measure")
    return model.Condition(line.text, line.name, line.op, factor=factor, other=name, unit=line.about.unit)


def _unquoted(said: str) -> str:
    return said[1:-1] if len(said) >= 2 and said[0] == said[-1] and said[0] in _QUOTES else said


def _literal(line: _Line, said: str) -> model.Value:
    """Return a literal in the measure's own unit; text measures take anything."""
    if said.startswith(_QUOTES):
        if line.about.unit != "text" and not line.free:
            raise ExpectError(f"{said} is text, and {line.name} is a number")
        return _unquoted(said)
    value = marks.scalar(said)
    if isinstance(value, bool):
        return value
    if line.free:
        return said if value is None else value
    return said if line.about.unit == "text" else _figure(line, said)


def _figure(line: _Line, said: str) -> float:
    unit = "" if line.free else line.about.unit
    if unit == "text":
        raise ExpectError(f"{line.name} is text: it has no order", "use ==, !=, in, contains or matches")
    try:
        if unit == "s":
            return units.seconds(said)
        if unit == "bit/s" and said.endswith(unit):
            return units.bits_per_s(said)
        if said.endswith("%") and unit == "":
            return units.percent(said)
    except errors.UnitError:
        what, hint = _NOT_A.get(unit, ("percentage", ""))
        raise ExpectError(f"{said!r} is not a {what}", f"{line.name} is a {hint}" if hint else "") from None
    if unit == "bytes" and (size := fields.SIZE.fullmatch(said)):
        return float(size[1]) * fields.BYTES[size[2] or "B"]
    value = marks.scalar(re.sub(r"\s*(?:d|days?)$", "", said) if unit == "days" else said)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ExpectError(f"{said!r} is not a number", f"{line.name} is measured in {unit or 'plain numbers'}")
    return float(value)
