"""Dry runs, broken glass and drains that wait, on the command line."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from click import shell_completion

from gtm import seen
from gtm.cli import main
from gtm.web import node
from tests.cli.conftest import Run
from tests.web import fake_node


@pytest.mark.parametrize(
    "words", [["drain", "fra-1"], ["force", "down", "fra-1"], ["weight", "fra-1", "0%"], ["release", "fra-1"]]
)
def test_a_dry_run_shows_what_would_move_and_orders_nothing(
    fake: fake_node.FakeNode, gtm: Run, words: list[str]
) -> None:
    said = gtm(*words, "--dry-run").stdout
    for part in ("50.0% of all answers would move (each name alike)", "live.example.com", "fallback edge-us", "100%"):
        assert part in said
    assert "would fail" in said
    assert said.endswith("the safety rules have nothing against it; nothing was ordered\n")
    assert json.loads(gtm(*words, "--dry-run", "--json").stdout) == fake_node.PREVIEW
    assert fake.given == []


def test_a_dry_run_says_what_would_be_refused(monkeypatch: pytest.MonkeyPatch, gtm: Run) -> None:
    refused = {"code": "below-floor", "message": "pool eu would keep 0 members", "hint": "--break-glass"}
    more = {"refused": refused, "names_total": 7, "left_with_nothing": 3, "share_by": "answers"}
    monkeypatch.setattr(fake_node, "PREVIEW", fake_node.PREVIEW | more)
    said = gtm("drain", "fra-1", "--dry-run").stdout
    assert "it would be refused: pool eu would keep 0 members (--break-glass)" in said
    assert "and 6 names more" in said
    assert "left with nothing for some clients: 3" in said
    assert "by the answers of the last minutes" in said


def test_a_refused_order_is_exit_status_1_with_the_hint(fake: fake_node.FakeNode, gtm: Run) -> None:
    fake.raises = node.Refused("below-floor", "pool eu would keep 0 members in service (floor 1)", "--break-glass")
    result = gtm("drain", "fra-1")
    assert result.exit_code == 1
    assert result.stderr == "Error: pool eu would keep 0 members in service (floor 1) (--break-glass)\n"


def test_broken_glass_is_handed_on(fake: fake_node.FakeNode, gtm: Run) -> None:
    assert gtm("drain", "fra-1", "--break-glass").exit_code == 0
    assert fake.asked[0][1].break_glass
    assert gtm("release", "fra-1", "--break-glass").exit_code == 0
    assert fake.asked[1] == ("drop_order", "fra-1", "loopback", "break-glass")


def test_D3_a_drain_that_waits_counts_down_until_it_is_safe(
    fake: fake_node.FakeNode, gtm: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later(_: float) -> None:
        fake.given = [replace(fake.given[0], safe=True)]

    monkeypatch.setattr(time, "sleep", later)
    result = gtm("drain", "fra-1", "--wait")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == ["safe to stop in 0s", "safe to stop: fra-1"]
    fake.given.clear()
    assert json.loads(gtm("drain", "fra-1", "--wait", "--json").stdout)["order"]["safe"] is True


def test_a_drain_that_ends_before_it_is_safe_is_exit_status_1(
    fake: fake_node.FakeNode, gtm: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: fake.given.clear())
    result = gtm("drain", "fra-1", "--wait")
    assert result.exit_code == 1
    assert "ended before it was safe to stop fra-1" in result.stderr


def test_the_list_of_orders_shows_what_wins_and_what_may_be_stopped(fake: fake_node.FakeNode, gtm: Run) -> None:
    drain = seen.Override("a1", "fra-*", "drain", by="ops", at=fake_node.NOW, break_glass=True)
    fake.given = [
        node.OrderView(drain, ("fra-1",), fake_node.NOW, safe=True),
        node.OrderView(replace(drain, id="a2", break_glass=False), ("fra-1",), overruled_by=("a3",)),
    ]
    first, second = (line for line in gtm("orders").stdout.splitlines() if "fra-*" in line)
    assert "drain (break-glass)" in first
    assert first.rstrip().endswith("yes")
    assert "overruled by a3" in second
    assert second.rstrip().endswith("not yet: still answered")


def test_status_shows_who_ordered_what_and_for_how_long_yet(fake: fake_node.FakeNode, gtm: Run) -> None:
    row = fake.body["endpoints"][0]
    row["orders"] = [
        {"id": "a1", "order": "drain", "by": "ops", "why": "disk", "until": time.time() + 90, "value": 1.0}
    ]
    said = gtm("status").stdout
    assert "◆ drain (ops, 1m" in said
    row["orders"][0]["until"] = None
    assert "◆ drain (ops)" in gtm("status").stdout


@pytest.mark.parametrize("flag", ["--dry-run", "--break-glass", "--wait"])
def test_the_shell_completes_the_new_words(flag: str) -> None:
    shell = shell_completion.ShellComplete(main.cli, {}, "gtm", "_GTM_COMPLETE")
    assert flag in {one.value for one in shell.get_completions(["drain"], flag[:4])}
