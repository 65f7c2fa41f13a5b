"""A fake node that listens on loopback in a thread, and a way to run a command against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click import testing

from gtm.cli import main
from tests.web import fake_node

Run = Callable[..., testing.Result]


@pytest.fixture
def fake() -> fake_node.FakeNode:
    return fake_node.FakeNode()


@pytest.fixture
def url(fake: fake_node.FakeNode) -> Iterator[str]:
    thread = fake_node.Thread(fake)
    yield thread.url
    thread.close()


@pytest.fixture
def gtm(url: str) -> Run:
    """Run `gtm` with these words against the fake node; standard output and error apart."""

    def run(*words: str, **environment: str) -> testing.Result:
        runner = testing.CliRunner(env={"GTM_URL": url, "GTM_TOKEN": "", "COLUMNS": "200", **environment})
        return runner.invoke(main.cli, words, catch_exceptions=False)

    return run
