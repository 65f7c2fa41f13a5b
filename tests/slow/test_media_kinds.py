"""The media kinds against real servers and natural faults: what `gtm probe --watch` says of each, and how soon."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.slow import hosts, media

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EVERY_S = 1.0
PATIENCE_S = 6.0  # 2.5 target durations of one second, and the floor
LATE_S = 2.0  # a look that is under way, a busy machine
COMMON = "every: 1s, timeout: 800ms"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[media.Media]:
    place = tmp_path_factory.mktemp("kinds")
    with hosts.namespace(f"gtm-kinds-{os.getpid()}", place, media.Media) as made:
        made.hls("news", ladder=True)
        made.dash("listed", timeline=True)
        made.dash("counted", timeline=False)
        made.serve()
        made.low_latency()
        wanted = [place / "news/main.m3u8", place / "listed/live.mpd", place / "counted/live.mpd"]
        made.until(lambda: all(path.exists() for path in wanted), True, media.SETTLE_S)
        yield made


@pytest.fixture(scope="module")
def news(world: media.Media) -> media.Watched:
    watched = world.watch("news", f"{{kind: hls, path: /news/main.m3u8, renditions: all, {COMMON}}}", media.EDGE)
    watched.up()
    return watched


def test_a_healthy_stream_is_measured_as_it_is(news: media.Watched) -> None:
    look = news.up()
    assert (look.measures["renditions"], look.measures["renditions.bad"]) == (3, 0)
    assert look.measures["playlist.target"] == 1
    assert look.measures["playlist.latency"] < 5
    assert look.measures["segment.container"] == "ts"
    assert look.measures["segment.headroom"] > 1


def test_a_frozen_stream_is_found_by_its_age_though_nginx_answers_200(world: media.Media, news: media.Watched) -> None:
    world.signal("ffmpeg-news", media.STOP)
    took_s = news.down("stands still for")
    assert PATIENCE_S - 2 * EVERY_S < took_s < PATIENCE_S + EVERY_S + LATE_S
    world.signal("ffmpeg-news", media.GO)
    news.until(lambda look: look.status == "up")


def test_a_newest_segment_that_is_missing_is_found_at_once(world: media.Media, news: media.Watched) -> None:
    news.up()

    def missing(look: media.Look) -> bool:
        world.unlink("news/v0", "*.ts")
        return look.status == "down" and "the newest segment answers 404" in look.reason

    assert news.until(missing)[1] < 3 * EVERY_S + LATE_S
    news.up()


def test_a_missing_rendition_is_found_in_its_turn(world: media.Media, news: media.Watched) -> None:
    reason = "1 of 3 renditions are bad: /news/v2/live.m3u8: the playlist answers 404"
    with world.flag("missing-2"):
        assert news.down(reason) < 3 * EVERY_S + LATE_S
    news.up()


def test_a_throttled_edge_is_found(world: media.Media, news: media.Watched) -> None:
    with world.flag("throttled"):
        assert news.down("no complete segment within 800ms") < 2 * EVERY_S + LATE_S
    news.up()


def test_duress_is_about_the_load(world: media.Media, news: media.Watched) -> None:
    with world.flag("duress"):
        look, _ = news.until(lambda look: look.overloaded != "")
        assert (look.status, look.measures["cmsd.du"]) == ("up", True)
    news.until(lambda look: look.overloaded == "")


def test_a_cache_that_holds_playlists_for_a_minute_is_found_stale(world: media.Media) -> None:
    stale = world.watch("stale", f"{{kind: hls, path: /news/v0/live.m3u8, {COMMON}}}", media.CACHE)
    stale.until(lambda look: look.status == "up")
    assert stale.down("playlist.age is ") < PATIENCE_S + EVERY_S + LATE_S
    world.end("probe-stale")


def test_an_ended_stream_is_found_at_once(world: media.Media) -> None:
    world.hls("event")
    world.until((world.logs / "event/live.m3u8").exists, True, media.SETTLE_S)
    event = world.watch("event", f"{{kind: hls, path: /event/live.m3u8, {COMMON}}}", media.EDGE)
    event.up()
    world.end("ffmpeg-event")  # SIGTERM: ffmpeg closes the playlist with EXT-X-ENDLIST as it leaves
    assert event.down("the stream has ended (EXT-X-ENDLIST)") < EVERY_S + LATE_S
    world.end("probe-event")


@pytest.mark.parametrize(
    ("name", "reason"), [("listed", "manifest.age is "), ("counted", "the newest segment answers 404")]
)
def test_a_frozen_dash_presentation_is_found(world: media.Media, name: str, reason: str) -> None:
    watched = world.watch(name, f"{{kind: dash, path: /{name}/live.mpd, {COMMON}}}", media.EDGE)
    look = watched.until(lambda look: look.status == "up")[0]
    assert look.measures["segment.container"] == "mp4"
    world.signal(f"ffmpeg-{name}", media.STOP)
    assert watched.down(reason) < PATIENCE_S + EVERY_S + LATE_S
    world.signal(f"ffmpeg-{name}", media.GO)
    watched.until(lambda look: look.status == "up")
    world.end(f"ffmpeg-{name}")  # SIGTERM: ffmpeg makes the manifest static
    assert watched.down("the presentation has ended (the manifest is static)") < EVERY_S + LATE_S
    world.end(f"probe-{name}")


def test_a_low_latency_stream_that_stands_still_is_found_by_its_parts(world: media.Media) -> None:
    check = "{kind: hls, path: /live.m3u8, low_latency: require, every: 2s, timeout: 1800ms}"
    parts = world.watch("parts", check, media.LOW_LATENCY)
    look = parts.up()
    assert look.measures["part.blocks"] is True
    assert look.measures["part.age"] < 0.5
    world.signal("low-latency", signal.SIGUSR1)
    assert parts.down("playlist.age is ") < 2 + 1.8 + LATE_S
    world.signal("low-latency", signal.SIGUSR1)
    parts.up()
    world.end("probe-parts")
