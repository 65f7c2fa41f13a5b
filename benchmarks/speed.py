"""Servers in, CPU microseconds per answered query out: GTM beside its peers on one core, dnsperf on the other.

What is measured is user and system time of a server's whole process tree over the queries that dnsperf saw completed.
All servers run at the same time and are asked in turn, round after round, so that what else the machine does hits all.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import servers

ROUNDS, SECONDS = 7, 3.0
EDGES = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
PLACES = servers.ROOT / "examples" / "three-regions-live" / "places.mmdb"
# 198.51.100.0/24, which is in America for that database: FAMILY 1, SOURCE 24, SCOPE 0 (RFC 7871 section 6).
SUBNET = "8:00011800c63364"
EDNS, ECS = ("-e",), ("-E", SUBNET)


class Row(NamedTuple):
    """One line of the table. `server` is a key of `running`, `options` are dnsperf's."""

    label: str
    server: str
    name: str
    options: Sequence[str]


class Result(NamedTuple):
    """What a row came to: microseconds of CPU per answer and answers per second, by round; and queries lost."""

    cpu_us: list[float]
    rate: list[float]
    lost: int


ROWS = (
    Row("gdnsd, weighted", "gdnsd", servers.NAME, EDNS),
    Row("Knot, geoip module, weighted", "knot", servers.NAME, EDNS),
    Row("GTM, weighted", "gtm", servers.NAME, EDNS),
    Row("gdnsd, geography and client subnet", "gdnsd", "near.live.example.com", ECS),
    Row("GTM, everything on", "gtm-all", servers.NAME, EDNS),
    Row("GTM, everything on, client subnet", "gtm-all", servers.NAME, ECS),
    Row("GTM, the same with a rate limit", "gtm-limit", servers.NAME, ECS),
    Row("GTM, the same, each answer explained", "gtm-explain", servers.NAME, ECS),
)
REFERENCE = ROWS[0].label


@contextlib.contextmanager
def running(wanted: set[str], core: int, edge_port: int) -> Iterator[Mapping[str, servers.Server]]:
    """Run the servers of these keys on one core."""
    values = {"EDGE": edge_port, "PLACES": PLACES}
    quiet, loud = '"192.0.2.0/24"', '"127.0.0.0/8"'
    # Far above what is asked: the arithmetic is paid for, and nobody is refused.
    limit = ", rate_limit: {responses_per_second: 1000000}"
    makers = {
        "gdnsd": lambda: servers.gdnsd(core=core, **values),
        "knot": lambda: servers.knot(core=core),
        "gtm": lambda: servers.gtm(core=core, **values),
        "gtm-all": lambda: servers.gtm("gtm-all.yaml", core=core, EXPLAIN=quiet, LIMIT="", **values),
        "gtm-limit": lambda: servers.gtm("gtm-all.yaml", core=core, EXPLAIN=quiet, LIMIT=limit, **values),
        "gtm-explain": lambda: servers.gtm("gtm-all.yaml", core=core, EXPLAIN=loud, LIMIT="", **values),
    }
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(make()) for name, make in makers.items() if name in wanted}


def ask(row: Row, server: servers.Server, core: int, seconds: float) -> tuple[float, float, int]:
    """Load one server; return CPU microseconds per answer, answers per second, and how many were lost."""
    host, port = server.address
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as questions:
        questions.write(f"{row.name} A\n")
        questions.flush()
        command = ["taskset", "-c", str(core), "dnsperf", "-s", host, "-p", str(port), "-d", questions.name]
        command += ["-l", f"{seconds:g}", "-c", "10", *row.options]
        before_s = server.cpu_s()
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
        spent_s = server.cpu_s() - before_s
    done, lost = (int(_number(said, word)) for word in ("Queries completed", "Queries lost"))
    return 1e6 * spent_s / max(done, 1), _number(said, "Queries per second"), lost


def _number(said: str, word: str) -> float:
    found = re.search(rf"{word}:\s+([\d.]+)", said)
    if found is None:
        raise RuntimeError(f"dnsperf says nothing of {word}: {said}")
    return float(found[1])


def measure(rows: Sequence[Row] = ROWS, rounds: int = ROUNDS, seconds: float = SECONDS) -> dict[str, Result]:
    """Return the results by label."""
    cores = sorted(os.sched_getaffinity(0))
    port = servers.free_port()
    found = {row.label: Result([], [], 0) for row in rows}
    with servers.edges(EDGES, port), running({row.server for row in rows}, cores[-1], port) as up:
        for _ in range(rounds):
            for row in rows:
                cpu_us, rate, lost = ask(row, up[row.server], cores[0], seconds)
                so_far = found[row.label]
                so_far.cpu_us.append(cpu_us)
                so_far.rate.append(rate)
                found[row.label] = so_far._replace(lost=so_far.lost + lost)
    return found


def table(found: Mapping[str, Result]) -> Iterator[str]:
    """Yield the lines of the table: medians, the spread from the least to the most, and the ratio to gdnsd."""
    yield f"{'CPU per answered query':<40} {'median':>9} {'least..most':>14} {'x gdnsd':>8} {'answers/s':>10} {'lost':>5}"
    for label, one in found.items():
        middle = statistics.median(one.cpu_us)
        spread = f"{min(one.cpu_us):.2f}..{max(one.cpu_us):.2f}"
        ratio = f"{ratio_to(found, label):.2f}" if REFERENCE in found else "-"
        yield f"{label:<40} {middle:6.2f} µs {spread:>14} {ratio:>8} {statistics.median(one.rate):10,.0f} {one.lost:5d}"


def ratio_to(found: Mapping[str, Result], label: str, other: str = REFERENCE) -> float:
    """Return the median over the rounds of one row's CPU per answer over another's in the same round."""
    pairs = zip(found[label].cpu_us, found[other].cpu_us, strict=True)
    return statistics.median(mine / theirs for mine, theirs in pairs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--only", help="labels that hold this word, and gdnsd's")
    args = parser.parse_args()
    rows = [row for row in ROWS if not args.only or args.only in row.label or row.label == REFERENCE]
    for line in table(measure(rows, args.rounds, args.seconds)):
        print(line)


if __name__ == "__main__":
    main()
