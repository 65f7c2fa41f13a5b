"""Timed stories: who would have been told what, and when, as fast as arithmetic."""

from __future__ import annotations

import pytest

from gtm import events
from gtm.alerts import facts, rules, words
from tests.alerts import story
from tests.alerts.story import Story, whats

ALL = "[{kind: exec, command: x, on: [endpoint, check, pool, name, guard, config, store]}]"


def test_a_site_that_falls_with_forty_endpoints_is_one_message_and_one_end() -> None:
    it = Story(ALL)
    it.site_falls()
    (said,) = it.run(60)
    assert (said.what, said.group, said.severity) == ("firing", "site:fra", "error")
    assert said.title == (
        "[ns1] ERROR: site fra: 40 of 40 endpoints are down; pool eu failed; "
        "live.example.com and play.example.com on a fallback"
    )
    for words_ in (
        "Since 2023-11-14 22:13:20 UTC",
        "fra-10, fra-11, fra-12 and 35 more: is down (connection refused)",
        "fra-1, fra-2: is down (status 503)",
        "pool eu: failed (0 of 40 up)",
        "play.example.com is answered from us now (fallback)",
        "https://gtm.example.com/ or `gtm status`",
    ):
        assert words_ in said.text, said.text
    it.site_rises()
    (over,) = it.run(60)
    assert (over.what, over.incident, over.severity) == ("resolved", said.incident, "error")
    assert over.title.startswith("[ns1] RESOLVED: site fra: 40 of 40 endpoints are down; pool eu failed")
    assert over.title.endswith(": over after 1m6s")
    assert it.run(3600) == []
    assert set(it.papers.values()) == {None}, "nothing is remembered of what is long over"


def test_who_asked_for_pools_alone_hears_of_the_pool_and_why() -> None:
    it = Story("[{kind: exec, command: x}]")
    it.site_falls()
    (said,) = it.run(60)
    assert "38" not in said.title
    assert "fra-1, fra-2: is down (status 503)" in said.text
    it = Story("[{kind: exec, command: x, on: [pool]}]")
    it.down("fra-1", "fra-2")
    assert it.run(60) == []


def test_an_endpoint_that_is_back_within_the_hold_wakes_nobody() -> None:
    it = Story("[{kind: exec, command: x, on: [endpoint], hold: 30s}]")
    it.down("fra-1")
    assert it.run(29) == []
    it.up("fra-1")
    assert it.run(600) == []
    it.down("fra-1")
    it.run(31)
    ((at, _, said),) = it.said
    assert said.title == "[ns1] WARNING: site fra: fra-1 is down"
    assert at == 29 + 600 + 30


def test_each_receiver_has_its_own_hold() -> None:
    it = Story("[{kind: exec, command: x, on: [pool]}, {name: pager, kind: exec, command: x, on: [pool], hold: 2m}]")
    it.hear("pool", "eu", "failed", "0 of 40 up")
    it.run(300)
    assert [(at, who) for at, who, _ in it.said] == [(8, "exec"), (120, "pager")]


def test_what_only_grows_is_told_again_after_five_minutes_and_what_grows_worse_at_once() -> None:
    it = Story(ALL)
    it.down("fra-1")
    assert whats(it.run(20)) == ["firing"]
    it.down("fra-2")
    assert it.run(200) == []
    (said,) = it.run(100)
    assert (said.what, said.title) == ("update", "[ns1] UPDATE, WARNING: site fra: 2 of 40 endpoints are down")
    it.hear("pool", "eu", "failed", "1 of 40 up, min_up 2")
    (worse,) = it.run(10)
    assert (worse.what, worse.severity, worse.severity_before) == ("update", "error", "warning")


def test_a_name_that_falls_further_is_told_at_once() -> None:
    it = Story(ALL)
    it.hear("name", "vod.example.com.", "fallback", "why")
    assert whats(it.run(20)) == ["firing"]
    it.hear("name", "vod.example.com.", "last_resort", "why")
    (said,) = it.run(10)
    assert (said.what, said.severity) == ("update", "critical")
    assert said.title.endswith("vod.example.com at the last resort")


def test_what_goes_on_is_reminded_of_and_then_over() -> None:
    it = Story("[{kind: exec, command: x, on: [endpoint], remind: 1h}]")
    it.down("alone")
    it.run(3 * 3600 + 60)
    assert [(at, one.what) for at, _, one in it.said] == [
        (8, "firing"), (3608, "reminder"), (7208, "reminder"), (10808, "reminder"),
    ]  # fmt: skip
    assert it.said[1][2].title == "[ns1] STILL WARNING: alone is down"
    assert "1h8s ago" in it.said[1][2].text
    it.up("alone")
    assert whats(it.run(60)) == ["resolved"]
    assert it.run(7200) == []


def test_a_receiver_that_was_away_is_reminded_from_when_it_took_what_was_said() -> None:
    it = Story("[{kind: exec, command: x, on: [endpoint], remind: 1h}]")
    it.down("alone")
    (said,) = it.run(8)
    it.waiting.add(("exec", said.incident))
    assert it.run(5000) == []
    it.waiting.clear()
    it.rules.taken("exec", said, it.now)
    assert it.run(3599) == []
    assert whats(it.run(1)) == ["reminder"]


def test_flapping_is_told_once_and_its_end_is_believed_later_each_time() -> None:
    it = Story("[{kind: exec, command: x, on: [endpoint], hold: 10s}]")
    for _ in range(20):
        it.down("fra-1")
        it.run(12)
        it.up("fra-1")
        it.run(5)
    assert whats([one for *_, one in it.said]) == ["firing"]
    it.run(700)
    assert whats([one for *_, one in it.said]) == ["firing", "resolved"]


def test_trouble_that_returns_soon_after_its_end_ends_later_the_next_time() -> None:
    it = Story("[{kind: exec, command: x, on: [endpoint], hold: 10s}]")
    ends = []
    for _ in range(4):
        it.down("fra-1")
        it.run(20)
        it.up("fra-1")
        began = it.now
        it.run(200)
        ends.append(int(it.said[-1][0] - (began - story.NOW)))
    assert ends == sorted(ends)
    assert ends[0] < 15 < ends[3]


def test_what_falls_because_of_a_router_is_told_as_the_routers_fall() -> None:
    it = Story(ALL)
    it.down("behind", why="router is down")
    it.run(2)
    it.down("router", why="time-out")
    (said,) = it.run(30)
    assert said.group == "endpoint:router"
    assert said.title == "[ns1] WARNING: router is down, and 1 endpoint behind it"


def test_what_falls_in_two_places_is_two_messages() -> None:
    it = Story(ALL)
    it.down("fra-1", "nyc-1")
    assert sorted(one.group for one in it.run(30)) == ["site:fra", "site:nyc"]


def test_one_family_of_an_endpoint_is_named_and_both_are_one_endpoint() -> None:
    it = Story(ALL)
    it.down("nyc-2", family="ipv6")
    (said,) = it.run(30)
    assert said.title.endswith("nyc-2 is down over ipv6")
    it.down("nyc-2", family="ipv4")
    it.up("nyc-2", family="ipv6")
    assert it.run(30) == [], "it is down still"
    it.up("nyc-2", family="ipv4")
    assert whats(it.run(60)) == ["resolved"]


def test_a_stream_that_is_gone_on_forty_nodes_is_one_message() -> None:
    it = Story(ALL)
    for n in range(1, 41):
        it.hear("check", f"edge/fra-{n}/ipv4/play.example.com.", "down", "playlist.age is 40s, should be < 6s")
    (said,) = it.run(30)
    assert (said.group, said.title) == ("name:play.example.com.", "[ns1] WARNING: 40 checks fail")
    assert "playlist.age is 40s, should be < 6s" in said.text


def test_A9_while_the_guard_holds_everything_is_one_message() -> None:
    it = Story(ALL)
    it.hear("guard", "ns1", "tripped", "3 of 44 endpoints alive, under 30%")
    it.down("nyc-1")
    it.hear("pool", "us", "failed", "0 of 4 up")
    (said,) = it.run(30)
    assert (said.group, said.severity) == ("guard", "critical")
    assert "distrusts its own eyes" in said.title


def test_what_an_operator_works_on_is_not_told() -> None:
    it = Story(ALL)
    it.sight.at_work = {f"fra-{n}" for n in range(1, 41)}
    it.site_falls()
    assert it.run(600) == [], "neither the endpoints, nor their pool, nor the names that it served"
    it.sight.at_work = set()
    assert whats(it.run(30)) == ["firing"], "the work is over, and it is down still"


def test_a_pool_that_fails_though_only_some_of_it_is_worked_on_is_told() -> None:
    it = Story(ALL)
    it.sight.at_work = {"fra-1"}
    it.site_falls()
    assert whats(it.run(60)) == ["firing"]


def test_what_was_told_before_the_work_began_is_told_to_be_over() -> None:
    it = Story(ALL)
    it.down("fra-1")
    it.run(30)
    it.sight.at_work = {"fra-1"}
    assert it.run(600) == []
    it.up("fra-1")
    assert whats(it.run(60)) == ["resolved"]


@pytest.mark.parametrize("target", ["site:fra", "fra-*", "pool:eu", "endpoint:fra-1", "fra-1", "*"])
def test_a_silence_silences_and_ends_by_itself(target: str) -> None:
    it = Story("[{kind: exec, command: x, on: [endpoint]}]")
    it.rules.silences["s"] = words.Silence("s", target, "ops", "move", it.now, it.now + 300)
    it.down("fra-1")
    assert it.run(299) == []
    assert whats(it.run(30)) == ["firing"]
    assert it.rules.ended() == ["s"]


def test_a_silence_of_something_else_silences_nothing() -> None:
    for target in ("site:nyc", "nyc-*", "pool:us", "endpoint:fra-2", "guard:*", "name:play.example.com"):
        it = Story("[{kind: exec, command: x, on: [endpoint]}]")
        it.rules.silences["s"] = words.Silence("s", target, "ops", "", it.now, it.now + 300)
        it.down("fra-1")
        assert whats(it.run(30)) == ["firing"], target


def test_a_silence_of_a_pool_silences_the_names_that_left_it_but_not_those_that_have_nothing_left() -> None:
    it = Story("[{kind: exec, command: x, on: [name]}]")
    it.rules.silences["s"] = words.Silence("s", "pool:eu", "ops", "move", it.now, it.now + 300)
    it.site_falls()
    assert it.run(100) == []
    it.hear("name", "play.example.com.", "last_resort", "everything is down")
    assert [one.severity for one in it.run(60)] == ["critical"]


def test_a_silence_does_not_swallow_the_end_of_what_was_told() -> None:
    it = Story(ALL)
    it.down("fra-1")
    it.run(30)
    it.rules.silences["s"] = words.Silence("s", "site:fra", "ops", "", it.now, it.now + 3600)
    it.down("fra-2")
    assert it.run(600) == []
    it.up("fra-1", "fra-2")
    assert whats(it.run(60)) == ["resolved"]


def test_a_restart_says_nothing_twice_and_forgets_no_end() -> None:
    it = Story("[{kind: exec, command: x, on: [endpoint, pool, name], remind: 1h}]")
    it.site_falls()
    assert whats(it.run(30)) == ["firing"]
    it.restart()
    assert it.run(600) == []
    it.restart()
    assert whats(it.run(3600)) == ["reminder"]
    it.sight.wrong.clear()  # it came back while nobody looked
    it.restart()
    assert whats(it.run(60)) == ["resolved"]
    assert it.run(600) == []


def test_a_restart_finds_what_fell_unheard() -> None:
    it = Story(ALL)
    it.down("fra-1")
    it.restart()  # before anything was written
    assert whats(it.run(30)) == ["firing"]
    it.sight.wrong["endpoint/alone/ipv4"] = facts.wrong(
        "endpoint", "alone", "down", since=it.now, reason="time-out", family="ipv4"
    )
    it.restart()
    assert [one.group for one in it.run(30)] == ["pool:us"]


def test_an_end_that_nobody_announced_is_found() -> None:
    it = Story(ALL)
    it.hear("check", "edge/fra-1/ipv4", "down", "slow")
    it.run(30)
    it.sight.wrong.clear()
    it.rules.review(it.now)
    assert whats(it.run(30)) == ["resolved"]


def test_news_are_gathered_told_once_and_never_over() -> None:
    it = Story("[{kind: exec, command: x, on: [order, worker, node]}]")
    for n in range(10):
        it.hear("order", f"fra-{n}", "drain", "ops: new disks")
    it.hear("worker", "worker", "restarted", "1 restarts so far")
    orders, worker = sorted(it.run(30), key=lambda one: one.group)
    assert (orders.what, orders.title) == ("news", "[ns1] NOTE: 10 events")
    assert "order fra-0: drain (ops: new disks)" in orders.text
    assert (worker.severity, worker.title) == ("warning", "[ns1] NOTE: worker worker: restarted")
    assert it.run(3600) == []
    assert it.rules.incidents == {}


def test_severity_and_match_choose() -> None:
    it = Story(
        "[{name: bad, kind: exec, command: x, on: [endpoint, pool], severity: error},"
        " {name: nyc, kind: exec, command: x, on: [endpoint, pool], match: ['site:nyc', 'pool:us']},"
        " {name: play, kind: exec, command: x, on: [name], match: ['name:play.*']}]"
    )
    it.site_falls()
    it.down("nyc-1")
    it.run(60)
    assert sorted((who, one.group) for _, who, one in it.said) == [
        ("bad", "site:fra"), ("nyc", "site:nyc"), ("play", "site:fra"),
    ]  # fmt: skip


def test_a_receiver_that_forgets_is_told_again_and_again_until_it_is_over() -> None:
    it = Story("[{name: am, kind: exec, command: x, on: [endpoint]}]", refresh_s={"am": 60.0})
    it.down("fra-1")
    assert whats(it.run(200)) == ["firing", "refresh", "refresh", "refresh"]
    it.up("fra-1")
    assert whats(it.run(200)) == ["resolved"]
    assert it.run(1000) == []


def test_an_incident_that_grows_milder_is_the_same_incident_still() -> None:
    it = Story("[{name: am, kind: exec, command: x, on: [endpoint, pool]}]", refresh_s={"am": 60.0})
    it.down("fra-1")
    it.hear("pool", "eu", "failed", "0 of 40 up")
    it.run(30)
    it.hear("pool", "eu", "usable", "39 of 40 up")
    it.run(120)
    it.up("fra-1")
    it.run(60)
    assert {(one.what, one.severity) for *_, one in it.said} == {
        ("firing", "error"), ("refresh", "error"), ("resolved", "error"),
    }  # fmt: skip


def test_a_receiver_that_is_gone_is_told_nothing_and_a_new_one_what_is_wrong() -> None:
    it = Story(ALL)
    it.down("fra-1")
    it.run(30)
    it.reload("[{name: new, kind: exec, command: x, on: [endpoint]}]")
    it.run(30)
    assert [(who, one.what) for _, who, one in it.said] == [("exec", "firing"), ("new", "firing")]


def test_a_refused_configuration_is_told_and_over_when_one_is_accepted() -> None:
    it = Story(ALL)
    it.hear("config", "/etc/gtm/gtm.yaml", "refused", "3 errors; the old one stays (reload by ops)")
    (said,) = it.run(30)
    assert said.title == "[ns1] ERROR: config /etc/gtm/gtm.yaml: refused"
    assert "3 errors; the old one stays" in said.text
    it.hear("config", "/etc/gtm/gtm.yaml", "0123456789ab", "reloaded by ops")
    assert whats(it.run(30)) == ["resolved"]


def test_alerts_about_alerts_are_not_told() -> None:
    assert facts.read(events.Event(0, "alert", "slack", "working", "failing", "time-out")) is None


def test_every_word_for_trouble_that_the_log_warns_of_is_known_here() -> None:
    from gtm.app import telling

    known = {after for _, after in facts._WRONG} | {after for _, after in facts._ONCE}
    assert known | {"failing", "given up"} >= telling.ALARMING, "those two are about alerts themselves"


def test_a_thousand_endpoints_are_bounded_work() -> None:
    it = Story(ALL, edges=200)
    for _ in range(20):
        it.down(*(f"fra-{n}" for n in range(1, 201)))
        it.run(1)
    assert len(it.said) == 1
    said = it.said[0][2]
    assert (len(said.facts), said.left_out) == (words.MOST_FACTS, 150)
    assert len(said.text) < 2000


def test_what_cannot_be_held_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_FACTS", 3)
    it = Story(ALL)
    it.down(*(f"fra-{n}" for n in range(1, 10)))
    assert sum(len(one.facts) for one in it.rules.incidents.values()) == 3


def test_G6_what_comes_and_goes_while_an_incident_goes_on_is_remembered_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "MOST_FACTS", 5)
    it = Story("[{kind: exec, command: x, on: [endpoint]}]")
    it.down("fra-1", "fra-2", "fra-3")
    assert whats(it.run(60)) == ["firing"]
    for at in range(4, 40):
        it.down(f"fra-{at}")
        it.run(2)
        it.up(f"fra-{at}")
        assert all(len(one.past) <= 5 for one in it.rules.incidents.values())
    assert any(len(one.past) == 5 for one in it.rules.incidents.values())
    it.up("fra-1", "fra-2", "fra-3")
    assert "resolved" in whats(it.run(1200))
