"""The demo's edges: playlists that move with the clock, stand still when told to, and segments that are there."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator

import pytest

from gtm.cli import demo_edges

NOON = 1_790_000_000.0


def numbers(text: str) -> list[int]:
    return [int(line.removesuffix(".ts")) for line in text.splitlines() if line.endswith(".ts")]


def test_a_playlist_lists_the_segments_that_have_ended_and_dates_each() -> None:
    text = demo_edges.playlist(NOON)
    assert text.startswith("#EXTM3U\n")
    assert numbers(text) == list(range(int(NOON) - 6, int(NOON)))
    assert f"#EXT-X-MEDIA-SEQUENCE:{numbers(text)[0]}\n" in text
    assert text.count("#EXT-X-PROGRAM-DATE-TIME:") == demo_edges.LISTED
    assert "#EXT-X-PROGRAM-DATE-TIME:2026-09-21T14:13:14.000+00:00\n#EXTINF:1.000,\n1789999994.ts" in text
    assert "#EXT-X-ENDLIST" not in text


def test_a_playlist_moves_by_one_segment_a_target_duration_and_never_back() -> None:
    ahead = [numbers(demo_edges.playlist(NOON + step / 4))[-1] for step in range(9)]
    assert ahead == sorted(ahead)
    assert ahead[-1] - ahead[0] == 2


def test_every_listed_segment_is_there_and_stays_a_playlist_longer_but_not_for_ever() -> None:
    listed = numbers(demo_edges.playlist(NOON))
    assert all(demo_edges.has_segment(number, NOON) for number in listed)
    assert all(demo_edges.has_segment(number, NOON + demo_edges.LISTED) for number in listed)
    assert not any(demo_edges.has_segment(number, NOON + 60) for number in listed)
    assert not demo_edges.has_segment(listed[-1] + 1, NOON)


def test_a_segment_is_made_of_transport_stream_packets() -> None:
    assert len(demo_edges.SEGMENT) % 188 == 0
    assert set(demo_edges.SEGMENT[::188]) == {0x47}


@pytest.fixture
def edge() -> Iterator[demo_edges.Edge]:
    with demo_edges.Edge("127.0.0.1", 0, "fra-1") as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def ask(edge: demo_edges.Edge, method: str, path: str) -> tuple[int, str, bytes]:
    link = http.client.HTTPConnection("127.0.0.1", edge.server_address[1], timeout=5)
    link.request(method, path)
    answer = link.getresponse()
    body = answer.read()
    link.close()
    return answer.status, answer.headers["Content-Type"], body


def test_an_edge_serves_its_playlist_and_the_newest_segment_in_it(edge: demo_edges.Edge) -> None:
    status, media, body = ask(edge, "GET", "/news/index.m3u8")
    assert (status, media) == (200, "application/vnd.apple.mpegurl")
    status, media, segment = ask(edge, "GET", f"/news/{numbers(body.decode())[-1]}.ts")
    assert (status, media, segment) == (200, "video/mp2t", demo_edges.SEGMENT)
    assert ask(edge, "GET", "/news/12.ts")[0] == 404
    assert ask(edge, "HEAD", "/news/index.m3u8")[2] == b""


def test_a_frozen_channel_stands_still_and_is_still_answered_while_others_move(
    edge: demo_edges.Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [NOON]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    assert ask(edge, "POST", "/freeze/news")[0] == 200
    clock[0] += 30
    assert ask(edge, "POST", "/freeze/news")[0] == 200  # a second time does not make it any fresher
    status, _, still = ask(edge, "GET", "/news/index.m3u8")
    assert (status, numbers(still.decode())[-1]) == (200, int(NOON) - 1)
    assert numbers(ask(edge, "GET", "/sport/index.m3u8")[2].decode())[-1] == int(NOON) + 29
    assert ask(edge, "POST", "/thaw/news")[0] == 200
    assert numbers(ask(edge, "GET", "/news/index.m3u8")[2].decode())[-1] == int(NOON) + 29


def test_an_unknown_knob_is_refused_with_the_names_of_the_known_ones(edge: demo_edges.Edge) -> None:
    status, _, body = ask(edge, "POST", "/melt/news")
    assert status == 404
    assert b"/freeze/CHANNEL" in body
