"""The world of faults in, the configuration of the node that watches it out: with the ready profiles as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.slow import fault_world
from tests.slow.fault_world import FARM, NODE, ZONE

CALM_EVERY_S = 0.7
CHECKS: Mapping[str, Mapping[str, Any]] = {
    # The ready profile for channels at almost three times its pace: ten minutes of it go into three and a half.
    "calm": {"kind": "hls", "port": 443, "tls": True, "host": "{name}", "path": "/{label}/index.m3u8",
             "every": CALM_EVERY_S, "timeout": "650ms", "confirm": "350ms"},
    # What `http` does when nothing is said.
    "busy-origin": {"kind": "http", "port": 8081, "path": "/healthz", "every": "2s", "timeout": "1500ms"},
    "sessions": {"kind": "http", "port": 8081, "path": "/load.json", "every": "2s", "timeout": "1500ms",
                 "load": {"measure": "json.sessions", "low": 800, "high": 1000}},
}  # fmt: skip
ADDRESSES: Mapping[str, str] = {
    **FARM, **fault_world.EDGES, **fault_world.GATEWAYS, "calm-edge": fault_world.CALM_EDGE,
    "slate-1": fault_world.SLATE, "ingest-taken": fault_world.INGEST, "ingest-watched": fault_world.INGEST_WATCHED,
    "camera": fault_world.CAMERAS, "full": "127.23.0.1", "sessions": "127.23.0.2",
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
    "origins": (["full"], "busy-origin"),
    "players": (["sessions"], "sessions"),
}
# Channels, the pool that has them, and what judges each of them.
CHANNELS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (fault_world.CALM, "farm", "calm"),
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
