"""The scanner of playlists, as arithmetic over bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtm.probes import playlist

LIVE = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:100
#EXT-X-MAP:URI="init.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-23T10:00:00.000Z
#EXTINF:2.000,first
s100.m4s
#EXTINF:1.5,
s101.m4s
"""


def media(text: str) -> playlist.Media:
    found = playlist.scan(text.encode())
    assert isinstance(found, playlist.Media)
    return found


def test_a_live_playlist_gives_its_edge() -> None:
    found = media(LIVE)
    assert (found.target_s, found.sequence, found.segments, found.edge) == (2.0, 100, 2, (102, 0))
    assert found.newest == playlist.Segment("s101.m4s", 1.5)
    assert found.ends_at == 1795428000 + 3.5
    assert (found.ended, found.gaps, found.discontinuities) == (False, 0, 0)


def test_lines_may_end_in_cr_lf() -> None:
    assert media(LIVE.replace("\n", "\r\n")) == media(LIVE)


def test_a_missing_media_sequence_is_zero() -> None:
    assert media(LIVE.replace("#EXT-X-MEDIA-SEQUENCE:100\n", "")).edge == (2, 0)


def test_parts_behind_the_last_segment_move_the_edge() -> None:
    found = media(LIVE + '#EXT-X-PART:DURATION=0.33,URI="p0"\n#EXT-X-PART:DURATION=0.33,URI="p1",INDEPENDENT=YES\n')
    assert found.edge == (102, 2)
    assert found.ends_at == pytest.approx(1795428000 + 3.5 + 0.66)
    assert media(LIVE).edge < found.edge < (103, 0)


def test_parts_of_a_whole_segment_are_not_counted_twice() -> None:
    found = media(LIVE + '#EXT-X-PART:DURATION=2.0,URI="p0"\n#EXTINF:2,\ns102.m4s\n')
    assert (found.edge, found.ends_at) == ((103, 0), 1795428000 + 5.5)


def test_skipped_segments_are_counted() -> None:
    assert media(LIVE.replace("#EXTINF:2.000", "#EXT-X-SKIP:SKIPPED-SEGMENTS=7\n#EXTINF:2.000")).edge == (109, 0)


def test_a_gap_is_not_the_newest_segment_and_still_moves_the_edge() -> None:
    found = media(LIVE + "#EXT-X-GAP\n#EXTINF:2,\ns102.m4s\n")
    assert found.edge == (103, 0)
    assert found.newest == playlist.Segment("s101.m4s", 1.5)
    assert found.gaps == 1


def test_an_end_and_discontinuities_are_seen() -> None:
    found = media(LIVE + "#EXT-X-DISCONTINUITY\n#EXTINF:2,\ns102.m4s\n#EXT-X-ENDLIST\n")
    assert (found.ended, found.discontinuities) == (True, 1)


def test_byte_ranges_go_on_where_the_last_one_ended() -> None:
    found = media(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n#EXT-X-BYTERANGE:100@50\nall.ts\n"
        "#EXTINF:2,\n#EXT-X-BYTERANGE:70\nall.ts\n"
    )
    assert found.newest == playlist.Segment("all.ts", 2.0, first=150, size=70)


@pytest.mark.parametrize("when", ["yesterday", "2026-11-23T10:00:00", "9999-99-99T00:00:00Z", ""])
def test_a_date_that_cannot_be_read_is_as_good_as_none(when: str) -> None:
    assert media(LIVE.replace("2026-11-23T10:00:00.000Z", when)).ends_at is None


@pytest.mark.parametrize("when", ["2026-11-23T11:00:00.000+01:00", "2026-11-23T11:00:00.000+0100"])
def test_a_date_has_a_zone(when: str) -> None:
    assert media(LIVE.replace("2026-11-23T10:00:00.000Z", when)).ends_at == 1795428000 + 3.5


def test_variants_come_lowest_first() -> None:
    found = playlist.scan(
        b'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI="a.m3u8"\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i.m3u8"\n'
        b'#EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=9,BANDWIDTH=5000000,CODECS="a,b"\nhigh.m3u8\n'
        b"#EXT-X-STREAM-INF:BANDWIDTH=800000\n\nlow.m3u8\n"
    )
    assert isinstance(found, playlist.Multivariant)
    assert found.variants == ((800000, "low.m3u8"), (5000000, "high.m3u8"))
    assert found.others == ((0, "a.m3u8"),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a playlist: is empty"),
        ("<!DOCTYPE html><html>", "not a playlist: begins with '<!DOCTYPE html><html>'"),
        ("\n#EXTM3U\n", "not a playlist: begins with ''"),
        ("\ufeff" + LIVE, "not a playlist: begins with"),
        ("#EXTM3U8\n", "not a playlist: begins with '#EXTM3U8'"),
        ("#EXTM3U\n", "no EXT-X-TARGETDURATION"),
        (LIVE.replace("DURATION:2", "DURATION:0"), "EXT-X-TARGETDURATION is 0"),
        (LIVE.replace("DURATION:2", "DURATION:1e9"), "EXT-X-TARGETDURATION is '1e9'"),
        (LIVE.replace("DURATION:2", "DURATION:-2"), "EXT-X-TARGETDURATION is '-2'"),
        (LIVE.replace("DURATION:2", "DURATION:999999"), "EXT-X-TARGETDURATION is 999999"),
        (LIVE.replace("SEQUENCE:100", "SEQUENCE:-1"), "EXT-X-MEDIA-SEQUENCE is '-1'"),
        (LIVE.replace("SEQUENCE:100", "SEQUENCE:" + "9" * 21), "EXT-X-MEDIA-SEQUENCE is"),
        (LIVE + "#EXT-X-MEDIA-SEQUENCE:5\n", "EXT-X-MEDIA-SEQUENCE after a segment"),
        (LIVE.replace("EXTINF:1.5", "EXTINF:nan"), "EXTINF is 'nan'"),
        (LIVE + "s102.m4s\n", "no EXTINF before 's102.m4s'"),
        (LIVE + "#EXTINF:2,\n", "breaks off after an EXTINF"),
        (LIVE + "#EXT-X-BYTERANGE:x\n", "EXT-X-BYTERANGE is 'x'"),
        (LIVE + "#EXT-X-STREAM-INF:BANDWIDTH=1\nx\n", "both a multivariant and a media playlist"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n", "a multivariant playlist without variants"),
    ],
)
def test_what_a_player_would_refuse_is_refused_with_a_reason(text: str, says: str) -> None:
    with pytest.raises(playlist.PlaylistError) as caught:
        playlist.scan(text.encode())
    assert str(caught.value).startswith(says)


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(playlist.PlaylistError, match="not UTF-8"):
        playlist.scan(b"#EXTM3U\n\xff")


def test_a_million_lines_are_refused() -> None:
    with pytest.raises(playlist.PlaylistError, match="more than 100000 lines"):
        playlist.scan(b"#EXTM3U" + b"\n" * 1_000_000)


PIECES = st.sampled_from(
    [
        "#EXTM3U", "#EXTINF:", "#EXTINF:2,", "#EXT-X-TARGETDURATION:2", "#EXT-X-TARGETDURATION:", "#EXT-X-GAP",
        "#EXT-X-MEDIA-SEQUENCE:7", "#EXT-X-STREAM-INF:BANDWIDTH=5", "#EXT-X-STREAM-INF:", "#EXT-X-ENDLIST", "seg.ts",
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-23T10:00:00Z", "#EXT-X-PROGRAM-DATE-TIME:", "#EXT-X-BYTERANGE:5@9", "#",
        "#EXT-X-BYTERANGE:", "#EXT-X-PART:DURATION=1", "#EXT-X-SKIP:SKIPPED-SEGMENTS=3", "#EXT-X-DISCONTINUITY", "",
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(PIECES, st.text(max_size=12)), max_size=30))
def test_whatever_the_lines_are_the_scanner_reads_or_refuses(lines: list[str]) -> None:
    found = read_or_refused("\n".join(["#EXTM3U", *lines]).encode("utf-8", "surrogatepass"))
    if isinstance(found, playlist.Media):
        assert 0 < found.target_s <= playlist.MAX_TARGET_S
        assert found.edge >= (found.sequence, 0)
    elif isinstance(found, playlist.Multivariant):
        assert found.variants == tuple(sorted(found.variants))
    else:
        assert found


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(LIVE)), st.integers(0, 20))
def test_whatever_the_bytes_are_the_scanner_reads_or_refuses(noise: bytes, at: int, cut: int) -> None:
    raw = LIVE.encode()
    assert read_or_refused(noise)
    assert read_or_refused(raw[:at] + noise + raw[at + cut :])


def read_or_refused(body: bytes) -> playlist.Media | playlist.Multivariant | str:
    """Return what was read, or the reason of the refusal; any other exception is the test's failure."""
    try:
        return playlist.scan(body)
    except playlist.PlaylistError as refusal:
        return str(refusal)
