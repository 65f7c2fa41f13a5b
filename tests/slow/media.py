"""Folders in, real live media out: ffmpeg writes HLS and DASH, nginx serves it with faults on demand, a probe watches.

Everything runs in a network namespace of its own. Faults are natural: processes are stopped or ended, files vanish, and
nginx throttles, refuses or caches when a flag file says so.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.slow import hosts

EDGE, CACHE, LOW_LATENCY = "127.0.0.2", "127.0.0.3", "127.0.0.4:8080"
SETTLE_S = 40.0  # how long a verdict may take; the checks that are used here need less than ten seconds

SOURCE = """
ffmpeg -nostdin -loglevel error -re
-f lavfi -i testsrc2=size=160x90:rate=10 -f lavfi -i sine=frequency=440
"""
PICTURE = "-c:v libx264 -preset ultrafast -tune zerolatency -threads 1 -g 10 -sc_threshold 0 -c:a aac"
HLS = "-f hls -hls_time 1 -hls_list_size 6 -hls_flags delete_segments+program_date_time+independent_segments+temp_file"
LADDER = "-map 0:v -map 1:a -map 0:v -map 1:a -map 0:v -map 1:a -b:v:0 100k -b:v:1 300k -b:v:2 600k"
DASH = "-f dash -seg_duration 1 -window_size 6 -extra_window_size 3 -use_template 1"

NGINX = """
daemon off;
master_process off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    proxy_cache_path {folder}/cache keys_zone=cache:1m;
    types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; application/dash+xml mpd; video/mp4 m4s mp4; }}
    server {{
        listen {edge}:80;
        root {folder};
        set $duress "";
        if (-f {folder}/flags/throttled) {{ set $limit_rate 2k; }}
        if (-f {folder}/flags/duress) {{ set $duress '"edge-1";du'; }}
        add_header CMSD-Dynamic $duress;
        location ~ /v(?<number>[0-9])/ {{
            if (-f {folder}/flags/missing-$number) {{ return 404; }}
        }}
    }}
    server {{
        listen {cache}:80;
        location / {{
            proxy_pass http://{edge}:80;
            proxy_cache cache;
            proxy_cache_valid 200 60s;
            proxy_ignore_headers Cache-Control Expires;
        }}
    }}
}}
"""


class Look(NamedTuple):
    """What one look of `gtm probe --watch --json` said."""

    status: str
    reason: str
    warnings: tuple[str, ...]
    overloaded: str
    measures: dict[str, Any]


class Media(hosts.Namespace):
    """Encoders, an edge, a cache in front of it, an origin of low-latency HLS, and probes that watch them."""

    def hls(self, name: str, *, ladder: bool = False) -> None:
        """Write live HLS to NAME/live.m3u8, or with `ladder` three renditions of it to NAME/main.m3u8."""
        folder = self.logs / name
        command = f"{SOURCE} {LADDER if ladder else ''} {PICTURE} {HLS}".split()
        if ladder:
            command += ["-master_pl_name", "main.m3u8", "-var_stream_map", "v:0,a:0 v:1,a:1 v:2,a:2"]
        for one in ("v0", "v1", "v2") if ladder else (".",):
            (folder / one).mkdir(parents=True, exist_ok=True)
        self.start(f"ffmpeg-{name}", [*command, str(folder / ("v%v/live.m3u8" if ladder else "live.m3u8"))])

    def dash(self, name: str, *, timeline: bool) -> None:
        """Write a live DASH presentation to NAME/live.mpd, its segments listed or counted by the clock."""
        folder = self.logs / name
        folder.mkdir(parents=True, exist_ok=True)
        command = f"{SOURCE} {PICTURE} {DASH} -use_timeline {int(timeline)}".split()
        self.start(f"ffmpeg-{name}", [*command, str(folder / "live.mpd")])

    def serve(self) -> None:
        """Serve the folder on the edge, and the edge through the cache."""
        (self.logs / "flags").mkdir(exist_ok=True)
        config = self.logs / "nginx.conf"
        config.write_text(NGINX.format(folder=self.logs, edge=EDGE, cache=CACHE))
        self.start("nginx", ["nginx", "-c", str(config), "-e", str(self.logs / "error.log")])

    def low_latency(self) -> None:
        """Serve low-latency HLS; SIGUSR1 freezes it and thaws it."""
        port = LOW_LATENCY.partition(":")[2]
        self.start("low-latency", [sys.executable, "-m", "tests.probes.low_latency", port], hosts_environment())

    @contextmanager
    def flag(self, name: str) -> Iterator[None]:
        """Put up a flag for nginx, and take it down."""
        path = self.logs / "flags" / name
        path.touch()
        try:
            yield
        finally:
            path.unlink()

    def watch(self, what: str, check: str, address: str) -> Watched:
        """Let `gtm probe` watch an address with a check, written in YAML without its name."""
        profile = self.logs / f"{what}.yaml"
        profile.write_text(f"checks: {{{what}: {check}}}\n")
        words = ["probe", str(profile), address, "--watch", "--json"]
        self.start(f"probe-{what}", [*hosts.GTM, *words], hosts_environment())
        return Watched(self, self.logs / f"probe-{what}.log")

    def unlink(self, folder: str, pattern: str) -> None:
        """Remove what is there of some files."""
        for path in (self.logs / folder).glob(pattern):
            path.unlink(missing_ok=True)


def hosts_environment() -> dict[str, str]:
    """Return what a program of this repository needs to find it."""
    return {"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "PYTHONUNBUFFERED": "1"}


class Watched:
    """The log of a watching probe."""

    def __init__(self, world: Media, log: Path) -> None:
        self._world = world
        self._log = log

    def last(self) -> Look | None:
        """Return the last look."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        whole = [line for line in lines if line.startswith("{") and line.endswith("}")]
        if not whole:
            return None
        said = json.loads(whole[-1])
        return Look(said["status"], said["reason"], tuple(said["warnings"]), said["overloaded"], said["measures"])

    def until(self, wanted: Callable[[Look], bool], within_s: float = SETTLE_S) -> tuple[Look, float]:
        """Wait until a look is as wanted; return it with the seconds that this took."""
        found: list[Look] = []

        def seen() -> bool:
            look = self.last()
            found[:] = [look] if look else []
            return look is not None and wanted(look)

        try:
            took_s = self._world.until(seen, True, within_s)
        except AssertionError as late:
            raise AssertionError(f"{late}; the last look: {found}") from None
        return found[0], took_s

    def up(self) -> Look:
        """Wait until it is up without a warning."""
        return self.until(lambda look: look.status == "up" and not look.warnings)[0]

    def down(self, reason: str) -> float:
        """Wait until it is down for a reason that has these words in it; return the seconds."""
        return self.until(lambda look: look.status == "down" and reason in look.reason)[1]


STOP, GO = signal.SIGSTOP, signal.SIGCONT
