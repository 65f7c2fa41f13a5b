"""Previews, floors and the door to orders over HTTP: flags are exact, refusals said, attempts counted."""

from __future__ import annotations

from collections.abc import Callable
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
        *[("127.0.0.1", "wrong-token: POST /api/v1/orders")] * audit.ONE_BY_ONE,
        (f"{fake_node.VIEWER.name} at 127.0.0.1", "not-allowed: DELETE /api/v1/orders/%1B%5B2J"),
    ]
    assert all(why.isprintable() for _, why in fake.denials)
    assert fake_node.VIEWER.secret not in str(fake.denials)


class Minutes:
    """Calls back when the test says that a minute is over."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def later(self, wait_s: float, call: Callable[[], None]) -> None:
        assert wait_s == audit.EVERY_S
        self.calls.append(call)

    def over(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


def test_an_attacker_with_many_addresses_fills_nothing() -> None:
    fake, clock = fake_node.FakeNode(), Minutes()
    door = audit.Audit(clock.later)
    for minute in range(10):
        for number in range(12_000):
            door.denied(fake, f"2001:db8::{number:x}:{minute:x}", "wrong-token", "POST /api/v1/orders")
        assert len(clock.calls) == 1
        clock.over()
    assert len(fake.denials) <= 10 * (audit.MOST + 1) * (audit.ONE_BY_ONE + 1)
    told = [why for who, why in fake.denials if who == audit.OTHERS]
    assert told[-1] == "denied: 11,981 times more within a minute"


def test_each_refused_attempt_is_an_event_and_of_many_it_is_told_how_many() -> None:
    fake, clock = fake_node.FakeNode(), Minutes()
    door = audit.Audit(clock.later)
    for _ in range(60):
        door.denied(fake, "192.0.2.1", "wrong-token", "POST /")
    door.denied(fake, "viewer at 192.0.2.1", "not-allowed", "POST /")
    clock.over()
    assert fake.denials == [
        *[("192.0.2.1", "wrong-token: POST /")] * audit.ONE_BY_ONE,
        ("viewer at 192.0.2.1", "not-allowed: POST /"),
        ("192.0.2.1", f"wrong-token: {60 - audit.ONE_BY_ONE} times more within a minute"),
    ]
    assert not clock.calls, "and nothing goes on when nothing comes"
