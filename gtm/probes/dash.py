"""A DASH check in, whether the presentation advances and its newest segment comes out (ISO/IEC 23009-1).

Where the manifest lists its segments, the end of the newest one tells; where they are counted by the clock, the
manifest need never change, and the segment that should be there by now tells.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gtm import model
from gtm.probes import dates, dial, fetch, mpd, mpd_reader, pages, prober, segment, utc_timing

KIND = model.Kind(
    name="dash",
    doc="a live DASH presentation: the manifest is there, its newest segment is young and can be fetched",
    options=(
        dial.HOST,
        dial.TLS,
        dial.WATCH,
        model.Option("path", "path", "path of the manifest (MPD)", required=True, fills=True),
        model.Option("headers", "headers", "headers to send with every request", fills=True),
        model.Option("live", "bool", "a static manifest is a failure: the presentation has ended", True),
        segment.OPTION,
        segment.BYTES,
        model.Option("max_bytes", "bytes", "how long a manifest may be", 1024 * 1024),
    ),
    measures=(
        fetch.STATUS,
        model.Measure(
            "manifest.age",
            "s",
            "since the presentation last advanced by a segment; where the clock counts them, by one that was fetched",
        ),
        model.Measure(
            "manifest.patience",
            "s",
            "the age at which viewers notice: 2.5 segments, at least 6 s, and a segment more than the manifest's own "
            "minimumUpdatePeriod up to a minute",
        ),
        model.Measure("manifest.segment", "s", "how long the newest segment is"),
        model.Measure("manifest.number", "", "the number of the newest segment"),
        model.Measure("manifest.latency", "s", "the server's time less the end of the newest segment"),
        model.Measure("manifest.published", "s", "since publishTime"),
        model.Measure("manifest.update", "s", "minimumUpdatePeriod"),
        model.Measure("manifest.dynamic", "", "whether the manifest is dynamic, which is live"),
        model.Measure("manifest.cached", "s", "for how long caches have held the manifest (Age)"),
        model.Measure("manifest.rate", "", "seconds of media that come in each second, after a minute of watching"),
        model.Measure(
            "manifest.gaps",
            "",
            "how many gaps the watched track's timeline has; of hours of rewind, its newest entries",
        ),
        model.Measure("manifest.tracks", "", "how many representations there are"),
        model.Measure("manifest.spread", "s", "how far apart the newest segments of pictures and sound end"),
        *segment.MEASURES,
        model.Measure(
            "clock.skew", "s", "how far the server's clock (UTCTiming, else Date) and this machine's are apart"
        ),
        *fetch.MEASURES,
    ),
    expect=("status == 200 unless overloaded", "manifest.age < manifest.patience"),
    warn=(
        "manifest.age < 0.6 * manifest.patience",
        "manifest.rate > 0.95",
        "manifest.gaps == 0",
        "manifest.spread <= 2 * manifest.segment",
        "clock.skew < 2s",  # players count segments by the clock
        "cmsd.mqcs >= 50",
    ),
    port=80,
    tls_port=443,
    again="manifest.segment",
)

PATIENCE, PATIENCE_MIN_S = 2.5, 6.0
UPDATE_MAX_S = 60.0  # a longer minimumUpdatePeriod says that the manifest is not how news come
FUTURE_S = 10.0  # a clock that is so far off breaks every player
TRUSTED_SKEW_S = 2.0  # Date has whole seconds: below this, this machine's clock is as good


@dataclass(slots=True)
class Memory:
    """What one check remembers from look to look."""

    known: pages.Known[mpd.Manifest] = field(default_factory=pages.Known)
    segment: segment.Last = field(default_factory=segment.Last)
    clock: utc_timing.Known = field(default_factory=utc_timing.Known)


async def look(trial: prober.Trial) -> str:
    """Fetch the manifest and its newest segment."""
    memory: Memory = trial.memory.setdefault("dash", Memory())
    async with fetch.visit(trial, again=True) as visit:
        path = "/" + trial.text("path").removeprefix("/")
        sight = await pages.see(trial, visit, path, memory.known, mpd_reader.read, what="manifest")
        found = sight.found
        _measure(trial, sight)
        if not found.dynamic and trial.flag("live"):
            raise prober.Failed("the presentation has ended (the manifest is static)")
        track = found.watched()
        if track is None or not track.media:
            raise prober.Failed("the manifest has no representation with a SegmentTemplate")
        now = await _now(trial, visit, sight, memory.clock)
        await _Newest(trial, visit, memory, sight, track, now).look()
    return ""


def _measure(trial: prober.Trial, sight: pages.Sight[mpd.Manifest]) -> None:
    """Measure what the manifest says, apart from its segments."""
    found, measures = sight.found, trial.measures
    server_s, held_s = dates.server_clock(sight.headers), dates.held_s(sight.headers)
    if server_s is not None:
        measures["clock.skew"] = abs(server_s - trial.wall())
    if held_s is not None:
        measures["manifest.cached"] = held_s
    if found.published_at is not None:
        measures["manifest.published"] = trial.wall() - found.published_at
    if found.update_s is not None:
        measures["manifest.update"] = found.update_s
    measures["manifest.dynamic"] = found.dynamic
    measures["manifest.tracks"] = len(found.tracks)
    measures["manifest.spread"] = found.spread_s()


async def _now(
    trial: prober.Trial, visit: fetch.Visit, sight: pages.Sight[mpd.Manifest], known: utc_timing.Known
) -> float:
    """Return the server's time: by UTCTiming, as players do; else by Date where it is far from ours."""
    if sight.found.dynamic:
        ahead_s = await utc_timing.ahead_s(trial, visit, sight.path, sight.found.clocks, known)
        if ahead_s is not None:
            trial.measures["clock.skew"] = abs(ahead_s)
            return trial.wall() + ahead_s
    server_s = dates.server_clock(sight.headers)
    if server_s is not None and abs(server_s - trial.wall()) > TRUSTED_SKEW_S:
        return server_s
    return trial.wall()


@dataclass(frozen=True, slots=True)
class _Newest:
    """One look at the newest segment of a track. `now` is the server's time."""

    trial: prober.Trial
    visit: fetch.Visit
    memory: Memory
    sight: pages.Sight[mpd.Manifest]
    track: mpd.Track
    now: float

    async def look(self) -> None:
        """Find it, measure it, fetch it. Raises `Failed`."""
        found, track = self.sight.found, self.track
        since_start_s = track.period_s + track.duration / track.timescale  # a recording's first segment is there
        if found.dynamic:
            since_start_s = self.now - (found.available_at or 0.0)
        if since_start_s < -FUTURE_S:
            raise prober.Failed(f"availabilityStartTime is {-since_start_s:.0f}s in the future")
        newest = track.newest(since_start_s)
        if newest is None:
            raise prober.Failed("the manifest has no segments")
        counted = found.dynamic and (track.timeline is None or track.timeline.open)
        self._measure(newest)
        if not counted:
            self._advance(newest)
        if self.trial.flag("segment"):
            older = track.newest(since_start_s, back=1) if counted else None
            try:
                got = await self._fetch(newest, older)
            except segment.Refused:  # for overload, which was noted; where the clock counts nothing else tells
                if counted:
                    raise
                return
            if counted:
                self._measure(got)
                self._advance(got)

    def _measure(self, newest: mpd.Newest) -> None:
        found, measures, line = self.sight.found, self.trial.measures, self.track.timeline
        update_s = found.update_s if found.update_s is not None and found.update_s <= UPDATE_MAX_S else 0.0
        least_s = update_s + newest.duration_s if update_s else 0.0
        measures["manifest.segment"] = newest.duration_s
        measures["manifest.number"] = newest.number
        measures["manifest.patience"] = max(PATIENCE * newest.duration_s, PATIENCE_MIN_S, least_s)
        measures["manifest.gaps"] = line.gaps if line is not None else 0
        if found.dynamic and found.available_at is not None:
            measures["manifest.latency"] = self.now - found.available_at - newest.end_s

    def _advance(self, newest: mpd.Newest) -> None:
        """Take note of how the presentation moves: by a segment that is listed, or that could be fetched."""
        found, moves, trial = self.sight.found, self.sight.known.moves, self.trial
        ends_at = None if found.available_at is None else found.available_at + newest.end_s
        before_ms, edge_ms = moves.edge, round(newest.end_s * 1000)
        moves.see(
            edge_ms,
            trial.monotonic(),
            end=ends_at,
            first_age_s=pages.first_age_s(self.sight.headers, ends_at, self.now) if before_ms is None else 0.0,
            grown_s=0.0 if before_ms is None else max(0.0, (edge_ms - before_ms) / 1000),
        )
        trial.measures["manifest.age"] = moves.age_s(trial.monotonic()) if found.dynamic else 0.0
        rate = moves.rate()
        if rate is not None:
            trial.measures["manifest.rate"] = rate

    async def _fetch(self, newest: mpd.Newest, older: mpd.Newest | None) -> mpd.Newest:
        """Fetch the newest segment and return it; where the clock counts, the one before will do. Raises `Failed`."""
        try:
            await self._get(newest)
            return newest
        except prober.Failed:
            if older is None:
                raise
        await self._get(older)
        return older

    async def _get(self, which: mpd.Newest) -> None:
        trial, base = self.trial, self.sight.path
        for one in self.track.bases:
            base = segment.on_this_host(trial, base, one, "the BaseURL")
        path = segment.on_this_host(trial, base, which.uri, "the newest segment")
        wanted = segment.Wanted(path, which.duration_s, bandwidth=self.track.bandwidth)
        await segment.fetch_once(trial, self.visit, wanted, self.memory.segment, 2 * which.duration_s)
