"""What people and machines read: shapes, errors, headers, the page; and nothing hostile gets through it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

import aiohttp
import openapi_spec_validator
import pytest

from gtm import errors, model
from gtm.web import application, limit, node, routes
from tests.web import fake_node


async def get(http: aiohttp.ClientSession, path: str, **more: Any) -> tuple[int, Any]:
    async with http.get(path, **more) as response:
        return response.status, await response.json()


async def test_status_and_its_parts_are_what_the_node_says(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    assert await get(http, "/api/v1/status") == (200, fake.body)
    for word in ("endpoints", "pools", "names"):
        assert await get(http, f"/api/v1/{word}") == (200, {word: fake.body[word]})


async def test_a_status_that_has_not_changed_is_not_sent_again(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    async with http.get("/api/v1/status") as response:
        tag = response.headers["ETag"]
    async with http.get("/api/v1/status", headers={"If-None-Match": f'"other", W/{tag}'}) as response:
        assert response.status == 304
        assert await response.read() == b""
    fake.body["revision"] = 8
    async with http.get("/api/v1/status", headers={"If-None-Match": tag}) as response:
        assert response.status == 200


async def test_a_process_that_lives_says_so_even_when_it_is_not_ready(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    fake.is_ready = (False, "the first round of checks is under way")
    assert (await get(http, "/healthz"))[0] == 200
    status, body = await get(http, "/readyz")
    assert status == 503
    assert body["error"]["message"] == "the first round of checks is under way"
    fake.is_ready = (True, "")
    assert await get(http, "/readyz") == (200, {"ready": True})


async def test_explain_hands_the_question_on(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    query = "?name=live.example.com&type=aaaa&client=192.0.2.0/24&assume=fra-*%3Ddown&assume=nyc-1%3Dup"
    assert await get(http, "/api/v1/explain" + query) == (200, fake_node.EXPLAINED)
    assert fake.asked == [("explain", "live.example.com", "AAAA", "192.0.2.0/24", ("fra-*=down", "nyc-1=up"))]


@pytest.mark.parametrize(
    "query",
    [
        "", "name=", "name=a..b", "name=" + "a" * 64, "name=x&type=", "name=x&type=A%20B", "name=x&client=here",
        "name=x&client=1.2.3.4/33", "name=x&assume=fra-1", "name=x&assume=fra-1%3Dsideways", "name=x&assume=%3Ddown",
        "name=x" + "&assume=a%3Ddown" * 65,
    ],
)  # fmt: skip
async def test_a_bad_question_is_refused_before_the_node_hears_it(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, query: str
) -> None:
    status, body = await get(http, f"/api/v1/explain?{query}")
    assert status == 400
    assert body["error"]["message"]
    assert fake.asked == []


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", (0.0, 0, 1000)),
        ("?since=0&after=1&limit=5", (0.0, 1, 5)),
        ("?since=1h", (fake_node.NOW - 3600, 0, 1000)),
        ("?since=1700000001.5&limit=999999", (1700000001.5, 0, 1000)),
        ("?since=2023-11-14T22:13:21Z", (fake_node.NOW + 1, 0, 1000)),
        ("?since=2023-11-14T23:13:21%2B01:00", (fake_node.NOW + 1, 0, 1000)),
    ],
)
async def test_events_are_asked_for_by_moment_id_and_number(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, query: str, asked: tuple[Any, ...]
) -> None:
    assert (await get(http, "/api/v1/events" + query))[0] == 200
    assert fake.asked == [("events", *asked)]


async def test_an_event_has_the_shape_of_the_contract(http: aiohttp.ClientSession) -> None:
    _, body = await get(http, "/api/v1/events?after=1")
    assert body == {
        "events": [
            {
                "id": 2, "at": fake_node.NOW + 2, "kind": "endpoint", "subject": "fra-1", "before": "up",
                "after": "down", "cause": "status 503",
            }
        ]
    }  # fmt: skip


@pytest.mark.parametrize(
    "query", ["since=yesterday", "since=-1h", "after=-1", "after=1.5", "limit=x", "after=" + "9" * 40]
)
async def test_a_bad_moment_or_number_is_refused(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, query: str
) -> None:
    assert (await get(http, f"/api/v1/events?{query}"))[0] == 400
    assert fake.asked == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/api/v1/", 404, "not-found"),
        ("GET", "/static/../application.py", 404, "not-found"),
        ("GET", "/static/x/../../application.py", 404, "not-found"),
        ("GET", "/static/x/%2e%2e/page.py", 404, "not-found"),
        ("POST", "/api/v1/status", 405, "method-not-allowed"),
        ("PUT", "/api/v1/orders", 405, "method-not-allowed"),
        ("DELETE", "/", 405, "method-not-allowed"),
    ],
)
async def test_what_is_not_there_is_said_in_the_one_shape(
    http: aiohttp.ClientSession, method: str, path: str, status: int, code: str
) -> None:
    async with http.request(method, path) as response:
        assert response.status == status
        assert (await response.json())["error"]["code"] == code
        assert ("Allow" in response.headers) == (status == 405)


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (node.Refused("no-such-name", "no"), 404),
        (node.Refused("conflict", "no"), 409),
        (node.Refused("unavailable", "no"), 503),
        (errors.StoreError("disk full"), 503),
        (errors.DomainNameError("bad"), 400),
        (errors.GtmError("bad"), 400),
    ],
)
async def test_what_the_node_raises_on_purpose_has_its_status(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, wrong: Exception, status: int
) -> None:
    fake.raises = wrong
    found, body = await get(http, "/api/v1/status")
    assert found == status
    assert body["error"]["message"] == str(wrong)


async def test_what_nobody_meant_to_raise_stays_inside_and_stands_in_the_log(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    fake.raises = RuntimeError("secret inside")
    with caplog.at_level(logging.ERROR, "gtm.web"):
        async with http.get("/api/v1/status") as response:
            text = await response.text()
    assert response.status == 500
    assert json.loads(text)["error"]["code"] == "internal"
    assert "secret" not in text
    assert "Traceback" not in text
    assert "secret inside" in caplog.text


async def test_what_goes_wrong_inside_again_and_again_is_logged_a_few_times(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    fake.raises = RuntimeError("again")
    for _ in range(50):
        async with http.get("/api/v1/status") as response:
            assert response.status == 500
    assert 1 <= len(caplog.records) < 20


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/api/v1/status", "/nothing", "/static/x/gtm.css"])
async def test_every_answer_carries_the_headers_that_keep_browsers_honest(
    http: aiohttp.ClientSession, path: str
) -> None:
    async with http.get(path) as response:
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["Server"] == "gtm"
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_head_is_get_without_a_body(http: aiohttp.ClientSession) -> None:
    async with http.head("/api/v1/status") as response:
        assert response.status == 200
        assert await response.read() == b""


async def test_the_description_has_every_route_with_its_role(http: aiohttp.ClientSession) -> None:
    _, body = await get(http, "/api/v1/openapi.json")
    described = {(method.upper(), path) for path, methods in body["paths"].items() for method in methods}
    assert described == {(route.method, route.canonical) for route in routes.ROUTES}
    for route in routes.ROUTES:
        operation = body["paths"][route.canonical][route.method.lower()]
        assert (operation["security"] == []) == (route.needs == "open")
        assert ("requestBody" in operation) == (route.method == "POST")
        in_path = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", route.canonical))


async def test_the_description_is_good_openapi(http: aiohttp.ClientSession) -> None:
    _, body = await get(http, "/api/v1/openapi.json")
    openapi_spec_validator.validate(body, cls=openapi_spec_validator.OpenAPIV31SpecValidator)


def test_every_route_that_is_served_is_in_the_table(fake: fake_node.FakeNode) -> None:
    app = application.make(fake)
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert served == set(application.NEEDS)


def test_a_client_that_asks_too_often_waits_and_others_do_not() -> None:
    buckets = limit.Buckets(rate_per_s=2, burst=3, max_clients=2)
    assert [buckets.take("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert buckets.take("b", 0.0)
    assert not buckets.take("a", 0.4)
    assert buckets.take("a", 0.9)
    assert not buckets.take("a", 0.9)
    buckets.take("c", 1.0)  # the third client: b, quiet for longest, is forgotten
    assert len(buckets._left) == 2


async def test_too_many_requests_are_refused_with_when_to_come_back(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limit.Buckets, "take", lambda *_: False)
    async with http.get("/healthz") as response:
        assert response.status == 429
        assert response.headers["Retry-After"] == "1"


async def test_a_packet_that_is_not_http_gets_no_traceback(served: application.Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
    said = await reader.read()
    writer.close()
    assert b" 400 " in said.splitlines()[0]
    assert b"Traceback" not in said
    assert b"gtm/web" not in said


async def test_one_connection_too_many_is_closed(
    served: application.Served, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "MAX_CONNECTIONS", 1)
    assert (await get(http, "/healthz"))[0] == 200  # kept alive by the session
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    assert await reader.read() == b""
    writer.close()
    assert (await get(http, "/healthz"))[0] == 200


async def test_a_client_that_does_not_read_its_answer_is_cut_off(
    fake: fake_node.FakeNode, served: application.Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "SEND_S", 0.05)
    fake.body["digest"] = "x" * 50_000_000  # more than the socket's buffers hold
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
    writer.write(b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    await reader.readline()
    handlers = served._runner.server
    assert handlers is not None
    async with asyncio.timeout(5):
        while handlers.connections:  # noqa: ASYNC110 -- aiohttp tells nobody when a connection goes
            await asyncio.sleep(0.001)
    writer.close()


async def test_an_address_that_is_taken_is_said_plainly(served: application.Served, fake: fake_node.FakeNode) -> None:
    with pytest.raises(errors.GtmError, match=r"cannot listen on 127\.0\.0\.1"):
        await application.start(application.make(fake), model.Listen("127.0.0.1", served.port))


async def test_series_are_asked_for_with_kind_division_moment_and_glob(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    assert await get(http, "/api/v1/series?kind=queries&by=subnet&since=1d&name=a*") == (200, fake_node.SERIES)
    assert fake.asked[-1] == ("series", "queries", "subnet", fake_node.NOW - 86400, "a*")
    assert await get(http, "/api/v1/series") == (200, fake_node.SERIES)
    assert fake.asked[-1] == ("series", "answers", "total", fake_node.NOW - 3600, "")
    assert (await get(http, "/api/v1/series?since=soon"))[0] == 400


async def test_what_the_doctor_begins_with_is_asked_for_all_zones_or_one(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    status, body = await get(http, "/api/v1/doctor")
    assert (status, body["node"], fake.asked[-1]) == (200, "ns1", ("doctor", ""))
    await get(http, "/api/v1/doctor?zone=live.example.com")
    assert fake.asked[-1] == ("doctor", "live.example.com")
    assert (await get(http, "/api/v1/doctor?zone=a..b"))[0] == 400


async def test_analytics_are_asked_for_since_a_moment(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    assert await get(http, "/api/v1/analytics?since=1d") == (200, fake_node.ANALYTICS)
    assert fake.asked[-1] == ("analytics", fake_node.NOW - 86400)
    assert (await get(http, "/api/v1/analytics?since=never"))[0] == 400
