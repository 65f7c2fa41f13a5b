"""What operators and machines send in: taken whole and exact, or refused before the node hears of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from gtm import errors, model
from gtm.web import application, doh, node, orders
from tests.web import fake_node

PUSH = "/api/v1/checks/hls/fra-1"


async def post(http: aiohttp.ClientSession, path: str, body: Any) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with http.post(path, data=data, headers={"Content-Type": "application/json"}) as response:
        return response.status, await response.json()


async def test_an_order_reaches_the_node_with_who_when_and_until(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    body = {"target": "site:fra", "order": "weight", "value": 0.25, "for_s": 90, "why": "new disks"}
    status, said = await post(http, "/api/v1/orders", body)
    assert status == 201
    (_, order), *_ = fake.asked
    assert (order.target, order.order, order.value, order.why) == ("site:fra", "weight", 0.25, "new disks")
    assert (order.by, order.at, order.until) == ("loopback", fake_node.NOW, fake_node.NOW + 90)
    assert said["order"]["id"] == order.id != ""
    assert said["order"]["endpoints"] == ["fra-1"]


async def test_the_list_of_orders_comes_in_pages_when_asked(http: aiohttp.ClientSession) -> None:
    for endpoint in ("fra-1", "ams-1"):
        await post(http, "/api/v1/orders", {"target": endpoint, "order": "drain"})
    for query, targets in (("", ["fra-1", "ams-1"]), ("?limit=1", ["fra-1"]), ("?offset=1&limit=5", ["ams-1"])):
        async with http.get("/api/v1/orders" + query) as response:
            said = await response.json()
        assert ([one["target"] for one in said["orders"]], said["total"]) == (targets, 2)
    async with http.get("/api/v1/orders?limit=-1") as response:
        assert response.status == 400


async def test_D3_a_drain_shows_when_the_last_old_answer_has_died_out(http: aiohttp.ClientSession) -> None:
    _, said = await post(http, "/api/v1/orders", {"target": "fra-1", "order": "drain"})
    assert said["order"]["safe_at"] == fake_node.NOW + 30
    assert said["order"]["until"] is None
    async with http.get("/api/v1/orders") as response:
        assert (await response.json())["orders"] == [said["order"]]


async def test_an_operators_name_stands_in_the_order(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    fake.tokens = (fake_node.OPERATOR,)
    headers = {"Authorization": f"bearer {fake_node.OPERATOR.secret}"}
    async with http.post("/api/v1/orders", json={"target": "a", "order": "up"}, headers=headers) as response:
        assert (await response.json())["order"]["by"] == "ops"


@pytest.mark.parametrize("value", ["30m", 1800, 1800.0])
async def test_durations_and_shares_may_be_numbers_or_words(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, value: Any
) -> None:
    await post(http, "/api/v1/orders", {"target": "a", "order": "weight", "value": "50%", "for_s": value})
    assert fake.asked[0][1].until == fake_node.NOW + 1800
    assert fake.asked[0][1].value == 0.5


@pytest.mark.parametrize(
    "body",
    [
        b"", b"nonsense", b"[]", b"null", b'{"target": ', b"[" * 60_000, b"\xff\xfe{}",
        {}, {"target": "a"}, {"order": "drain"}, {"target": "", "order": "drain"}, {"target": 5, "order": "drain"},
        {"target": "a\x1b[2J", "order": "drain"}, {"target": "a" * 256, "order": "drain"},
        {"target": "a", "order": "explode"}, {"target": "a", "order": ["drain"]},
        {"target": "a", "order": "weight"}, {"target": "a", "order": "weight", "value": -0.1},
        {"target": "a", "order": "weight", "value": 1.5}, {"target": "a", "order": "weight", "value": True},
        {"target": "a", "order": "weight", "value": "half"},
        b'{"target": "a", "order": "weight", "value": NaN}', b'{"target": "a", "order": "drain", "for_s": 1e999}',
        b'{"target": "a", "order": "drain", "for_s": 1' + b"0" * 400 + b"}",
        {"target": "a", "order": "drain", "for_s": 0}, {"target": "a", "order": "drain", "for_s": -5},
        {"target": "a", "order": "drain", "for_s": "soon"}, {"target": "a", "order": "drain", "for_s": 10**9},
        {"target": "a", "order": "drain", "why": "x" * 501}, {"target": "a", "order": "drain", "until": 5},
    ],
)  # fmt: skip
async def test_a_bad_order_is_refused_before_the_node_hears_it(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, body: Any
) -> None:
    status, said = await post(http, "/api/v1/orders", body)
    assert status == 400
    assert said["error"]["message"]
    assert fake.asked == []
    assert fake.given == []


async def test_an_order_that_matches_nothing_is_refused_with_a_hint(http: aiohttp.ClientSession) -> None:
    status, said = await post(http, "/api/v1/orders", {"target": "nowhere", "order": "drain"})
    assert status == 404
    assert said["error"] == {"code": "no-match", "message": "'nowhere' matches nothing", "hint": "did you mean fra-1?"}


async def test_F5_without_the_store_orders_are_refused_in_plain_words(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    fake.raises = errors.StoreError("disk full")
    status, said = await post(http, "/api/v1/orders", {"target": "fra-1", "order": "drain"})
    assert status == 503
    assert said["error"]["code"] == "store"
    assert "answering goes on" in said["error"]["hint"]


@pytest.mark.parametrize(
    ("path", "which"), [("a1", "a1"), ("site:fra", "site:fra"), ("edge-%2A", "edge-*"), ("a%2Fb", "a/b")]
)
async def test_a_release_names_an_order_or_a_target(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, path: str, which: str
) -> None:
    async with http.delete(f"/api/v1/orders/{path}") as response:
        assert await response.json() == {"released": {"orders": ["a1"], "latches": [], "left": []}}
    assert fake.asked == [("drop_order", which, "loopback")]


@pytest.mark.parametrize(("path", "status"), [("nowhere", 404), ("%1b%5b2J", 400), ("a" * 256, 400)])
async def test_a_release_of_nothing_is_refused(http: aiohttp.ClientSession, path: str, status: int) -> None:
    async with http.delete(f"/api/v1/orders/{path}") as response:
        assert response.status == status


async def test_a_replacement_is_done_or_says_why_not(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    assert await post(http, "/api/v1/replace", {"within_s": "20s"}) == (200, {"replaced": True})
    fake.replaced = node.Replaced(False, "it was not ready within 90 s")
    status, said = await post(http, "/api/v1/replace", {"yes": True})
    assert (status, said["replaced"], said["error"]["message"]) == (409, False, "it was not ready within 90 s")
    assert fake.asked == [("replace", False, 20.0, "loopback"), ("replace", True, 90.0, "loopback")]
    for body in ({"yes": 1}, {"within_s": -1}, {"within": 5}):
        assert (await post(http, "/api/v1/replace", body))[0] == 400


async def test_G3_a_reload_shows_its_plan_and_waits_for_a_yes_when_it_moves_much(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    fake.outcome = node.Reloaded(False, ("80% of answers move",), needs_yes=True)
    status, said = await post(http, "/api/v1/reload", {})
    assert (status, said["error"]["code"], said["plan"]) == (409, "needs-yes", ["80% of answers move"])
    status, said = await post(http, "/api/v1/reload", {"yes": True})
    assert (status, said["accepted"]) == (200, True)
    assert [one[1] for one in fake.asked] == [False, True]


async def test_a_refused_reload_shows_all_problems(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    problems = [{"severity": "error", "code": "unknown-key", "message": "unknown key 'tll'"}]
    fake.outcome = node.Reloaded(False, problems=problems, text="gtm.yaml:3:1: unknown key 'tll'")
    status, said = await post(http, "/api/v1/reload", {})
    assert (status, said["accepted"], said["problems"]) == (422, False, problems)
    assert (await post(http, "/api/v1/reload", {"yes": "please"}))[0] == 400


async def test_pushed_news_reach_the_node(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    measures: dict[str, model.Value] = {"fps": 24.5, "ok": True, "v": "x"}
    body = {"ok": False, "reason": "encoder lost", "valid_for_s": 30, "measures": measures, "overloaded": "97% CPU"}
    assert (await post(http, PUSH, body))[0] == 202
    assert fake.asked == [("push", "hls", "fra-1", node.Push(False, "encoder lost", 30.0, measures, "97% CPU"))]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"ok": 1}, {"ok": "true"}, {"ok": True, "valid_for_s": 0}, {"ok": True, "valid_for_s": 1e9},
        {"ok": True, "measures": []}, {"ok": True, "measures": {"a": {}}}, {"ok": True, "measures": {"a": None}},
        {"ok": True, "measures": {"": 1}}, {"ok": True, "measures": {str(n): n for n in range(65)}},
        b'{"ok": true, "measures": {"a": NaN}}', {"ok": True, "measures": {"a": 10**400}}, {"ok": True, "more": 1},
    ],
)  # fmt: skip
async def test_bad_news_are_refused(fake: fake_node.FakeNode, http: aiohttp.ClientSession, body: Any) -> None:
    assert (await post(http, PUSH, body))[0] == 400
    assert fake.asked == []


async def test_a_body_over_64_KiB_is_refused(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    body = json.dumps({"target": "a", "order": "drain", "why": "x" * application.MAX_BODY_BYTES}).encode()
    status, said = await post(http, "/api/v1/orders", body)
    assert (status, said["error"]["code"]) == (413, "too-large")
    assert fake.asked == []


@pytest.mark.parametrize(
    ("path", "media"), [("/api/v1/orders", "application/json"), (doh.PATH, doh.MEDIA)], ids=["orders", "doh"]
)
async def test_a_body_that_does_not_come_is_not_waited_for_long(
    fake: fake_node.FakeNode, served: application.Served, monkeypatch: pytest.MonkeyPatch, path: str, media: str
) -> None:
    monkeypatch.setattr(orders, "BODY_WAIT_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {media}\r\n"
        'Content-Length: 100\r\n\r\n{"target"'.encode()
    )
    async with asyncio.timeout(5):
        head = await reader.readline()
    writer.close()
    assert b" 408 " in head
    assert fake.asked == []
