"""Timed scripts through the real brain, steering, compiler and responder: each rung of the ladder, and the way back."""

from __future__ import annotations

import dns.rcode
import pytest

from gtm import model, seen
from tests.stories.world import WALL_S, World

CONFIG = """
checks:
  web: {kind: http, every: 1s, timeout: 500ms, fall: 2, rise: 3, confirm: 200ms}
endpoints:
  a1: {address: [192.0.2.11, "2001:db8::11"], site: fra}
  a2: {address: [192.0.2.12, "2001:db8::12"], site: ams}
  b1: {address: 198.51.100.21, site: nyc}
  b2: {address: 198.51.100.22, site: nyc}
sites:
  fra: {at: EU-DE, lat: 50.1, lon: 8.7}
  ams: {at: EU-NL, lat: 52.4, lon: 4.9}
  nyc: {at: NA-US-NY, lat: 40.7, lon: -74.0}
pools:
  main: {members: {a1: 3, a2: 1}, answers: 1, check: web, min_up: MIN_UP, failback: FAILBACK}
  backup: {members: [b1, b2], answers: 1, check: web}
zones:
  live.example.com:
    nameservers: {ns1: [203.0.113.53]}
    hostmaster: ops@example.com
    steer:
      play: {try: [main, backup], ttl: 5s..30s, when_all_down: WHEN}
      other: {try: [main], ttl: 5s..30s}
"""
PLAY = "play.live.example.com"
MAIN, BACKUP = {"192.0.2.11", "192.0.2.12"}, {"198.51.100.21", "198.51.100.22"}


def config(*, min_up: str = "1", failback: str = "0s", when: str = "serve-all") -> str:
    return CONFIG.replace("MIN_UP", min_up).replace("FAILBACK", failback).replace("WHEN", when)


def judged(text: str = config()) -> World:
    world = World(text)
    world.run(3)
    assert world.brain.judged()
    return world


def test_A1_before_the_first_judgement_all_members_answer_and_explain_says_so() -> None:
    world = World(config())
    assert not world.brain.judged()
    assert world.ever(PLAY) == MAIN


def test_B3_a_dead_member_leaves_within_a_second_and_a_half() -> None:
    world = judged()
    assert world.ever(PLAY) == MAIN
    world.sick["a1"] = "connection refused"
    world.run(1.5)
    assert world.ever(PLAY) == {"192.0.2.12"}


def test_B1_shares_follow_the_weights_exactly_over_a_turn() -> None:
    world = judged()
    answers = [world.ask(PLAY)[0] for _ in range(400)]
    assert answers.count("192.0.2.11") == 300


def test_B3_a_failed_pool_is_skipped_and_used_again_when_it_is_back() -> None:
    world = judged()
    world.sick |= {"a1": "connection refused", "a2": "connection refused"}
    world.run(1.5)
    assert world.ever(PLAY) == BACKUP
    assert world.said("name", PLAY + ".") == [("first", "fallback")]
    world.sick.clear()
    world.run(5)
    assert world.ever(PLAY) == MAIN
    assert world.said("name", PLAY + ".")[-1] == ("fallback", "first")
    assert world.said("pool", "main") == [("usable", "failed"), ("failed", "usable")]


def test_B4_with_too_few_members_anywhere_the_name_is_degraded_not_dark() -> None:
    world = judged(config(min_up="2"))
    world.sick |= {"a1": "x", "b1": "x", "b2": "x"}
    world.run(3)
    assert world.ever(PLAY) == {"192.0.2.12"}
    assert world.said("name", PLAY + ".")[-1][1] == "degraded"


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("serve-all", MAIN),
        ("{address: [203.0.113.9]}", {"203.0.113.9"}),
        ("{cname: slate.example.net.}", {"slate.example.net."}),
    ],
)
def test_B4_when_all_are_down_the_last_resort_answers(when: str, expected: set[str]) -> None:
    world = judged(config(when=when))
    world.sick |= dict.fromkeys(("a1", "a2", "b1", "b2"), "connection refused")
    world.run(3)
    assert world.ever(PLAY) == expected
    assert world.said("name", PLAY + ".")[-1][1] == "last_resort"


def test_B4_servfail_and_nodata_are_said_when_asked_for_and_never_nxdomain() -> None:
    for when, rcode in (("servfail", dns.rcode.SERVFAIL), ("nodata", dns.rcode.NOERROR)):
        world = judged(config(when=when))
        world.sick |= dict.fromkeys(("a1", "a2", "b1", "b2"), "connection refused")
        world.run(3)
        answer = world.message(PLAY)
        assert answer.rcode() == rcode
        assert not answer.answer


def test_B6_when_all_IPv6_members_are_down_AAAA_is_nodata_while_IPv4_lives() -> None:
    world = judged()
    world.sick |= {("a1", "ipv6"): "no route", ("a2", "ipv6"): "no route"}
    world.run(3)
    assert world.ever(PLAY) == MAIN
    answer = world.message(PLAY, "AAAA")
    assert answer.rcode() == dns.rcode.NOERROR
    assert not answer.answer
    assert answer.authority


def test_B5_a_drained_member_stays_out_even_of_fail_open() -> None:
    world = judged()
    world.order(seen.Override("1", "a1", "drain", by="ops", why="disk"))
    world.run(0.1)
    assert world.ever(PLAY) == {"192.0.2.12"}
    world.sick |= dict.fromkeys(("a1", "a2", "b1", "b2"), "connection refused")
    world.run(3)
    assert world.ever(PLAY) == {"192.0.2.12"}


def test_B5_an_order_ends_by_itself_when_its_time_has_passed() -> None:
    world = judged()
    world.order(seen.Override("1", "a1", "drain", until=WALL_S + world.now - 1000.0 + 60))
    world.run(59)
    assert world.ever(PLAY) == {"192.0.2.12"}
    world.run(2)
    assert world.ever(PLAY) == MAIN


def test_B10_a_weight_order_multiplies_the_configured_weight() -> None:
    world = judged()
    world.order(seen.Override("1", "a1", "weight", value=1 / 3))
    world.run(0.1)
    answers = [world.ask(PLAY)[0] for _ in range(400)]
    assert abs(answers.count("192.0.2.11") - 200) <= 4


def test_B11_failback_waits_but_failing_over_never_does() -> None:
    world = judged(config(failback="60s"))
    world.sick |= {"a1": "x", "a2": "x"}
    world.run(2)
    assert world.ever(PLAY) == BACKUP
    world.sick.clear()
    world.run(30)
    assert world.ever(PLAY) == BACKUP
    world.sick |= {"b1": "x", "b2": "x"}
    world.run(2)
    assert world.ever(PLAY) == MAIN
    world.sick.clear()
    world.run(70)
    assert world.ever(PLAY) == MAIN


def test_B11_manual_failback_waits_for_a_release() -> None:
    world = judged(config(failback="manual"))
    world.sick |= {"a1": "x", "a2": "x"}
    world.run(2)
    world.sick.clear()
    world.run(4000)
    assert world.ever(PLAY) == BACKUP
    world.order(released=("pool:main",))
    world.run(1)
    assert world.ever(PLAY) == MAIN


def test_D1_a_member_in_doubt_pulls_the_TTL_to_the_lower_bound() -> None:
    text = config().replace("every: 1s", "every: 20s").replace("timeout: 500ms", "timeout: 5s")
    world = World(text)
    world.run(45)
    assert world.ttl(PLAY) == 20  # 20 s to the next probe and 200 ms of confirming: whole seconds
    world.sick["a1"] = "slow"
    world.took_s = 4.0
    while not any(one == "web/a1/ipv4" and at > 1045 for at, one in world.probed):
        world.run(0.5)
    world.run(4.1)
    assert world.ttl(PLAY) == 5


def test_A6_a_dependency_that_is_down_takes_its_dependants_down_and_is_named() -> None:
    text = config().replace("site: nyc}\n  b2", "site: nyc, depends_on: [a2]}\n  b2")
    world = judged(text)
    world.sick |= {"a1": "x", "a2": "x"}
    world.run(3)
    assert world.ever(PLAY) == {"198.51.100.22"}


def test_A7_a_probe_that_cannot_run_changes_no_answer() -> None:
    world = judged()
    world.blind |= {"a1", "a2", "b1", "b2"}
    world.run(120)
    assert world.ever(PLAY) == MAIN


def test_A9_when_everything_fails_at_once_the_guard_holds_the_verdicts_and_recovers_without_a_flap() -> None:
    world = judged(config() + "guard: {min_alive: 50%}\n")
    world.sick["a1"] = "connection refused"
    world.run(3)
    world.sick |= dict.fromkeys(("a1", "a2", "b1", "b2"), "network unreachable")
    world.run(30)
    assert world.said("guard")
    assert world.ever(PLAY) & MAIN, "the verdicts from before the fall stand"
    world.sick.clear()
    world.run(10)
    assert world.ever(PLAY) == MAIN
    assert world.said("guard")[-1][1] != world.said("guard")[0][1]


def test_A10_a_flapping_member_is_held_down_longer_each_time() -> None:
    world = judged(config() + "flap: {window: 15m, returns: 4, hold: 30s, max: 10m}\n")
    out = []
    for _ in range(6):
        world.sick["a1"] = "x"
        world.run(2)
        world.sick.clear()
        waited = 0.0
        while "192.0.2.11" not in world.ever(PLAY, times=4) and waited < 700:
            world.run(1)
            waited += 1
        out.append(waited)
    assert max(out[:3]) < 5
    assert out[3] >= 29
    assert out[5] > 2 * out[3] - 5


def test_A1_remembered_health_is_used_at_start_so_a_dead_node_is_not_handed_out_again() -> None:
    world = World(config())
    keys = list(world.brain.snapshot.checks)
    remembered: dict[model.CheckKey, seen.Known] = {
        key: seen.Known("down" if key.endpoint == "a1" else "up", 30.0, "connection refused") for key in keys
    }
    again = World(config(), remembered=remembered)
    assert again.brain.judged()
    assert again.ever(PLAY) == {"192.0.2.12"}


def test_B5_the_first_table_after_a_start_knows_the_orders_in_force() -> None:
    world = World(config(), orders=(seen.Override("1", "a1", "drain"),))
    assert world.ever(PLAY) == {"192.0.2.12"}


def test_C2_rules_by_place_send_each_client_to_its_own_pool() -> None:
    text = config().replace(
        "      other:",
        "      geo:\n        rules:\n          - {for: [EU], try: [main]}\n"
        "          - {for: [NA, 203.0.113.0/24], try: [backup]}\n          - {try: [main, backup]}\n"
        "      other:",
    )
    world = World(
        text,
        geography=[
            (4, 0xC6336400, 24, {"continent": {"code": "EU"}, "country": {"iso_code": "DE"}}),
            (4, 0xC6336500, 24, {"continent": {"code": "NA"}, "country": {"iso_code": "US"}}),
        ],
    )
    world.run(3)
    geo = "geo.live.example.com"
    assert world.ever(geo, subnet="198.51.100.0/24") == MAIN
    assert world.ever(geo, subnet="198.51.101.0/24") == BACKUP
    assert world.ever(geo, subnet="203.0.113.128/25") == BACKUP
    assert world.ever(geo) == MAIN
    world.sick |= {"b1": "x", "b2": "x", "a1": "x"}
    world.run(3)
    assert world.ever(geo, subnet="198.51.100.0/24") == {"192.0.2.12"}
    assert world.ever(geo, subnet="198.51.101.0/24") <= BACKUP, "its rule tries no other pool: fail-open inside it"


def test_G1_a_reload_keeps_what_is_known_of_unchanged_members() -> None:
    world = judged()
    world.sick["a1"] = "x"
    world.run(3)
    world.reload(config() + "flap: off\n")
    assert world.ever(PLAY) == {"192.0.2.12"}


def test_A12_a_stale_channel_leaves_its_own_name_alone() -> None:
    channel = "  channel: {kind: http, path: '/{label}/live', every: 1s, timeout: 500ms, confirm: 200ms}\n"
    names = "".join(f"      {name}: {{try: [main], check: channel}}\n" for name in ("news", "sport", "film"))
    text = config().replace("checks:\n", "checks:\n" + channel).replace("      other:", names + "      other:")
    world = judged(text)
    world.sick[("a1", "news.live.example.com.")] = "playlist.age is 14.2s, should be < 3 * playlist.target = 6s"
    world.run(3)
    assert world.ever("news.live.example.com") == {"192.0.2.12"}
    assert world.ever("sport.live.example.com") == MAIN
    world.sick[("a1", "sport.live.example.com.")] = "playlist.age is 14.2s, should be < 3 * playlist.target = 6s"
    world.run(3)
    assert world.ever("film.live.example.com") == {"192.0.2.12"}, "two of three streams are stale: the node is judged"
    assert world.ever("other.live.example.com") == {"192.0.2.12"}
