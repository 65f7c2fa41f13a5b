"""Previews, floors and the door to orders over HTTP: flags are exact, refusals said, attempts counted."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from gtm.web import audit, node
from tests.web import fake_node

DRAIN = {"target": "fra-1", "order": "drain"}


async def test_a_dry_run_is_answered_and_gives_no_order(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    async with http.post("/api/v1/orders", json=DRAIN | {"dry_run": True}) as response:
        assert (response.status, await response.json()) == (200, fake_node.PREVIEW)
    async with http.delete("/api/v1/orders/fra-1?dry_run=true") as response:
        assert (response.status, await response.json()) == (200, fake_node.PREVIEW)
    assert [one[0] for one in fake.asked] == ["preview_order", "preview_drop"]
    assert fake.given == []


async def test_broken_glass_reaches_the_node(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    async with http.post("/api/v1/orders", json=DRAIN | {"break_glass": True}) as response:
        assert (await response.json())["order"]["break_glass"] is True
    assert fake.asked[0][1].break_glass
    async with http.delete("/api/v1/orders/fra-1?break_glass=true") as response:
        assert response.status == 200
    assert fake.asked[1] == ("drop_order", "fra-1", "loopback", "break-glass")


@pytest.mark.parametrize("value", [1, "true", None])
async def test_a_flag_is_true_or_false(fake: fake_node.FakeNode, http: aiohttp.ClientSession, value: Any) -> None:
    for key in ("dry_run", "break_glass"):
        async with http.post("/api/v1/orders", json=DRAIN | {key: value}) as response:
            assert response.status == 400
        async with http.delete(f"/api/v1/orders/fra-1?{key}={value}x") as response:
            assert response.status == 400
    assert fake.asked == []


async def test_an_order_below_a_floor_is_a_conflict(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    fake.raises = node.Refused("below-floor", "pool eu would keep 0 members in service (floor 1)", "--break-glass")
    async with http.post("/api/v1/orders", json=DRAIN) as response:
        said = (await response.json())["error"]
        assert (response.status, said["code"], said["hint"]) == (409, "below-floor", "--break-glass")


async def test_who_is_refused_at_the_door_to_orders_is_written_down(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    fake.tokens = (fake_node.OPERATOR, fake_node.VIEWER)
    for _ in range(5):
        async with http.post("/api/v1/orders", json=DRAIN, headers={"Authorization": "Bearer wrong"}) as response:
            assert response.status == 401
    viewer = {"Authorization": f"Bearer {fake_node.VIEWER.secret}"}
    async with http.delete("/api/v1/orders/%1B%5B2J", headers=viewer) as response:
        assert response.status == 403
    async with http.get("/api/v1/status", headers={"Authorization": "Bearer wrong"}) as response:
        assert response.status == 401
    assert fake.denials == [
        ("127.0.0.1", "wrong-token: POST /api/v1/orders"),
        ("127.0.0.1", "not-allowed: DELETE /api/v1/orders/%1B%5B2J"),
    ]
    assert all(why.isprintable() for _, why in fake.denials)
    assert fake_node.VIEWER.secret not in str(fake.denials)


def test_an_attacker_with_many_addresses_fills_nothing() -> None:
    fake, door = fake_node.FakeNode(), audit.Audit()
    for second in range(600):
        for number in range(200):
            door.denied(fake, f"2001:db8::{number:x}:{second:x}", "wrong-token", "POST /api/v1/orders", float(second))
    assert len(fake.denials) <= 10 * (audit.MOST + 1)
    told = [why for who, why in fake.denials if who == audit.OTHERS]
    assert any("times more before" in why for why in told)


def test_a_minute_later_the_same_address_is_told_again_with_how_often() -> None:
    fake, door = fake_node.FakeNode(), audit.Audit()
    for second in range(61):
        door.denied(fake, "192.0.2.1", "wrong-token", "POST /", float(second))
    assert [why for _, why in fake.denials] == ["wrong-token: POST /", "wrong-token: POST /, and 59 times more before"]
