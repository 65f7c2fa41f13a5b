"""A low-latency playlist in, the same one part later out: the blocking reload (rfc8216bis section 6.2.5.2).

A player of LL-HLS asks for the part that does not exist yet, and the server holds the answer until it does. So does
this probe, and it learns at once whether the stream advances, to the part.
"""

from __future__ import annotations

import asyncio

from gtm import model
from gtm.probes import fetch, hls_tags, playlist, prober

OPTION = model.Option(
    "low_latency",
    "choice",
    "LL-HLS: `auto` asks for the next part where the server offers blocking reloads; `require` fails where it does "
    "not; `off` reads such a playlist as an ordinary one",
    "auto",
    choices=("auto", "require", "off"),
)
MEASURES = (
    model.Measure("part.target", "s", "EXT-X-PART-INF: the longest part of a low-latency stream"),
    model.Measure("part.age", "s", "since the low-latency stream last advanced, by a part"),
    model.Measure("part.held", "s", "for how long the server held the blocking reload"),
    model.Measure("part.blocks", "", "whether the blocking reload came with the part that was asked for"),
)
RESERVE = 0.15  # of the timeout: what is left for saying what was seen


def offered(trial: prober.Trial, found: playlist.Media) -> bool:
    """Say whether to reload with blocking. Raises `Failed` where it is required and not offered."""
    wanted = trial.text("low_latency")
    offers = found.blocks and found.part_target_s > 0 and not found.ended
    if wanted == "require" and not offers and not found.ended:
        raise prober.Failed("no low-latency stream: no EXT-X-PART-INF, or no CAN-BLOCK-RELOAD=YES")
    return offers and wanted != "off"


def patience_s(found: playlist.Media) -> float:
    """Return how long the next part may take: three parts, or when it ends a segment, the time of a segment."""
    return max(3 * found.part_target_s, 1.5 * found.target_s)


async def reload(trial: prober.Trial, visit: fetch.Visit, path: str, found: playlist.Media) -> playlist.Media | None:
    """Return the playlist with the next part; None when it has not come in time, which its age tells.

    Measures `part.held` and `part.blocks`. Raises `Failed` when the server refuses.
    """
    number, part = found.edge
    wanted = f"{path}{'&' if '?' in path else '?'}_HLS_msn={number}&_HLS_part={part}"
    limit_s = min(patience_s(found), trial.left_s() - RESERVE * trial.check.profile.timeout_s)
    started_s = trial.monotonic()
    try:
        async with asyncio.timeout(max(0.0, limit_s)):
            page = await visit.get(wanted, trial.number("max_bytes"), headers=trial.headers(), what="playlist")
    except TimeoutError:
        trial.measures["part.held"] = trial.monotonic() - started_s
        return None
    trial.measures["part.held"] = page.first_byte_s
    trial.overloaded = trial.overloaded or fetch.overload(page)
    if page.status != 200:
        raise prober.Failed(f"the blocking reload answers {page.status}")
    if page.cut:
        raise prober.Failed(f"the playlist is longer than {trial.number('max_bytes')} bytes (max_bytes)")
    try:
        news = playlist.scan(page.body)
    except hls_tags.PlaylistError as error:
        raise prober.Failed(f"the blocking reload: {error}") from None
    if isinstance(news, playlist.Multivariant):
        raise prober.Failed("the blocking reload answers a multivariant playlist")
    # A cache that drops the query answers at once with what it has.
    trial.measures["part.blocks"] = news.edge > found.edge or news.ended or news.edge[0] < found.edge[0]
    return news
