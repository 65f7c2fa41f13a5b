"""Ports in, a whole small world on loopback out, or with `--drill` the report of breaking and mending it."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

import click
from rich import box
from rich import console as rich_console
from rich import table as rich_table

from gtm.cli import demo_drill, demo_stage, demo_world


@click.command("demo")
@click.option("--drill", is_flag=True, help="Break edges, time the answers, mend them, and exit 0 if all went well.")
@click.option("--dns-port", default=5300, show_default=True, help="Where the nameserver listens; 0 takes a free port.")
@click.option("--web-port", default=8053, show_default=True, help="Where the status page is; 0 takes a free port.")
@click.option("--edge-port", default=18080, show_default=True, help="The edges' HTTP port; 0 takes a free port.")
@click.option("--seconds", type=float, help="Stop after this long instead of at Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="For machines: one JSON object a line.")
def command(  # noqa: PLR0917  (click calls by keyword)
    drill: bool, dns_port: int, web_port: int, edge_port: int, seconds: float | None, as_json: bool
) -> None:
    """A whole small world on loopback: edges with live HLS, the nameserver and the status page.

    Prints the dig commands to try. Everything it starts and writes is gone when it ends.
    """
    signal.signal(signal.SIGTERM, _as_interrupt)
    hosts = tuple(edge.address for edge in demo_world.EDGES)
    wanted = {"nameserver": dns_port, "status page": web_port, "edges": edge_port}
    ports = {
        what: demo_stage.free_port(port, hosts if what == "edges" else ("127.0.0.1",)) for what, port in wanted.items()
    }
    for what, port in ports.items():
        if wanted[what] not in {0, port}:
            click.echo(f"Port {wanted[what]} is taken; the {what} will be on {port}.", err=True)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="gtm-demo-") as folder,
            demo_stage.Stage(
                Path(folder), dns_port=ports["nameserver"], web_port=ports["status page"], edge_port=ports["edges"]
            ) as stage,
        ):
            if drill:
                sys.exit(0 if _drill(stage, as_json) else 1)
            _show(stage, as_json)
            stage.watch(time.monotonic() + (seconds if seconds is not None else float("inf")))
    except KeyboardInterrupt:
        click.echo("\nEverything is stopped and gone.", err=True)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _show(stage: demo_stage.Stage, as_json: bool) -> None:
    """Print what runs and what to try."""
    names = [f"{channel}.{demo_world.ZONE}" for channel in demo_world.CHANNELS]
    page = f"http://{stage.web[0]}:{stage.web[1]}/"
    rows = []
    for viewer in demo_world.VIEWERS:
        dig = f"dig @{stage.dns[0]} -p {stage.dns[1]} {names[0]} +subnet={viewer.subnet}"
        answers = sorted(stage.ask(demo_world.CHANNELS[0], viewer).addresses)
        rows.append({"where": viewer.where, "dig": dig, "answers": answers})
    if as_json:
        click.echo(json.dumps({"names": names, "page": page, "edge_port": stage.edge_port, "viewers": rows}))
        return
    first = demo_world.EDGES[0]
    at = f"http://{first.address}:{stage.edge_port}"
    click.echo(f"\nServing {' and '.join(names)} from {len(demo_world.EDGES)} edges in three regions.\n")
    click.echo(f"Status page   {page}")
    click.echo(f"A stream      {at}/{demo_world.CHANNELS[0]}/index.m3u8")
    click.echo(f"Configuration {stage.configuration}\n")
    click.echo(
        "Ask as a viewer somewhere" + ("" if shutil.which("dig") else " (Debian: apt install bind9-dnsutils)") + ":"
    )
    for row in rows:
        click.echo(f"  {row['dig']}\n      # {row['where']}: now {' '.join(row['answers'])}")
    click.echo("\nBreak something, and ask again:")
    click.echo(f"  curl -X POST {at}/freeze/{demo_world.CHANNELS[0]}     # stands still, still 200; /thaw/ mends it")
    click.echo(f"  kill {stage.pid(demo_world.EDGES[2])}      # {demo_world.EDGES[2].name}; to start it again:")
    click.echo(f"  {sys.executable} -m gtm.cli.demo_edges {demo_world.EDGES[2].address} {stage.edge_port} nyc-1")
    click.echo("\nOr see it done with a stopwatch: gtm demo --drill. Ctrl-C ends everything.")
    sys.stdout.flush()


def _drill(stage: demo_stage.Stage, as_json: bool) -> bool:
    """Run the drill, print its report, and say whether every answer moved and came back."""
    done: list[demo_drill.Outcome] = []
    if not as_json:
        click.echo(
            f"A drill in {len(demo_drill.STEPS)} steps; each channel is looked at on each edge every second.\n"
            "A frozen playlist is still answered with 200; it counts as stale after three segments of one second."
        )
    for outcome in demo_drill.run(stage):
        done.append(outcome)
        if as_json:
            click.echo(json.dumps(_plain(outcome)))
        else:
            click.echo(f"  {outcome.took_s:5.1f} s  {outcome.step.what}: {outcome.why or 'no reason given'}")
    good = len(done) == len(demo_drill.STEPS) and all(outcome.ok for outcome in done)
    if not as_json:
        _print_table(done)
        click.echo("All answers moved, and came back." if good else "The answers did not become what they should.")
    return good


def _plain(outcome: demo_drill.Outcome) -> dict[str, object]:
    return {
        "step": outcome.step.what,
        "name": f"{outcome.step.channel}.{demo_world.ZONE}",
        "viewer": outcome.step.viewer.where,
        "before": outcome.before,
        "after": outcome.after,
        "seconds": round(outcome.took_s, 3),
        "ok": outcome.ok,
        "why": outcome.why,
    }


def _print_table(done: list[demo_drill.Outcome]) -> None:
    seconds = rich_table.Column("seconds", justify="right")
    table = rich_table.Table(
        "step", "asked from", "name", "before", "after", seconds, box=box.SIMPLE_HEAD, pad_edge=False
    )
    for outcome in done:
        after = " ".join(outcome.after) + ("" if outcome.ok else "  WRONG")
        where = (outcome.step.viewer.where, outcome.step.channel)
        table.add_row(outcome.step.what, *where, " ".join(outcome.before), after, f"{outcome.took_s:.1f}")
    rich_console.Console().print(table)
