"""Big answers are made in slices, and are the same as those that are made in one go."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from gtm.web import reply


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"a": 1, "few": [1, 2], "text": 'ä"'},
        {"names": [{"name": f"n{one}", "up": True} for one in range(2 * reply.SLICE_ROWS + 1)], "last": None},
        {"first": {}, "names": list(range(2 * reply.SLICE_ROWS)), "none": []},
    ],
)
async def test_an_answer_in_slices_is_the_same_answer(body: dict[str, Any]) -> None:
    request = make_mocked_request("GET", "/")
    sliced, whole = await reply.tagged_in_slices(request, body), reply.tagged(request, body)
    assert isinstance(sliced.body, bytes)
    assert (sliced.body, sliced.headers["ETag"]) == (whole.body, whole.headers["ETag"])
    assert json.loads(sliced.body) == body
    again = make_mocked_request("GET", "/", headers={"If-None-Match": sliced.headers["ETag"]})
    assert (await reply.tagged_in_slices(again, body)).status == 304


async def test_the_loop_turns_while_a_big_answer_is_made() -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.get_running_loop().create_task(turn())
    await reply.tagged_in_slices(make_mocked_request("GET", "/"), {"names": list(range(20 * reply.SLICE_ROWS))})
    other.cancel()
    assert turns >= 20
