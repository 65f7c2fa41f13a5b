"""Natural faults in, what each must look like out: the verdict, words that name the cause, and within how long.

`python -m tests.slow.fault_rows RESULTS` writes docs/faults.md from what `tests/slow/test_faults.py` measured.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from gtm import model
from gtm.health import forecast
from gtm.probes import blocking, live, playlist
from tests.probes import low_latency

Reached = Literal["node", "stream", "source", "eased", "none"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
TARGET_S = 2.0  # of all streams but the low-latency one
# As long as a stream's age may be, counted from the look that saw the last advance: at most one interval late.
FROZEN_S = max(live.PATIENCE * TARGET_S, live.PATIENCE_MIN_S)
INGEST_S = max(live.PATIENCE * 3.0, live.PATIENCE_MIN_S)  # nginx-rtmp cuts two-second segments and says three
_PARTS = playlist.scan(low_latency.Origin().playlist().encode())
PARTS_S = blocking.patience_s(_PARTS) if isinstance(_PARTS, playlist.Media) else 0.0
NEXT_S = TARGET_S  # the next segment is the first that is bad
TURNS = 2  # looks until each of three renditions has had its turn


@dataclass(frozen=True, slots=True)
class Row:
    """One fault. `key` is the channel or endpoint that it happens to, `check` the profile that finds it.

    `reason` is a pattern. `needs_s` is what finding it takes beside the profile's own time, and `turns` how many looks.
    `none` says that it is no failure: nothing may happen for as long as a failure would take to be found.
    """

    key: str
    fault: str
    check: str
    reached: Reached
    reason: str
    needs_s: float = 0.0
    turns: int = 0

    def within_s(self, profiles: Mapping[str, model.Profile]) -> float:
        """Return how long it may take at most until the verdict is reached."""
        profile = profiles[self.check]
        within_s = forecast.eases_within_s(profile) if self.reached == "eased" else profile.detects_within_s
        return within_s + self.needs_s + self.turns * profile.every_s


ROWS: Sequence[Row] = (
    Row("frozen", "the encoder of one edge stands still (SIGSTOP)", "hls-channel", "stream",
        r"playlist\.age is [6-8].*s, should be < playlist\.patience = 6s", FROZEN_S),
    Row("ended", "the encoder ends by itself (SIGTERM)", "hls-channel", "stream",
        r"the stream has ended \(EXT-X-ENDLIST\)"),
    Row("unlinked", "the newest segments vanish from the disk", "hls-channel", "stream",
        r"the newest segment answers 404 \(index\d+\.ts\)", NEXT_S),
    Row("vhost", "a web page where the playlist was, with status 200", "hls-channel", "stream",
        r"not a playlist: begins with '<html>"),
    Row("rendition", "one of three renditions is missing", "hls-channel", "eased",
        r"renditions\.bad is 1, should be 0", turns=TURNS),
    Row("renditions", "two of three renditions are missing", "hls-channel", "stream",
        r"2 of 3 renditions are bad: .*the playlist answers 404", turns=TURNS),
    Row("stale", "a cache in front holds the playlist for a minute", "hls-channel", "stream",
        r"playlist\.age is .*s, should be < playlist\.patience", FROZEN_S),
    Row("throttled", "the edge sends 2 kB a second (nginx limit_rate)", "hls-channel", "stream",
        r"no complete segment within 1\.5s", NEXT_S),
    Row("misnamed", "a certificate for another name", "hls-channel", "stream",
        r"certificate is for www\.example\.net, not misnamed\.live\.example\.com"),
    Row("expired", "an expired certificate", "hls-channel", "stream", r"certificate expired 2 days ago"),
    Row("late", "one of three edges pulls the stream eleven seconds late", "hls-channel", "stream",
        r"([6-9]|1[0-3])\.\ds behind the other nodes: it (pulls the stream too late|has stood still)", NEXT_S),
    Row("duress", "an edge says that it is under duress (CMSD-Dynamic: du)", "hls-channel", "eased",
        r"duress|under duress"),
    Row("parts", "a low-latency stream stops, its playlist still answers", "ll-hls-edge", "stream",
        r"part\.age|playlist\.age|stands still", PARTS_S),
    Row("mpd", "the DASH packager stands still (SIGSTOP)", "dash-edge", "stream",
        r"manifest\.age is .*s, should be < manifest\.patience", FROZEN_S),
    Row("static", "the DASH packager ends (SIGTERM): the manifest turns static", "dash-edge", "stream",
        r"the presentation has ended \(the manifest is static\)"),
    Row("frozen-node", "all streams of an edge stand still, the others' move", "hls-channel", "node",
        r"[23] of 3 streams failed on this node", FROZEN_S),
    Row("dark", "a channel stands still on every edge", "hls-channel", "source",
        r"dead on all 3 nodes: playlist\.age is .*s, should", FROZEN_S),
    Row("slate", "the same, with `source_down: slate`", "hls-channel", "source",
        r"dead on all 3 nodes: playlist\.age is .*s, should", FROZEN_S),
    Row("cam-hls", "the encoder behind a live ingest is gone (kill -9), its HLS on two edges", "hls-channel", "source",
        r"dead on all 2 nodes: playlist\.age is .*s, should", INGEST_S),
    Row("killed", "an edge is killed (kill -9)", "hls-edge", "node", r"connection refused"),
    Row("hung", "an edge hangs (SIGSTOP of nginx)", "hls-edge", "node", r"no .* within 1\.5s"),
    Row("void", "an edge is black-holed: packets to it vanish", "hls-edge", "node", r"no connection within 1\.5s"),
    Row("skewed", "an edge's clock jumps by 30 s (libfaketime)", "hls-edge", "eased",
        r"clock\.skew is (29|30|31).*s, should be < 2s"),
    Row("ingest-watched", "an ingest is killed, its connection watched (kill -9 of nginx-rtmp)", "rtmp-ingest", "node",
        r"connection refused"),
    Row("cam-gone", "RTMP: the publisher leaves", "rtmp-channel", "stream",
        r"stream 'cam-gone' is not there: NetStream\.Play\.StreamNotFound"),
    Row("cam-idle", "RTMP: published, but no media comes (SIGSTOP of ffmpeg)", "rtmp-channel", "stream",
        r"stream 'cam-idle' sends no media"),
    Row("ingest-taken", "RTMP: the reserved key is being published", "rtmp-publish", "none",
        r"code NetStream\.Publish\.BadName, publishers 1"),
    Row("srt-killed", "an SRT gateway is killed (kill -9)", "srt-gateway", "node", r"connection refused"),
    Row("srt-hung", "an SRT gateway hangs (SIGSTOP)", "srt-gateway", "node", r"no answer to 3 SRT inductions"),
    Row("srt-full", "an SRT gateway is full (rejection 1402)", "srt-channel", "eased",
        r"rejected: overloaded \(1402\)"),
    Row("srt-secret", "an SRT gateway wants a passphrase", "srt-channel", "none", r"passphrase required \(11\)"),
    Row("srt-busy", "an SRT listener of one caller has its caller", "srt-single", "none",
        r"busy with its one caller"),
    Row("rtsp-hang", "RTSP: the pipeline of a channel hangs", "rtsp-channel", "stream",
        r"no answer to DESCRIBE within 3s"),
    Row("whip", "WHIP answers 503", "whip-ingest", "eased", r"status 503"),
    Row("full", "503 with Retry-After", "busy-origin", "eased", r"status 503, retry after 30"),
    Row("sessions", "sessions rise above the high watermark", "sessions", "eased",
        r"json\.sessions \(1200\) >= 1000"),
    Row("restarted", "a packager begins anew: its media sequence falls", "hls-channel", "none",
        r"epochs 1", FROZEN_S),
    Row("offset", "one encoder's clock is always twelve seconds behind", "hls-channel", "none",
        r"always \d+\.\ds behind the other nodes: another encoder's clock", FROZEN_S),
)  # fmt: skip


class Found(NamedTuple):
    """What became of one fault: the verdict, its words, and the seconds from the fault to the verdict."""

    key: str
    reached: str
    reason: str
    took_s: float
    within_s: float


HEAD = """# Faults

What a node says of natural faults, and how soon. `make slow` makes each of them with real servers (Debian's nginx with
its RTMP module, ffmpeg, GStreamer, libsrt, and small servers for low-latency HLS, WHIP and a full SRT gateway) beside a
real node with the [ready profiles](../healthchecks/README.md) as they are (`busy-origin`, which says nothing but
`kind: http`, and `sessions` are the test's own), and fails when a verdict, its words or its time are others. This page
was written from one run on two busy cores:

    GTM_FAULTS=faults.json make slow ARGS=tests/slow/test_faults.py
    .venv/bin/python -m tests.slow.fault_rows faults.json

*Verdict*: **node**, the endpoint is down; **stream**, it is down for that name alone; **source**, the stream is dead on
every node, and nobody is to blame; **eased**, it gets a smaller share, for it has too much to do or is no longer well;
**none**, it is no failure, and nothing happened. *Within* is the bound that is computed from the profile
(`every + fall * timeout + (fall - 1) * confirm`; eased: two looks) and from what the fault itself needs, such as the
six seconds of standing still that a player's buffer hides. Streams have segments of two seconds.

| fault | check | verdict | said | after | within |
|---|---|---|---|---|---|
"""


def page(found: Mapping[str, Found], undisturbed: str) -> str:
    """Return docs/faults.md."""
    lines = [HEAD]
    for row in ROWS:
        one = found[row.key]
        after, within = ("", "") if row.reached == "none" else (f"{one.took_s:.1f} s", f"{one.within_s:.1f} s")
        said = one.reason.replace("|", "\\|")
        lines.append(f"| {row.fault} | {row.check} | {one.reached} | {said} | {after} | {within} |\n")
    return "".join([*lines, "\n", undisturbed, "\n"])


def listed(text: str) -> list[tuple[str, str, str, str]]:
    """Return fault, check, verdict and what was said of each row of the page."""
    row = r"^\| ([^|]+) \| ([\w-]+) \| (node|stream|source|eased|none) \| (.+) \| [^|]* \| [^|]* \|$"
    rows = re.findall(row, text, re.MULTILINE)
    return [(fault, check, reached, said) for fault, check, reached, said in rows]


if __name__ == "__main__":
    told = json.loads(Path(sys.argv[1]).read_text())
    PAGE.write_text(page({one[0]: Found(*one) for one in told["found"]}, told["undisturbed"]))
