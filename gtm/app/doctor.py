"""A configuration in, what is wrong with its delegation, nameservers and machine out: `gtm doctor`.

A node tells what it serves and how its own machine is (`facts`); whoever runs the command looks at it from outside.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gtm import errors, model, names
from gtm.app import delegation, finding, machine, nameservers

MOST_ZONES = 20  # are looked at when none is named
WITHIN_S = 30.0  # for all of it; a server that is silent costs six seconds, and thirteen are asked at a time
_A, _NS, _TXT, _AAAA = 1, 2, 16, 28
_KINDS = {_A: "A", _NS: "NS", _TXT: "TXT", _AAAA: "AAAA"}  # how people call what is long; else RFC 3597's TYPE99
_HEAD_BYTES = 12  # of a record whose owner is a pointer to the question


def facts(snapshot: model.Snapshot, only: str, pids: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return what a node knows of itself, as plain data: its zones (or one), its digest, and how its machine is.

    Raises `GtmError` for a zone that is not served.
    """
    wanted = names.absolute(only, ".") if only else ""
    zones = [one for one in snapshot.zones if not wanted or one.name == wanted]
    if wanted and not zones:
        raise errors.GtmError(f"{names.shown(wanted)} is not a zone of this configuration")
    return {
        "node": snapshot.node,
        "digest": snapshot.digest,
        "zones": [asdict(served(one)) for one in zones[:MOST_ZONES]],
        "left_out": len(zones[MOST_ZONES:]),
        "findings": [asdict(one) for one in machine.examine(snapshot, pids)],
    }


def served(zone: model.Zone) -> delegation.Zone:
    """Return a zone as its nameservers, glue and longest answer say it; names and addresses as DNS would write them."""
    hosts = {
        host.lower(): tuple(str(ipaddress.ip_address(one)) for one in addresses) for host, addresses in zone.nameservers
    }
    return delegation.Zone(zone.name, hosts or _from_file(zone), _long(zone), zone.transfer is not None)


def _from_file(zone: model.Zone) -> dict[str, tuple[str, ...]]:
    apex = names.key(zone.name)
    hosts = sorted(names.text(one.rdata.lower()) for one in zone.records if (one.owner, one.type) == (apex, _NS))
    return {host: tuple(_addresses(zone, names.key(host))) for host in hosts}


def _addresses(zone: model.Zone, owner: bytes) -> Iterator[str]:
    for one in zone.records:
        if one.owner == owner and one.type in {_A, _AAAA}:
            yield str(ipaddress.ip_address(one.rdata))


def _long(zone: model.Zone) -> tuple[str, str]:
    """Return the longest static RRset that is surely too long for a datagram of 512 bytes."""
    sizes: dict[tuple[bytes, int], int] = {}
    for one in zone.records:
        if one.owner[:2] != b"\x01*":  # what it stands for is asked for, not the wildcard
            key = one.owner, one.type
            sizes[key] = sizes.get(key, 0) + _HEAD_BYTES + len(one.rdata)
    (owner, kind), size = max(sizes.items(), key=lambda item: item[1], default=((b"", 0), 0))
    if size <= nameservers.PLAIN_BYTES:
        return "", ""
    return names.text(owner), _KINDS.get(kind, f"TYPE{kind}")


async def examine(
    told: Mapping[str, Any], asker: delegation.Asker, within_s: float = WITHIN_S
) -> list[finding.Finding]:
    """Return all findings about what `facts` told, from outside too. Raises `GtmError` when that is not their shape."""
    try:
        found = [finding.Finding(**one) for one in told["findings"]]
        zones = [delegation.Zone(**one) for one in told["zones"]]
        digest, left_out = str(told["digest"]), int(told["left_out"])
    except (KeyError, TypeError, ValueError) as wrong:
        raise errors.GtmError(f"this is not what a gtm node says to its doctor: {wrong}") from wrong
    zones = [_plain(one) for one in zones]
    try:
        async with asyncio.timeout(within_s):
            for zone in zones:
                found += await _zone(zone, digest, asker)
    except TimeoutError:
        do = "name one zone, or look at what did not answer"
        found.append(finding.error("time", f"not everything was looked at within {within_s:g} s", do))
    if left_out:
        found.append(finding.warning("zones", f"{left_out} more were not looked at", "name one: `gtm doctor ZONE`"))
    return found


def _plain(zone: delegation.Zone) -> delegation.Zone:
    """Return a zone that came as JSON as it was before."""
    name, kind = zone.long
    hosts = {str(host): tuple(map(str, addresses)) for host, addresses in zone.nameservers.items()}
    return delegation.Zone(zone.name, hosts, (name, kind), zone.transferred)


async def _zone(zone: delegation.Zone, digest: str, asker: delegation.Asker) -> Sequence[finding.Finding]:
    above = await delegation.examine(zone, asker)
    return (*above.findings, *await nameservers.examine(zone, above.nameservers, digest, asker))
