"""`gtm alerts` and its commands against a fake node."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Run
from tests.web import fake_node


def test_alerts_shows_receivers_what_is_open_what_waits_and_what_is_silenced(gtm: Run) -> None:
    result = gtm("alerts")
    assert result.exit_code == 0
    for said in (
        "ops",
        "slack",
        "site fra: 2 of 3 endpoints are down",
        "connection refused",
        "Not sent yet (1)",
        "pager, ops (waits)",
        "5ea0",
    ):
        assert said in result.stdout
    assert json.loads(gtm("alerts", "--json").stdout) == fake_node.ALERTS


def test_a_test_says_what_came_back_and_fails_when_one_did_not_take_it(fake: fake_node.FakeNode, gtm: Run) -> None:
    result = gtm("alerts", "test", "slack")
    assert (result.exit_code, result.stdout) == (0, "ops (slack) took it after 0.1 s: 200 ok\n")
    fake.tried[0] |= {"ok": False, "said": "hooks.slack.com answered 403"}
    result = gtm("alerts", "test")
    assert result.exit_code == 1
    assert result.stdout == "ops (slack) did not take it after 0.1 s: hooks.slack.com answered 403\n"
    assert "not taken by ops" in result.stderr
    assert json.loads(gtm("alerts", "test", "--json").stdout)["results"] == fake.tried
    assert gtm("alerts", "test", "nobody").exit_code == 1


def test_a_silence_says_until_when_and_how_to_end_it(fake: fake_node.FakeNode, gtm: Run) -> None:
    result = gtm("alerts", "silence", "site:fra", "--for", "1h", "--why", "move")
    assert result.exit_code == 0
    assert "gtm alerts unsilence 5ea1" in result.stdout
    assert fake.asked == [("silence", "site:fra", 3600.0, "move", "loopback")]
    assert "site:ams" in gtm("alerts", "silences").stdout
    assert gtm("alerts", "unsilence", "5ea1").stdout == "silence 5ea1 is over\n"
    assert gtm("alerts", "unsilence", "gone").exit_code == 1


@pytest.mark.parametrize("words", [("site:fra",), ("site:fra", "--for", "0s"), ("site:fra", "--for", "soon"), ()])
def test_a_silence_without_an_end_is_wrong_usage(gtm: Run, words: tuple[str, ...]) -> None:
    assert gtm("alerts", "silence", *words).exit_code == 2
