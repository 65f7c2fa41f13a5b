"""ACME challenges over HTTP: held for whoever may, for a while, and refused when they make no sense."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.web import fake_node

PATH = "/api/v1/acme"


async def test_a_challenge_reaches_the_node_with_who_and_how_long(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    async with http.post(PATH, json={"name": "*.example.com", "value": "a-b_c", "for_s": "10m"}) as response:
        assert (response.status, await response.json()) == (201, {"challenge": fake_node.CHALLENGE})
    async with http.post(PATH, json={"name": "example.com", "value": "x"}) as response:
        assert response.status == 201
    async with http.delete(f"{PATH}/example.com", params={"value": "a-b_c"}) as response:
        assert await response.json() == {"cleared": 1}
    async with http.delete(f"{PATH}/nowhere") as response:
        assert response.status == 404
    assert fake.asked == [
        ("put_challenge", "*.example.com", "a-b_c", 600.0, "loopback"),
        ("put_challenge", "example.com", "x", 0.0, "loopback"),
        ("drop_challenge", "example.com", "a-b_c", "loopback"),
        ("drop_challenge", "nowhere", "", "loopback"),
    ]
    async with http.get(PATH) as response:
        assert await response.json() == {"challenges": [fake_node.CHALLENGE]}


@pytest.mark.parametrize(
    "body",
    [
        {"name": "example.com"}, {"value": "x"}, {"name": "", "value": "x"}, {"name": "a" * 256, "value": "x"},
        {"name": "a.example", "value": "x" * 256}, {"name": "a.example", "value": "a\nb"},
        {"name": "a.example", "value": "x", "for_s": "25h"}, {"name": "a.example", "value": "x", "for_s": 0},
        {"name": "a.example", "value": 7}, {"name": "a.example", "value": "x", "ttl": 7},
    ],
)  # fmt: skip
async def test_a_challenge_that_makes_no_sense_is_refused(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, body: dict[str, Any]
) -> None:
    async with http.post(PATH, json=body) as response:
        assert response.status == 400
    assert fake.asked == []
