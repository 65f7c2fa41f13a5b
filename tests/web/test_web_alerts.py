"""Alerts over HTTP: looked at by readers, tested and silenced by operators, and refused when it makes no sense."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.web import fake_node

SILENCES = "/api/v1/alerts/silences"


async def test_a_silence_reaches_the_node_with_who_and_how_long(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    async with http.post(SILENCES, json={"target": "site:fra", "for_s": "1h", "why": "move"}) as response:
        assert response.status == 201
        assert (await response.json())["silence"]["until"] == fake_node.NOW + 3600
    assert fake.asked == [("silence", "site:fra", 3600.0, "move", "loopback")]
    async with http.delete(f"{SILENCES}/5ea1") as response:
        assert await response.json() == {"ended": "5ea1"}
    async with http.delete(f"{SILENCES}/gone") as response:
        assert response.status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"target": "fra-1"}, {"target": "", "for_s": 5}, {"target": "a" * 256, "for_s": 5}, {"for_s": 5},
        {"target": "a\nb", "for_s": 5}, {"target": "a", "for_s": -1}, {"target": "a", "for_s": 1e99},
        {"target": "a", "for_s": "32d"}, {"target": "a", "for_s": 5, "until": 7}, {"target": 7, "for_s": 5},
    ],
)  # fmt: skip
async def test_a_silence_that_makes_no_sense_is_refused(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, body: dict[str, Any]
) -> None:
    async with http.post(SILENCES, json=body) as response:
        assert response.status == 400
    assert fake.asked == []


async def test_a_test_that_was_not_taken_is_no_success(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    async with http.post("/api/v1/alerts/test", json={"to": "slack"}) as response:
        assert (response.status, (await response.json())["results"]) == (200, fake.tried)
    fake.tried[0]["ok"] = False
    async with http.post("/api/v1/alerts/test", json={}) as response:
        said = await response.json()
        assert (response.status, said["error"]["code"], said["results"]) == (502, "not-sent", fake.tried)
    async with http.post("/api/v1/alerts/test", json={"to": "nobody"}) as response:
        assert response.status == 404
    assert [one[1] for one in fake.asked] == ["slack", "", "nobody"]


async def test_what_is_open_is_shown(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v1/alerts") as response:
        assert await response.json() == fake_node.ALERTS
    async with http.get(SILENCES) as response:
        assert await response.json() == {"silences": fake_node.ALERTS["silences"]}
