"""What a probe of each kind costs in CPU, and how many HLS checks one core carries: `python -m benchmarks.probes`.

Probes go through the runner as in a node, over loopback, `FLYING` at a time, to servers in a process of their own; the
CPU counted is this process's, user and system (of `exec` that is without the command's own). Best of three rounds, so
that what else the machine does counts little. Ends with 1 when one core carries fewer media playlists than promised.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

from benchmarks import servers
from gtm import model, probes, seen
from gtm.probes import runner

ROUNDS, PROBES, FLYING = 3, 600, 20
COMMANDS = 60  # an `exec` is a process each time
PROMISED_PLAYLISTS = 1000  # a second on one core: a poll of a live playlist without its segment

# Label: kind, server, settings.
ROWS: Mapping[str, tuple[str, str, dict[str, model.OptionValue]]] = {
    "tcp": ("tcp", "web", {}),
    "http": ("http", "web", {"path": "/"}),
    "hls, playlist alone": ("hls", "web", {"path": "/live.m3u8", "segment": False}),
    "hls, with its newest segment": ("hls", "web", {"path": "/live.m3u8"}),
    "hls, two renditions in turn": ("hls", "web", {"path": "/main.m3u8"}),
    "dash": ("dash", "web", {"path": "/live.mpd"}),
    "rtmp, connect": ("rtmp", "rtmp", {}),
    "rtmp_stat, ten streams": ("rtmp_stat", "web", {"path": "/stat"}),
    "srt, induction": ("srt", "srt", {}),
    "whip, OPTIONS": ("whip", "web", {"path": "/whip"}),
    "rtsp, OPTIONS": ("rtsp", "rtsp", {}),
    "rtsp, DESCRIBE": ("rtsp", "rtsp", {"path": "/live"}),
    "grpc": ("grpc", "grpc", {}),
    "exec, /bin/true": ("exec", "web", {"command": ("/bin/true",)}),
}
PLAYLIST = "hls, playlist alone"


@contextlib.contextmanager
def targets() -> Iterator[Mapping[str, int]]:
    """Run the servers, and give their ports."""
    command = [sys.executable, "-m", "benchmarks.probe_targets"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=servers.ROOT)
    try:
        assert process.stdout
        yield json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe
            pipe.close()


def checks(label: str, ports: Mapping[str, int]) -> list[model.Check]:
    """Return FLYING checks of a row, told apart by endpoint."""
    kind, server, options = ROWS[label]
    profile = model.Profile(label, kind, timeout_s=5.0)
    return [
        model.Check(model.CheckKey(label, f"e{at}", "ipv4"), profile, "127.0.0.1", ports[server], "127.0.0.1", options)
        for at in range(FLYING)
    ]


async def flown(todo: list[model.Check], count: int) -> float:
    """Run `count` probes, each check again as soon as it has come back; return the CPU seconds of this process."""
    left, back = count, asyncio.Event()
    by_key = {check.key: check for check in todo}

    def came(result: seen.ProbeResult) -> None:
        nonlocal left
        if result.ok is not True:
            raise RuntimeError(f"{result.check}: {result.reason}")
        left -= 1
        if left >= len(todo):
            work.run(by_key[result.check])
        elif left == 0:
            back.set()

    work = runner.Runner(probes.KINDS, vantage="bench", deliver=came)
    began_s = time.process_time()
    for check in todo:
        work.run(check)
    async with asyncio.timeout(60):
        await back.wait()
    took_s = time.process_time() - began_s
    await work.close()
    return took_s


def measure(rounds: int = ROUNDS, count: int = PROBES) -> dict[str, float]:
    """Return CPU microseconds for one probe of each row."""
    found = {}
    with targets() as ports:
        for label, (kind, _, _) in ROWS.items():
            many = min(count, COMMANDS) if kind == "exec" else count
            todo = checks(label, ports)
            found[label] = min(asyncio.run(flown(todo, many)) for _ in range(rounds)) / many * 1e6
    return found


def table(found: Mapping[str, float]) -> list[str]:
    """Return the lines to print."""
    lines = [f"{'probe':30} {'CPU us':>9} {'a second on one core':>22}"]
    return lines + [f"{label:30} {cost_us:9.0f} {1e6 / cost_us:22.0f}" for label, cost_us in found.items()]


def main() -> None:
    """Measure and print; end with 1 when the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    found = measure(parser.parse_args().rounds)
    print("\n".join(table(found)))
    carried = 1e6 / found[PLAYLIST]
    print(f"one core carries {carried:.0f} media playlists a second (promised {PROMISED_PLAYLISTS})")
    sys.exit(0 if carried >= PROMISED_PLAYLISTS else 1)


if __name__ == "__main__":
    main()
