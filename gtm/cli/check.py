"""A configuration's path in; all that is wrong with it and its size in one line out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from gtm import model, units


@click.command("check")
@click.argument("file", type=click.Path(path_type=str))
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="For people or machines.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-v", "--verbose", is_flag=True, help="Also show how long each check takes to see a failure, at worst.")
def command(file: str, strict: bool, form: str, as_json: bool, verbose: bool) -> None:
    """Validate the configuration FILE with all that it includes.

    Exits 0 when it can be used, 1 when not.
    """
    from gtm import app
    from gtm.config import show

    loaded = app.load_configuration(file)
    snapshot = loaded.snapshot
    usable = snapshot is not None and not (strict and loaded.problems)
    if as_json or form == "json":
        out: dict[str, Any] = {"ok": usable, "problems": show.as_json(loaded.problems)}
        if snapshot is not None:
            out |= {"summary": show.summary(snapshot), "digest": snapshot.digest}
            if verbose:
                out["detection_s"] = dict(_detection(snapshot))
        click.echo(json.dumps(out, indent=2))
    else:
        if loaded.problems:
            click.echo(show.problems(loaded.problems, loaded.texts, color=sys.stdout.isatty()))
            click.echo(show.tally(loaded.problems))
        if snapshot is not None:
            for name, seconds in _detection(snapshot) if verbose else ():
                click.echo(f"check {name}: a failure is seen within {units.show_seconds(seconds)}")
            click.echo(show.summary(snapshot))
    if not usable:
        raise SystemExit(1)


def _detection(snapshot: model.Snapshot) -> Iterator[tuple[str, float]]:
    """Yield each profile that runs, with the longest time from a failure to its being seen (semantics A3)."""
    from gtm.health import schedule

    used = {key.profile for key in snapshot.checks}
    for name, profile in sorted(snapshot.profiles.items()):
        if name in used:
            yield name, round(schedule.worst_detection_s(profile), 3)
