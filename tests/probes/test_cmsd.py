"""CMSD headers: as the standard's examples and packagers write them, and as nobody should."""

from __future__ import annotations

import multidict
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtm import model
from gtm.probes import cmsd
from tests.probes.probe_servers import Servers, make, page, run

NOW = 1_800_000_000.0


def read(*dynamic: str, static: str = "") -> dict[str, model.Value]:
    headers = multidict.CIMultiDict([("cmsd-dynamic", one) for one in dynamic])
    if static:
        headers.add("CMSD-Static", static)
    return cmsd.read(multidict.CIMultiDictProxy(headers), NOW)


def test_without_headers_nothing_is_measured() -> None:
    assert read() == {}


def test_the_static_header_is_read() -> None:
    assert read(static='at=1799999998500,br=1500,d=2000,ht=1000,n="OriginProviderA",ot=v,sf=(d h),st=l') == {
        "cmsd.age": 1.5,
        "cmsd.br": 1500,
        "cmsd.held": 1,
    }


def test_of_several_hops_the_last_word_holds() -> None:
    hops = '"CDNB-3ak1";etp=96;rtt=8, "CDNB, w35k";etp=76;rtt=32;mb=4000;rd=12'
    assert read(hops) == {
        "cmsd.du": False,
        "cmsd.etp": 76,
        "cmsd.rtt": pytest.approx(0.032),
        "cmsd.mb": 4000,
        "cmsd.rd": pytest.approx(0.012),
    }


@pytest.mark.parametrize("text", ['"cdn";du', '"cdn";du=?1', '"a";du;rtt=8, "b"', "cdn; du ;etp=7"])
def test_duress_anywhere_on_the_way_is_duress(text: str) -> None:
    assert read(text)["cmsd.du"] is True
    assert read('"a"', text)["cmsd.du"] is True


@pytest.mark.parametrize("text", ['"cdn";du=?0', '"du";etp=1', '"cdn;du"', "", ";;;", '"'])
def test_nothing_else_is(text: str) -> None:
    assert read(text)["cmsd.du"] is False


@pytest.mark.parametrize("key", ["mqcs", "com.amazonaws.mqcs", "com.example-mqcs"])
def test_a_quality_score_is_found_under_anybodys_key(key: str) -> None:
    assert read(static=f"st=l,{key}=87")["cmsd.mqcs"] == 87


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text('abdu"\\,;=?1(): .-ü', max_size=60), max_size=5), st.text(max_size=60))
def test_whatever_is_said_the_rest_goes_on(dynamic: list[str], static: str) -> None:
    assert isinstance(read(*dynamic, static=static), dict)


@pytest.mark.parametrize("noise", ['"' * 5000, "a=" * 5000, "(" * 5000, ";" * 5000, "," * 5000, '"\\' * 3000])
def test_long_headers_are_cut(noise: str) -> None:
    assert len(read(noise, static=noise)) <= len(cmsd.MEASURES)


async def test_any_http_kind_measures_them_and_duress_is_about_the_load(servers: Servers) -> None:
    port = await servers.http(page("ok", CMSD_Dynamic='"edge-1";du;mb=2000'))
    result = await run(make("http", port))
    assert (result.ok, result.overloaded) == (True, "under duress, it says (CMSD)")
    assert (result.measures["cmsd.du"], result.measures["cmsd.mb"]) == (True, 2000)
