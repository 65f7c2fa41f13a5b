"""What people are shown is what is answered: explain and status in the contract's shapes, from the same decisions."""

from __future__ import annotations

import pytest

from gtm import errors, view
from gtm.wire import steps
from tests.stories import world as worlds
from tests.stories.test_ladder import BACKUP, PLAY, config, judged

EXPLAIN_KEYS = {
    "name",
    "type",
    "client",
    "place",
    "rule",
    "rung",
    "pool",
    "tried",
    "answers",
    "ttl",
    "ecs_scope",
    "rcode",
}


def test_explain_has_the_contract_shape_and_agrees_with_the_answer() -> None:
    world = judged()
    world.sick["a1"] = "connection refused"
    world.run(2)
    why = view.explain_name(world.brain, world.now, name=PLAY, client="192.0.2.0/24")
    assert set(why) >= EXPLAIN_KEYS
    assert set(why["answers"]) == world.ever(PLAY)
    assert (why["rule"], why["rung"], why["pool"], why["rcode"]) == (1, "first", "main", "NOERROR")
    assert set(why["tried"][0]) >= {"pool", "usable", "reason", "members"}
    members = {member["endpoint"]: member for member in why["tried"][0]["members"]}
    assert set(members["a1"]) >= {"endpoint", "eligible", "state", "weight", "reason"}
    assert not members["a1"]["eligible"]
    assert "connection refused" in members["a1"]["reason"]


def test_an_assumption_shows_what_would_be_answered_and_changes_nothing() -> None:
    world = judged()
    why = view.explain_name(world.brain, world.now, name=PLAY, assume=["a*=down"])
    assert set(why["answers"]) == BACKUP
    assert why["rung"] == "fallback"
    assert world.ever(PLAY).isdisjoint(BACKUP)
    everything = view.explain_name(world.brain, world.now, name=PLAY, assume=["a*=down", "b*=down"])
    assert everything["rung"] == "last_resort"


def test_A6_an_assumption_reaches_what_depends_on_it() -> None:
    world = judged(config().replace("site: nyc}\n  b2", "site: nyc, depends_on: [a2]}\n  b2"))
    why = view.explain_name(world.brain, world.now, name=PLAY, assume=["a*=down"])
    assert why["answers"] == ["198.51.100.22"]
    assert any("a2 is down" in member["reason"] for member in why["tried"][1]["members"])
    site = view.explain_name(world.brain, world.now, name=PLAY, assume=["site:fra=down"])
    assert site["answers"] == ["192.0.2.12"]


def test_what_stands_beside_a_policy_is_explained_as_static() -> None:
    world = judged(config().replace("steer:\n", "steer:\n      '@': main\n"))
    zone = PLAY.partition(".")[2]
    soa = view.explain_name(world.brain, world.now, name=zone, qtype="SOA")
    assert (soa["rule"], soa["rcode"], len(soa["answers"])) == (None, "NOERROR", 1)
    assert view.explain_name(world.brain, world.now, name=zone)["pool"] == "main"


@pytest.mark.parametrize("assumption", ["a1", "a1=sideways", "=down", "nobody=down"])
def test_an_assumption_that_means_nothing_is_refused(assumption: str) -> None:
    world = judged()
    with pytest.raises(errors.GtmError):
        view.explain_name(world.brain, world.now, name=PLAY, assume=[assumption])


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("x.tv.live.example.com.", True),
        ("x.y.tv.live.example.com.", True),
        ("www.tv.live.example.com.", False),
        ("below.www.tv.live.example.com.", False),
        ("tv.live.example.com.", False),
        ("x.other.live.example.com.", False),
        ("example.org.", False),
    ],
)
def test_E6_a_wildcard_covers_what_RFC_4592_says_it_does(name: str, policy: bool) -> None:
    text = config().replace("      other:", "      '*.tv': {try: [backup]}\n      other:")
    text = text.replace("    steer:", "    records: {www.tv: {TXT: hello}}\n    steer:")
    world = judged(text)
    assert (view.steered(world.brain, name) is not None) == policy
    assert bool(world.ask(name, "A")) == policy


def test_a_name_is_looked_for_in_the_nearest_of_nested_zones() -> None:
    parent = (
        "  example.com:\n    nameservers: [ns.example.net.]\n    hostmaster: ops@example.com\n    steer: {www: main}\n"
    )
    world = judged(config().replace("zones:\n", "zones:\n" + parent))
    assert view.steered(world.brain, PLAY + ".") is not None
    assert view.steered(world.brain, "www.example.com.") is not None
    assert view.steered(world.brain, "play.example.com.") is None


def test_a_name_that_is_not_steered_is_explained_from_the_table() -> None:
    world = judged()
    why = view.explain_name(world.brain, world.now, name="live.example.com", qtype="NS")
    assert set(why) >= EXPLAIN_KEYS
    assert why["answers"] == ["ns1.live.example.com."]
    assert view.explain_name(world.brain, world.now, name="no.live.example.com")["rcode"] == "NXDOMAIN"


def test_status_lists_every_name_pool_and_endpoint_in_the_contract_shape() -> None:
    world = judged()
    world.sick["a1"] = "connection refused"
    world.run(2)
    names, pools = view.names_view(world.brain), view.pools_view(world.brain)
    assert {one["name"]: one["rung"] for one in names} == {f"{PLAY}.": "first", "other.live.example.com.": "first"}
    shown = {one["pool"]: (one["usable"], one["up"], one["members"]) for one in pools}
    assert shown == {"main": (True, 1, 2), "backup": (True, 2, 2)}
    rows = {(one["endpoint"], one["family"]): one for one in steps.finish(view.endpoints_view(world.brain, world.now))}
    assert len(rows) == 6
    dead = rows["a1", "ipv4"]
    assert set(dead) >= {"endpoint", "family", "state", "serving", "weight", "since", "reason", "order", "stale"}
    assert (dead["state"], dead["serving"], dead["weight"]) == ("down", False, 3)
    assert rows["a2", "ipv4"]["serving"]


def test_D3_the_longest_ttl_of_an_answer_that_holds_an_endpoint_is_known() -> None:
    world = judged()
    assert view.longest_ttl_s(world.brain, {"a1"}) == world.ttl(PLAY)
    assert view.longest_ttl_s(world.brain, {"b1"}) == 0


def test_the_line_for_systemd_says_zones_and_endpoints_of_which_a_family_is_up() -> None:
    world = judged()
    number = len(world.brain.snapshot.endpoints)
    assert view.status_line(world.brain) == f"serving 1 zone, {number} endpoints up"
    world.sick["a1"] = "connection refused"
    world.run(2)
    assert view.status_line(world.brain) == f"serving 1 zone, {number - 1} of {number} endpoints up"


STANDBYS = config().replace("main: {members: {a1: 3, a2: 1}", "main: {members: {a1: 3, a2: 1, b1: {tier: 2}, b2: 0}")


def test_B2_and_B3_a_later_tier_and_a_standby_have_no_share_of_their_pools_answers() -> None:
    world = judged(STANDBYS)
    (main,) = (one for one in view.pools_view(world.brain) if one["pool"] == "main")
    assert {one["endpoint"]: one["share"] for one in main["roster"]} == {"a1": 0.75, "a2": 0.25, "b1": 0, "b2": 0}
    members = view.explain_name(world.brain, world.now, name=PLAY)["tried"][0]["members"]
    assert [one["endpoint"] for one in members if one["standby"]] == ["b2", "b1"]
    world.sick |= {"a1": "gone", "a2": "gone"}
    world.run(3)
    (main,) = (one for one in view.pools_view(world.brain) if one["pool"] == "main")
    assert {one["endpoint"]: one["share"] for one in main["roster"]} == {"a1": 0, "a2": 0, "b1": 0, "b2": 1}


def test_A1_a_member_that_is_unknown_is_not_counted_as_up() -> None:
    world = judged()
    world.reload(config().replace("a2: {address: [192.0.2.12", "a2: {address: [192.0.2.99"))
    (main,) = (one for one in view.pools_view(world.brain) if one["pool"] == "main")
    assert (main["up"], main["reason"]) == (1, "1 of 2 up, 1 unknown")


def test_D2_what_is_not_there_is_explained_with_the_ttl_of_its_absence() -> None:
    world = judged()
    assert view.explain_name(world.brain, world.now, name=PLAY, qtype="MX")["ttl"] == 10
    assert view.explain_name(world.brain, world.now, name="no-such." + PLAY.partition(".")[2])["ttl"] == 10


def test_a_zone_says_on_which_rungs_its_names_stand() -> None:
    world = judged()
    assert view.zones_view(world.brain) == [{"zone": "live.example.com.", "names": 2, "rungs": {"first": 2}}]
    world.sick |= {"a1": "gone", "a2": "gone"}
    world.run(3)
    assert view.zones_view(world.brain)[0]["rungs"] == {"fallback": 1, "last_resort": 1}


def test_a_name_that_stands_low_for_some_clients_only_is_partly_there() -> None:
    one = worlds.World("""
checks: {web: {kind: http, every: 5s}}
endpoints: {a: {address: 192.0.2.1}, b: {address: 192.0.2.2}}
pools: {here: {members: [a], check: web}, there: {members: [b], check: web}}
zones:
  example.com:
    nameservers: {ns1: [192.0.2.53]}
    steer:
      split: {rules: [{for: [198.51.100.0/24], try: [here, there]}, {try: [there]}]}
      whole: {try: [here, there]}
""")
    one.run(15)
    assert [row["partly"] for row in view.names_view(one.brain)] == [False, False]
    one.sick["a"] = "connection refused"
    one.run(15)
    rows = {row["name"]: (row["rung"], row["partly"]) for row in view.names_view(one.brain)}
    assert rows == {"split.example.com.": ("fallback", True), "whole.example.com.": ("fallback", False)}
