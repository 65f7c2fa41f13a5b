"""An HLS check in, whether the stream's edge advances and its newest segment comes out (RFC 8216).

A frozen stream answers 200 for ever; what tells is the age of the edge. It is measured on the monotonic clock from
the last time that this check saw it advance; at first sight the stream's own dates tell (PROGRAM-DATE-TIME, or
Date - Last-Modified, whichever is the kinder, both by the server's clock where it says it).
"""

from __future__ import annotations

import collections
import email.utils
import urllib.parse

from gtm import model
from gtm.probes import dial, fetch, playlist, prober

KIND = model.Kind(
    name="hls",
    doc="a live HLS stream: the playlist is there and advances, and its newest segment can be fetched",
    options=(
        dial.HOST,
        dial.TLS,
        model.Option(
            "path",
            "path",
            "path of the playlist; of a multivariant one the lowest variant is watched",
            required=True,
            fills=True,
        ),
        model.Option("headers", "headers", "headers to send with every request", fills=True),
        model.Option("live", "bool", "an ended playlist (EXT-X-ENDLIST) is a failure", True),
        model.Option("segment", "bool", "fetch the newest segment too", True),
        # G6: "unless a kind needs more": a playlist with hours of rewind does, and its edge stands at its end
        model.Option("max_bytes", "bytes", "how long a playlist may be", 1024 * 1024),
        model.Option("segment_bytes", "bytes", "how much of the segment is read", 64 * 1024),
    ),
    measures=(
        fetch.STATUS,
        model.Measure("playlist.age", "s", "since the stream last advanced"),
        model.Measure("playlist.target", "s", "EXT-X-TARGETDURATION"),
        model.Measure("playlist.sequence", "", "EXT-X-MEDIA-SEQUENCE"),
        model.Measure("playlist.segments", "", "how many segments are listed"),
        model.Measure("playlist.latency", "s", "now less the end of the newest segment, by PROGRAM-DATE-TIME"),
        model.Measure("playlist.endlist", "", "whether the playlist has ended"),
        model.Measure("playlist.gaps", "", "how many of the listed segments are gaps"),
        model.Measure("playlist.discontinuities", "", "how many discontinuities are listed"),
        model.Measure("segment.status", "", "HTTP status of the newest segment"),
        model.Measure("segment.first_byte", "s", "from the request to the head of the answer"),
        model.Measure("segment.bytes", "bytes", "the segment's length, where the server says it, else what was read"),
        model.Measure("segment.ratio", "", "its duration by the time that a whole download takes at the speed seen"),
        model.Measure("clock.skew", "s", "how far the server's clock (Date) and this machine's are apart"),
        dial.TIME_CONNECT,
        dial.TIME_TLS,
        fetch.TIME_FIRST_BYTE,
        prober.TIME_TOTAL,
        dial.DAYS_LEFT,
    ),
    # A player's buffer is about three target durations: later than that, viewers have noticed by themselves.
    expect=("status == 200", "playlist.age < 3 * playlist.target"),
    port=80,
    tls_port=443,
)

EDGES = 16  # more servers than that do not answer by turns behind one address
_HTML = (b"<!doctype", b"<html")


async def look(trial: prober.Trial) -> str:
    """Fetch the playlist, of a multivariant one its lowest variant's, and the beginning of the newest segment."""
    async with fetch.visit(trial, again=True) as visit:
        path = "/" + trial.text("path").removeprefix("/")
        page = await _playlist(trial, visit, path)
        found = _scan(page)
        if isinstance(found, playlist.Multivariant):
            path = _on_this_host(trial, path, found.variants[0][1], "the variant")
            page = await _playlist(trial, visit, path)
            found = _scan(page)
            if isinstance(found, playlist.Multivariant):
                raise prober.Failed("a variant is itself a multivariant playlist")
        _measure(trial, page, found)
        if found.ended and trial.flag("live"):
            raise prober.Failed("the stream has ended (EXT-X-ENDLIST)")
        if found.edge == (found.sequence, 0):
            raise prober.Failed("the playlist has no segments")
        if found.newest is None and found.gaps:
            raise prober.Failed("every listed segment is a gap (EXT-X-GAP)")
        if trial.flag("segment") and found.newest is not None:
            await _segment(trial, visit, path, found.newest)
    return ""


async def _playlist(trial: prober.Trial, visit: fetch.Visit, path: str) -> fetch.Page:
    page = await visit.get(path, trial.number("max_bytes"), headers=trial.headers(), what="playlist")
    trial.measures["status"] = page.status
    if page.status != 200:
        where = page.headers.get("Location", "")[:200] if 300 <= page.status < 400 else ""
        raise prober.Failed(f"the playlist answers {page.status}" + (f" (to {where}, not followed)" if where else ""))
    if page.cut:
        raise prober.Failed(f"the playlist is longer than {trial.number('max_bytes')} bytes (max_bytes)")
    return page


def _scan(page: fetch.Page) -> playlist.Media | playlist.Multivariant:
    try:
        return playlist.scan(page.body)
    except playlist.PlaylistError as error:
        raise prober.Failed(str(error)) from None


def _on_this_host(trial: prober.Trial, base: str, uri: str, what: str) -> str:
    """Return the path of an address in a playlist. Raises `Failed` when it is on another host (semantics G7)."""
    try:
        whole = urllib.parse.urlsplit(urllib.parse.urljoin(f"http://{_bracketed(trial.host)}{base}", uri))
        host = whole.hostname or ""
    except ValueError:
        raise prober.Failed(f"{what} has no valid address: {uri[:80]!r}") from None
    if whole.scheme not in {"http", "https"} or host.rstrip(".") != trial.host.lower():
        where = host or whole.scheme
        raise prober.Failed(f"{what} is on another host ({where[:100]}), where this probe does not go")
    return (whole.path or "/") + (f"?{whole.query}" if whole.query else "")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _measure(trial: prober.Trial, page: fetch.Page, found: playlist.Media) -> None:
    server_s = _server_clock(page)
    if server_s is not None:
        trial.measures["clock.skew"] = abs(server_s - trial.wall())
    if found.ends_at is not None:
        trial.measures["playlist.latency"] = trial.wall() - found.ends_at
    trial.measures["playlist.age"] = 0.0 if found.ended else _age_s(trial, page, found)
    trial.measures["playlist.target"] = found.target_s
    trial.measures["playlist.sequence"] = found.sequence
    trial.measures["playlist.segments"] = found.segments
    trial.measures["playlist.endlist"] = found.ended
    trial.measures["playlist.gaps"] = found.gaps
    trial.measures["playlist.discontinuities"] = found.discontinuities


def _age_s(trial: prober.Trial, page: fetch.Page, found: playlist.Media) -> float:
    """Return the seconds since the edge advanced, and remember the edge.

    Any edge that was not seen lately is an advance: a packager that began anew falls and then grows, which is no
    failure, and frozen servers behind one address that answer by turns repeat themselves, which is one.
    """
    memory, now_s = trial.memory, trial.monotonic()
    if "edges" not in memory:
        memory["edges"] = collections.deque((found.edge,), maxlen=EDGES)
        memory["advanced_s"] = now_s - _first_age_s(trial, page, found)
    elif found.edge not in memory["edges"]:
        memory["edges"].append(found.edge)
        memory["advanced_s"] = now_s
    return float(now_s - memory["advanced_s"])


def _first_age_s(trial: prober.Trial, page: fetch.Page, found: playlist.Media) -> float:
    server_s, modified_s = _server_clock(page), _http_date(page, "Last-Modified")
    ages_s = []
    if found.ends_at is not None:
        ages_s.append((trial.wall() if server_s is None else server_s) - found.ends_at)
    if server_s is not None and modified_s is not None:
        ages_s.append(server_s - modified_s)
    return max(0.0, min(ages_s, default=0.0))


def _server_clock(page: fetch.Page) -> float | None:
    """Return the server's present time: Date, and Age where a cache has held the answer (RFC 9111 section 5.1)."""
    date_s, age = _http_date(page, "Date"), page.headers.get("Age", "")
    held_s = int(age) if age.isascii() and age.isdecimal() and len(age) < 10 else 0
    return None if date_s is None else date_s + held_s


def _http_date(page: fetch.Page, header: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(page.headers.get(header, "")).timestamp()
    except (ValueError, OverflowError):
        return None


async def _segment(trial: prober.Trial, visit: fetch.Visit, base: str, newest: playlist.Segment) -> None:
    path = _on_this_host(trial, base, newest.uri, "the newest segment")
    headers = dict(trial.headers())
    if newest.size:
        headers["Range"] = f"bytes={newest.first}-{newest.first + newest.size - 1}"  # RFC 8216 section 4.3.2.2
    page = await visit.get(path, trial.number("segment_bytes"), headers=headers, what="segment")
    trial.measures["segment.status"] = page.status
    trial.measures["segment.first_byte"] = page.first_byte_s
    if page.status not in {200, 206}:
        raise prober.Failed(f"the newest segment answers {page.status} ({newest.uri[:100]})")
    if not page.received:
        raise prober.Failed(f"the newest segment is empty ({newest.uri[:100]})")
    if page.body.lstrip()[:9].lower().startswith(_HTML):
        raise prober.Failed(f"the newest segment is a web page ({newest.uri[:100]})")
    length = page.headers.get("Content-Length", "")
    size = int(length) if length.isascii() and length.isdecimal() else page.received
    trial.measures["segment.bytes"] = size
    spent_s = page.first_byte_s + page.transfer_s * size / page.received
    trial.measures["segment.ratio"] = newest.duration_s / max(spent_s, 1e-6)
