"""The hls kind against a real HTTP server whose stream does what streams do."""

from __future__ import annotations

import asyncio
import email.utils
from dataclasses import dataclass, field
from typing import Any

import pytest

from gtm import model, seen
from gtm.config import expect
from gtm.health import judge
from gtm.probes import hls
from tests.probes.probe_servers import HOST, Clock, Servers, make, page


@dataclass
class Stream:
    """A live stream of two-second segments, as an origin serves it, and the check that watches it."""

    clock: Clock
    edge: int = 105
    listed: int = 5
    extra: str = ""
    uri: str = "s{number}.ts"
    head: str = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
    headers: dict[str, str] = field(default_factory=dict)
    pages: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)
    port: int = 0

    def playlist(self) -> str:
        first = self.edge - self.listed
        lines = [f"#EXTINF:2.0,\n{self.uri.format(number=number)}\n" for number in range(first, self.edge)]
        return self.head.format(first=first) + "".join(lines) + self.extra

    def answer(self, head: bytes) -> bytes:
        path = head.split()[1].decode()
        self.asked.append(path)
        self.heads.append(head)
        if path in self.pages:
            return self.pages[path]
        if path.endswith("/live.m3u8"):
            return page(self.playlist(), **self.headers)
        if path.endswith(".ts"):
            return page(b"\x47" + bytes(187) * 100)
        return page(status="404 Not Found")

    async def probe(self, **settings: Any) -> seen.ProbeResult:
        check = make("hls", self.port, **({"path": "/ch/live.m3u8"} | settings))
        return await self.clock.prober(hls.KIND, hls.look).run(check, self.memory)

    async def age_s(self, **settings: Any) -> float:
        result = await self.probe(**settings)
        assert result.ok is True, result.reason
        return float(result.measures["playlist.age"])


@pytest.fixture
async def stream(servers: Servers, clock: Clock) -> Stream:
    made = Stream(clock)
    made.port = await servers.http(made.answer)
    return made


async def test_a_stream_that_advances_is_young(stream: Stream) -> None:
    for _ in range(5):
        assert await stream.age_s() == 0
        stream.clock.pass_(2)
        stream.edge += 1


async def test_the_playlist_and_the_newest_segment_are_measured(stream: Stream) -> None:
    result = await stream.probe()
    assert (result.ok, result.reason) == (True, "")
    assert stream.asked == ["/ch/live.m3u8", "/ch/s104.ts"]
    known = {name: result.measures[name] for name in ("status", "segment.status", "segment.bytes")}
    assert known == {"status": 200, "segment.status": 200, "segment.bytes": 18701}
    assert result.measures["playlist.target"] == 2
    assert result.measures["playlist.sequence"] == 100
    assert result.measures["playlist.segments"] == 5
    assert result.measures["playlist.endlist"] is False
    assert float(result.measures["segment.ratio"]) > 1


async def test_a_frozen_playlist_that_answers_200_grows_old(stream: Stream) -> None:
    ages = []
    for _ in range(4):
        ages.append(await stream.age_s())
        stream.clock.pass_(5)
    assert ages == [0, 5, 10, 15]


async def test_a_stream_that_froze_and_thawed_is_young_again(stream: Stream) -> None:
    await stream.age_s()
    stream.clock.pass_(60)
    assert await stream.age_s() == 60
    stream.edge += 1
    assert await stream.age_s() == 0


async def test_a_falling_sequence_is_a_new_epoch_and_no_failure_when_it_grows(stream: Stream) -> None:
    await stream.age_s()
    stream.edge = 6
    for _ in range(3):
        stream.clock.pass_(5)
        stream.edge += 2
        assert await stream.age_s() == 0


async def test_a_falling_sequence_that_does_not_grow_is_frozen(stream: Stream) -> None:
    await stream.age_s()
    stream.edge = 6
    await stream.age_s()
    stream.clock.pass_(9)
    assert await stream.age_s() == 9


async def test_three_frozen_servers_that_answer_by_turns_are_found_frozen(stream: Stream) -> None:
    for edge in (105, 103, 104, 103, 105, 104):
        stream.edge = edge
        age_s = await stream.age_s()
        stream.clock.pass_(5)
    assert age_s == 15


@pytest.mark.parametrize("held_s", [0, 30])
async def test_at_first_sight_the_files_date_tells_its_age(stream: Stream, held_s: int) -> None:
    stream.headers["Date"] = email.utils.formatdate(1000 - held_s, usegmt=True)
    stream.headers["Age"] = str(held_s)
    stream.headers["Last-Modified"] = email.utils.formatdate(900, usegmt=True)
    assert await stream.age_s() == 100


def dated(wall_s: float) -> str:
    return f"#EXT-X-PROGRAM-DATE-TIME:{Clock.utc(wall_s)}\n"


async def test_at_first_sight_the_programme_date_tells_the_age(stream: Stream) -> None:
    stream.head += dated(stream.clock.wall_s - 60)
    result = await stream.probe()
    assert result.measures["playlist.age"] == 50  # five segments of two seconds after the date
    assert result.measures["playlist.latency"] == 50


async def test_at_first_sight_the_kinder_of_two_dates_counts(stream: Stream) -> None:
    stream.head += dated(stream.clock.wall_s - 3610)  # an encoder with a wrong time zone
    stream.headers["Date"] = email.utils.formatdate(stream.clock.wall_s, usegmt=True)
    stream.headers["Last-Modified"] = email.utils.formatdate(stream.clock.wall_s - 1, usegmt=True)
    assert await stream.age_s() == 1


async def test_a_date_of_tomorrow_makes_nothing_younger_than_new(stream: Stream) -> None:
    stream.head += dated(stream.clock.wall_s + 86400)
    assert await stream.age_s() == 0


async def test_G4_a_jump_of_the_wall_clock_changes_no_age(stream: Stream) -> None:
    await stream.age_s()
    stream.clock.wall_s += 1e6
    stream.clock.now_s += 1
    assert await stream.age_s() == 1


async def test_the_servers_clock_is_compared(stream: Stream) -> None:
    stream.headers["Date"] = email.utils.formatdate(stream.clock.wall_s - 7, usegmt=True)
    assert (await stream.probe()).measures["clock.skew"] == 7


async def test_an_ended_stream_is_down_when_it_should_be_live(stream: Stream) -> None:
    stream.extra = "#EXT-X-ENDLIST\n"
    result = await stream.probe()
    assert (result.ok, result.reason) == (False, "the stream has ended (EXT-X-ENDLIST)")
    assert result.measures["playlist.endlist"] is True


async def test_an_ended_recording_is_fine_and_does_not_age(stream: Stream) -> None:
    stream.extra = "#EXT-X-ENDLIST\n"
    await stream.age_s(live=False)
    stream.clock.pass_(1000)
    assert await stream.age_s(live=False) == 0


async def test_a_missing_segment_fails(stream: Stream) -> None:
    stream.pages["/ch/s104.ts"] = page(status="404 Not Found")
    result = await stream.probe()
    assert (result.ok, result.reason) == (False, "the newest segment answers 404 (s104.ts)")
    assert result.measures["segment.status"] == 404
    assert result.measures["playlist.age"] == 0


async def test_an_empty_segment_fails(stream: Stream) -> None:
    stream.pages["/ch/s104.ts"] = page()
    assert (await stream.probe()).reason == "the newest segment is empty (s104.ts)"


async def test_a_web_page_in_place_of_a_segment_fails(stream: Stream) -> None:
    stream.pages["/ch/s104.ts"] = page("\n<!DOCTYPE html><title>Sorry</title>")
    assert (await stream.probe()).reason == "the newest segment is a web page (s104.ts)"


async def test_the_segment_can_be_left_alone(stream: Stream) -> None:
    result = await stream.probe(segment=False)
    assert result.ok is True
    assert stream.asked == ["/ch/live.m3u8"]


async def test_a_gap_is_not_fetched(stream: Stream) -> None:
    stream.extra = "#EXT-X-GAP\n#EXTINF:2,\ngap.ts\n"
    result = await stream.probe()
    assert result.measures["playlist.gaps"] == 1
    assert stream.asked == ["/ch/live.m3u8", "/ch/s104.ts"]


async def test_nothing_but_gaps_fails(stream: Stream) -> None:
    stream.listed, stream.extra = 0, "#EXT-X-GAP\n#EXTINF:2,\ngap.ts\n"
    assert (await stream.probe()).reason == "every listed segment is a gap (EXT-X-GAP)"


async def test_a_playlist_without_segments_fails(stream: Stream) -> None:
    stream.listed = 0
    assert (await stream.probe()).reason == "the playlist has no segments"


async def test_of_a_long_segment_only_the_beginning_is_read(stream: Stream) -> None:
    stream.pages["/ch/s104.ts"] = page(bytes(3_000_000))
    result = await stream.probe(segment_bytes=1000)
    assert result.ok is True
    assert result.measures["segment.bytes"] == 3_000_000


async def test_a_byte_range_is_asked_for(stream: Stream) -> None:
    stream.extra = "#EXTINF:2,\n#EXT-X-BYTERANGE:100@50\nall.ts\n"
    assert (await stream.probe()).ok is True
    assert stream.asked[-1] == "/ch/all.ts"
    assert b"Range: bytes=50-149\r\n" in stream.heads[-1]


async def test_of_a_multivariant_playlist_the_lowest_variant_is_watched(stream: Stream) -> None:
    stream.pages["/ch/main.m3u8"] = page(
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9000000\nhigh/live.m3u8\n"
        f"#EXT-X-STREAM-INF:BANDWIDTH=100000\nhttp://{HOST.upper()}/low/live.m3u8?token=a%2Fb\n"
    )
    stream.pages["/low/live.m3u8?token=a%2Fb"] = page(stream.playlist())
    result = await stream.probe(path="/ch/main.m3u8", renditions="lowest")
    assert (result.ok, result.reason) == (True, "")
    assert stream.asked == ["/ch/main.m3u8", "/low/live.m3u8?token=a%2Fb", "/low/s104.ts"]


async def test_a_multivariant_playlist_of_itself_is_not_followed_for_ever(stream: Stream) -> None:
    stream.pages["/ch/main.m3u8"] = page("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmain.m3u8\n")
    result = await stream.probe(path="/ch/main.m3u8")
    assert (result.ok, result.reason) == (False, "a variant is itself a multivariant playlist")


@pytest.mark.parametrize("other", ["http://169.254.169.254/latest", "//other.example/x.ts", "ftp://play/x", "http://["])
async def test_G7_addresses_on_other_hosts_are_judged_and_not_followed(stream: Stream, other: str) -> None:
    stream.uri = other
    result = await stream.probe()
    assert result.ok is False
    assert result.reason.startswith(("the newest segment is on another host (", "the newest segment has no valid"))
    stream.pages["/ch/live.m3u8"] = page(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{other}\n")
    result = await stream.probe()
    assert result.ok is False
    assert result.reason.startswith(("the variant is on another host (", "the variant has no valid"))
    assert set(stream.asked) == {"/ch/live.m3u8"}


async def test_A11_a_redirect_of_the_playlist_is_not_followed(stream: Stream) -> None:
    stream.pages["/ch/live.m3u8"] = page(status="302 Found", Location="/elsewhere.m3u8")
    result = await stream.probe()
    assert (result.ok, result.reason) == (False, "the playlist answers 302 (to /elsewhere.m3u8, not followed)")
    assert stream.asked == ["/ch/live.m3u8"]


async def test_a_playlist_that_is_gone_fails_with_its_status(stream: Stream) -> None:
    result = await stream.probe(path="/gone.m3u8")
    assert (result.ok, result.reason, result.measures["status"]) == (False, "the playlist answers 404", 404)


async def test_html_in_place_of_a_playlist_fails(stream: Stream) -> None:
    stream.pages["/ch/live.m3u8"] = page("<!DOCTYPE html>\n<h1>It works!</h1>")
    result = await stream.probe()
    assert (result.ok, result.reason) == (
        False,
        "not a playlist: begins with '<!DOCTYPE html>' instead of #EXTM3U",
    )


async def test_G6_a_playlist_over_the_bound_fails(stream: Stream) -> None:
    result = await stream.probe(max_bytes=50)
    assert (result.ok, result.reason) == (False, "the playlist is longer than 50 bytes (max_bytes)")


async def test_one_probe_uses_one_connection_when_the_server_keeps_it(servers: Servers, clock: Clock) -> None:
    connections = 0
    made = Stream(clock)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while head := await reader.readuntil(b"\r\n\r\n"):
            writer.write(made.answer(head).replace(b"Connection: close\r\n", b""))

    made.port = await servers.raw(talk)
    for expected in (1, 2):
        assert (await made.probe()).ok is True
        assert connections == expected


def playlist_heads(stream: Stream) -> list[bytes]:
    return [head for head in stream.heads if b"live.m3u8" in head]


async def test_news_are_asked_for_with_the_validators_of_the_last_answer(stream: Stream) -> None:
    stream.headers["ETag"] = '"a"'
    assert await stream.age_s() == 0
    stream.pages["/ch/live.m3u8"] = page(status="304 Not Modified", ETag='"a"')
    stream.clock.pass_(4)
    result = await stream.probe()
    assert b'If-None-Match: "a"\r\n' in playlist_heads(stream)[-1]
    assert (result.ok, result.measures["status"], result.measures["playlist.age"]) == (True, 200, 4)
    stream.pages.clear()
    stream.edge += 1
    assert await stream.age_s() == 0


async def test_without_an_etag_the_date_validates(stream: Stream) -> None:
    stream.headers["Last-Modified"] = email.utils.formatdate(900, usegmt=True)
    await stream.probe()
    await stream.probe()
    assert [b"If-Modified-Since: " in head for head in playlist_heads(stream)] == [False, True]


async def test_a_304_that_nobody_asked_for_fails(stream: Stream) -> None:
    stream.pages["/ch/live.m3u8"] = page(status="304 Not Modified")
    assert (await stream.probe()).reason == "the playlist answers 304"


async def test_after_a_failure_the_whole_playlist_is_asked_for(stream: Stream) -> None:
    stream.headers["ETag"] = '"a"'
    await stream.probe()
    stream.pages["/ch/live.m3u8"] = page("<html>", ETag='"b"')
    assert (await stream.probe()).ok is False
    stream.pages.clear()
    assert (await stream.probe()).ok is True
    assert [b"If-None-Match" in head for head in playlist_heads(stream)] == [False, True, False]


async def test_the_same_segment_is_not_fetched_at_every_look(stream: Stream) -> None:
    first = await stream.probe()
    stream.clock.pass_(1)
    again = await stream.probe()
    assert [path for path in stream.asked if path.endswith(".ts")] == ["/ch/s104.ts"]
    assert again.measures["segment.bytes"] == first.measures["segment.bytes"]
    stream.clock.pass_(4)
    await stream.probe()
    assert stream.asked.count("/ch/s104.ts") == 2


async def test_a_segment_that_was_missing_is_fetched_again_at_once(stream: Stream) -> None:
    stream.pages["/ch/s104.ts"] = page(status="404 Not Found")
    assert (await stream.probe()).ok is False
    stream.pages.clear()
    assert (await stream.probe()).ok is True


async def test_the_patience_is_two_and_a_half_targets_and_at_least_six_seconds(stream: Stream) -> None:
    assert (await stream.probe()).measures["playlist.patience"] == 6
    stream.head = stream.head.replace("DURATION:2", "DURATION:4")
    assert (await stream.probe()).measures["playlist.patience"] == 10


async def test_what_the_caches_held_is_measured(stream: Stream) -> None:
    assert "playlist.cached" not in (await stream.probe()).measures
    stream.headers["Age"] = "42"
    assert (await stream.probe()).measures["playlist.cached"] == 42


async def test_a_playlist_that_is_too_old_by_the_origins_own_word_says_so(stream: Stream) -> None:
    stream.pages["/ch/live.m3u8"] = page(status="404 Not Found", X_Object_Too_Old="true")
    assert (await stream.probe()).reason == "the playlist answers 404 (X-Object-Too-Old: it stands still)"


async def test_a_server_that_has_too_much_to_do_says_so(stream: Stream) -> None:
    stream.pages["/ch/live.m3u8"] = page(status="503 Service Unavailable", Retry_After="5")
    result = await stream.probe()
    assert (result.ok, result.overloaded) == (False, "status 503, retry after 5")


def judged(result: seen.ProbeResult) -> tuple[bool | None, str]:
    """Return what the kind's own conditions say."""
    lines = tuple(expect.condition(hls.KIND, line) for line in hls.KIND.expect)
    return judge.judge(model.Profile("p", "hls", expect=lines), result)


async def test_a_playlist_that_is_refused_for_overload_stands_until_it_is_too_old(stream: Stream) -> None:
    assert judged(await stream.probe())[0] is True
    stream.pages["/ch/live.m3u8"] = page(status="503 Service Unavailable", Retry_After="5")
    for age_s in (2, 4):
        stream.clock.pass_(2)
        result = await stream.probe()
        assert (judged(result), result.overloaded) == ((True, ""), "status 503, retry after 5")
        assert (result.measures["status"], result.measures["playlist.age"]) == (503, age_s)
    stream.clock.pass_(2)
    assert judged(await stream.probe()) == (False, "playlist.age is 6s, should be < playlist.patience = 6s")
    stream.pages["/ch/live.m3u8"] = page(status="503 Service Unavailable")
    assert judged(await stream.probe()) == (False, "the playlist answers 503"), "without Retry-After it is broken"


async def test_a_segment_that_is_refused_for_overload_is_asked_for_again_at_the_next_look(stream: Stream) -> None:
    stream.pages["/ch/s104.ts"] = page(status="503 Service Unavailable", Retry_After="5")
    for _ in range(2):
        result = await stream.probe()
        assert (judged(result), result.overloaded) == ((True, ""), "status 503, retry after 5")
        assert result.measures["segment.status"] == 503
    assert stream.asked.count("/ch/s104.ts") == 2
    stream.pages["/ch/s104.ts"] = page(status="503 Service Unavailable")
    assert judged(await stream.probe()) == (False, "the newest segment answers 503 (s104.ts)")


async def test_the_share_of_gaps_and_the_rate_of_discontinuities_are_measured(stream: Stream) -> None:
    stream.extra = "#EXT-X-GAP\n#EXTINF:2,\ngap.ts\n"
    assert (await stream.probe()).measures["playlist.gap_share"] == pytest.approx(1 / 6)
    stream.extra = "#EXT-X-DISCONTINUITY\n#EXTINF:2,\nad.ts\n"
    stream.edge += 1
    stream.clock.pass_(2)
    result = await stream.probe()
    assert result.measures["playlist.discontinuities"] == 1
    assert result.measures["playlist.discontinuity_rate"] == 1


async def test_a_stream_that_comes_too_slowly_is_measured(stream: Stream) -> None:
    for _ in range(60):
        result = await stream.probe(segment=False)
        stream.clock.pass_(4)
        stream.edge += 1
    assert float(result.measures["playlist.rate"]) == pytest.approx(0.5, rel=0.05)


KEY = '#EXT-X-KEY:METHOD=AES-128,URI="{uri}",IV=0x1\n'


async def test_the_key_is_fetched_on_request(stream: Stream) -> None:
    stream.head += KEY.format(uri="/keys/1")
    stream.pages["/keys/1"] = page(bytes(16))
    assert "key.status" not in (await stream.probe()).measures
    result = await stream.probe(key=True)
    assert (result.ok, result.measures["key.status"]) == (True, 200)


@pytest.mark.parametrize(
    ("uri", "answer", "reason"),
    [
        ("/keys/1", page(status="403 Forbidden"), "the key answers 403"),
        ("/keys/1", page(), "the key is empty"),
        ("http://other.example/1", page(), "the key is on another host (other.example), where this probe does not go"),
    ],
)
async def test_a_key_that_cannot_be_had_fails(stream: Stream, uri: str, answer: bytes, reason: str) -> None:
    stream.head += KEY.format(uri=uri)
    stream.pages["/keys/1"] = answer
    assert (await stream.probe(key=True)).reason == reason


@pytest.mark.parametrize("uri", ["skd://asset", "data:text/plain;base64,AAAA"])
async def test_keys_of_licence_servers_are_left_alone(stream: Stream, uri: str) -> None:
    stream.head += KEY.format(uri=uri)
    assert (await stream.probe(key=True)).ok is True


async def test_a_secret_in_an_address_is_in_no_reason(stream: Stream) -> None:
    stream.uri = "gone{number}.mp4?token=secret"
    assert (await stream.probe()).reason == "the newest segment answers 404 (gone104.mp4)"
