"""The world of faults in, the configuration of the node that watches it out: with the ready profiles as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from gtm import units
from tests.slow import fault_world
from tests.slow.fault_world import FARM, NODE, ZONE

# Beside the faults, what nothing happens to is looked at by the ready profiles at almost three times their pace: ten
# minutes of it go into three and a half. Its segments are so much shorter, too.
PACE = 0.35
TIMEOUT_SHARE = 0.93  # of the interval, where that is shorter than the ready profile's time-out
CALM_OF: Mapping[str, Mapping[str, Any]] = {
    "hls-channel": {}, "ll-hls-edge": {}, "dash-edge": {}, "rtmp-ingest": {}, "rtmp-channel": {}, "srt-gateway": {},
    "srt-channel": {}, "rtsp-channel": {}, "whip-ingest": {}, "http-origin": {"port": 8081, "path": "/load.json"},
}  # fmt: skip


def calm(ready: str) -> dict[str, Any]:
    """Return a ready profile at the pace of what is calm, with the few settings that the test has to give it."""
    every_s = PACE * units.seconds(READY[ready]["every"])
    timeout_s = min(units.seconds(READY[ready]["timeout"]), TIMEOUT_SHARE * every_s)
    return {**READY[ready], **CALM_OF[ready], "every": f"{every_s:.3f}s", "timeout": f"{timeout_s:.3f}s"}


READY: Mapping[str, Mapping[str, Any]] = {
    name: check
    for path in sorted((fault_world.ROOT / "healthchecks").glob("*.yaml"))
    for name, check in yaml.safe_load(path.read_text())["checks"].items()
}
CHECKS: Mapping[str, Mapping[str, Any]] = {
    **{f"calm-{ready}": calm(ready) for ready in CALM_OF},
    # What `http` does when nothing is said.
    "busy-origin": {"kind": "http", "port": 8081, "path": "/healthz", "every": "2s", "timeout": "1500ms"},
    "sessions": {"kind": "http", "port": 8081, "path": "/load.json", "every": "2s", "timeout": "1500ms",
                 "load": {"measure": "json.sessions", "low": 800, "high": 1000}},
}  # fmt: skip
ADDRESSES: Mapping[str, str] = {
    **FARM, **fault_world.EDGES, **fault_world.GATEWAYS, "calm-edge": fault_world.CALM_EDGE,
    "slate-1": fault_world.SLATE, "ingest-taken": fault_world.INGEST, "ingest-watched": fault_world.INGEST_WATCHED,
    "camera": fault_world.CAMERAS, "full": "127.23.0.1", "sessions": "127.23.0.2", "calm-origin": "127.23.0.3",
    "calm-ingest": fault_world.INGEST,
}  # fmt: skip
# Members, and what judges them for every name.
POOLS: Mapping[str, tuple[list[str], str | list[str]]] = {
    "farm": (["farm-1", "farm-2", "farm-3"], "none"),
    "farm-12": (["farm-1", "farm-2"], "none"),
    "farm-23": (["farm-2", "farm-3"], "none"),
    "farm-42": (["farm-4", "farm-2"], "none"),
    "slate": (["slate-1"], "none"),
    "edges": (["killed", "hung", "void", "skewed", "calm-edge"], "hls-edge"),
    "ingest": (["ingest-taken"], ["rtmp-ingest", "rtmp-publish"]),
    "ingest-watched": (["ingest-watched"], "rtmp-ingest"),
    "gateways": (["srt-killed", "srt-hung"], "srt-gateway"),
    "srt-full": (["srt-full"], "none"),
    "srt-secret": (["srt-secret"], "none"),
    "srt-busy": (["srt-busy"], "srt-single"),
    "cameras": (["camera"], "rtsp-server"),
    "calm-ingest": (["calm-ingest"], "calm-rtmp-ingest"),
    "calm-gateway": (["calm-gateway"], "calm-srt-gateway"),
    "calm-origin": (["calm-origin"], "calm-http-origin"),
    "origins": (["full"], "busy-origin"),
    "players": (["sessions"], "sessions"),
}
# Channels, the pool that has them, and what judges each of them.
CHANNELS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (fault_world.CALM, "farm", "calm-hls-channel"),
    (("calm-mpd",), "farm-12", "calm-dash-edge"),
    (("calm-parts",), "farm-12", "calm-ll-hls-edge"),
    (("calm-whip",), "farm-12", "calm-whip-ingest"),
    (("calm-cam",), "calm-ingest", "calm-rtmp-channel"),
    (("calm-view",), "cameras", "calm-rtsp-channel"),
    (("calm-srt",), "calm-gateway", "calm-srt-channel"),
    ((*fault_world.VICTIMS, *fault_world.DARK), "farm", "hls-channel"),
    (("cam-hls",), "farm-23", "hls-channel"),
    (tuple(fault_world.DASH), "farm-12", "dash-edge"),
    (("parts",), "farm-12", "ll-hls-edge"),
    (("whip",), "farm-12", "whip-ingest"),
    (fault_world.WHOLE, "farm-42", "hls-channel"),
    (fault_world.CAMS, "ingest", "rtmp-channel"),
    (fault_world.VIEWS, "cameras", "rtsp-channel"),
    (("srt-full",), "srt-full", "srt-channel"),
    (("srt-secret",), "srt-secret", "srt-channel"),
)
UNCHECKED = (
    "edges",
    "ingest-watched",
    "gateways",
    "srt-busy",
    "origins",
    "players",
    "calm-ingest",
    "calm-gateway",
    "calm-origin",
)  # pools that a name tries as it is


def text() -> str:
    """Return the configuration; JSON is YAML."""
    steer: dict[str, Any] = {f"for-{pool}": [pool] for pool in UNCHECKED}
    for labels, pool, check in CHANNELS:
        steer |= {label: {"try": pool, "check": check} for label in labels}
    steer["slate"]["source_down"] = "slate"
    zone = {"nameservers": {"ns1": NODE}, "hostmaster": "ops@example.com", "steer": steer}
    whole = {
        "node": "ns1-faults",
        "dns": {"listen": f"{NODE}:53", "workers": 1},
        "web": {"listen": f"{NODE}:8053"},
        "store": "memory:",
        "flap": "off",
        "include": ["healthchecks/*.yaml"],
        "checks": CHECKS,
        "endpoints": {name: {"address": address} for name, address in ADDRESSES.items()},
        "pools": {name: {"members": members, "check": check} for name, (members, check) in POOLS.items()},
        "zones": {ZONE: zone},
    }
    return json.dumps(whole, indent=2)
