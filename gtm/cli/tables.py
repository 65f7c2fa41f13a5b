"""Plain data in, what a terminal shows out: tables, signs, moments, JSON. States carry a sign and a word."""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from gtm import units

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_COLUMNS = 240
SIGNS = {"up": "▲", "down": "▼", "unknown": "?"}
STYLES = {
    "up": "green", "first": "green", "down": "bold red", "degraded": "bold red", "last_resort": "bold red",
    "unknown": "yellow", "fallback": "yellow",
}  # fmt: skip
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def console() -> Console:
    """Return standard output as rich sees it; made late, because importing rich takes time."""
    from rich.console import Console

    # Into a pipe go whole lines, so that grep finds what belongs together; COLUMNS has the last word.
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_COLUMNS
    return Console(width=wide, highlight=False, markup=False, emoji=False)


def table(title: str, head: Sequence[str], rows: Iterable[tuple[str, Sequence[object]]]) -> Table:
    """Return a table; each row is (a word that may have a style, its cells)."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # Titles and cells are texts, never markup: names and reasons come from outside.
    made = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for word in head:
        made.add_column(word, overflow="fold")
    for word, cells in rows:
        made.add_row(*(Text(clean(cell)) for cell in cells), style=STYLES.get(word, ""))
    return made


def clean(cell: object) -> str:
    """Return a cell's text without control characters, which could steer a terminal."""
    return "".join(c if c.isprintable() else "·" for c in ("" if cell is None else str(cell)))


def moment(at: float | None) -> str:
    """Return a wall-clock moment in this machine's own time; `–` for none."""
    if not at:
        return "–"
    return datetime.datetime.fromtimestamp(at, datetime.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(at: float | None, now: float) -> str:
    """Return how long ago a moment was, in its two largest units; `–` for none."""
    if not at:
        return "–"
    passed_s = max(0, round(now - at))
    coarse_s = next((size for limit, size in ((2 * 86400, 3600), (7200, 60)) if passed_s >= limit), 1)
    return units.show_seconds(passed_s // coarse_s * coarse_s)


def say_json(body: Any) -> None:
    """Print a whole JSON document."""
    click.echo(json.dumps(body, indent=2, ensure_ascii=False))
