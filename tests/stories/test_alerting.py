"""From probes to people: a real brain's events and what it sees in, the messages that would have been sent out."""

from __future__ import annotations

from typing import Any, cast

from gtm import events, model, seen
from gtm.alerts import facts
from tests.stories.watched import Watched

EDGES = 40
CONFIG = f"""
node: ns1
checks: {{edge: {{kind: tcp, port: 443, every: 10s, timeout: 1s}}, look: {{kind: tcp, port: 80, observe: true}}}}
sites: {{fra: {{at: EU-DE}}, nyc: {{at: NA-US-NY}}}}
endpoints:
  router: {{address: 203.0.113.1, check: edge}}
  behind-1: {{address: 203.0.113.2, depends_on: [router]}}
  behind-2: {{address: 203.0.113.3, depends_on: [router]}}
  nyc-1: {{address: 198.51.100.1, site: nyc}}
  nyc-2: {{address: 198.51.100.2, site: nyc, check: [edge, look]}}
{"".join(f"  fra-{n}: {{address: 192.0.2.{n}, site: fra}}{chr(10)}" for n in range(1, EDGES + 1))}
pools:
  eu: {{members: [{", ".join(f"fra-{n}" for n in range(1, EDGES + 1))}], check: edge}}
  us: {{members: [nyc-1, nyc-2], check: edge}}
  far: {{members: [behind-1, behind-2], check: edge}}
zones:
  example.com:
    nameservers: {{ns1: [203.0.113.53]}}
    steer: {{play: [eu, us], live: [eu, us], vod: [far, us]}}
"""
FRA = [f"fra-{n}" for n in range(1, EDGES + 1)]
EVERYTHING = model.Receiver("ops", "exec", ("endpoint", "check", "pool", "name", "guard"))


def watched() -> Watched:
    made = Watched(CONFIG, [EVERYTHING])
    made.run(20)
    return made


def test_a_site_of_forty_endpoints_falls_and_rises_and_that_is_two_messages() -> None:
    it = watched()
    it.world.sick |= dict.fromkeys(FRA, "connection refused")
    (said,) = it.run(120)
    assert (said.what, said.group) == ("firing", "site:fra")
    assert "40 of 40 endpoints are down; pool eu failed" in said.title
    assert "play.example.com" in said.title
    assert "is answered from us now (fallback)" in said.text
    assert "37 more: is down (connection refused)" in said.text
    it.world.sick.clear()
    (over,) = it.run(120)
    assert (over.what, over.incident) == ("resolved", said.incident)
    assert it.run(60) == []
    assert not any(one.facts for one in it.rules.incidents.values())


def test_a_router_takes_what_is_behind_it_along_in_one_message() -> None:
    it = watched()
    it.world.sick["router"] = "time-out"
    (said,) = it.run(60)
    assert said.group == "endpoint:router"
    assert said.title.startswith("[ns1] ERROR: router is down, and 2 endpoints behind it; pool far failed")


def test_a_check_that_only_observes_is_told_and_its_end_too() -> None:
    it = watched()
    for _ in range(2):
        it.world.sick["nyc-2"] = "no banner"
        assert [one.what for one in it.run(60)] == ["firing"]
        it.world.sick.clear()
        it.run(60)
        it.rules.review(it.now)
        assert it.sight.present() == []
        it.run(60)


def test_drained_endpoints_may_fall_unheard_and_are_heard_of_when_they_are_released() -> None:
    it = watched()
    it.world.order(seen.Override("o", "site:fra", "drain"))
    it.run(10)
    it.world.sick |= dict.fromkeys(FRA, "connection refused")
    assert it.run(300) == []
    it.world.order()
    assert [one.what for one in it.run(30)] == ["firing"]


def test_a_look_at_the_node_finds_all_that_its_events_said_and_nothing_else() -> None:
    it = watched()
    it.world.sick |= {**dict.fromkeys(FRA, "connection refused"), "nyc-1": "time-out"}
    it.run(60)
    heard = {one.key: one for incident in it.rules.incidents.values() for one in incident.facts.values()}
    found = {one.key: one for one in it.sight.present()}
    assert found.keys() == heard.keys()
    assert len(found) == EDGES + 1 + 1 + 2
    for key, fact in found.items():
        assert (fact.state, fact.severity, fact.reason) == (
            heard[key].state, heard[key].severity, heard[key].reason,
        )  # fmt: skip
        assert it.sight.still(fact)
    again = it.begun()
    again.review(it.now, whole=True)
    it.rules = again
    assert sorted(one.group for one in it.run(30)) == ["site:fra", "site:nyc"]
    it.world.sick.clear()
    it.run(60)
    assert not any(map(it.sight.still, found.values()))


def test_what_is_not_there_any_more_is_wrong_no_more() -> None:
    it = watched()
    for kind, subject, state in (
        ("endpoint", "gone", "down"),
        ("pool", "gone", "failed"),
        ("name", "gone.", "fallback"),
    ):
        fact = facts.wrong(cast(Any, kind), subject, state, since=0, reason="", family="ipv4")
        assert not it.sight.still(fact)
    assert not it.sight.still(facts.Fact("check", "edge/gone/ipv4", "", "down", 0, "", "warning"))
    assert not it.sight.still(facts.Fact("guard", "ns1", "", "tripped", 0, "", "critical"))
    assert (it.sight.serving("gone."), it.sight.pool("gone")) == ((), "no longer configured")


CHANNELS = """
node: ns1
checks:
  edge: {kind: tcp, port: 443, every: 2s, timeout: 1s}
  channel: {kind: http, path: "/{label}", every: 2s, timeout: 1s}
  look: {kind: tcp, port: 80, every: 2s, timeout: 1s, observe: true}
flap: {returns: 2, window: 10m, hold: 5m}
endpoints:
  a: {address: 192.0.2.1, check: [edge, channel, look]}
  b: {address: 192.0.2.2, check: [edge, channel]}
pools: {main: {members: [a, b]}}
zones: {example.com: {nameservers: {ns1: [203.0.113.53]}, steer: {news: main, sport: main}}}
"""


def channels(*on: str) -> Watched:
    made = Watched(CHANNELS, [model.Receiver("ops", "exec", on or EVERYTHING.on)])
    made.run(20)
    return made


def test_that_the_channels_of_a_dead_endpoint_fail_is_no_message_of_its_own() -> None:
    it = channels()
    it.world.sick["a"] = "time-out"
    assert [one.title for one in it.run(400)] == ["[ns1] WARNING: a is down"]
    it.world.sick.clear()
    assert [one.what for one in it.run(60)] == ["resolved"]


def test_who_asked_for_checks_alone_hears_of_those_of_a_dead_endpoint() -> None:
    it = channels("check")
    it.world.sick["a"] = "time-out"
    assert [one.title for one in it.run(60)] == ["[ns1] WARNING: a is down"]  # the reason is told along


def test_what_still_fails_when_its_endpoint_is_back_is_told_when_it_was_looked_at_again() -> None:
    it = channels()
    it.world.sick["a"] = "time-out"
    it.run(400)
    del it.world.sick["a"]
    it.world.dead["a", "news.example.com."] = "status 404"
    (said,) = it.run(60)
    assert said.title.endswith("UPDATE, WARNING: check channel/a/ipv4/news.example.com fails")
    it.world.dead.clear()
    assert [one.what for one in it.run(60)] == ["resolved"]


def test_A12_a_stream_that_no_node_has_is_an_error_until_one_has_it_again() -> None:
    it = channels("name")
    it.world.dead |= {(one, "news.example.com."): "playlist.age is 9s" for one in "ab"}
    (said,) = it.run(60)
    assert said.severity == "error"
    assert "news.example.com off the air: no node has it" in said.title
    assert "name news.example.com: source down" in said.text
    assert "name/news.example.com.//source" in {one.key for one in it.sight.present()}
    it.world.dead.clear()
    assert [one.what for one in it.run(60)] == ["resolved"]


def test_A10_an_endpoint_that_is_held_back_is_wrong_until_the_hold_is_over() -> None:
    it = channels("endpoint")
    for _ in range(2):
        it.world.sick["a"] = "reset"
        it.run(20)
        it.world.sick.clear()
        it.run(10)
    it.run(60)
    every = [fact for one in it.rules.incidents.values() for fact in one.facts.values()]
    (found,) = [fact for fact in every if fact.kind == "endpoint"]
    assert (found.aspect, found.state) == ("held", "held")
    assert all(map(it.sight.still, every))
    said = it.run(600)
    assert said[-1].what == "resolved"
    assert not it.sight.still(found)


def test_an_overloaded_endpoint_is_one_message_and_its_end_another() -> None:
    it = channels()
    it.world.busy["a"] = "503 with Retry-After"
    (said,) = it.run(120)
    assert said.title == "[ns1] WARNING: a overloaded and eased"
    it.world.busy.clear()
    assert [one.what for one in it.run(300)] == ["resolved"]


def test_an_endpoint_that_two_checks_ease_is_well_again_when_both_are_quiet() -> None:
    it = Watched(CONFIG.replace("port: 80, observe: true", "port: 80, every: 10s, timeout: 1s"), [EVERYTHING])
    it.run(20)
    it.world.busy = {("nyc-2", "edge"): "full", ("nyc-2", "look"): "busy"}
    assert [one.title for one in it.run(120)] == ["[ns1] WARNING: site nyc: nyc-2 overloaded and eased"]
    del it.world.busy["nyc-2", "edge"]
    assert it.run(600) == []
    it.world.busy.clear()
    assert [one.what for one in it.run(600)] == ["resolved"]


def test_A7_endpoints_that_cannot_be_looked_at_are_one_message_with_an_end() -> None:
    it = watched()
    it.world.blind |= {*FRA, "nyc-1"}
    (said,) = it.run(120)
    assert (said.what, said.group, said.severity) == ("firing", "node:checks", "warning")
    assert said.title == "[ns1] WARNING: 41 endpoints cannot be looked at: the last verdict stands"
    assert "and 38 more: stale (edge: no socket)" in said.text
    assert "What GTM did" not in said.text, "no answer was changed"
    it.world.blind.clear()
    (over,) = it.run(120)
    assert (over.what, over.incident) == ("resolved", said.incident)
    assert not any(one.facts for one in it.rules.incidents.values())


def test_A7_an_endpoint_of_two_checks_is_looked_at_again_when_both_are() -> None:
    it = Watched(CONFIG.replace("port: 80, observe: true", "port: 80, every: 10s, timeout: 1s"), [EVERYTHING])
    it.run(20)
    it.world.blind.add("nyc-2")
    assert [one.title for one in it.run(60)] == ["[ns1] WARNING: nyc-2 cannot be looked at: the last verdict stands"]
    it.world.blind = {("nyc-2", "look")}
    assert it.run(120) == []
    it.world.blind.clear()
    assert [one.what for one in it.run(60)] == ["resolved"]
    told = [one.after for one in it.world.log if one.subject == "nyc-2" and one.after in {"stale", "fresh"}]
    assert told == ["stale", "fresh"]


def test_A7_what_is_only_observed_or_is_one_name_alone_is_told_as_that_check() -> None:
    it = channels("check")
    it.world.blind |= {("a", "look"), ("a", "channel")}
    (said,) = it.run(60)
    assert [one["subject"] for one in said.facts] == [
        "channel/a/ipv4/news.example.com.", "channel/a/ipv4/sport.example.com.", "look/a/ipv4",
    ]  # fmt: skip
    assert {one["state"] for one in said.facts} == {"stale"}
    it.world.blind.clear()
    assert [one.what for one in it.run(60)] == ["resolved"]


def test_A7_who_is_down_because_nothing_was_heard_of_it_is_told_as_down() -> None:
    it = Watched(CHANNELS.replace("timeout: 1s}", "timeout: 1s, on_stale: down}", 1), [EVERYTHING])
    it.run(20)
    it.world.blind.add(("a", "edge"))
    assert [one.title for one in it.run(60)] == [
        "[ns1] WARNING: a cannot be looked at: the last verdict stands", "[ns1] WARNING: a is down",
    ]  # fmt: skip
    assert it.run(600) == [], "and once is enough"
    it.world.blind.clear()
    assert [one.what for one in it.run(60)] == ["resolved", "resolved"]


def test_A7_an_endpoint_that_an_operator_works_on_may_go_unseen() -> None:
    it = watched()
    it.world.order(seen.Override("o", "nyc-1", "drain"))
    it.world.blind.add("nyc-1")
    assert it.run(120) == []
    it.world.order()
    assert [one.what for one in it.run(30)] == ["firing"]


def test_A7_a_flood_that_is_one_event_is_found_by_a_look() -> None:
    it = watched()
    it.world.blind |= set(FRA)
    it.world.run(20)
    it.world.log.clear()  # as if one event had stood for all of them
    assert facts.read(events.Event(it.now, "node", "checks", "fresh", "stale", "40 checks more")) is None
    it.rules.review(it.now, whole=True)
    (said,) = it.run(30)
    assert (len(said.facts), said.group) == (EDGES, "node:checks")
