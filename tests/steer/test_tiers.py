"""The ladder: who serves, in which family, on which rung (semantics A1, A4, B1 to B7, B10, B11)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import model, seen
from gtm.steer import audience
from tests.steer import world
from tests.steer.world import endpoints, firsts, policy

LAST_RESORTS = ("serve-all", "nodata", "servfail")


def test_the_first_pool_serves_while_it_is_usable() -> None:
    w = world.World()
    w.pool("eu", "a:3 b:1")
    w.pool("us", "c")
    found = w.decide(policy("eu", "us"))
    assert (found.rule, found.rung, found.pool, found.ttl_s) == (1, "first", "eu", 10)
    assert found.why == "rule 1; pool eu; ttl 10"
    assert sorted(firsts(found)) == ["a", "a", "a", "b"]


def test_B3_a_failed_pool_is_skipped_for_the_next_in_try() -> None:
    w = world.World()
    w.pool("edge-eu", "a b c")
    w.pool("edge-us", "d e")
    w.down("a", "b", "c")
    rules = (model.Rule(model.Audience(places=("AS",)), ("edge-us",)), model.Rule(None, ("edge-eu", "edge-us")))
    w_policy = model.Policy(rules, ttl_max_s=5)
    found = w.decide(w_policy, who=audience.Audience(1))
    assert (found.rule, found.rung, found.pool, endpoints(found)) == (2, "fallback", "edge-us", {"d", "e"})
    assert found.why == "rule 2; pool edge-us; edge-eu failed: 0 of 3 up; ttl 5"
    assert [(one.pool, one.usable) for one in found.tried] == [("edge-eu", False), ("edge-us", True)]


def test_B3_a_pool_below_min_up_has_failed_and_says_what_it_needs() -> None:
    w = world.World()
    w.pool("eu", "a b c", min_up=2)
    w.pool("us", "d")
    w.down("a", "b")
    found = w.decide(policy("eu", "us"))
    assert found.pool == "us"
    assert found.tried[0].reason == "1 of 3 up, needs 2"


@pytest.mark.parametrize(("down", "pool"), [(("b", "c"), "eu"), (("a",), "us"), (("a", "c"), "us")])
def test_B3_min_up_as_a_share_is_the_rounded_up_share_of_the_weight(down: tuple[str, ...], pool: str) -> None:
    w = world.World()
    w.pool("eu", "a:5 b:3 c:1", min_up=0, min_up_share=0.5)  # half of 9 is 4.5: 5 are needed
    w.pool("us", "d")
    w.down(*down)
    assert w.decide(policy("eu", "us")).pool == pool


def test_B3_a_share_that_comes_out_whole_is_not_rounded_up_by_floating_point() -> None:
    w = world.World()
    w.pool("eu", "a:7 b:93", min_up=0, min_up_share=0.07)  # 0.07 x 100 is 7.000000000000001 for a computer
    w.down("b")
    assert w.decide(policy("eu")).rung == "first"


def test_B3_min_up_never_asks_for_more_than_the_pool_has_in_a_family() -> None:
    w = world.World()
    w.endpoint("both", "46")
    w.pool("eu", "both a b", min_up=2)
    assert w.decide(policy("eu"), "ipv6").rung == "first"


def test_B3_the_lowest_tier_with_an_eligible_member_serves() -> None:
    w = world.World()
    w.pool("eu", "a:1:1 b:1:1 c:1:2 d:1:3")
    assert endpoints(w.decide(policy("eu"))) == {"a", "b"}
    w.down("a")
    assert endpoints(w.decide(policy("eu"))) == {"b"}
    w.down("a", "b")
    assert endpoints(w.decide(policy("eu"))) == {"c"}
    w.down("a", "b", "c")
    found = w.decide(policy("eu"))
    assert (endpoints(found), found.rung) == ({"d"}, "first")


def test_B2_weight_0_is_standby_in_its_tier_and_comes_before_the_next_tier() -> None:
    w = world.World()
    w.pool("eu", "a:2:1 spare:0:1 old:0:1 c:5:2")
    assert endpoints(w.decide(policy("eu"))) == {"a"}
    w.down("a")
    found = w.decide(policy("eu"))
    assert endpoints(found) == {"spare", "old"}
    assert sorted(firsts(found)) == ["old", "spare"]
    w.down("spare", "old")
    assert endpoints(w.decide(policy("eu"))) == {"c"}


@pytest.mark.parametrize("balance", ["weighted", "round-robin", "all", "sticky"])
def test_B2_a_standby_is_one_under_every_balance(balance: str) -> None:
    w = world.World()
    w.pool("eu", "a b spare:0", balance=balance)
    assert endpoints(w.decide(policy("eu"))) == {"a", "b"}


def test_B1_the_share_of_a_failed_member_is_split_in_proportion_to_the_rest() -> None:
    w = world.World()
    w.pool("eu", "a:5 b:3 c:1", answers=1)
    w.down("a")
    found = w.decide(policy("eu"))
    assert sorted(firsts(found)) == ["b", "b", "b", "c"]


def test_B4_below_min_up_everywhere_any_eligible_member_serves_in_the_order_of_pools() -> None:
    w = world.World()
    w.pool("eu", "a b", min_up=2)
    w.pool("us", "c d", min_up=2)
    w.down("a", "c")
    found = w.decide(policy("eu", "us"))
    assert (found.rung, found.pool, endpoints(found)) == ("degraded", "eu", {"b"})
    assert found.why.startswith("rule 1; pool eu degraded; eu failed: 1 of 2 up, needs 2")


def test_B4_serve_all_gives_every_member_of_the_first_pool_in_rotation_whatever_tier_and_weight() -> None:
    w = world.World()
    w.pool("eu", "a:9:1 b:0:1 c:1:2", answers=2)
    w.pool("us", "d")
    w.down("a", "b", "c", "d")
    found = w.decide(policy("eu", "us"))
    assert (found.rung, found.pool) == ("last_resort", "eu")
    assert {name: firsts(found).count(name) for name in "abc"} == {"a": 2, "b": 2, "c": 2}
    assert all(len(reply) == 2 for reply in found.replies)
    assert found.why.startswith("rule 1; last resort serve-all of eu; ")


def test_B4_serve_all_of_a_sticky_pool_goes_in_rotation_too() -> None:
    w = world.World()
    w.pool("eu", "a b c", balance="sticky")
    assert w.decide(policy("eu")).sticky == (24, 56)
    w.down("a", "b", "c")
    assert w.decide(policy("eu")).sticky is None


def test_B4_servfail_nodata_address_and_cname_as_last_resort() -> None:
    w = world.World()
    w.pool("eu", "a b")
    w.down("a", "b")

    def last(**fields: object) -> seen.Decision:
        return w.decide(policy("eu", when_all_down=model.LastResort(**fields)))  # type: ignore[arg-type]

    assert (last(kind="servfail").rcode, last(kind="servfail").replies) == (2, ())
    assert (last(kind="nodata").rcode, last(kind="nodata").replies) == (0, ())
    sorry = last(kind="address", addresses=("203.0.113.1", "2001:db8::1", "203.0.113.2"))
    assert {answer.value for reply in sorry.replies for answer in reply} == {"203.0.113.1", "203.0.113.2"}
    assert last(kind="cname", cname="sorry.example.").replies == ((seen.Answer("", "cname", "sorry.example."),),)


def test_B4_addresses_of_the_last_resort_serve_a_family_that_no_pool_has() -> None:
    w = world.World()
    w.pool("eu", "a")
    sorry = policy("eu", when_all_down=model.LastResort("address", ("203.0.113.1", "2001:db8::1")))
    assert w.decide(sorry, "ipv6").replies == ()
    w.down("a")
    assert w.decide(sorry, "ipv6").replies == ((seen.Answer("", "ipv6", "2001:db8::1"),),)


def test_B4_a_cname_as_last_resort_is_answered_to_every_type() -> None:
    w = world.World()
    w.pool("eu", "a")
    sorry = policy("eu", when_all_down=model.LastResort("cname", cname="sorry.example."))
    assert w.decide(sorry, "cname").replies == ()
    w.down("a")
    for family in ("ipv4", "ipv6", "cname"):
        assert w.decide(sorry, family).replies == ((seen.Answer("", "cname", "sorry.example."),),)


def test_B5_barred_members_stay_out_of_fail_open_and_the_next_pool_takes_over_there() -> None:
    w = world.World()
    w.pool("eu", "a b")
    w.pool("us", "c d")
    w.down("b", "c", "d")
    w.think("a", eligible=False, state="up", barred=True, order="drain", why="drained")
    assert endpoints(w.decide(policy("eu", "us"))) == {"b"}
    w.think("b", eligible=False, state="down", barred=True, order="down", why="forced down")
    found = w.decide(policy("eu", "us"))
    assert (found.pool, endpoints(found)) == ("us", {"c", "d"})
    for name in "cd":
        w.think(name, eligible=False, state="up", barred=True)
    found = w.decide(policy("eu", "us"))
    assert (found.replies, found.rcode, found.rung) == ((), 0, "last_resort")


def test_B5_a_drained_member_that_was_never_judged_is_not_answered_before_the_first_round() -> None:
    w = world.World()
    w.judged = False
    w.pool("eu", "a b")
    w.think("a", eligible=False, state="unknown", barred=True)
    w.think("b", eligible=True, state="unknown")
    assert endpoints(w.decide(policy("eu"))) == {"b"}


def test_B6_a_family_that_no_pool_has_is_nodata() -> None:
    w = world.World()
    w.pool("eu", "a")
    found = w.decide(policy("eu"), "ipv6")
    assert (found.replies, found.rcode, found.why) == ((), 0, "rule 1; no ipv6 address")
    w.down("a")
    assert w.decide(policy("eu"), "ipv6").replies == ()


def test_B6_when_all_ipv6_members_are_down_aaaa_is_nodata_while_ipv4_lives() -> None:
    w = world.World()
    for name in "ab":
        w.endpoint(name, "46")
    w.pool("eu", "a b")
    w.down("a", "b", family="ipv6")
    assert w.decide(policy("eu"), "ipv6").replies == ()
    assert w.decide(policy("eu"), "ipv6").rcode == 0
    assert endpoints(w.decide(policy("eu"))) == {"a", "b"}
    w.down("a", "b")
    families: tuple[model.Family, ...] = ("ipv4", "ipv6")
    for family in families:
        assert w.decide(policy("eu"), family).rung == "last_resort"
        assert endpoints(w.decide(policy("eu"), family)) == {"a", "b"}


def test_B4_when_all_ipv4_members_are_down_A_goes_down_the_ladder_though_ipv6_lives() -> None:
    w = world.World()
    for name in "ab":
        w.endpoint(name, "46")
    w.pool("eu", "a b")
    w.down("a", "b", family="ipv4")
    found = w.decide(policy("eu"))
    assert (found.rung, endpoints(found)) == ("last_resort", {"a", "b"})
    elsewhere = model.LastResort("address", addresses=("203.0.113.9", "2001:db8::9"))
    found = w.decide(policy("eu", when_all_down=elsewhere))
    assert [one.value for reply in found.replies for one in reply] == ["203.0.113.9"]
    assert w.decide(policy("eu", when_all_down=elsewhere), "ipv6").rung == "first"


def test_A4_families_fail_over_apart() -> None:
    w = world.World()
    w.endpoint("a", "46")
    w.endpoint("b", "46")
    w.pool("eu", "a")
    w.pool("us", "b")
    w.down("a", family="ipv6")
    assert w.decide(policy("eu", "us"), "ipv4").pool == "eu"
    assert w.decide(policy("eu", "us"), "ipv6").pool == "us"


def test_B6_a_pool_without_a_family_keeps_its_dual_stack_clients_while_it_is_usable() -> None:
    w = world.World()
    w.endpoint("b", "46")
    w.pool("eu", "a")
    w.pool("us", "b")
    found = w.decide(policy("eu", "us"), "ipv6")
    assert (found.replies, found.pool, found.rung) == ((), "eu", "first")
    w.down("a")
    assert endpoints(w.decide(policy("eu", "us"), "ipv6")) == {"b"}


def test_A1_before_the_first_round_members_are_answered_as_if_up_and_that_is_said() -> None:
    w = world.World()
    w.judged = False
    w.pool("eu", "a b")
    for name in "ab":
        w.think(name, eligible=True, state="unknown", steps_s=20.0)
    found = w.decide(policy("eu"))
    assert (endpoints(found), found.ttl_s) == ({"a", "b"}, 5)
    assert found.why == "rule 1; pool eu; not judged yet; ttl 5"


def test_A1_members_still_unknown_rank_behind_members_known_to_be_up() -> None:
    w = world.World()
    w.pool("eu", "a:9 b:1 c:1:2")
    w.think("a", eligible=True, state="unknown")
    assert endpoints(w.decide(policy("eu"))) == {"b"}
    w.down("b")
    assert endpoints(w.decide(policy("eu"))) == {"c"}
    w.down("b", "c")
    found = w.decide(policy("eu"))
    assert (endpoints(found), found.rung, found.tried[0].reason) == ({"a"}, "first", "0 of 3 up, 1 unknown")


def test_A1_not_knowing_moves_no_client_to_another_pool() -> None:
    w = world.World()
    w.pool("eu", "a b", min_up=2)
    w.pool("us", "c")
    w.think("a", eligible=True, state="unknown")
    found = w.decide(policy("eu", "us"))
    assert (found.pool, endpoints(found)) == ("eu", {"b"})


def test_an_operator_who_forces_a_member_up_knows_it_to_be_up() -> None:
    w = world.World()
    w.pool("eu", "a b c")
    w.think("a", eligible=True, state="unknown", order="up, weight 50%")
    w.think("b", eligible=True, state="down", order="up")
    w.down("c")
    assert endpoints(w.decide(policy("eu"))) == {"a", "b"}


def test_B11_a_member_held_back_waits_while_another_pool_or_tier_serves() -> None:
    w = world.World()
    w.pool("eu", "a b")
    w.pool("us", "c:1:1 d:1:2")
    for name in "ab":
        w.think(name, eligible=False, state="up", held=True)
    found = w.decide(policy("eu", "us"))
    assert (found.rung, found.pool) == ("fallback", "us")
    assert found.tried[0].reason == "0 of 2 up, 2 held"
    w.think("c", eligible=False, state="up", held=True)
    assert endpoints(w.decide(policy("us"))) == {"d"}


def test_B11_failing_over_is_never_delayed_so_held_members_come_before_anything_worse() -> None:
    w = world.World()
    w.pool("eu", "a b")
    w.pool("us", "c")
    w.down("b", "c")
    w.think("a", eligible=False, state="up", held=True)
    found = w.decide(policy("eu", "us"))
    assert (found.rung, found.pool, endpoints(found)) == ("first", "eu", {"a"})


def test_B11_held_members_join_a_degraded_pool_only_when_nobody_else_is_left() -> None:
    w = world.World()
    w.pool("eu", "a x y", min_up=3)
    w.pool("us", "b p q", min_up=3)
    w.down("x", "y", "p", "q")
    w.think("a", eligible=False, state="up", held=True)
    assert endpoints(w.decide(policy("eu", "us"))) == {"b"}
    w.down("b")
    found = w.decide(policy("eu", "us"))
    assert (found.rung, endpoints(found)) == ("degraded", {"a"})


def test_B7_an_answer_never_mixes_members_of_different_pools_and_holds_at_most_eight() -> None:
    w = world.World()
    w.pool("eu", " ".join(f"m{i}" for i in range(12)), answers=8)
    w.pool("us", "z")
    found = w.decide(policy("eu", "us"))
    assert {len(reply) for reply in found.replies} == {8}
    assert "z" not in endpoints(found)


def test_B8_all_gives_every_eligible_member_up_to_eight_whatever_answers_says() -> None:
    w = world.World()
    w.pool("eu", " ".join(f"m{i}" for i in range(5)), answers=1, balance="all")
    assert {len(reply) for reply in w.decide(policy("eu")).replies} == {5}
    w.pool("big", " ".join(f"n{i}" for i in range(11)), answers=1, balance="all")
    found = w.decide(policy("big"))
    assert {len(reply) for reply in found.replies} == {8}
    assert {firsts(found).count(f"n{i}") * 11 for i in range(11)} == {len(found.slots)}


def test_B8_round_robin_ignores_configured_weights() -> None:
    w = world.World()
    w.pool("eu", "a:9 b:1", balance="round-robin", answers=1)
    assert sorted(firsts(w.decide(policy("eu")))) == ["a", "b"]


@pytest.mark.parametrize("balance", ["weighted", "round-robin"])
def test_B10_orders_and_slow_start_multiply_the_weight(balance: str) -> None:
    w = world.World()
    w.pool("eu", "a:2 b:2", answers=1, balance=balance)
    w.think("a", weight_factor=0.1)
    assert {name: firsts(w.decide(policy("eu"))).count(name) for name in "ab"} == {"a": 1, "b": 10}


def test_B8_nearest_serves_the_first_band_with_eligible_members_and_fills_up_from_the_next() -> None:
    w = world.World()
    for name, site in (("f1", "fra"), ("f2", "fra"), ("a1", "ams"), ("n1", "nyc")):
        w.endpoint(name, site=site)
    w.pool("all", "f1:3 f2:1 a1 n1", balance="nearest", answers=3)
    who = audience.Audience(0, {"all": (("fra",), ("ams",), ("nyc",))})
    found = w.decide(policy("all"), who=who)
    assert {name: firsts(found).count(name) * 4 / len(found.slots) for name in ("f1", "f2")} == {"f1": 3, "f2": 1}
    assert {tuple(answer.endpoint for answer in reply) for reply in found.replies} == {
        ("f1", "f2", "a1"),
        ("f2", "f1", "a1"),
    }
    w.down("f1", "f2")
    assert set(firsts(w.decide(policy("all"), who=who))) == {"a1"}


def test_B8_nearest_falls_back_to_weighted_for_a_client_whose_place_is_unknown() -> None:
    w = world.World()
    w.pool("all", "a:3 b:1", balance="nearest", answers=1)
    assert sorted(firsts(w.decide(policy("all")))) == ["a", "a", "a", "b"]


def test_E7_a_host_name_is_answered_alone_in_both_families_and_in_proportion() -> None:
    w = world.World()
    w.endpoint("cdn", "c")
    w.endpoint("own", "46")
    w.pool("eu", "own:3 cdn:1")
    for family in ("ipv4", "ipv6"):
        found = w.decide(policy("eu"), family)
        assert sorted(firsts(found)) == ["cdn", "own", "own", "own"]
        assert all(len(reply) == 1 for reply in found.replies)
    assert w.decide(policy("eu"), "cname").replies == ()


def test_other_types_get_the_cname_when_all_that_is_served_is_one() -> None:
    w = world.World()
    w.endpoint("cdn", "c")
    w.pool("own", "a")
    w.pool("cdn", "cdn")
    assert w.decide(policy("own", "cdn"), "cname").replies == ()
    w.down("a")
    found = w.decide(policy("own", "cdn"), "cname")
    assert found.replies == ((seen.Answer("cdn", "cname", "cdn.cdn.example."),),)


@pytest.mark.parametrize(("families", "rcode"), [("4", 0), ("c", 2)])
def test_E1_servfail_reaches_other_types_only_where_the_name_would_be_a_cname(families: str, rcode: int) -> None:
    w = world.World()
    w.endpoint("a", families)
    w.pool("eu", "a")
    w.down("a")
    assert w.decide(policy("eu", when_all_down=model.LastResort("servfail")), "cname").rcode == rcode


def test_D1_only_members_that_could_change_the_answer_count_for_its_ttl() -> None:
    w = world.World()
    w.pool("eu", "a:1:1 spare:0:1 far:1:2")
    w.pool("us", "z")
    for name in ("spare", "far", "z"):
        w.think(name, in_doubt=True)
    w.think("a", steps_s=12.9)
    assert w.decide(policy("eu", "us")).ttl_s == 12
    w.think("a", in_doubt=True)
    assert w.decide(policy("eu", "us")).ttl_s == 5


def test_D1_a_better_pool_that_may_return_counts_for_the_ttl() -> None:
    w = world.World()
    w.pool("eu", "a")
    w.pool("us", "b")
    w.think("a", eligible=False, state="down", steps_s=7.0)
    w.think("b", steps_s=20.0)
    assert w.decide(policy("eu", "us")).ttl_s == 7


def test_the_reason_stays_short_however_many_pools_failed() -> None:
    w = world.World()
    names = [f"pool-with-a-long-name-{i}" for i in range(30)]
    for index, name in enumerate(names):
        w.pool(name, f"m{index}")
        w.down(f"m{index}")
    why = w.decide(policy(*names)).why
    assert len(why.encode()) <= 200
    assert "more failed" in why
    assert why.endswith("; ttl 10")


states = st.sampled_from(["up", "down", "unknown", "held", "barred"])


@given(
    standing=st.lists(states, min_size=6, max_size=6),
    min_up=st.integers(1, 3),
    last=st.sampled_from(LAST_RESORTS),
    judged=st.booleans(),
    balance=st.sampled_from(["weighted", "round-robin", "sticky", "all"]),
)
def test_B4_B5_answers_are_empty_only_where_the_rules_say_so_and_never_hold_a_barred_member(
    standing: list[str], min_up: int, last: str, judged: bool, balance: str
) -> None:
    w = world.World()
    w.judged = judged
    w.pool("eu", "a:3 b:1 c:0", min_up=min_up, balance=balance)
    w.pool("us", "d:1:1 e:2:2 f:0:2", min_up=min_up)
    by_name = dict(zip("abcdef", standing, strict=True))
    for name, state in by_name.items():
        up = state in {"up", "held"}
        w.think(
            name,
            eligible=state in {"up", "unknown"},
            state="unknown" if state == "unknown" else "up" if up else "down",
            held=state == "held",
            barred=state == "barred",
        )
    found = w.decide(policy("eu", "us", when_all_down=model.LastResort(last)))  # type: ignore[arg-type]
    barred = {name for name, state in by_name.items() if state == "barred"}
    alive = {name for name, state in by_name.items() if state in {"up", "held", "unknown"}}
    assert not endpoints(found) & barred
    if alive:
        assert endpoints(found)
        assert endpoints(found) <= alive
        assert found.rung != "last_resort"
    elif last == "serve-all" and len(barred) < 6:
        assert endpoints(found)
        assert found.rung == "last_resort"
    else:
        assert (found.replies, found.rcode) == ((), 2 if last == "servfail" else 0)
    for reply in found.replies:
        assert len({answer.value for answer in reply}) == len(reply) <= 8
