"""The reader of DASH manifests, and the arithmetic of their newest segments."""

from __future__ import annotations

import pytest

from gtm.probes import mpd, mpd_reader

LISTED = """<?xml version="1.0" encoding="utf-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" minimumUpdatePeriod="PT2S"
  availabilityStartTime="2026-11-23T10:00:00Z" publishTime="2026-11-23T10:00:12.5Z" timeShiftBufferDepth="PT1M">
  <BaseURL> dash/ </BaseURL><BaseURL>http://other.example/</BaseURL>
  <Period id="0" start="PT10S">
    <AdaptationSet contentType="video">
      <SegmentTemplate timescale="1000" media="$RepresentationID$/$Time$.m4s" presentationTimeOffset="5000">
        <SegmentTimeline><S t="5000" d="2000" r="3"/><S d="1500"/></SegmentTimeline>
      </SegmentTemplate>
      <Representation id="v2" bandwidth="2000000"/>
      <Representation id="v1" bandwidth="500000"><BaseURL>low/</BaseURL></Representation>
    </AdaptationSet>
    <AdaptationSet mimeType="audio/mp4">
      <Representation id="a" bandwidth="64000">
        <SegmentTemplate timescale="48000" media="a$Number%05d$.m4s" startNumber="7">
          <SegmentTimeline><S d="96000" r="2"/></SegmentTimeline>
        </SegmentTemplate>
      </Representation>
    </AdaptationSet>
  </Period>
  <UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-xsdate:2014" value="/time"/>
</MPD>"""

COUNTED = """<MPD type="dynamic" availabilityStartTime="2026-11-23T10:00:00Z"><Period start="PT0S"><AdaptationSet>
<SegmentTemplate timescale="1000" duration="2000" startNumber="1" media="s$Number$-$Bandwidth$-$$.m4s"/>
<Representation id="0" mimeType="video/mp4" bandwidth="9"/></AdaptationSet></Period></MPD>"""


def read(text: str) -> mpd.Manifest:
    return mpd_reader.read(text.encode())


def watched(text: str) -> mpd.Track:
    track = read(text).watched()
    assert track is not None
    return track


def test_a_manifest_says_what_it_is() -> None:
    found = read(LISTED)
    assert (found.dynamic, found.available_at, found.published_at) == (True, 1795428000, 1795428012.5)
    assert (found.update_s, found.buffer_s) == (2, 60)
    assert found.clocks == (("urn:mpeg:dash:utc:http-xsdate:2014", "/time"),)
    assert [(one.id, one.sort) for one in found.tracks] == [("v2", "video"), ("v1", "video"), ("a", "audio")]


def test_the_lowest_picture_is_watched_with_all_that_it_inherits() -> None:
    track = watched(LISTED)
    assert (track.id, track.bases, track.timescale) == ("v1", ("dash/", "low/"), 1000)


def test_the_newest_segment_is_the_last_that_is_listed() -> None:
    assert watched(LISTED).newest(0.0) == mpd.Newest(end_s=19.5, duration_s=1.5, uri="v1/13000.m4s", number=5)
    assert read(LISTED).tracks[2].newest(0.0) == mpd.Newest(end_s=16, duration_s=2, uri="a00009.m4s", number=9)
    assert read(LISTED).spread_s() == 3.5


@pytest.mark.parametrize(
    ("since_s", "number", "end_s"), [(2.0, 1, 2.0), (3.9, 1, 2.0), (4.0, 2, 4.0), (7201.0, 3600, 7200.0)]
)
def test_where_the_clock_counts_it_is_the_last_whole_one(since_s: float, number: int, end_s: float) -> None:
    newest = watched(COUNTED).newest(since_s)
    assert newest == mpd.Newest(end_s, 2.0, f"s{number}-9-$.m4s", number)


@pytest.mark.parametrize("since_s", [-1e9, -1.0, 0.0, 1.9])
def test_before_the_first_segment_there_is_none(since_s: float) -> None:
    assert watched(COUNTED).newest(since_s) is None


def test_the_one_before_can_be_asked_for() -> None:
    assert watched(COUNTED).newest(4.0, back=1) == mpd.Newest(2.0, 2.0, "s1-9-$.m4s", 1)
    assert watched(COUNTED).newest(4.0, back=2) is None


def test_a_timeline_that_repeats_for_ever_is_ended_by_the_clock() -> None:
    text = LISTED.replace('<S t="5000" d="2000" r="3"/><S d="1500"/>', '<S t="5000" d="2000" r="-1"/>')
    newest = watched(text).newest(10 + 7.0)
    assert newest == mpd.Newest(end_s=16, duration_s=2, uri="v1/9000.m4s", number=3)


def test_a_hole_in_the_timeline_is_a_gap() -> None:
    text = LISTED.replace('<S d="1500"/>', '<S t="15000" d="1500"/>')
    track = watched(text)
    assert track.timeline is not None
    assert track.timeline.gaps == 1
    newest = track.newest(0.0)
    assert newest is not None
    assert newest.uri == "v1/15000.m4s"


def test_the_last_period_with_tracks_counts() -> None:
    second = '<Period><AdaptationSet contentType="video"><Representation id="x"/></AdaptationSet></Period>'
    text = LISTED.replace('start="PT10S"', 'start="PT10S" duration="PT30S"')
    found = read(text.replace("</Period>", "</Period>" + second + "<Period/>"))
    assert [(one.id, one.period_s) for one in found.tracks] == [("x", 40)]
    assert found.tracks[0].newest(0.0) is None


def test_prefixes_are_passed_over() -> None:
    text = COUNTED.replace("<", "<d:").replace("<d:/", "</d:").replace("<d:MPD", '<d:MPD xmlns:d="urn:x"')
    assert read(text).tracks == read(COUNTED).tracks


BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<MPD type="&b;"/>"""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a manifest: no element found"),
        ("#EXTM3U\n", "not a manifest: syntax error in line 1"),
        ("<html><body/></html>", "not a manifest: no MPD element"),
        ("<html><MPD/></html>", "not a manifest: an MPD inside another element"),
        ("<MPD><Period>", "not a manifest: no element found"),
        (BOMB, "the manifest has a document type, which is refused"),
        ('<!DOCTYPE MPD SYSTEM "file:///etc/passwd"><MPD/>', "the manifest has a document type, which is refused"),
        ('<?xml version="1.0" encoding="klingon"?><MPD/>', "not a manifest: an unknown encoding"),
        ("<MPD>" + "<a>" * 40, "elements nested deeper than 32"),
        ("<MPD>" + "<a/>" * 30_000, "more than 7000 elements and attributes"),
        (COUNTED.replace('timescale="1000"', 'timescale="x"'), "timescale is 'x'"),
        (COUNTED.replace('duration="2000"', 'duration="' + "9" * 30 + '"'), "duration is '9999"),
        (LISTED.replace('d="2000"', 'd="٢"'), "d is '٢'"),
        (LISTED.replace('r="3"', 'r="' + "9" * 19 + '"'), "a SegmentTimeline without end"),
        (COUNTED.replace("<Period start", "<Other start").replace("</Period", "</Other"), "a Representation outside"),
        (COUNTED.replace("<Representation", "<Representation/>" * 300 + "<Representation"), "more than 200 repr"),
    ],
)
def test_what_is_no_manifest_is_refused_with_a_reason(text: str, says: str) -> None:
    with pytest.raises(mpd_reader.MpdError) as caught:
        read(text)
    assert str(caught.value).startswith(says)


def test_odd_numbers_give_no_segment_and_no_error() -> None:
    for wrong in ('duration="0"', 'duration="-5"'):
        assert watched(COUNTED.replace('duration="2000"', wrong)).newest(100.0) is None
    assert watched(COUNTED.replace('timescale="1000"', 'timescale="0"')).timescale == 1
    assert watched(LISTED.replace('d="1500"', 'd="0"')).newest(0.0) is None
