"""A built world in, what its node said of every fault out: the faults are made all at once, and events are read."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gtm import model
from tests.slow import fault_config, fault_rows, fault_world
from tests.slow.fault_world import DASH, FARM, VICTIMS, WHOLE, ZONE, World

LOOK_S = 0.5
# On the way to a verdict: what is not fresh any more is eased before it is down, and a source is dead when all are.
ON_THE_WAY: Mapping[str, set[str]] = {"stream": {"eased"}, "node": {"eased", "stream"}, "source": {"eased", "stream"}}
CALM_S = 600.0  # of looks and of media, each at the pace of what is calm


def _unlink(world: World) -> None:
    world.start("unlink", ["sh", "-c", f"while :; do rm -f {world.logs}/hls/unlinked/*.ts; sleep 0.1; done"])


def _no_rendition(*which: int) -> Callable[[World], object]:
    def act(world: World) -> None:
        label = "rendition" if len(which) == 1 else "renditions"
        for one in which:
            (world.logs / "edges" / FARM[VICTIMS[label]] / label / f"v{one}").unlink()

    return act


def _flag(label: str, node: str = "") -> Callable[[World], object]:
    return lambda world: world.flag(f"{FARM[node or VICTIMS[label]]}-{label}")


def _certificate(name: str, other: str) -> Callable[[World], object]:
    return lambda world: world.replace(f"certificates/{name}.pem", f"certificates/{other}.pem")


def _restart(world: World) -> None:
    world.encode("again")
    world.until((world.logs / "hls/again/index.m3u8").exists, True, 20.0)
    world.swap(FARM[VICTIMS["restarted"]], "restarted", "again")


def _signal(what: str, number: signal.Signals) -> Callable[[World], object]:
    return lambda world: world.signal(what, number)


def _kill(what: str) -> Callable[[World], object]:
    return lambda world: world.kill(what)


def _end(what: str) -> Callable[[World], object]:
    return lambda world: world.end(what)


STOP, TURN = signal.SIGSTOP, signal.SIGUSR1
ACTS: Mapping[str, Callable[[World], object]] = {
    "frozen": _signal("hls-frozen", STOP),
    "ended": _end("hls-ended"),
    "unlinked": _unlink,
    "vhost": _flag("vhost"),
    "rendition": _no_rendition(2),
    "renditions": _no_rendition(1, 2),
    "stale": _flag("stale"),
    "throttled": _flag("throttled"),
    "misnamed": _certificate("misnamed", "other"),
    "expired": _certificate("expired", "old"),
    "late": _flag("late"),
    "duress": _flag("duress"),
    "parts": _signal("parts", TURN),
    "mpd": _signal("mpd-mpd", STOP),
    "static": _end("mpd-static"),
    "frozen-node": _signal("hls-node", STOP),
    "dark": _signal("hls-dark", STOP),
    "cam-hls": _kill("publish-cam-hls"),
    "killed": _kill("nginx-killed"),
    "hung": _signal("nginx-hung", STOP),
    "void": lambda world: world.ip("addr", "del", f"{fault_world.EDGES['void']}/32", "dev", "lo"),
    "skewed": lambda world: (world.logs / "clock").write_text("+30s\n"),
    "ingest-watched": _kill("nginx-watched"),
    "cam-gone": _kill("publish-cam-gone"),
    "cam-idle": _signal("publish-cam-idle", STOP),
    "srt-killed": _kill("srt-killed"),
    "srt-hung": _signal("srt-hung", STOP),
    "srt-full": lambda world: world.flag("srt-full"),
    "rtsp-hang": _signal("rtsp", TURN),
    "whip": _flag("whip", "farm-1"),
    "full": lambda world: world.flag("full"),
    "sessions": lambda world: world.flag("sessions"),
    "restarted": _restart,
}  # fmt: skip
WHERE = {**VICTIMS, **DASH, "parts": "farm-1", "whip": "farm-1"}


class Said(NamedTuple):
    """One event as a verdict: on which endpoint, for which channel (either may be empty), when, and why."""

    reached: str
    endpoint: str
    label: str
    at_s: float
    why: str


def said(event: Mapping[str, Any]) -> Said | None:
    """Return the verdict in an event; None where it is none, such as a return."""
    subject, after = str(event["subject"]), str(event["after"])
    why = str(event["cause"]).removeprefix("ipv4: ")
    parts = subject.split("/")
    label = parts[-1].removesuffix(f".{ZONE}.") if ZONE in parts[-1] else ""
    endpoint = parts[1] if len(parts) > 2 else "" if label else subject
    at_s = float(event["at"])
    if event["kind"] == "name":
        return Said("source", "", label, at_s, why) if after == "source down" else None
    if event["kind"] not in {"endpoint", "check"}:
        return None
    if after.startswith("weight"):
        return Said("eased", endpoint, label, at_s, why)
    return Said("stream" if label else "node", endpoint, label, at_s, why) if after == "down" else None


def whose(one: Said) -> str:
    """Return the key of the row that a verdict belongs to, empty for none: then it is a false alarm."""
    keys = {row.key for row in fault_rows.ROWS}
    if one.label in WHOLE and one.endpoint == "farm-4":
        return "frozen-node"
    if one.label:
        mine = one.endpoint in {"", WHERE.get(one.label, one.endpoint)}
        return one.label if one.label in keys and mine else ""
    return {"farm-4": "frozen-node"}.get(one.endpoint, one.endpoint if one.endpoint in keys else "")


class Outcome(NamedTuple):
    """What a run showed. `strange` are verdicts that no row explains."""

    found: Mapping[str, fault_rows.Found]
    strange: Sequence[Said]
    lasted_s: float
    segments: Mapping[str, int]

    @property
    def undisturbed(self) -> str:
        """Say what became of those to whom nothing happened."""
        kinds, fewest = ", ".join(f"`{one}`" for one in fault_config.CALM_OF), min(self.segments.values())
        looked_s, media_s = self.lasted_s / fault_config.PACE, fewest * fault_rows.TARGET_S
        return (
            f"Beside it streams and nodes to which nothing happened were looked at for {self.lasted_s:.0f} s by "
            f"{kinds}, each {1 / fault_config.PACE:.1f} times as often as it does by itself: as often as in "
            f"{looked_s / 60:.1f} minutes. Their HLS and DASH came in segments of {fault_world.QUICK_S:g} s, of which "
            f"{fewest} came: as many as two-second segments in {media_s / 60:.1f} minutes. Of that and of whatever "
            f"else was not broken, {len(self.strange)} verdicts were wrong."
        )


def run(world: World, profiles: Mapping[str, model.Profile]) -> Outcome:
    """Make every fault, wait until all verdicts are there or are late, and say what came of each."""
    last = max((int(one["id"]) for one in world.events()), default=0)
    began: dict[str, float] = {}
    began_s, first = time.time(), _numbers(world)
    newest = dict(first)
    for row in fault_rows.ROWS:
        began[row.key] = time.time()
        if row.key in ACTS:
            ACTS[row.key](world)
    began["slate"] = began["dark"]
    longest_s = max(row.within_s(profiles) for row in fault_rows.ROWS)
    least_s = max(longest_s + LOOK_S, CALM_S * fault_config.PACE)
    while time.time() < began_s + least_s or min(_since(first, newest).values()) < CALM_S / fault_rows.TARGET_S:
        world.all_alive()
        time.sleep(LOOK_S)
        newest |= _numbers(world)  # a look that could not be made has none
    heard = [one for event in world.events(last) if (one := said(event))]
    strange = [one for one in heard if not whose(one)]
    found = {row.key: _found(row, [one for one in heard if whose(one) == row.key], began[row.key], world, profiles)
             for row in fault_rows.ROWS}  # fmt: skip
    return Outcome(found, strange, time.time() - began_s, _since(first, newest))


def _numbers(world: World) -> dict[str, int]:
    """Return the number of the newest segment of each calm stream, on each edge."""
    line = re.compile(r"gtm_check_measure\{(.*(?:playlist\.sequence|manifest\.number).*calm-(?:\d|mpd)\..*)\} (\S+)")
    return {labels: int(float(number)) for labels, number in line.findall(world.get("/metrics"))}


def _since(first: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    return {labels: now[labels] - number for labels, number in first.items()}


def _found(
    row: fault_rows.Row, heard: Sequence[Said], began_s: float, world: World, profiles: Mapping[str, model.Profile]
) -> fault_rows.Found:
    within_s = row.within_s(profiles)
    odd = [one for one in heard if one.reached not in {row.reached, *ON_THE_WAY.get(row.reached, ())}]
    wanted = [one for one in heard if one.reached == row.reached]
    if odd or (row.reached != "none" and not wanted):
        said_all = "; ".join(f"{one.reached}: {one.why}" for one in heard)
        return fault_rows.Found(row.key, odd[0].reached if odd else "nothing", said_all, 0.0, within_s)
    if row.reached == "none":
        return fault_rows.Found(row.key, "none", READINGS[row.key](world), 0.0, within_s)
    return fault_rows.Found(row.key, row.reached, wanted[0].why, wanted[0].at_s - began_s, within_s)


def _probed(check: str, address: str, name: str = "") -> Callable[[World], str]:
    return lambda world: str(world.probe(check, address, name)["reason"])


def _taken(world: World) -> str:
    measures = world.probe("rtmp-publish", fault_world.INGEST)["measures"]
    return f"code {measures['code']}, publishers {measures['publishers']:g}"


def _epochs(world: World) -> str:
    found = re.search(r"gtm_check_measure\{.*farm-1.*playlist\.epochs.*restarted.*\} (\S+)", world.get("/metrics"))
    return f"epochs {float(found[1]):g}" if found else "no epochs"


def _remark(world: World) -> str:
    told = json.loads(world.get(f"/api/v1/explain?name=offset.{ZONE}"))
    return next(str(one["reason"]) for pool in told["tried"] for one in pool["members"] if one["endpoint"] == "farm-3")


READINGS: Mapping[str, Callable[[World], str]] = {
    "ingest-taken": _taken,
    "srt-secret": _probed("srt-channel", fault_world.GATEWAYS["srt-secret"], "srt-secret"),
    "srt-busy": _probed("srt-single", fault_world.GATEWAYS["srt-busy"]),
    "restarted": _epochs,
    "offset": _remark,
}  # fmt: skip


def unwell(world: World) -> str:
    """Return what is not up for everything; nothing is broken before all is well."""
    told = json.loads(world.get("/api/v1/status"))["endpoints"]
    return "; ".join(f"{one['endpoint']}: {one['reason']}" for one in told if one["state"] != "up" or one["not_for"])
