"""What each command asks of a node and says about it, against a real listener on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest
from click import testing

from gtm import errors, seen
from gtm.cli import events, main, status, tables
from gtm.web import node
from tests.cli.conftest import Run
from tests.web import fake_node


def test_status_shows_names_pools_and_endpoints_with_sign_and_word(gtm: Run) -> None:
    result = gtm("status")
    assert result.exit_code == 0
    for said in ("ns1", "live.example.com", "fallback", "edge-us", "▼ down", "status 503", "◆ drain", "0 of 1"):
        assert said in result.stdout


def test_status_as_json_is_what_the_node_said(fake: fake_node.FakeNode, gtm: Run) -> None:
    assert json.loads(gtm("status", "--json").stdout) == fake.body


def test_status_watch_goes_on_until_interrupted(gtm: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[float] = []

    def wait(wait_s: float) -> None:
        turns.append(wait_s)
        if len(turns) >= 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", wait)
    assert gtm("status", "--watch").exit_code == 1  # click's word for interrupted
    assert gtm("status", "--watch", "--json").stdout.count('"revision"') == 1
    assert turns[0] == status.WATCH_S


def test_a_hostile_reason_cannot_steer_the_terminal(fake: fake_node.FakeNode, gtm: Run) -> None:
    fake.body["endpoints"][0]["reason"] = "\x1b[2J[red]gone[/red]\r\n\x9b1m"
    shown = gtm("status").stdout
    assert "\x1b[2J" not in shown
    assert "\x9b" not in shown
    assert "[red]gone[/red]" in shown


def test_explain_asks_the_node_and_shows_its_answer_as_text(fake: fake_node.FakeNode, gtm: Run) -> None:
    result = gtm("explain", "live.example.com", "--type", "AAAA", "--client", "192.0.2.1", "--assume", "fra-*=down")
    assert result.exit_code == 0
    assert fake.asked == [("explain", "live.example.com", "AAAA", "192.0.2.1", ("fra-*=down",))]
    for said in ("live.example.com A for", "edge-us", "nyc-1", "198.51.100.11"):
        assert said in result.stdout
    assert json.loads(gtm("explain", "live.example.com", "--json").stdout) == fake_node.EXPLAINED


def test_explain_of_a_name_that_is_not_there_is_exit_status_1(fake: fake_node.FakeNode, gtm: Run) -> None:
    fake.raises = node.Refused("no-such-name", "no zone holds x.example.", "see gtm status")
    result = gtm("explain", "x.example")
    assert result.exit_code == 1
    assert result.stderr == "Error: no zone holds x.example. (see gtm status)\n"


def test_explain_from_a_file_asks_no_node(fake: fake_node.FakeNode, gtm: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from gtm import app

    asked: list[tuple[object, ...]] = []

    def explain(*words: object) -> dict[str, object]:
        asked.append(words)
        return fake_node.EXPLAINED

    monkeypatch.setattr(app, "explain_offline", explain)
    result = gtm("explain", "live.example.com", "-c", "gtm.yaml", "--assume", "fra-1=down", "--json")
    assert json.loads(result.stdout) == fake_node.EXPLAINED
    assert asked == [("gtm.yaml", "live.example.com", "A", "", ("fra-1=down",))]
    assert fake.asked == []


def test_events_are_lines_or_one_document(fake: fake_node.FakeNode, gtm: Run) -> None:
    lines = gtm("events", "--since", "0d1h").stdout.splitlines()
    assert len(lines) == 0  # the fake's events are older than an hour
    lines = gtm("events", "--since", "2023-11-14").stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].split()[2:] == ["endpoint", "fra-1", "up", "→", "down", "status", "503"]
    body = json.loads(gtm("events", "--since", "2023-11-14", "--json").stdout)
    assert [one["id"] for one in body["events"]] == [1, 2]


def test_names_are_shown_to_people_without_the_roots_dot_and_to_machines_as_the_api_has_them(
    fake: fake_node.FakeNode, gtm: Run
) -> None:
    subjects = ("live.example.com.", "hls/fra-1/ipv4/live.example.com.", ".")
    fake.happened = [fake_node.event(at, one) for at, one in enumerate(subjects, 1)]
    lines = gtm("events", "--since", "2023-11-14").stdout.splitlines()
    assert [line.split()[3] for line in lines] == ["live.example.com", "hls/fra-1/ipv4/live.example.com", "."]
    told = json.loads(gtm("events", "--since", "2023-11-14", "--json").stdout)["events"]
    assert tuple(one["subject"] for one in told) == subjects
    for words in (("status",), ("explain", "live.example.com"), ("top",), ("drain", "fra-1", "--dry-run"), ("alerts",)):
        assert "example.com. " not in gtm(*words).stdout, words


def test_since_a_bare_number_is_seconds_ago(fake: fake_node.FakeNode, gtm: Run) -> None:
    gtm("events", "--since", "90")
    gtm("events", "--since", "1m30s")
    (_, first, *_), (_, second, *_) = fake.asked
    assert second - first == pytest.approx(0, abs=10)


def test_nothing_happened_is_said_on_standard_error(fake: fake_node.FakeNode, gtm: Run) -> None:
    fake.happened = []
    result = gtm("events")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing happened since 1h" in result.stderr


def test_follow_goes_on_with_what_happens_until_the_node_goes_away(
    fake: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = fake_node.Thread(fake)
    done: list[testing.Result] = []
    words = ["events", "--since", "2023-11-14", "--follow", "--json", "--url", thread.url]
    follower = threading.Thread(target=lambda: done.append(testing.CliRunner().invoke(main.cli, words)))
    subscribed, said = threading.Event(), threading.Event()
    say = events._say

    def notice(event: Mapping[str, Any], as_json: bool) -> None:
        say(event, as_json)
        if event["id"] == 4:
            said.set()

    monkeypatch.setattr(events, "_say", notice)
    listen = fake.subscribe

    def subscribe(tell: object) -> object:
        stop = listen(tell)  # type: ignore[arg-type]
        fake.happened.append(fake_node.event(3))  # between the two questions of the command: not lost
        subscribed.set()
        return stop

    fake.subscribe = subscribe  # type: ignore[method-assign,assignment]
    follower.start()
    assert subscribed.wait(10)

    async def tell() -> None:
        fake.listeners[0](fake_node.event(4, "ams-1"))

    thread.run(tell)
    assert said.wait(10)
    thread.close()
    follower.join(10)
    assert [json.loads(line)["id"] for line in done[0].stdout.splitlines()] == [1, 2, 3, 4]
    assert done[0].exit_code == 1
    assert thread.url in done[0].stderr


@pytest.mark.parametrize(
    ("words", "order", "value"),
    [
        (["drain", "site:fra"], "drain", 1.0),
        (["force", "up", "site:fra"], "up", 1.0),
        (["force", "down", "site:fra"], "down", 1.0),
        (["weight", "site:fra", "25%"], "weight", 0.25),
    ],
)
def test_an_order_is_given_and_confirmed(
    fake: fake_node.FakeNode, gtm: Run, words: list[str], order: str, value: float
) -> None:
    result = gtm(*words, "--for", "30m", "--why", "new disks")
    assert result.exit_code == 0
    (_, given), *_ = fake.asked
    assert (given.target, given.order, given.value, given.why) == ("site:fra", order, value, "new disks")
    assert given.until == pytest.approx(given.at + 1800)
    assert result.stdout.startswith("site:fra: ")
    assert tables.moment(given.until) in result.stdout


def test_D3_a_drain_says_when_old_answers_have_died_out(gtm: Run) -> None:
    assert f"safe to stop at {tables.moment(fake_node.NOW + 30)}" in gtm("drain", "fra-1").stdout


def test_an_order_without_an_end_says_how_to_lift_it(fake: fake_node.FakeNode, gtm: Run) -> None:
    said = gtm("drain", "fra-1").stdout
    assert f"until `gtm release {fake.asked[0][1].id}`" in said


def test_an_order_that_a_node_did_not_confirm_is_exit_status_1_with_its_name(
    fake: fake_node.FakeNode, gtm: Run
) -> None:
    fake.unconfirmed = ("ns2",)
    result = gtm("drain", "fra-1")
    assert result.exit_code == 1
    assert "not confirmed by ns2" in result.stderr


def test_an_order_that_matches_nothing_is_exit_status_1_with_a_hint(gtm: Run) -> None:
    result = gtm("drain", "nowhere")
    assert result.exit_code == 1
    assert result.stderr == "Error: 'nowhere' matches nothing (did you mean fra-1?)\n"
    assert gtm("release", "nowhere").exit_code == 1


def test_F5_a_store_that_fails_is_said_in_plain_words(fake: fake_node.FakeNode, gtm: Run) -> None:
    fake.raises = errors.StoreError("disk full")
    assert "disk full (answering goes on" in gtm("drain", "fra-1").stderr


@pytest.mark.parametrize("target", ["a1", "edge-*", "site:fra", "pool:edge eu", "a/b?c#d%2F"])
def test_a_release_hands_the_target_on_whole(fake: fake_node.FakeNode, gtm: Run, target: str) -> None:
    result = gtm("release", target)
    assert result.stdout == "released orders a1\n"
    assert fake.asked == [("drop_order", target, "loopback")]


def test_a_release_of_what_nothing_lies_on_does_not_boast(
    fake: fake_node.FakeNode, gtm: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(which: str, by: str, break_glass: bool = False) -> node.Released:
        return node.Released((), ("fra-1",))

    monkeypatch.setattr(fake, "drop_order", nothing)
    said = "no order lay on fra-1; hold-downs of fra-1 are lifted where there were any\n"
    assert gtm("release", "fra-1").stdout == said


def test_orders_are_listed_with_by_whom_why_and_until_when(fake: fake_node.FakeNode, gtm: Run) -> None:
    assert gtm("orders").stdout == "no orders are in force\n"
    order = seen.Override("a1", "fra-*", "weight", 0.5, "ops", "new disks", fake_node.NOW, fake_node.NOW + 60)
    fake.given = [node.OrderView(order, ("fra-1", "fra-2"))]
    said = gtm("orders").stdout
    for word in ("a1", "weight 50%", "fra-*", "fra-1, fra-2", "ops", "new disks", tables.moment(fake_node.NOW + 60)):
        assert word in said
    assert json.loads(gtm("orders", "--json").stdout)["orders"][0]["target"] == "fra-*"


def test_reload_prints_the_plan(fake: fake_node.FakeNode, gtm: Run) -> None:
    assert gtm("reload").stdout == "endpoint fra-2 joins edge-eu\naccepted\n"
    fake.outcome = node.Reloaded(True)
    assert gtm("reload").stdout == "accepted; nothing changes\n"
    assert json.loads(gtm("reload", "--json").stdout)["accepted"] is True


def test_G3_a_reload_that_moves_much_wants_a_yes(fake: fake_node.FakeNode, gtm: Run) -> None:
    fake.outcome = node.Reloaded(False, ("80% of answers move",), needs_yes=True)
    result = gtm("reload")
    assert (result.exit_code, result.stdout) == (1, "80% of answers move\n")
    assert "--yes" in result.stderr
    assert gtm("reload", "--yes").exit_code == 0


def test_a_refused_reload_prints_all_problems_and_is_exit_status_1(fake: fake_node.FakeNode, gtm: Run) -> None:
    problems = [{"severity": "error", "message": "unknown key 'tll'"}]
    fake.outcome = node.Reloaded(False, problems=problems)
    result = gtm("reload")
    assert (result.exit_code, result.stdout) == (1, "error: unknown key 'tll'\n")
    fake.outcome = node.Reloaded(False, problems=problems, text="gtm.yaml:3:1: unknown key\n  tll: 5\n  ^^^")
    assert gtm("reload").stdout == "gtm.yaml:3:1: unknown key\n  tll: 5\n  ^^^\n"
    shown = gtm("reload", "--json")
    assert (shown.exit_code, json.loads(shown.stdout)["problems"]) == (1, problems)


@pytest.mark.parametrize(
    ("passed_s", "said"), [(0, "0s"), (59, "59s"), (7199, "1h59m59s"), (7201, "2h"), (180_000, "2d2h"), (-5, "0s")]
)
def test_how_long_ago_is_said_in_few_units(passed_s: float, said: str) -> None:
    assert tables.ago(fake_node.NOW, fake_node.NOW + passed_s) == said
