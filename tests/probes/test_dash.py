"""The dash kind against a real HTTP server whose presentation does what presentations do."""

from __future__ import annotations

import email.utils
from dataclasses import dataclass, field
from typing import Any

import pytest

from gtm import seen
from gtm.probes import dash
from tests.probes.probe_servers import Clock, Servers, make, page

MPD = """<MPD type="{type}" minimumUpdatePeriod="PT2S" availabilityStartTime="{start}" publishTime="{start}">{base}
<Period start="PT0S"><AdaptationSet contentType="video"><SegmentTemplate timescale="10" media="s$Number$.m4s" {how}>
{line}</SegmentTemplate><Representation id="v" bandwidth="1000"/></AdaptationSet></Period>{clock}</MPD>"""


@dataclass
class Show:
    """A presentation of two-second segments, and the check that watches it. `counted`: by the clock alone."""

    clock: Clock
    start: float = 0.0
    made: int = 50
    counted: bool = False
    type: str = "dynamic"
    base: str = ""
    timing: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    pages: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        self.start = self.clock.wall_s - 2 * self.made

    def pass_(self, span_s: float, *, frozen: bool = False) -> None:
        self.clock.pass_(span_s)
        if not frozen:
            self.made = int((self.clock.wall_s - self.start) / 2)

    def manifest(self) -> str:
        line = f'<SegmentTimeline><S t="{(self.made - 5) * 20}" d="20" r="4"/></SegmentTimeline>'
        return MPD.format(
            type=self.type,
            start=Clock.utc(self.start),
            base=self.base,
            how='duration="20"' if self.counted else f'startNumber="{self.made - 4}"',
            line="" if self.counted else line,
            clock=self.timing,
        )

    def answer(self, head: bytes) -> bytes:
        path = head.split()[1].decode()
        self.asked.append(f"{head.split()[0].decode()} {path}".removeprefix("GET "))
        if path in self.pages:
            return self.pages[path]
        if path == "/ch/live.mpd":
            return page(self.manifest(), **self.headers)
        name = path.rpartition("/")[2]
        if name.startswith("s") and int(name[1:].partition(".")[0]) <= self.made:
            return page(b"\0\0\0\x18styp" + bytes(5000))
        return page(status="404 Not Found")

    async def probe(self, **settings: Any) -> seen.ProbeResult:
        check = make("dash", self.port, **({"path": "/ch/live.mpd"} | settings))
        return await self.clock.prober(dash.KIND, dash.look).run(check, self.memory)


@pytest.fixture(params=[False, True], ids=["listed", "counted"])
async def show(request: pytest.FixtureRequest, servers: Servers, clock: Clock) -> Show:
    made = Show(clock, counted=request.param)
    made.port = await servers.http(made.answer)
    return made


@pytest.fixture
async def listed(servers: Servers, clock: Clock) -> Show:
    made = Show(clock)
    made.port = await servers.http(made.answer)
    return made


@pytest.fixture
async def counted(servers: Servers, clock: Clock) -> Show:
    made = Show(clock, counted=True)
    made.port = await servers.http(made.answer)
    return made


async def test_a_presentation_that_advances_is_young(show: Show) -> None:
    for _ in range(5):
        result = await show.probe()
        assert (result.ok, result.reason, result.measures["manifest.age"]) == (True, "", 0)
        show.pass_(2)


async def test_the_newest_segment_is_fetched_and_measured(show: Show) -> None:
    result = await show.probe()
    assert show.asked == ["/ch/live.mpd", "/ch/s50.m4s"]
    assert {name: result.measures[name] for name in ("manifest.number", "manifest.segment", "manifest.latency")} == {
        "manifest.number": 50,
        "manifest.segment": 2,
        "manifest.latency": 0,
    }
    assert result.measures["segment.container"] == "mp4"
    assert result.measures["manifest.patience"] == 6
    assert result.measures["manifest.published"] == 100


async def test_a_frozen_timeline_that_answers_200_grows_old(listed: Show) -> None:
    ages = []
    for _ in range(4):
        ages.append((await listed.probe()).measures["manifest.age"])
        listed.pass_(5, frozen=True)
    assert ages == [0, 5, 10, 15]


async def test_at_first_sight_the_timeline_tells_its_age(listed: Show) -> None:
    listed.pass_(40, frozen=True)
    result = await listed.probe()
    assert (result.measures["manifest.age"], result.measures["manifest.latency"]) == (40, 40)


async def test_where_the_clock_counts_a_missing_segment_tells(counted: Show) -> None:
    await counted.probe()
    counted.pass_(2, frozen=True)
    result = await counted.probe()
    assert (result.ok, result.measures["manifest.number"]) == (True, 50), "one may be late"
    counted.pass_(2, frozen=True)
    result = await counted.probe()
    assert (result.ok, result.reason) == (False, "the newest segment answers 404 (s51.m4s)")


async def test_where_the_clock_counts_and_nothing_is_fetched_no_age_is_measured(counted: Show) -> None:
    assert "manifest.age" not in (await counted.probe(segment=False)).measures


async def test_a_listed_segment_that_is_missing_fails(listed: Show) -> None:
    listed.pages["/ch/s50.m4s"] = page(status="404 Not Found")
    assert (await listed.probe()).reason == "the newest segment answers 404 (s50.m4s)"


async def test_what_is_refused_for_overload_is_no_failure_while_the_presentation_is_young(listed: Show) -> None:
    assert (await listed.probe()).ok is True
    listed.pages["/ch/live.mpd"] = page(status="429 Too Many Requests")
    listed.pass_(2)
    result = await listed.probe()
    assert (result.ok, result.overloaded) == (True, "status 429")
    assert (result.measures["status"], result.measures["manifest.age"]) == (429, 2)
    del listed.pages["/ch/live.mpd"]
    listed.pass_(2)
    listed.pages[f"/ch/s{listed.made}.m4s"] = page(status="503 Busy", Retry_After="5")
    result = await listed.probe()
    assert (result.ok, result.overloaded) == (True, "status 503, retry after 5")


async def test_where_the_clock_counts_a_segment_that_is_refused_tells_nothing(counted: Show) -> None:
    for number in (counted.made, counted.made - 1):
        counted.pages[f"/ch/s{number}.m4s"] = page(status="503 Busy", Retry_After="5")
    result = await counted.probe()
    assert (result.ok, result.overloaded) == (False, "status 503, retry after 5")


async def test_a_static_manifest_is_an_ended_presentation(show: Show) -> None:
    show.type = "static"
    result = await show.probe()
    assert (result.ok, result.reason) == (False, "the presentation has ended (the manifest is static)")
    assert result.measures["manifest.dynamic"] is False


async def test_a_recording_is_fine_and_does_not_age(show: Show) -> None:
    show.type = "static"
    for _ in range(2):
        result = await show.probe(live=False)
        assert (result.ok, result.reason, result.measures["manifest.age"]) == (True, "", 0)
        show.clock.pass_(1000)


async def test_a_presentation_that_has_not_begun_fails(show: Show) -> None:
    show.start += 142
    assert (await show.probe()).reason == "availabilityStartTime is 42s in the future"


TIMING = '<UTCTiming schemeIdUri="urn:mpeg:dash:utc:{sort}:2014" value="{value}"/>'


@pytest.mark.parametrize(
    ("sort", "asked"), [("http-xsdate", "/time"), ("http-iso", "/time"), ("http-head", "HEAD /time")]
)
async def test_the_servers_clock_is_taken_as_players_take_it(show: Show, sort: str, asked: str) -> None:
    show.timing = TIMING.format(sort=sort, value="/time")

    def tells(ahead_s: float) -> None:
        then = show.clock.wall_s + ahead_s
        body = "" if sort == "http-head" else Clock.utc(then)
        show.pages["/time"] = page(body, Date=email.utils.formatdate(then, usegmt=True))

    for ahead_s in (7, 9):
        tells(ahead_s)
        assert (await show.probe()).measures["clock.skew"] == pytest.approx(7), "it is asked once a minute"
    assert show.asked.count(asked) == 1
    show.pass_(61)
    tells(0)
    assert (await show.probe()).measures["clock.skew"] == pytest.approx(0)


async def test_a_time_service_that_is_broken_fails_nothing(show: Show) -> None:
    show.timing = TIMING.format(sort="http-head", value="/time")
    show.pages["/time"] = b"HTTP/1.1 nonsense\r\n\r\n"
    result = await show.probe()
    assert (result.ok, result.reason) == (True, "")


@pytest.mark.parametrize("value", ["http://time.example/now", "", "http://["])
async def test_G7_a_clock_elsewhere_is_not_asked(show: Show, value: str) -> None:
    show.timing = TIMING.format(sort="http-xsdate", value=value)
    assert (await show.probe()).ok is True
    assert not [path for path in show.asked if "time" in path or "now" in path]


async def test_segments_are_counted_by_the_servers_clock(counted: Show) -> None:
    counted.clock.wall_s += 3600  # this machine's clock is wrong
    counted.headers["Date"] = email.utils.formatdate(counted.clock.wall_s - 3600, usegmt=True)
    result = await counted.probe()
    assert (result.ok, result.measures["manifest.number"]) == (True, 50)
    assert result.measures["clock.skew"] == pytest.approx(3600)


async def test_base_urls_are_followed_on_this_host_only(show: Show) -> None:
    show.base = "<BaseURL>media/</BaseURL>"
    assert (await show.probe()).ok is True
    assert show.asked[-1] == "/ch/media/s50.m4s"
    show.base = "<BaseURL>http://169.254.169.254/</BaseURL>"
    show.memory.clear()
    assert (
        await show.probe()
    ).reason == "the BaseURL is on another host (169.254.169.254), where this probe does not go"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (page(status="404 Not Found"), "the manifest answers 404"),
        (page("<html>"), "not a manifest: no element found in line 1"),
        (page("<MPD type='dynamic'/>"), "the manifest has no representation with a SegmentTemplate"),
        (page("<!DOCTYPE x><MPD/>"), "the manifest has a document type, which is refused"),
    ],
)
async def test_what_is_no_manifest_fails_with_a_reason(show: Show, answer: bytes, reason: str) -> None:
    show.pages["/ch/live.mpd"] = answer
    result = await show.probe()
    assert (result.ok, result.reason) == (False, reason)


async def test_news_are_asked_for_with_validators(listed: Show) -> None:
    listed.headers["ETag"] = '"a"'
    await listed.probe()
    listed.pages["/ch/live.mpd"] = page(status="304 Not Modified")
    listed.clock.pass_(4)
    result = await listed.probe()
    assert (result.ok, result.measures["status"], result.measures["manifest.age"]) == (True, 200, 4)
