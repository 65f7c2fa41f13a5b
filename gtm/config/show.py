"""Problems in, text for people or plain data for machines out; and a snapshot's size in one line."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from gtm import errors, model

MAX_SHOWN: Final = 100
"""More than that nobody reads; the count is said."""
MAX_LINE: Final = 160
UNQUOTED: Final = frozenset({"secret-in-the-open"})
"""Problems whose line is not shown: a log is read by more people than a configuration."""
_COLORS: Final = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "place": "\x1b[1m", "hint": "\x1b[36m", "": "\x1b[0m"}


def problems(found: Sequence[errors.Problem], texts: Mapping[str, str], *, color: bool = False) -> str:
    """Return problems for people: place, what is wrong, the line with a caret under the culprit, and what to try."""
    lines = {file: text.splitlines() for file, text in texts.items() if any(_is_in(one, file) for one in found)}
    shown = [_problem(one, lines, color) for one in found[:MAX_SHOWN]]
    if len(found) > MAX_SHOWN:
        shown.append(f"... and {len(found) - MAX_SHOWN} more")
    return "\n".join(shown)


def _is_in(one: errors.Problem, file: str) -> bool:
    return one.mark is not None and one.mark.file == file


def _problem(one: errors.Problem, lines: Mapping[str, list[str]], color: bool) -> str:
    def paint(what: str, text: str) -> str:
        return f"{_COLORS[what]}{text}{_COLORS['']}" if color else text

    where = paint("place", f"{one.mark.file}:{one.mark.line}:{one.mark.column}: ") if one.mark else ""
    out = [f"{where}{paint(one.severity, f'{one.severity}[{one.code}]')}: {_clean(one.message)}"]
    if one.mark and one.code not in UNQUOTED:
        out += _snippet(one.mark, lines.get(one.mark.file, []))
    if one.hint:
        out.append(paint("hint", f"  hint: {_clean(one.hint)}"))
    out += [f"  see {other.file}:{other.line}:{other.column}" for other in one.also]
    return "\n".join(out)


def _snippet(mark: errors.Mark, lines: Sequence[str]) -> list[str]:
    """Return the line, cut around the place when it is long, and the caret under it."""
    if not 0 < mark.line <= len(lines):
        return []
    line = lines[mark.line - 1]
    start = max(0, mark.column - 1 - MAX_LINE // 2) if len(line) > MAX_LINE else 0
    piece = _clean(line[start : start + MAX_LINE])
    before = piece[: mark.column - 1 - start]
    width = max(1, min(mark.end_column - mark.column, len(piece) - len(before)))
    # The caret stands under what a terminal shows: tabs stay tabs, wide signs take two columns.
    gap = "".join("\t" if sign == "\t" else " " * _width(sign) for sign in before)
    under = "^" * max(1, sum(_width(sign) for sign in piece[len(before) : len(before) + width]))
    return [f"  | {piece}".rstrip(), f"  | {gap}{under}"]


def _width(sign: str) -> int:
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def _clean(text: str) -> str:
    """A file may hold control characters; a terminal must not obey them."""
    return "".join(sign if sign.isprintable() or sign == "\t" else "�" for sign in text)


def as_json(found: Iterable[errors.Problem]) -> list[dict[str, Any]]:
    """Return problems as plain data: severity, file, line, column, end_column, code, path, message, hint, also."""
    return [
        {
            "severity": one.severity,
            "file": one.mark.file if one.mark else None,
            "line": one.mark.line if one.mark else None,
            "column": one.mark.column if one.mark else None,
            "end_column": one.mark.end_column if one.mark else None,
            "code": one.code,
            "path": one.path,
            "message": one.message,
            "hint": one.hint,
            "also": [asdict(other) for other in one.also],
        }
        for one in found
    ]


def summary(snapshot: model.Snapshot) -> str:
    """Return `2 zones, 5 steered names, 4 pools, 9 endpoints, 12 checks`."""
    counts = (
        (len(snapshot.zones), "zone"),
        (sum(len(zone.steer) for zone in snapshot.zones), "steered name"),
        (len(snapshot.pools), "pool"),
        (len(snapshot.endpoints), "endpoint"),
        (len(snapshot.checks), "check"),
    )
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)


def tally(found: Iterable[errors.Problem]) -> str:
    """Return `2 errors, 1 warning`."""
    severities = [one.severity for one in found]
    wrong, doubtful = severities.count("error"), severities.count("warning")
    return f"{wrong} error{'' if wrong == 1 else 's'}, {doubtful} warning{'' if doubtful == 1 else 's'}"
