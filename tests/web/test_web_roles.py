"""Who may do what: every route, by every kind of caller; and nobody through a browser's back door."""

from __future__ import annotations

import json

import aiohttp
import pytest

from gtm import model
from gtm.web import application, auth, node, openapi, orders, routes
from tests.web import fake_node

BODIES = {
    "/api/v1/orders": {"target": "fra-1", "order": "drain"},
    "/api/v1/alerts/test": {},
    "/api/v1/alerts/silences": {"target": "fra-1", "for_s": 60},
    "/api/v1/acme": {"name": "example.com", "value": "token"},
    "/api/v1/reload": {},
    "/api/v1/replace": {},
    "/api/v1/checks/{name}/{endpoint}": {"ok": True},
}
CALLERS: dict[str, dict[str, str]] = {
    # As a proxy on this machine would send it: nothing may be borrowed from the proxy's address.
    "stranger": {"X-Forwarded-For": "203.0.113.9"},
    "wrong": {"Authorization": "Bearer no-such-secret"},
    "viewer": {"Authorization": f"Bearer {fake_node.VIEWER.secret}"},
    "operator": {"Authorization": f"Bearer {fake_node.OPERATOR.secret}"},
    "pusher": {"Authorization": f"Bearer {fake_node.PUSHER.secret}"},
    "prover": {"Authorization": f"Bearer {fake_node.PROVER.secret}"},
    "loopback": {},
}
REFUSED = {
    # needs -> caller -> the status with tokens set; who is not named may pass
    "open": {},
    "glance": {"stranger": 401, "wrong": 401, "pusher": 403, "prover": 403},
    "read": {"stranger": 401, "wrong": 401, "pusher": 403, "prover": 403},
    "push": {"stranger": 401, "wrong": 401, "viewer": 403, "loopback": 403, "prover": 403},
    "acme": {"stranger": 401, "wrong": 401, "viewer": 403, "loopback": 403, "pusher": 403},
    "operate": {"stranger": 401, "wrong": 401, "viewer": 403, "pusher": 403, "loopback": 403, "prover": 403},
}
ROUTES = [route for route in routes.ROUTES if route.media != "text/event-stream"]


async def ask(
    http: aiohttp.ClientSession, route: openapi.Route, headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    path = route.canonical.format(name="hls", endpoint="fra-1", id="a1", build="x", file="gtm.css")
    path += "?name=live.example.com" if path.endswith("explain") else ""
    body = BODIES.get(route.canonical)
    async with http.request(route.method, path, json=body, headers=headers) as response:
        return response.status, dict(response.headers), await response.read()


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.canonical}")
async def test_each_caller_passes_exactly_where_the_role_allows_it(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, route: openapi.Route, who: str
) -> None:
    fake.tokens = (fake_node.OPERATOR, fake_node.VIEWER, fake_node.PUSHER, fake_node.PROVER)
    status, headers, body = await ask(http, route, CALLERS[who])
    wanted = REFUSED[route.needs].get(who)
    if wanted is None:
        assert status in {200, 201, 202}
        return
    assert status == wanted
    assert set(json.loads(body)["error"]) == {"code", "message", "hint"}
    assert ("WWW-Authenticate" in headers) == (wanted == 401)
    assert fake.asked == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.canonical}")
async def test_without_tokens_loopback_may_do_everything_and_a_stranger_only_what_is_open(
    http: aiohttp.ClientSession, route: openapi.Route
) -> None:
    assert (await ask(http, route, {}))[0] in {200, 201, 202}
    assert ((await ask(http, route, CALLERS["stranger"]))[0] == 401) == (route.needs != "open")


def test_whatever_changes_something_asks_for_an_operator_but_news_of_a_machine() -> None:
    changing = [route for route in routes.ROUTES if route.method != "GET"]
    others = [route for route in changing if not route.path.startswith(("/api/v1/checks/", "/api/v1/acme"))]
    assert {route.needs for route in others} == {"operate"}
    assert {route.needs for route in changing if route.path.startswith("/api/v1/acme")} == {"acme"}
    assert {route.needs for route in changing if route.path.startswith("/api/v1/checks/")} == {"push"}


async def test_a_pusher_speaks_for_its_own_endpoints_only(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    fake.tokens = (fake_node.OPERATOR, fake_node.PUSHER)
    for endpoint, wanted in (("fra-1", 202), ("lon-1", 403)):
        where = f"/api/v1/checks/agent/{endpoint}"
        async with http.post(where, json={"ok": True}, headers=CALLERS["pusher"]) as response:
            assert response.status == wanted
    assert [one[2] for one in fake.asked] == ["fra-1"]


async def test_G6_news_of_one_check_are_taken_so_often_and_no_more(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    found = []
    for _ in range(int(orders.PUSH_BURST) + 5):
        async with http.post("/api/v1/checks/agent/fra-1", json={"ok": True}) as response:
            found.append(response.status)
    assert found[: int(orders.PUSH_BURST)] == [202] * int(orders.PUSH_BURST)
    assert found[-1] == 429
    async with http.post("/api/v1/checks/agent/fra-2", json={"ok": True}) as response:
        assert response.status == 202


async def test_the_stream_of_events_is_closed_to_strangers(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    async with http.get("/api/v1/stream", headers=CALLERS["stranger"]) as response:
        assert response.status == 401
    assert fake.asked == []


async def test_a_stranger_learns_nothing_about_which_paths_there_are(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v1/no-such-thing", headers=CALLERS["stranger"]) as response:
        assert response.status == 401


async def test_a_token_whose_secret_is_lost_lets_nobody_in_and_still_closes_the_door(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    fake.tokens = (node.Credential("ops", "operator", ""),)
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer"}):
        async with http.post("/api/v1/reload", json={}, headers=headers) as response:
            assert response.status in {401, 403}
    assert fake.asked == []


@pytest.mark.parametrize("header", ["Basic b3BzOm9wZXJhdG9yLXNlY3JldA==", "operator-secret", "Bearer \xff\xfe", "x"])
async def test_other_ways_to_show_a_token_are_refused_even_from_loopback(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, header: str
) -> None:
    fake.tokens = (fake_node.OPERATOR,)
    async with http.get("/api/v1/status", headers={"Authorization": header}) as response:
        assert response.status == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8053", "127.0.0.1.evil.example", "192.0.2.1", "[::2]"])
async def test_a_page_with_a_rebound_name_gets_nothing_from_loopback(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, host: str
) -> None:
    async with http.get("/api/v1/status", headers={"Host": host}) as response:
        assert response.status == 403
        assert (await response.json())["error"]["code"] == "foreign-host"
    assert fake.asked == []


@pytest.mark.parametrize("host", ["localhost", "localhost:8053", "127.0.0.1", "127.1.2.3:1", "[::1]:8053"])
async def test_this_machine_has_several_names(http: aiohttp.ClientSession, host: str) -> None:
    async with http.get("/api/v1/status", headers={"Host": host}) as response:
        assert response.status == 200


async def test_with_a_token_the_host_may_be_called_anything(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    fake.tokens = (fake_node.VIEWER,)
    async with http.get("/", headers={"Host": "gtm.example.com", **CALLERS["viewer"]}) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://[bad"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/api/v1/orders"), ("DELETE", "/api/v1/orders/a1")])
async def test_another_sites_page_cannot_order_through_a_browser(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, headers: dict[str, str], method: str, path: str
) -> None:
    async with http.request(method, path, json=BODIES["/api/v1/orders"], headers=headers) as response:
        assert response.status == 403
    assert fake.asked == []


async def test_our_own_page_may_order(served: application.Served, http: aiohttp.ClientSession) -> None:
    headers = {"Origin": f"http://127.0.0.1:{served.port}", "Sec-Fetch-Site": "same-origin"}
    async with http.post("/api/v1/orders", json=BODIES["/api/v1/orders"], headers=headers) as response:
        assert response.status == 201


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_a_form_is_not_an_order(fake: fake_node.FakeNode, http: aiohttp.ClientSession, kind: str) -> None:
    async with http.post("/api/v1/reload", data=b"{}", headers={"Content-Type": kind}) as response:
        assert response.status == 415
    assert fake.asked == []


@pytest.mark.parametrize(
    ("address", "is_it"),
    [
        ("127.0.0.1", True), ("127.255.0.3", True), ("::1", True), ("::ffff:127.0.0.1", True), ("::1%lo", True),
        ("192.0.2.1", False), ("::ffff:192.0.2.1", False), ("0.0.0.0", False), ("", False), ("localhost", False),
    ],
)  # fmt: skip
def test_loopback_is_told_from_other_addresses(address: str, is_it: bool) -> None:
    assert auth.is_loopback(address) is is_it


def test_secrets_come_from_the_environment_a_file_or_the_configuration(tmp_path: object) -> None:
    path = f"{tmp_path}/token"
    with open(path, "w", encoding="utf-8") as file:
        file.write("from-file\n")
    tokens = (
        model.Token("a", "operator", secret_env="A"),
        model.Token("b", "viewer", secret_file=path),
        model.Token("c", "viewer", secret="in-the-open"),
        model.Token("d", "operator", secret_env="MISSING"),
        model.Token("e", "operator", secret_file=f"{path}-missing"),
    )
    found, problems = auth.credentials(tokens, {"A": "from-environment"})
    assert [one.secret for one in found] == ["from-environment", "from-file", "in-the-open", "", ""]
    assert [one.role for one in found] == [one.role for one in tokens]
    assert len(problems) == 2
    assert "MISSING" in problems[0]
    assert "cannot be read" in problems[1]
    assert "from-file" not in repr(found)
