"""A profile and an address in, what that check sees now out: what `gtm probe` runs, with any kind there is."""

from __future__ import annotations

import asyncio
import dataclasses
import difflib
import glob
import ipaddress
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from gtm import app, errors, files, model, names, ports, probes, seen
from gtm.config import load, probing
from gtm.health import judge

AGAIN_SHARE = 1.1  # of the time after which a stream must have moved; a little more, for its jitter
AGAIN_MAX_S = 15.0  # nobody waits longer before a terminal
TARGET = "address"  # what the endpoint is called when it is none of the configuration's


_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})")


class TryError(errors.GtmError):
    """The words do not make a check; the message says which."""


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What was seen, and judged: `ok` None means that the probe could not run. `looks` is how often it looked."""

    result: seen.ProbeResult
    ok: bool | None
    reason: str
    spoken: tuple[judge.Spoken, ...]
    looks: int = 1
    apart_s: float = 0.0

    def as_data(self, check: model.Check) -> dict[str, Any]:
        """Return it for scripts."""
        return {
            "profile": check.profile.name,
            "kind": check.profile.kind,
            "endpoint": check.key.endpoint,
            "address": check.address,
            "port": check.port,
            "host": check.host,
            "name": check.key.name,
            "status": {True: "up", False: "down", None: "unknown"}[self.ok],
            "reason": self.reason,
            "overloaded": self.result.overloaded,
            "warnings": list(self.result.warnings),
            "looks": self.looks,
            "conditions": [
                {"line": one.condition.text, "warns": one.warns, "holds": one.holds, "shown": one.sentence}
                for one in self.spoken
            ],
            "timeline": dict(timeline(self.result.measures)),
            "measures": dict(self.result.measures),
            "took_ms": self.result.took_ms,
        }


def timeline(measures: Mapping[str, model.Value]) -> list[tuple[str, float]]:
    """Return the steps of a probe and the seconds that each took, in their order; `total` is the last."""
    first, last = ("dns", "connect", "tls"), ("first_byte", "total")
    steps = {name[5:]: value for name, value in measures.items() if name.startswith("time.")}
    order = [*first, *(step for step in steps if step not in {*first, *last}), *last]
    return [(step, float(steps[step])) for step in order if isinstance(steps.get(step), float | int)]


# --- finding the check ---------------------------------------------------------------------------------------------


def find(profile: str, target: str, *, name: str, config: str | None, ready: Sequence[str]) -> model.Check:
    """Return the check: a profile of the configuration or of a file, applied to an address or an endpoint.

    `profile` is a name, a path, or `PATH:NAME`; `target` an address, `ADDRESS:PORT`, a host name or an endpoint of the
    configuration. `ready` are directories with profiles to fall back to. Raises `TryError`, or `ConfigError` for a
    file that cannot be read.
    """
    snapshot = _loaded(config).snapshot if config else None
    found = _profile(profile, snapshot, config, ready)
    prober = probes.KINDS[found.kind]
    if prober.kind.passive:
        how = f"POST /api/v1/checks/{found.name}/ENDPOINT"
        raise TryError(f"{found.name!r} is told ({found.kind}): there is nothing to run; tell it: {how}")
    if found.per_name and not name:
        raise TryError(f"{found.name!r} is checked per steered name: say which with --name")
    absolute = _absolute(name) if name else ""
    endpoint, family, port = _endpoint(target, snapshot)
    key = model.CheckKey(found.name, endpoint.name, family, absolute if found.per_name else "")
    check = probing.check(
        prober.kind, found, key, endpoint, zone=_zone(absolute, snapshot), fills=probing.filled(prober.kind)
    )
    host = check.host if not absolute or found.per_name or check.options.get("host") else absolute.rstrip(".")
    return dataclasses.replace(check, port=port or check.port, host=host)


def _loaded(path: str) -> load.Loaded:
    loaded = app.load_configuration(path)
    if loaded.snapshot is None:
        raise errors.ConfigError(loaded.problems)
    return loaded


def _profile(wanted: str, snapshot: model.Snapshot | None, config: str | None, ready: Sequence[str]) -> model.Profile:
    if snapshot is not None and wanted in snapshot.profiles:
        return snapshot.profiles[wanted]
    path, _, name = wanted.partition(":")
    if "/" in path or path.endswith((".yaml", ".yml")):
        return _of_file(path, name)
    near = [os.path.join(os.path.dirname(config), "healthchecks")] if config else []
    known = list(snapshot.profiles) if snapshot is not None else []
    for folder in (*near, *ready):
        for file in sorted(glob.glob(os.path.join(glob.escape(folder), "*.yaml"))):
            loaded = files.load(file, kinds=app.kinds(), records=app.records(), node=TARGET, store="memory:")
            profiles = loaded.snapshot.profiles if loaded.snapshot is not None else {}
            if wanted in profiles:
                return profiles[wanted]
            known += profiles
    hint = difflib.get_close_matches(wanted, known, 1)
    more = f"did you mean {hint[0]!r}?" if hint else f"there are {', '.join(sorted(set(known))) or 'none'}"
    raise TryError(f"no profile {wanted!r}: {more}")


def _of_file(path: str, name: str) -> model.Profile:
    """Return a profile of a file of checks, which need not be a whole configuration."""
    loaded = files.load(path, kinds=app.kinds(), records=app.records(), node=TARGET, store="memory:")
    if loaded.snapshot is None:
        raise errors.ConfigError(loaded.problems)
    found = loaded.snapshot.profiles
    if name and name not in found:
        raise TryError(f"{path} has no profile {name!r}; it has {', '.join(found) or 'none'}")
    if not name and len(found) != 1:
        raise TryError(f"{path} has {len(found)} profiles ({', '.join(found)}): write {path}:NAME")
    return found[name or next(iter(found))]


def _endpoint(target: str, snapshot: model.Snapshot | None) -> tuple[model.Endpoint, model.Family, int]:
    """Return what to probe, in which family, and the port where one is said (else 0)."""
    if snapshot is not None and target in snapshot.endpoints:
        known = snapshot.endpoints[target]
        return known, known.families()[0], 0
    host, port = _parted(target)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not _HOST.fullmatch(host):
            raise TryError(f"{target!r} is no address, no host name and no endpoint") from None
        return model.Endpoint(TARGET, hostname=_absolute(host)), "cname", port
    if address.version == 6:
        return model.Endpoint(TARGET, ipv6=str(address)), "ipv6", port
    return model.Endpoint(TARGET, ipv4=str(address)), "ipv4", port


def _parted(target: str) -> tuple[str, int]:
    """Return host and port of `HOST`, `HOST:PORT`, `[SIX]:PORT` or `SIX`."""
    host, colon, port = target.rpartition(":")
    if not colon or (":" in host and not target.startswith("[")) or not (port.isascii() and port.isdecimal()):
        return target.strip("[]"), 0
    if not 0 < int(port[:9]) < 65536:
        raise TryError(f"{port} is no port")
    return host.strip("[]"), int(port)


def _absolute(name: str) -> str:
    """Return a name as the configuration has it: absolute, in small letters. Raises `TryError`."""
    try:
        return names.text(names.key(name))
    except errors.GtmError as wrong:
        raise TryError(f"{name!r} is no name: {wrong}") from None


def _zone(absolute: str, snapshot: model.Snapshot | None) -> str:
    zones = [zone.name for zone in snapshot.zones] if snapshot is not None else []
    fits = [zone for zone in zones if absolute == zone or absolute.endswith("." + zone)]
    return max(fits, key=len) if fits else absolute.partition(".")[2]


# --- looking -------------------------------------------------------------------------------------------------------


async def look(check: model.Check) -> Seen:
    """Look once; twice where the kind tells more then, a little later, unless the first look has failed."""
    memory: dict[str, Any] = {}
    prober = probes.KINDS[check.profile.kind]
    first = await _once(prober, check, memory)
    wait_s = first.result.measures.get(prober.kind.again, 0.0) if first.ok else 0.0
    if not isinstance(wait_s, float | int) or not 0 < wait_s * AGAIN_SHARE <= AGAIN_MAX_S:
        return first
    await asyncio.sleep(wait_s * AGAIN_SHARE)
    return dataclasses.replace(await _once(prober, check, memory), looks=2, apart_s=wait_s * AGAIN_SHARE)


async def watch(check: model.Check, looks: int = 0) -> AsyncIterator[Seen]:
    """Look at the profile's own pace, `looks` times or (0) for ever; what was seen is remembered between looks."""
    memory: dict[str, Any] = {}
    prober, loop = probes.KINDS[check.profile.kind], asyncio.get_running_loop()
    due_s, done = loop.time(), 0
    while True:
        done += 1
        yield dataclasses.replace(await _once(prober, check, memory), looks=done)
        if done == looks:
            return
        due_s = max(due_s + check.profile.every_s, loop.time())
        await asyncio.sleep(due_s - loop.time())


async def _once(prober: ports.Prober, check: model.Check, memory: dict[str, Any]) -> Seen:
    result = judge.warned(check.profile, await prober.run(check, memory))
    ok, reason = judge.judge(check.profile, result)
    return Seen(result, ok, reason, tuple(judge.speak(check.profile, result.measures, result.overloaded)))
