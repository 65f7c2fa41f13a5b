"""Servers in, CPU microseconds per answered query out: GTM beside its peers on one core, dnsperf on the other.

What is measured is user and system time of a server's whole process tree over the queries that dnsperf saw completed.
All servers run at the same time and are asked in turn, round after round, so that what else the machine does hits all.
`--beside TREE` runs the GTM of another working tree in the same rounds: what a change costs or wins.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import random
import re
import statistics
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import servers
from gtm import names
from gtm.cli import demo_geo

ROUNDS, SECONDS = 7, 3.0
RESOLVERS = 2000
EDGES = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
# Different questions that are asked over and over: with as many client subnets, so that nobody lives on a cache.
QUESTIONS = 20_000
_CONTINENTS = ("EU", "NA", "AS", "SA", "AF", "OC")
_OPT_BYTES = 1232
_DOTTED = struct.Struct(">I")


class Row(NamedTuple):
    """One line of the table: `server` is a key of `_makers`; `subnets` and `cookies` say what questions carry."""

    label: str
    server: str
    name: str = servers.NAME
    subnets: bool = False
    cookies: bool = False


class Result(NamedTuple):
    """What a row came to: microseconds of CPU per answer and answers per second, by round; and queries lost."""

    cpu_us: list[float]
    rate: list[float]
    lost: int


ROWS = (
    Row("gdnsd, weighted", "gdnsd"),
    Row("Knot, geoip module, weighted", "knot"),
    Row("GTM, weighted", "gtm"),
    Row("gdnsd, by continent, client subnets", "gdnsd", "near.live.example.com", True),
    Row("GTM, everything on", "gtm-all"),
    Row("GTM, everything on, client subnets", "gtm-all", subnets=True),
    Row("GTM, the same with a rate limit", "gtm-limit", subnets=True),
    Row("GTM, a rate limit and cookies", "gtm-limit", cookies=True),
    Row("GTM, the same, every answer explained", "gtm-explain", subnets=True),
)
REFERENCE = ROWS[0].label


def places(dice: random.Random) -> bytes:
    """Return a database that puts each /14 of the IPv4 address space on some continent."""
    world = {
        f"{first}.{second}.0.0/14": {"continent": {"code": dice.choice(_CONTINENTS)}}
        for first in range(1, 224)
        for second in range(0, 256, 4)
        if first not in {10, 127}
    }
    return demo_geo.database(world, kind="GTM-Bench-City", build_epoch=1_700_000_000)


def questions(row: Row, dice: random.Random) -> bytes:
    """Return the questions of a row as dnsperf reads them: packets behind their lengths, all with EDNS."""
    asked = names.key(f"{row.name}.") + struct.pack(">HH", 1, 1)
    packets = []
    for _ in range(QUESTIONS):
        data = b""
        if row.subnets:  # RFC 7871 section 6: a /24
            data = struct.pack(">HHHBB", 8, 7, 1, 24, 0) + _DOTTED.pack(dice.randrange(1 << 24, 224 << 24))[:3]
        if row.cookies:  # RFC 7873 section 5.1: what a resolver sends first; each has one cookie for a server
            data = struct.pack(">HHQ", 10, 8, dice.randrange(RESOLVERS))
        opt = struct.pack(">BHHIH", 0, 41, _OPT_BYTES, 0, len(data)) + data
        packet = struct.pack(">HHHHHH", 0, 0, 1, 0, 0, 1) + asked + opt
        packets.append(struct.pack(">H", len(packet)) + packet)
    return b"".join(packets)


def _makers(core: int, edge_port: int, database: Path) -> dict[str, servers.Maker]:
    gtm = functools.partial(servers.gtm, core=core, EDGE=edge_port, PLACES=database)
    every = functools.partial(gtm, "gtm-all.yaml", EXPLAIN='"192.0.2.0/24"', LIMIT="")
    return {
        "gdnsd": functools.partial(servers.gdnsd, core=core, EDGE=edge_port, PLACES=database),
        "knot": functools.partial(servers.knot, core=core),
        "gtm": gtm,
        "gtm-all": every,
        # Far above what is asked: the arithmetic is paid for, and nobody is refused.
        "gtm-limit": functools.partial(every, LIMIT=", rate_limit: {responses_per_second: 1000000}"),
        "gtm-explain": functools.partial(every, EXPLAIN='"127.0.0.0/8"'),
    }


class _Run(NamedTuple):
    """Everything that runs, and where: servers by (key, working tree), questions by label, dnsperf's core."""

    up: Mapping[tuple[str, Path], servers.Server]
    files: Mapping[str, Path]
    core: int


@contextlib.contextmanager
def _running(rows: Sequence[tuple[Row, Path]]) -> Iterator[_Run]:
    """Run the servers of these rows on the last core; the first is dnsperf's and the edges'."""
    cores = sorted(os.sched_getaffinity(0))
    port, dice = servers.free_port(), random.Random(1)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # gdnsd reads the database as somebody else
        (folder / "places.mmdb").write_bytes(places(dice))
        files = {}
        for at, (row, _) in enumerate(rows):
            files[row.label] = folder / f"questions-{at}"
            files[row.label].write_bytes(questions(row, dice))
        stack.enter_context(servers.edges(EDGES, port))
        makers = _makers(cores[-1], port, folder / "places.mmdb")
        up: dict[tuple[str, Path], servers.Server] = {}
        for row, tree in rows:
            if (row.server, tree) not in up:
                make = makers[row.server]
                made = make(root=tree) if row.server.startswith("gtm") else make()
                up[row.server, tree] = stack.enter_context(made)
        yield _Run(up, files, cores[0])


def ask(server: servers.Server, questions_file: Path, core: int, seconds: float) -> tuple[float, float, int]:
    """Load one server; return CPU microseconds per answer, answers per second, and how many were lost."""
    host, port = server.address
    command = ["taskset", "-c", str(core), "dnsperf", "-s", host, "-p", str(port), "-B", "-d", str(questions_file)]
    before_s = server.cpu_s()
    said = subprocess.run(
        [*command, "-l", f"{seconds:g}", "-c", "10"], capture_output=True, text=True, check=True, timeout=seconds + 30
    ).stdout
    spent_s = server.cpu_s() - before_s
    done, lost = (int(_number(said, word)) for word in ("Queries completed", "Queries lost"))
    return 1e6 * spent_s / max(done, 1), _number(said, "Queries per second"), lost


def _number(said: str, word: str) -> float:
    found = re.search(rf"{word}:\s+([\d.]+)", said)
    if found is None:
        raise RuntimeError(f"dnsperf says nothing of {word}: {said}")
    return float(found[1])


def measure(
    rows: Sequence[Row] = ROWS, rounds: int = ROUNDS, seconds: float = SECONDS, beside: Path | None = None
) -> dict[str, Result]:
    """Return the results by label."""
    wanted = []
    for row in rows:
        wanted.append((row, servers.ROOT))
        if beside is not None and row.server.startswith("gtm"):
            wanted.append((row._replace(label=f"  {beside.name}"[:12] + row.label.removeprefix("GTM")), beside))
    found = {row.label: Result([], [], 0) for row, _ in wanted}
    with _running(wanted) as run:
        for _ in range(rounds):
            for row, tree in wanted:
                cpu_us, rate, lost = ask(run.up[row.server, tree], run.files[row.label], run.core, seconds)
                so_far = found[row.label]
                so_far.cpu_us.append(cpu_us)
                so_far.rate.append(rate)
                found[row.label] = so_far._replace(lost=so_far.lost + lost)
    return found


def ratio(found: Mapping[str, Result], label: str, other: str = REFERENCE) -> float:
    """Return the median over the rounds of one row's CPU per answer over another's in the same round."""
    pairs = zip(found[label].cpu_us, found[other].cpu_us, strict=True)
    return statistics.median(mine / theirs for mine, theirs in pairs)


def table(found: Mapping[str, Result]) -> Iterator[str]:
    """Yield the lines of the table: medians, the spread from the least to the most, and the ratio to gdnsd."""
    yield f"{'CPU per answered query':<40} {'median':>9} {'least..most':>14} {'gdnsd x':>8} {'answers/s':>10} lost"
    for label, one in found.items():
        spread = f"{min(one.cpu_us):.2f}..{max(one.cpu_us):.2f}"
        times = f"{ratio(found, label):.2f}" if REFERENCE in found else "-"
        rate = f"{statistics.median(one.rate):,.0f}"
        yield f"{label:<40} {statistics.median(one.cpu_us):6.2f} µs {spread:>14} {times:>8} {rate:>10} {one.lost:4d}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--only", help="labels that hold this word, and gdnsd's")
    parser.add_argument("--beside", type=Path, help="a working tree whose GTM is measured, too")
    args = parser.parse_args()
    rows = [row for row in ROWS if not args.only or args.only in row.label or row.label == REFERENCE]
    for line in table(measure(rows, args.rounds, args.seconds, args.beside and args.beside.resolve())):
        print(line)


if __name__ == "__main__":
    main()
