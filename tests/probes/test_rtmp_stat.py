"""The rtmp_stat kind: nginx-rtmp's statistics page, as Debian's module writes it."""

from __future__ import annotations

import pytest

from gtm.probes import rtmp_stat, stat_xml
from tests.probes.probe_servers import Clock, Servers, make, page, run

PAGE = """<?xml version="1.0" encoding="utf-8" ?>
<rtmp><nginx_version>1.22.1</nginx_version><uptime>10</uptime><bytes_in>187931</bytes_in>
<server>
<application><name>live</name><live>
<stream><name>cam1</name><time>6234</time><bytes_in>{cam1}</bytes_in>
<client><id>8</id><address>127.0.0.1</address><publishing/><active/></client>
<client><id>9</id></client>
<meta><video><width>160</width></video></meta><nclients>2</nclients><publishing/><active/></stream>
<stream><name>cam2</name><bytes_in>5</bytes_in><client><id>10</id></client><nclients>1</nclients></stream>
</live></application>
<application><name>backup</name><live>
<stream><name>cam1</name><bytes_in>7</bytes_in><nclients>1</nclients><publishing/></stream>
</live></application>
</server></rtmp>
"""


@pytest.mark.parametrize(
    ("options", "publishers", "viewers"),
    [
        ({}, 2, 2),
        ({"app": "live"}, 1, 2),
        ({"stream": "cam1"}, 2, 1),
        ({"app": "live", "stream": "cam2"}, 0, 1),
        ({"app": "none"}, 0, 0),
    ],
)
async def test_publishers_and_viewers_are_counted(
    servers: Servers, options: dict[str, str], publishers: int, viewers: int
) -> None:
    result = await run(make("rtmp_stat", await servers.http(page(PAGE.format(cam1=100))), **options))
    assert (result.ok, result.reason) == (True, "")
    assert (result.measures["publishers"], result.measures["viewers"]) == (publishers, viewers)
    assert result.measures["stream.present"] == (publishers > 0)
    assert result.measures["uptime"] == 10


async def test_the_rate_tells_an_encoder_that_is_connected_and_silent(servers: Servers, clock: Clock) -> None:
    sizes = iter((1000, 5000, 5000, 300))
    port = await servers.http(lambda _: page(PAGE.format(cam1=next(sizes))))
    probe, memory = clock.prober(rtmp_stat.KIND, rtmp_stat.look), {}  # type: ignore[var-annotated]
    rates = []
    for _ in range(4):
        clock.pass_(2.0)
        rates.append((await probe.run(make("rtmp_stat", port), memory)).measures.get("rate"))
    assert rates == [None, 2000.0, 0.0, 150.0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not XML: no element found"),
        ("<rtmp><a></rtmp>", "not XML: mismatched tag"),
        ("<html/>", "its first element is not <rtmp>"),
        ("<!DOCTYPE rtmp [<!ENTITY a 'b'>]><rtmp>&a;</rtmp>", "a DOCTYPE, which no statistics page has"),
        ("<rtmp>" + "<a>" * 40 + "</a>" * 40 + "</rtmp>", "nested too deep"),
        ("<rtmp>" + "<stream></stream>" * 701 + "</rtmp>", "more than 700 streams"),
        ("<rtmp>" + "<stream/>" * 6001 + "</rtmp>", "more than 6000 elements and attributes"),
        ("<rtmp>" + "<client></client>" * 10_001 + "</rtmp>", "more than 10000 times <client>"),
    ],
)
async def test_G6_what_is_no_statistics_page_is_refused(servers: Servers, text: str, reason: str) -> None:
    result = await run(make("rtmp_stat", await servers.http(page(text))))
    assert result.ok is False
    assert reason in result.reason


async def test_a_page_beyond_the_bound_is_not_half_read(servers: Servers) -> None:
    result = await run(make("rtmp_stat", await servers.http(page(PAGE.format(cam1=1))), max_bytes=100))
    assert (result.ok, result.reason) == (False, "the page is longer than the 100 bytes that are read")


async def test_a_page_that_is_not_there_is_judged_by_its_status(servers: Servers) -> None:
    result = await run(make("rtmp_stat", await servers.http(page("no", "404 Not Found"))))
    assert (result.ok, result.measures["status"]) == (True, 404)
    assert "publishers" not in result.measures


def test_numbers_that_are_none_count_as_nothing() -> None:
    found = stat_xml.read(b"<rtmp><uptime>soon</uptime><stream><bytes_in>-5</bytes_in></stream></rtmp>")
    assert (found.uptime_s, found.streams[0].bytes_in) == (0, 0)
