"""A segment's address in, whether and how fast it can be had out: the same for HLS and DASH."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass, field

from gtm import model
from gtm.probes import fetch, prober

MEASURES = (
    model.Measure("segment.status", "", "HTTP status of the newest segment"),
    model.Measure("segment.first_byte", "s", "from the request to the head of the answer"),
    model.Measure("segment.bytes", "bytes", "the segment's length, where the server says it, else what was read"),
    model.Measure("segment.ratio", "", "its duration by the time that a whole download takes at the speed seen"),
    model.Measure("segment.throughput", "bit/s", "the speed of that download"),
    model.Measure("segment.headroom", "", "that speed by the rendition's BANDWIDTH, where it is said"),
    model.Measure("segment.container", "text", "ts, mp4, aac, webm, text, or unknown, by its first bytes"),
)
OPTION = model.Option("segment", "bool", "fetch the newest segment too", True)
BYTES = model.Option("segment_bytes", "bytes", "how much of the segment is read", 64 * 1024)

_HTML = (b"<!doctype", b"<html")
_BOXES = {b"ftyp", b"styp", b"moof", b"sidx", b"emsg", b"prft", b"mdat", b"free"}


class Refused(prober.Failed):
    """The server has too much to do to send a segment just now."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to fetch. `what` names it in reasons; `size` 0 means all of it; `bandwidth` 0 means unknown."""

    path: str
    duration_s: float
    first: int = 0
    size: int = 0
    bandwidth: int = 0
    what: str = "segment"


@dataclass(slots=True)
class Last:
    """The last segment that was fetched: the same one is not fetched again at once, and its measures stand."""

    wanted: Wanted | None = None
    at_s: float = 0.0
    measures: dict[str, model.Value] = field(default_factory=dict)


async def fetch_once(trial: prober.Trial, visit: fetch.Visit, wanted: Wanted, last: Last, again_s: float) -> None:
    """Fetch a segment and measure it, unless it is the last one and was fetched less than `again_s` ago.

    Raises `Failed` when it is not there; then the next look fetches it again.
    """
    if wanted == last.wanted and trial.monotonic() - last.at_s < again_s:
        trial.measures.update(last.measures)
        return
    last.wanted, last.measures = None, {}
    measures = await get(trial, visit, wanted)
    last.wanted, last.at_s, last.measures = wanted, trial.monotonic(), measures


async def get(trial: prober.Trial, visit: fetch.Visit, wanted: Wanted) -> dict[str, model.Value]:
    """Fetch a segment, and return what was measured, which stands in the trial, too. Raises `Failed`."""
    headers = dict(trial.headers())
    if wanted.size:
        headers["Range"] = f"bytes={wanted.first}-{wanted.first + wanted.size - 1}"  # RFC 8216 section 4.3.2.2
    page = await visit.get(wanted.path, trial.number("segment_bytes"), headers=headers, what=wanted.what)
    measures: dict[str, model.Value] = {"segment.status": page.status, "segment.first_byte": page.first_byte_s}
    trial.measures.update(measures)
    refused = fetch.overload(page)
    trial.overloaded = trial.overloaded or refused
    where = f"({wanted.path.partition('?')[0].rpartition('/')[2][:100]})"  # without a query: it may hold a secret
    if page.status not in {200, 206}:
        raise (Refused if refused else prober.Failed)(f"the newest {wanted.what} answers {page.status} {where}")
    if not page.received:
        raise prober.Failed(f"the newest {wanted.what} is empty {where}")
    if page.body.lstrip()[:9].lower().startswith(_HTML):
        raise prober.Failed(f"the newest {wanted.what} is a web page {where}")
    length = page.headers.get("Content-Length", "")
    size = int(length) if length.isascii() and length.isdecimal() and len(length) < 16 else page.received
    spent_s = max(page.first_byte_s + page.transfer_s * size / page.received, 1e-6)
    measures["segment.bytes"] = size
    measures["segment.ratio"] = wanted.duration_s / spent_s
    measures["segment.throughput"] = size * 8 / spent_s
    if wanted.bandwidth:
        measures["segment.headroom"] = size * 8 / spent_s / wanted.bandwidth
    measures["segment.container"] = container(page.body)
    trial.measures.update(measures)
    return measures


def container(body: bytes) -> str:
    """Return what the first bytes of a segment say that it is; an encrypted one says nothing."""
    if body[:1] == b"\x47" and (len(body) < 189 or body[188:189] == b"\x47"):
        return "ts"
    if body[4:8] in _BOXES:
        return "mp4"
    if body[:4] == b"\x1a\x45\xdf\xa3":
        return "webm"
    if body[:3] == b"ID3" or (body[:1] == b"\xff" and body[1:2] and body[1] & 0xF6 == 0xF0):
        return "aac"
    return "text" if body[:6] == b"WEBVTT" or body[:1] == b"<" else "unknown"


def on_this_host(trial: prober.Trial, base: str, uri: str, what: str) -> str:
    """Return the path of an address that is written in a manifest at path `base`.

    Raises `Failed` when it is on another host, where a probe does not go (semantics G7).
    """
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
