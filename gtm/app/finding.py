"""Findings of `gtm doctor`: one thing that was looked at, whether it is well, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` says of what it speaks, `what` what was seen; `do` is empty where nothing needs to be done."""

    level: Level
    about: str
    what: str
    do: str = ""


def ok(about: str, what: str) -> Finding:
    """Return that something is well."""
    return Finding("ok", about, what)


def warning(about: str, what: str, do: str) -> Finding:
    """Return what works today and may not tomorrow."""
    return Finding("warning", about, what, do)


def error(about: str, what: str, do: str) -> Finding:
    """Return what people who ask for names suffer from."""
    return Finding("error", about, what, do)


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level among findings; `ok` where there are none."""
    levels = {one.level for one in findings}
    return "error" if "error" in levels else "warning" if "warning" in levels else "ok"
