"""A manifest's UTCTiming in, the server's time out, as players take it (ISO/IEC 23009-1 section 5.8.4.11)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gtm.probes import dates, fetch, prober, segment

SHARE = 0.3  # of the time left: the segment is what matters
AGAIN_S = 60.0  # clocks drift by parts in a million: once a minute is often enough
BYTES = 256
_SCHEME = "urn:mpeg:dash:utc:"
_DATE, _HEAD, _DIRECT = {"http-xsdate", "http-iso"}, "http-head", "direct"


@dataclass(slots=True)
class Known:
    """How far the server's clock is ahead of this machine's, and when that was asked; None before it was told."""

    ahead_s: float | None = None
    asked_s: float | None = None


async def ahead_s(
    trial: prober.Trial, visit: fetch.Visit, base: str, clocks: tuple[tuple[str, str], ...], known: Known
) -> float | None:
    """Return how far the server's clock is ahead, asked at most once a minute; None where it cannot be known.

    Time servers on other hosts are not asked (semantics G7), and `ntp` not at all.
    """
    now_s = trial.monotonic()
    if known.asked_s is not None and now_s - known.asked_s < AGAIN_S:
        return known.ahead_s
    for scheme, value in clocks:
        sort = scheme.removeprefix(_SCHEME).rpartition(":")[0]
        if sort == _DIRECT:
            told = dates.moment(value)
        elif sort in _DATE or sort == _HEAD:
            told = await _ask(trial, visit, base, value, sort)
        else:
            continue
        if told is not None:
            known.asked_s, known.ahead_s = now_s, told - trial.wall()
            return known.ahead_s
    return None


async def _ask(trial: prober.Trial, visit: fetch.Visit, base: str, value: str, sort: str) -> float | None:
    try:
        path = segment.on_this_host(trial, base, (value.split(maxsplit=1) or [""])[0], "the clock")
    except prober.Failed:
        return None  # on another host, which is no fault of this one
    method = "HEAD" if sort == _HEAD else "GET"
    try:
        async with asyncio.timeout(trial.left_s() * SHARE):
            page = await visit.get(path, BYTES, method=method, headers=trial.headers(), what="time")
    except (prober.Failed, TimeoutError):
        return None  # players go by their own clock then
    if page.status != 200:
        return None
    return dates.server_clock(page.headers) if sort == _HEAD else dates.moment(page.body.decode("ascii", "replace"))
