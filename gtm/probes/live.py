"""A media playlist that was just seen in, how the stream behind it stands out: its age, and its newest segment."""

from __future__ import annotations

from dataclasses import dataclass

from gtm import units
from gtm.probes import blocking, dates, fetch, pages, playlist, prober, segment

PATIENCE, PATIENCE_MIN_S = 2.5, 6.0  # a viewer's buffer hides three target durations, and short ones jitter
KEY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Live:
    """A stream as it was seen just now. `bandwidth` 0 means unknown; `why` says that it stands still."""

    found: playlist.Media
    sight: pages.Sight[playlist.Playlist]
    patience_s: float
    bandwidth: int = 0
    why: str = ""


async def follow(
    trial: prober.Trial,
    visit: fetch.Visit,
    sight: pages.Sight[playlist.Playlist],
    found: playlist.Media,
    *,
    bandwidth: int = 0,
    block: bool = True,
) -> Live:
    """Take note of how a playlist moves, with one blocking reload where the server offers it and `block` says so.

    Raises `Failed`.
    """
    _see(trial, sight, found)
    if blocking.offered(trial, found) and block:
        news = await blocking.reload(trial, visit, sight.path, found)
        if news is not None:
            _see(trial, sight, news)
            found = news
    age_s, patience_s = sight.known.moves.age_s(trial.monotonic()), _patience_s(trial, found)
    frozen = age_s >= patience_s and not found.ended
    why = f"stands still for {units.show_seconds(round(age_s, 1))}" if frozen else ""
    return Live(found, sight, patience_s, bandwidth, why)


def _see(trial: prober.Trial, sight: pages.Sight[playlist.Playlist], found: playlist.Media) -> None:
    moves = sight.known.moves
    before = moves.edge
    since = before[0] if before is not None else found.edge[0]
    moves.see(
        found.edge,
        trial.monotonic(),
        end=found.ends_at,
        first_age_s=0.0 if before is not None else pages.first_age_s(sight.headers, found.ends_at, trial.wall()),
        grown_s=found.grown_s(since),
        breaks=sum(number >= since for number in found.breaks),
    )
    moves.date(found.ends_at)


def _low_latency(trial: prober.Trial, found: playlist.Media) -> bool:
    return found.blocks and found.part_target_s > 0 and trial.text("low_latency") != "off"


def _patience_s(trial: prober.Trial, found: playlist.Media) -> float:
    if _low_latency(trial, found):
        return blocking.patience_s(found)
    return max(PATIENCE * found.target_s, PATIENCE_MIN_S)


def demand(trial: prober.Trial, live: Live) -> None:
    """Raise `Failed` for what no condition need say: a stream that has ended, or that holds nothing to play."""
    found = live.found
    if found.ended and trial.flag("live"):
        raise prober.Failed("the stream has ended (EXT-X-ENDLIST)")
    if found.edge == (found.sequence, 0):
        raise prober.Failed("the playlist has no segments")
    if found.newest is None and found.newest_part is None and found.gaps:
        raise prober.Failed("every listed segment is a gap (EXT-X-GAP)")


def measure(trial: prober.Trial, live: Live) -> None:
    """Measure what the playlist says and how it moves."""
    found, moves, measures, now_s = live.found, live.sight.known.moves, trial.measures, trial.monotonic()
    server_s, held_s, rate = dates.server_clock(live.sight.headers), dates.held_s(live.sight.headers), moves.rate()
    if server_s is not None:
        measures["clock.skew"] = abs(server_s - trial.wall())
    if held_s is not None:
        measures["playlist.cached"] = held_s
    if found.ends_at is not None:
        measures["playlist.latency"] = trial.wall() - found.ends_at
        measures["playlist.back"] = moves.back_s
    if rate is not None:
        measures["playlist.rate"] = rate
    if _low_latency(trial, found):
        measures["part.target"] = found.part_target_s
        measures["part.age"] = moves.age_s(now_s)
    measures["status"] = live.sight.status
    measures["playlist.age"] = 0.0 if found.ended else moves.age_s(now_s)
    measures["playlist.target"] = found.target_s
    measures["playlist.patience"] = live.patience_s
    measures["playlist.sequence"] = found.sequence
    measures["playlist.segments"] = found.segments
    measures["playlist.epochs"] = moves.epochs
    measures["playlist.endlist"] = found.ended
    measures["playlist.gaps"] = found.gaps
    measures["playlist.gap_share"] = found.gaps / max(1, found.segments)
    measures["playlist.discontinuities"] = found.discontinuities
    measures["playlist.discontinuity_rate"] = moves.breaks(now_s)


async def fetch_newest(trial: prober.Trial, visit: fetch.Visit, live: Live, last: segment.Last) -> None:
    """Fetch the newest segment, of a low-latency stream the newest part, and its key. Raises `Failed`.

    One that is refused for overload is no failure: that the server is overloaded was noted, and the stream moves.
    """
    if not trial.flag("segment"):
        return
    if live.why:  # that it stands still is worse than a missing segment, and should not cost the timeout
        trial.measures.update(last.measures)
        return
    found = live.found
    part = found.newest_part if _low_latency(trial, found) else None
    newest = part or found.newest
    if newest is None:
        return
    what = "part" if part else "segment"
    wanted = segment.Wanted(
        segment.on_this_host(trial, live.sight.path, newest.uri, f"the newest {what}"),
        newest.duration_s,
        newest.first,
        newest.size,
        live.bandwidth,
        what,
    )
    try:
        await segment.fetch_once(trial, visit, wanted, last, 2 * found.target_s)
    except segment.Refused:
        return
    if found.key and trial.flag("key"):
        await _key(trial, visit, live.sight.path, found.key)


async def _key(trial: prober.Trial, visit: fetch.Visit, base: str, uri: str) -> None:
    """Fetch a key where it is to be had over HTTP; others come from a licence server. Raises `Failed`."""
    if ":" in uri.partition("/")[0] and not uri.startswith(("http:", "https:")):
        return
    where = segment.on_this_host(trial, base, uri, "the key")
    page = await visit.get(where, KEY_BYTES, headers=trial.headers(), what="key")
    trial.measures["key.status"] = page.status
    if page.status != 200 or not page.received:
        raise prober.Failed(f"the key answers {page.status}" if page.status != 200 else "the key is empty")
