"""An HLS check in, whether the stream's edge advances and its newest segment comes out (RFC 8216).

What a playlist says is read by `playlist`, how it moves is told by `progress`; `live` looks at one media playlist, and
`ladder` at the renditions of a multivariant one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gtm import model
from gtm.probes import blocking, dial, fetch, ladder, live, pages, playlist, prober, renditions, segment

KIND = model.Kind(
    name="hls",
    doc="a live HLS stream: the playlist is there and advances, and its newest segment can be fetched",
    options=(
        dial.HOST,
        dial.TLS,
        dial.WATCH,
        model.Option(
            "path",
            "path",
            "path of the playlist; of a multivariant one the lowest variant is watched, and the others take turns",
            required=True,
            fills=True,
        ),
        model.Option("headers", "headers", "headers to send with every request", fills=True),
        model.Option("live", "bool", "an ended playlist (EXT-X-ENDLIST) is a failure", True),
        renditions.OPTION,
        blocking.OPTION,
        segment.OPTION,
        segment.BYTES,
        model.Option("key", "bool", "fetch the newest segment's key too, where it is encrypted", False),
        # G6: "unless a kind needs more": a playlist with hours of rewind does, and its edge stands at its end
        model.Option("max_bytes", "bytes", "how long a playlist may be", 1024 * 1024),
    ),
    measures=(
        fetch.STATUS,
        model.Measure("playlist.age", "s", "since the stream last advanced"),
        model.Measure("playlist.target", "s", "EXT-X-TARGETDURATION"),
        model.Measure(
            "playlist.patience",
            "s",
            "the age at which viewers notice: 2.5 target durations, at least 6 s; of a low-latency stream three parts, "
            "at least 1.5 target durations",
        ),
        model.Measure("playlist.sequence", "", "EXT-X-MEDIA-SEQUENCE"),
        model.Measure("playlist.segments", "", "how many segments are listed"),
        model.Measure("playlist.latency", "s", "now less the end of the newest segment, by PROGRAM-DATE-TIME"),
        model.Measure("playlist.back", "s", "how far its dates have gone back: a loop, or another encoder's clock"),
        model.Measure("playlist.rate", "", "seconds of media that come in each second, after a minute of watching"),
        model.Measure("playlist.cached", "s", "for how long caches have held the playlist (Age)"),
        model.Measure("playlist.epochs", "", "how often the media sequence fell since this check began"),
        model.Measure("playlist.endlist", "", "whether the playlist has ended"),
        model.Measure("playlist.gaps", "", "how many of the listed segments are gaps"),
        model.Measure("playlist.gap_share", "", "the same, as a share of the listed segments"),
        model.Measure("playlist.discontinuities", "", "how many discontinuities are listed"),
        model.Measure("playlist.discontinuity_rate", "", "how many discontinuities came in the last minute"),
        *renditions.MEASURES,
        *blocking.MEASURES,
        *segment.MEASURES,
        model.Measure("key.status", "", "HTTP status of the newest segment's key"),
        model.Measure("clock.skew", "s", "how far the server's clock (Date) and this machine's are apart"),
        *fetch.MEASURES,
    ),
    # A player's buffer is about three target durations: later than that, viewers have noticed by themselves.
    expect=("status == 200 unless overloaded", "playlist.age < playlist.patience"),
    warn=(
        "playlist.age < 0.6 * playlist.patience",  # 1.5 target durations: a segment is overdue (rfc8216bis 6.2.1)
        "playlist.rate > 0.95",
        "playlist.gap_share <= 0.1",
        "playlist.discontinuity_rate <= 3",
        "playlist.back <= playlist.target",
        "playlist.cached <= playlist.target",
        "renditions.bad == 0",
        "renditions.spread <= 2 * playlist.target",
        "part.blocks == true",
        "cmsd.mqcs >= 50",
    ),
    port=80,
    tls_port=443,
    again="playlist.target",
)


@dataclass(slots=True)
class Memory:
    """What one check remembers from look to look."""

    known: pages.Known[playlist.Playlist] = field(default_factory=pages.Known)
    segment: segment.Last = field(default_factory=segment.Last)
    ladder: ladder.Memory = field(default_factory=ladder.Memory)


async def look(trial: prober.Trial) -> str:
    """Look at the playlist that is named; of a multivariant one at one rendition, and at another in its turn."""
    memory: Memory = trial.memory.setdefault("hls", Memory())
    async with fetch.visit(trial, again=True) as visit:
        path = "/" + trial.text("path").removeprefix("/")
        sight = await pages.see(trial, visit, path, memory.known, playlist.scan)
        if isinstance(sight.found, playlist.Media):
            found = await live.follow(trial, visit, sight, sight.found)
            live.measure(trial, found)
            live.demand(trial, found)
            await live.fetch_newest(trial, visit, found, memory.segment)
        else:
            await ladder.Ladder(trial, visit, memory.ladder, path, sight.found).look()
    return ""
