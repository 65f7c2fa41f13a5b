"""The page as the server draws it: how things stand, nothing hostile, bounded, and only what the caller may see."""

from __future__ import annotations

import json
import re
from typing import Any

import aiohttp
import pytest

from gtm import events, seen
from gtm.web import assets, board, chart, node, page, rows
from tests.web import fake_node, world

HOSTILE = "<img src=x onerror=alert(1)>'\"&"
WORDS = """a article b body circle code dd details dialog div dl dt footer g h1 h2 h3 head header html label li link
    main meta nav noscript ol p path rect script section small span svg table tbody td th thead time title tr ul use"""
TAGS = set(WORDS.split())
STRANGER = {"X-Forwarded-For": "203.0.113.9"}
VIEWER = {"Authorization": f"Bearer {fake_node.VIEWER.secret}"}


async def drawn(http: aiohttp.ClientSession, **headers: str) -> str:
    async with http.get("/", headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        return await response.text()


def words(text: str) -> str:
    """Return what a text browser shows."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


async def test_the_page_says_that_all_is_well(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    fake.body = world.status()
    text = words(await drawn(http))
    assert "All is well. All 3 names are answered from their first pool." in text
    assert "4 of 4 endpoint addresses up" in text
    assert "1 of 2 workers" in text
    assert "city.mmdb, 1d old" in text


async def test_the_page_says_what_is_wrong_since_when_and_why(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    fake.body = world.status()
    world.fall(fake.body, 0)
    cause = "0 of 2 up"
    fake.happened = [
        events.Event(fake_node.NOW - 29, "pool", "p0", "usable", "failed", cause, 1),
        events.Event(fake_node.NOW - 28, "name", "n0.example.com.", "first", "fallback", cause, 2),
    ]
    text = words(await drawn(http))
    assert "n0.example.com, n2.example.com are on a fallback pool." in text
    assert "Pool p0: 0 of 2 up; s0-0: status 503. For 28s ." in text
    assert "▼ down" in text
    assert "name n0.example.com first → fallback" in text


async def test_an_order_stands_beside_what_was_measured(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    fake.body = world.status()
    fake.body["endpoints"][0]["order"] = "drained by ops: kernel update"
    order = seen.Override("o1", "s0-0", "drain", 1.0, "ops", "kernel update", fake_node.NOW - 5, fake_node.NOW + 600)
    fake.given = [node.OrderView(order, ("s0-0",), fake_node.NOW + 7)]
    text = words(await drawn(http))
    assert "◆ drain s0-0 by ops: kernel update until 2023-11-14 22:23:20 UTC" in text
    assert "◆ up, ordered" in text


async def test_the_page_that_is_not_ready_says_so_first(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    fake.is_ready = (False, "no round of checks has ended")
    text = words(await drawn(http))
    assert "Not ready. No round of checks has ended." in text


async def test_hostile_names_and_reasons_are_text_on_the_page(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    fake.body = world.status()
    world.fall(fake.body, 0, reason=HOSTILE)
    body = fake.body
    body |= {"node": HOSTILE, "version": HOSTILE, "digest": HOSTILE}
    for rows_of, keys in (("names", ("name",)), ("pools", ("pool", "reason", "balance")), ("sites", ("site", "at")),
                          ("endpoints", ("endpoint", "family", "site", "address", "reason", "order"))):  # fmt: skip
        for key in keys:
            body[rows_of][0][key] = HOSTILE
    body["pools"][0]["roster"][0] |= {"endpoint": HOSTILE, "reason": HOSTILE, "order": HOSTILE}
    fake.happened = [events.Event(fake_node.NOW, "pool", HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1)]
    fake.given = [node.OrderView(seen.Override("o1", HOSTILE, "drain", 1.0, HOSTILE, HOSTILE, fake_node.NOW), ())]
    text = await drawn(http)
    assert "<img" not in text
    assert text.count("&lt;img src=x onerror=alert(1)&gt;&#39;&#34;&amp;") > 10
    assert set(re.findall(r"<(\w+)", text)) <= TAGS


async def test_nothing_on_the_page_is_inline_so_that_the_policy_can_be_strict(http: aiohttp.ClientSession) -> None:
    text = await drawn(http)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
    for script in re.findall(r"<script\b[^>]*>", text):
        assert 'src="/static/' in script
    async with http.get("/") as response:
        policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy


async def test_everything_that_the_page_and_its_modules_load_is_there(http: aiohttp.ClientSession) -> None:
    wanted = set(re.findall(r'(?:src|href)="(/static/[^"#]+)', await drawn(http)))
    assert len(wanted) > 5
    for name, (_, body) in assets.FILES.items():
        if name.endswith(".js"):
            folder = f"/static/{assets.BUILD}/{name}".rpartition("/")[0]
            for found in re.findall(r'from\s*"(\.[^"]+)"', body.decode()):
                parts: list[str] = []
                for part in f"{folder}/{found}".split("/"):
                    parts = parts[:-1] if part == ".." else parts if part == "." else [*parts, part]
                wanted.add("/".join(parts))
    for path in wanted:
        async with http.get(path) as response:
            assert response.status == 200, path
            assert "immutable" in response.headers["Cache-Control"]
            await response.read()


async def test_a_file_comes_packed_and_under_an_old_path_it_is_not_kept(http: aiohttp.ClientSession) -> None:
    async with http.get(f"/static/{assets.BUILD}/gtm.css") as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert await response.read() == assets.FILES["gtm.css"][1]
    async with http.get("/static/000000000000/gtm.css", headers={"Accept-Encoding": "identity"}) as response:
        assert response.headers["Cache-Control"] == "no-cache"
        assert await response.read() == assets.FILES["gtm.css"][1]


def test_vendored_libraries_are_what_their_makers_published() -> None:
    manifest = json.loads((assets.FOLDER / "vendor" / "manifest.json").read_text())
    listed = set()
    for library in manifest["libraries"]:
        assert library["name"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", library["version"])
        assert library["licence"] in {"BSD-3-Clause", "MIT"}
        assert any(path.endswith("LICENSE") for path in library["files"])
        for path, digest in library["files"].items():
            assert assets.sha256(assets.FOLDER / "vendor" / path) == digest, path
            listed.add(path)
    there = {path.relative_to(assets.FOLDER / "vendor").as_posix() for path in (assets.FOLDER / "vendor").rglob("*.*")}
    licences = {path for path in listed if path.endswith("LICENSE")}
    assert there == listed - licences | {"manifest.json"}


# --- who sees what -------------------------------------------------------------------------------------------------


async def test_who_has_no_token_sees_a_door_and_nothing_behind_it(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    fake.tokens = (fake_node.VIEWER,)
    for headers in (STRANGER, {"Authorization": "Bearer wrong"}):
        text = await drawn(http, **headers)
        assert "A token is needed" in text
        assert "ns1" not in text
        assert "example.com" not in text
    assert "live.example.com" in await drawn(http, **VIEWER)


async def test_where_names_are_public_everybody_sees_names_and_rungs_and_nothing_else(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    fake.is_public, fake.tokens, fake.body = True, (fake_node.VIEWER,), world.status()
    world.fall(fake.body, 0)
    text = await drawn(http, **STRANGER)
    assert "2 of 3 names are not on their first pool." in words(text)
    assert "n0.example.com" in text
    async with http.get("/api/v1/board", headers=STRANGER) as response:
        said = await response.text()
        assert json.loads(said)["may"] == ["glance"]
    for path in ("/api/v1/names", "/api/v1/names?limit=2"):
        async with http.get(path, headers=STRANGER) as response:
            body = await response.json()
            said += json.dumps(body)
            assert all(set(row) == {"name", "rung"} for row in body["names"])
    for secret in ("10.0.0", "s0-0", "503", "p0", "p1", "city.mmdb", "abc123", "ns1"):
        assert secret not in words(text)
        assert secret not in said
    for path in ("status", "endpoints", "pools", "sites", "events", "places", "orders", "explain?name=x"):
        async with http.get(f"/api/v1/{path}", headers=STRANGER) as response:
            assert response.status == 401
    async with http.get("/api/v1/board", headers=VIEWER) as response:
        assert (await response.json())["may"] == ["glance", "read"]


async def test_nobody_searches_by_what_they_may_not_see(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    fake.is_public, fake.tokens, fake.body = True, (fake_node.VIEWER,), world.status()
    for query in ("search=p0", "pool=p0"):
        async with http.get(f"/api/v1/names?{query}", headers=STRANGER) as response:
            assert (await response.json())["names"] == []


# --- lists ---------------------------------------------------------------------------------------------------------


async def listed(http: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    async with http.get(f"/api/v1/{path}") as response:
        assert response.status == 200
        body: dict[str, Any] = await response.json()
        return body


async def test_a_list_comes_in_pages_the_worst_first(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    fake.body = world.status(names=10)
    fake.body["names"][7]["rung"] = "degraded"
    body = await listed(http, "names?limit=3")
    assert [one["name"] for one in body["names"]] == [f"n{at}.example.com." for at in (7, 0, 1)]
    assert (body["total"], body["matched"], body["offset"]) == (10, 10, 0)
    body = await listed(http, "names?offset=8&limit=500")
    assert [one["name"] for one in body["names"]] == ["n8.example.com.", "n9.example.com."]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("names?search=N1.", ["n1.example.com."]),
        ("names?pool=p1", ["n1.example.com."]),
        ("names?state=trouble", ["n0.example.com.", "n2.example.com."]),
        ("names?state=first,degraded", ["n1.example.com."]),
        ("endpoints?state=down", ["s0-0/ipv4", "s0-1/ipv4"]),
        ("endpoints?site=s1&search=s1-1", ["s1-1/ipv4"]),
        ("endpoints?pool=p1", ["s1-0/ipv4", "s1-1/ipv4"]),
        ("endpoints?search=status%20503&limit=1", ["s0-0/ipv4"]),
        ("pools?state=down", ["p0"]),
        ("pools?pool=p1", ["p1"]),
        ("sites?state=trouble", ["s0"]),
    ],
)
async def test_a_list_is_searched_and_filtered_by_the_server(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, path: str, found: list[str]
) -> None:
    fake.body = world.status()
    world.fall(fake.body, 0)
    if path == "names?pool=p1":
        fake.body["names"][0]["pools"] = fake.body["names"][2]["pools"] = ["p7"]
    body = await listed(http, path)
    (kind,) = set(body) & set(rows.KINDS)
    assert [one.get("key", one.get("name")) for one in body[kind]] == found


@pytest.mark.parametrize("query", ["offset=-1", "limit=x", "limit=1.5", "search=" + "a" * 256])
async def test_a_bad_page_is_refused(http: aiohttp.ClientSession, query: str) -> None:
    async with http.get(f"/api/v1/names?{query}") as response:
        assert response.status == 400


async def test_in_a_big_world_the_page_and_the_summary_stay_small(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    fake.body = world.status(sites=20, per_site=100, names=10_000)
    world.fall(fake.body, 0)
    assert len(await drawn(http)) < 400_000
    async with http.get("/api/v1/board") as response:
        assert len(await response.read()) < 5_000
    body = await listed(http, "pools?limit=12")
    assert all(len(one["roster"]) == rows.ROSTER for one in body["pools"])
    assert [one["condition"] for one in body["pools"]][:2] == ["down", "up"]


def test_an_order_on_everything_makes_the_summary_no_bigger() -> None:
    order = seen.Override("o1", "*", "drain", 1.0, "ops", "", fake_node.NOW)
    shown = board.order_shape(node.OrderView(order, tuple(f"e{at}" for at in range(2000))))
    assert shown["covers"] == 2000
    assert len(shown["endpoints"]) == board.MAX_COVERED


async def test_answers_are_placed_on_the_map_by_where_they_went(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    fake.measured = {"series": [
        {"name": "EU-DE", "values": [None, 2.0, 4.0]}, {"name": "AS", "values": [None, 1.0, None]},
        {"name": "unknown", "values": [0.0, 0.0]}, {"name": "nowhere", "values": [1.0]},
    ]}  # fmt: skip
    body = await listed(http, "places")
    assert [(one["place"], one["continent"], one["share"]) for one in body["places"]] == [
        ("EU-DE", "Europe", 0.6), ("AS", "Asia", 0.2), ("nowhere", "nowhere", 0.2),
    ]  # fmt: skip
    assert (body["places"][0]["x"], body["places"][0]["y"]) == chart.of_place("EU-DE")
    assert body["places"][2]["x"] is None


# --- arithmetic ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lon", "lat", "x", "y"),  # as d3-geo 3.1.1 projects them: tools/world_map.mjs prints these
    [
        (8.68, 50.11, 520.79, 103.44), (-74.01, 40.71, 313.84, 132.72), (103.82, 1.35, 783.96, 257.73),
        (151.2, -33.9, 890.85, 369.67), (-179.9, 65, 112.82, 59.81),
    ],
)  # fmt: skip
def test_a_point_lies_where_the_map_was_drawn(lon: float, lat: float, x: float, y: float) -> None:
    assert chart.point(lat, lon) == pytest.approx((x, y), abs=0.06)


def test_a_place_is_a_country_or_else_a_continent() -> None:
    assert chart.of_place("NA-US-CA") == chart.of_place("NA-US") != chart.of_place("NA")
    assert chart.of_place("XX") is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.9, "59s"), (200, "3m 20s"), (90_000, "1d 1h"), (-3, "0s")]
)
def test_a_span_has_two_units(seconds: float, text: str) -> None:
    assert page.span(seconds) == text
