"""A fake node, the application over it, and a client: the fixtures of the web's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from gtm import model
from gtm.web import application
from tests.web import fake_node


@pytest.fixture
def fake() -> fake_node.FakeNode:
    return fake_node.FakeNode()


@pytest_asyncio.fixture
async def served(fake: fake_node.FakeNode) -> AsyncIterator[application.Served]:
    app = application.make(fake, now=lambda: fake_node.NOW)
    running = await application.start(app, model.Listen("127.0.0.1", 0))
    yield running
    await running.close()


@pytest_asyncio.fixture
async def http(served: application.Served) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{served.port}") as session:
        yield session
