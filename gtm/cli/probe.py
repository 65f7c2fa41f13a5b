"""A profile and an address in, what its check sees now out: every condition, the timeline, all measures, a verdict."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gtm import names
from gtm.cli import tables

if TYPE_CHECKING:
    from gtm import model
    from gtm.app import trying

Rows = Iterator[tuple[str, tuple[object, ...]]]
_PLACES = (Path("/etc/gtm/gtm.yaml"), Path("gtm.yaml"))
_WORDS = {True: "up", False: "down", None: "unknown"}
_SIGNS = {True: "✓", False: "✗", None: "?"}
_BAR = 24


@click.command("probe")
@click.argument("profile")
@click.argument("address")
@click.option("--name", default="", help="The steered name, for {name}, {label} and {zone}, for Host and TLS.")
@click.option("-c", "--config", type=click.Path(path_type=Path), help="Default: /etc/gtm/gtm.yaml, else ./gtm.yaml.")
@click.option("--watch", is_flag=True, help="Keep looking at the profile's own pace, until interrupted.")
@click.option("--count", type=click.IntRange(min=1), help="End --watch after so many looks.")
@tables.as_json
def command(
    *, profile: str, address: str, name: str, config: Path | None, watch: bool, count: int | None, as_json: bool
) -> None:
    """Run one check now, and show what it sees.

    PROFILE is one of the configuration, of the ready ones, or a file (FILE:NAME where it has several). ADDRESS is an
    address, ADDRESS:PORT, a host name, or an endpoint of the configuration. Exits 0 for up, 1 for down.
    """
    from gtm.app import trying
    from gtm.cli import init

    path = config or next((place for place in _PLACES if place.exists()), None)
    ready = ("healthchecks", "/etc/gtm/healthchecks", str(init.ready() / "healthchecks"))
    check = trying.find(profile, address, name=name, config=str(path) if path else None, ready=ready)
    if watch:
        found = asyncio.run(_watch(check, count or 0, as_json=as_json))
    else:
        found = asyncio.run(trying.look(check))
        if as_json:
            tables.say_json(found.as_data(check))
        else:
            _show(check, found)
    if found is None or found.ok is not True:
        raise SystemExit(1)


async def _watch(check: model.Check, count: int, *, as_json: bool) -> trying.Seen | None:
    """Print a line for each look, and return the last."""
    from gtm.app import trying

    found: trying.Seen | None = None
    with contextlib.suppress(asyncio.CancelledError):  # the way in which an interrupted loop ends
        async for found in trying.watch(check, count):
            if as_json:
                click.echo(json.dumps(found.as_data(check), ensure_ascii=False))
            else:
                click.echo(_line(found))
    return found


def _line(found: trying.Seen) -> str:
    now = datetime.datetime.now(datetime.UTC).astimezone().strftime("%H:%M:%S")
    said = [found.reason] if found.ok is not True else [one.sentence for one in found.spoken if not one.warns]
    said += [f"warning: {one}" for one in found.result.warnings]
    if found.result.overloaded:
        said.append(f"overloaded: {found.result.overloaded}")
    word = _WORDS[found.ok]
    return tables.clean(f"{now} {tables.SIGNS[word]} {word:7} {found.result.took_ms:7.1f}ms  {'; '.join(said)}")


def _show(check: model.Check, found: trying.Seen) -> None:
    """Print one look for people."""
    out = tables.console()
    out.print(tables.clean(_head(check, found)), style="bold")
    if found.spoken:
        out.print(tables.table("Conditions", ("", "", "", ""), _conditions(found)))
    out.print(tables.table("Timeline", ("step", "time", ""), _steps(found)))
    out.print(tables.table("Measured", ("measure", "value", "meaning"), _measures(check, found)))
    word = _WORDS[found.ok]
    verdict = f"{tables.SIGNS[word]} {word}" + (f": {found.reason}" if found.reason else "")
    out.print(tables.clean(verdict), style=tables.STYLES[word])
    for one in found.result.warnings:
        out.print(tables.clean(f"! warning: {one}"), style="yellow")
    if found.result.overloaded:
        out.print(tables.clean(f"! overloaded: {found.result.overloaded}"), style="yellow")


def _head(check: model.Check, found: trying.Seen) -> str:
    where = f"[{check.address}]" if ":" in check.address else names.shown(check.address)
    host = names.shown(check.host)
    as_host = f", as {host}" if host != names.shown(check.address) else ""
    looks = f" ({found.looks} looks, {found.apart_s:.1f}s apart, to see whether it moves)" if found.looks > 1 else ""
    port = f":{check.port}" if check.port else ""
    return f"{check.profile.name}: {check.profile.kind} of {where}{port}{as_host}{looks}"


def _conditions(found: trying.Seen) -> Rows:
    for one in found.spoken:
        style = "" if one.holds else "unknown" if one.warns else "down"
        note = "not measured" if one.holds is None else ""
        yield style, (_SIGNS[one.holds], "warn" if one.warns else "expect", one.sentence, note)


def _steps(found: trying.Seen) -> Rows:
    from gtm.app import trying

    steps = trying.timeline(found.result.measures)
    longest_s = max((spent_s for _, spent_s in steps), default=0.0) or 1.0
    for step, spent_s in steps:
        yield "", (step, f"{spent_s * 1000:.1f}ms", "▇" * round(_BAR * spent_s / longest_s))


def _measures(check: model.Check, found: trying.Seen) -> Rows:
    from gtm import app
    from gtm.config import expect
    from gtm.health import judge

    kind = app.kinds()[check.profile.kind]
    for name, value in found.result.measures.items():
        if not name.startswith("time."):
            about = expect.measure(kind, name)
            yield "", (name, judge.shown(value, about.unit if about else ""), about.doc if about else "")
