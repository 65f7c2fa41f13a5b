"""What can go wrong, as types: the GtmError tree, and the Problem that a reader of configuration reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file. Lines and columns count from 1; `end_column` is one past the last character."""

    file: str
    line: int
    column: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong (or doubtful) in a configuration, with where it is and what to do about it.

    `code` is a stable word for machines (`unknown-key`), `message` one sentence for people, `hint` what to try,
    `path` the dotted path of the setting, `also` further places that belong to it (the first of a doubled name).
    """

    severity: Severity
    code: str
    message: str
    mark: Mark | None = None
    path: str = ""
    hint: str = ""
    also: tuple[Mark, ...] = ()


class GtmError(Exception):
    """The root of everything that GTM raises on purpose."""


class ConfigError(GtmError):
    """A configuration was refused; `problems` holds all of its errors and warnings."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        count = sum(one.severity == "error" for one in problems)
        super().__init__(f"{count} error{'' if count == 1 else 's'} in the configuration")


class DomainNameError(GtmError, ValueError):
    """A text is not a domain name (RFC 1035 section 2.3.4 limits, RFC 2181 section 11)."""


class RecordError(GtmError, ValueError):
    """A resource record's text cannot be read; `line` counts from 1 inside the text that was given."""

    def __init__(self, message: str, line: int = 1) -> None:
        self.line = line
        super().__init__(message)


class UnitError(GtmError, ValueError):
    """A text is not a duration, a percentage or a number with a unit."""


class TableError(GtmError):
    """Bytes that should hold an answer table do not."""


class StoreError(GtmError):
    """The store could not do what was asked; answering goes on without it."""
