"""A configuration's path in; all that is wrong with it and its size in one line out."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from gtm import model, names, units

if TYPE_CHECKING:
    from gtm.health import forecast

NAMES = 10  # of those that share a policy, and of endpoints: the rest is a number


@click.command("check")
@click.argument("file", type=click.Path(path_type=str))
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="For people or machines.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Also show what to expect of it.",
)
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
                out["names"], out["probes"] = _as_json(snapshot)
            out["notes"] = [{"note": note, "names": owners} for note, owners in _noted(snapshot).items()]
        click.echo(json.dumps(out, indent=2))
    else:
        if loaded.problems:
            click.echo(show.problems(loaded.problems, loaded.texts, color=sys.stdout.isatty()))
            click.echo(show.tally(loaded.problems))
        if snapshot is not None:
            for name, seconds in _detection(snapshot) if verbose else ():
                click.echo(f"check {name}: a failure is seen within {units.show_seconds(seconds)}")
            for line in _forecasts(snapshot) if verbose else ():
                click.echo(line)
            for line in () if verbose else _notes(snapshot):
                click.echo(line)
            click.echo(show.summary(snapshot))
    if not usable:
        raise SystemExit(1)


def _detection(snapshot: model.Snapshot) -> Iterator[tuple[str, float]]:
    """Yield each profile that runs, with the longest time from a failure to its being seen (semantics A3)."""
    used = {key.profile for key in snapshot.checks}
    for name, profile in sorted(snapshot.profiles.items()):
        if name in used:
            yield name, round(profile.detects_within_s, 3)


def _as_json(snapshot: model.Snapshot) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the forecasts of names, and the probes that each endpoint gets."""
    from gtm.health import forecast

    of_names = [
        dataclasses.asdict(one) | {"moves_s": one.moves_s, "browsers_s": one.browsers_s}
        for one in forecast.of_names(snapshot)
    ]
    of_probes = forecast.probes(snapshot)
    return of_names, [{"endpoint": name, "checks": checks, "per_second": rate} for name, checks, rate in of_probes]


def _noted(snapshot: model.Snapshot) -> dict[str, list[str]]:
    """Return each thing that is worth a thought, and the names that it is true of; none where it is of an endpoint."""
    from gtm.health import forecast

    found: dict[str, list[str]] = {}
    for one in forecast.of_names(snapshot):
        for note in one.notes:
            found.setdefault(note, []).extend(one.names)
    return found | {note: [] for note in forecast.over_budget(snapshot)}


def _notes(snapshot: model.Snapshot) -> Iterator[str]:
    """Yield the notes as lines."""
    for note, owners in _noted(snapshot).items():
        yield f"note: {note}" + (f" ({_listed(owners)})" if owners else "")


def _listed(owners: Sequence[str]) -> str:
    more = f" and {len(owners) - NAMES} more" if len(owners) > NAMES else ""
    return ", ".join(map(names.shown, owners[:NAMES])) + more


def _forecasts(snapshot: model.Snapshot) -> Iterator[str]:
    """Yield lines that say what to expect: of every name, and of how often the busiest nodes are probed."""
    from gtm.health import forecast

    for one in forecast.of_names(snapshot):
        yield f"{_listed(one.names)}: {_expected(one)}"
        yield from (f"  note: {note}" for note in one.notes)
    probed = forecast.probes(snapshot)
    for endpoint, checks, rate in probed[:NAMES]:
        yield f"endpoint {endpoint}: {checks} checks, {rate:.3g} probes a second"
    if len(probed) > NAMES:
        total = sum(rate for _, _, rate in probed)
        yield f"and {len(probed) - NAMES} more endpoints, {total:.3g} probes a second in all"
    yield from (f"  note: {note}" for note in forecast.over_budget(snapshot))


def _expected(one: forecast.Forecast) -> str:
    if one.detects_s is None or one.moves_s is None:
        return f"nothing is watched; TTL at most {units.show_seconds(one.ttl_s)}"
    seen, moved = (units.show_seconds(round(at, 3)) for at in (one.detects_s, one.moves_s))
    if one.browsers_s is None:
        return f"a silent death is seen within {seen}, and no resolver answers it after {moved}"
    browsers = units.show_seconds(round(one.browsers_s, 3))
    return (
        f"a silent death is seen within {seen}, no resolver answers it after {moved}, and no browser after {browsers}"
    )
