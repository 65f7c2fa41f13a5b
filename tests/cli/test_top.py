"""`gtm top` shows who asks most for what, and who gets too much of it."""

from __future__ import annotations

import json

import pytest

from gtm.cli import top
from tests.cli.conftest import Run
from tests.web import fake_node


def test_top_shows_names_places_and_resolvers(fake: fake_node.FakeNode, gtm: Run) -> None:
    result = gtm("top", "--since", "2h")
    assert result.exit_code == 0
    assert [what for what, *_ in fake.asked] == ["analytics"]
    for said in ("live.example.com", "90.0%", "192.0.2.53", "~700", "AS3320", "EU-DE"):
        assert said in result.stdout


@pytest.mark.parametrize("what", list(top.LISTS))
def test_every_list_can_be_shown_by_itself(what: str, gtm: Run) -> None:
    result = gtm("top", what)
    assert result.exit_code == 0
    assert result.stdout.strip().startswith(top.LISTS[what][0])


def test_lists_are_as_long_as_wanted_and_an_uneven_share_is_said(gtm: Run) -> None:
    assert "vod.example.com" not in gtm("top", "names", "-n", "1").stdout
    assert "uneven" in gtm("top", "shares").stdout


def test_top_as_json_is_what_the_node_said(gtm: Run) -> None:
    assert json.loads(gtm("top", "--json").stdout) == fake_node.ANALYTICS


def test_a_list_that_there_is_not_is_wrong_usage(gtm: Run) -> None:
    assert gtm("top", "viewers").exit_code == 2


def test_top_says_whom_a_failover_moved(gtm: Run) -> None:
    said = " ".join(gtm("top", "movements").stdout.split())
    assert "usable → failed" in said
    assert "390 edge-eu edge-us" in said
