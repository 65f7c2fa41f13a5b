"""Who judges a member and what they say together (semantics A4, A5, A6, A13)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import model
from gtm.health import ballot
from tests.health import world

A, B, C = (world.quick(replace(world.TCP, name=name)) for name in "abc")


def run_of(check: model.CheckExpr, *profiles: model.Profile) -> world.Run:
    return world.Run(world.World([world.pool("p", "e", check=check)], list(profiles or (A, B, C))))


def fail(run: world.Run, *profiles: str, endpoint: str = "e") -> None:
    for profile in profiles:
        run.finds(f"{profile}/{endpoint}/ipv4", False)


@pytest.mark.parametrize(
    ("need", "failing", "status"),
    [(3, "", "up"), (3, "a", "down"), (1, "ab", "up"), (1, "abc", "down"), (2, "a", "up"), (2, "ab", "down")],
)
def test_A5_all_any_and_at_least(need: int, failing: str, status: model.Status) -> None:
    run = run_of(world.expr("a", "b", "c", need=need))
    fail(run, *failing)
    run.go(10.0)
    assert run.verdict("e").state == status
    assert run.state("e") == status


def test_A5_what_fails_is_named_when_there_are_several() -> None:
    run = run_of(world.expr("a", "b"))
    fail(run, "b")
    run.go(10.0)
    assert run.verdict("e").why == "b: refused"
    run = run_of(world.expr("a", "b", need=1))
    fail(run, "b")
    run.go(10.0)
    assert run.verdict("e").why == "up, although b: refused"


def test_A5_a_check_that_observes_never_votes_but_is_heard() -> None:
    run = run_of(world.expr("a", "b"), A, replace(B, observe=True))
    run.go(10.0)
    fail(run, "b")
    run.go(10.0)
    assert run.verdict("e").state == "up"
    assert run.heard("check")[-1][1:] == ("b/e/ipv4", "up", "down")
    assert all(not one.endpoints for _, one in run.log if one.kind == "check")
    assert not any(one.first_bad_s for _, one in run.log)


def test_A5_when_all_observe_the_member_is_taken_as_up() -> None:
    run = run_of(world.expr("a"), replace(A, observe=True))
    fail(run, "a")
    run.go(20.0)
    assert run.verdict("e").state == "up"


statuses = st.sampled_from(["up", "down", "unknown"])


@given(st.lists(st.tuples(st.lists(statuses, min_size=1, max_size=4), st.integers(1, 4)), max_size=3))
def test_A5_unknown_stands_for_either_outcome(parts: list[tuple[list[model.Status], int]]) -> None:
    said: dict[model.CheckKey, model.Status] = {}
    made = []
    for number, (row, need) in enumerate(parts):
        keys = tuple(model.CheckKey(f"{number}-{at}", "e", "ipv4") for at in range(len(row)))
        said.update(zip(keys, row, strict=True))
        made.append((keys, min(need, len(keys))))
    one = ballot.Ballot("e", "ipv4", tuple(made))

    def when(unknown: model.Status) -> model.Status:
        return ballot.outcome(one, lambda key: unknown if said[key] == "unknown" else said[key])

    worst, best = when("down"), when("up")
    assert ballot.outcome(one, said.__getitem__) == (worst if worst == best else "unknown")


def test_A4_families_are_judged_apart() -> None:
    endpoint = model.Endpoint("e", ipv4="192.0.2.1", ipv6="2001:db8::1")
    run = world.Run(world.World([world.pool("p", "e", check=world.expr("tcp"))], endpoints=[endpoint]))
    run.finds("e/ipv6", False)
    run.go(30.0)
    assert run.verdict("e", family="ipv4").state == "up"
    assert run.verdict("e", family="ipv6").state == "down"
    assert [(one.family, one.after) for _, one in run.log if one.kind == "endpoint" and one.after == "down"] == [
        ("ipv6", "down")
    ]


def test_A13_a_member_is_judged_by_its_pools_checks() -> None:
    pools = [world.pool("p", "e", check=world.expr("a")), world.pool("q", "e", check=world.expr("b"))]
    run = world.Run(world.World(pools, [A, B]))
    run.go(10.0)
    fail(run, "b")
    run.go(10.0)
    assert run.verdict("e", "p").state == "up"
    assert run.verdict("e", "q").state == "down"
    assert run.state("e") == "up"
    assert run.health.endpoint_state("e", "ipv4").reason == "up, but not for b: refused"
    [heard] = [one for _, one in run.log if one.kind == "check" and one.after == "down"]
    assert (heard.subject, heard.endpoints) == ("b/e/ipv4", frozenset({"e"}))
    fail(run, "a")
    run.go(10.0)
    assert run.state("e") == "down"


def test_A13_a_pool_without_a_check_takes_its_members_as_up() -> None:
    run = world.Run(world.World([world.pool("p", "e")]))
    verdict = run.verdict("e")
    assert (verdict.state, verdict.eligible, verdict.why) == ("up", True, "no check: taken as up")
    assert run.state("e") == "up"


def test_A13_an_endpoints_own_check_overrides_the_pools() -> None:
    own = model.Endpoint("e", ipv4="192.0.2.1", check=world.expr("b"))
    none = model.Endpoint("n", ipv4="192.0.2.2", check=model.CheckExpr((), 0))
    run = world.Run(world.World([world.pool("p", "e", "n", check=world.expr("a"))], [A, B], endpoints=[own, none]))
    fail(run, "b")
    run.go(10.0)
    assert run.verdict("e").state == "down"
    assert run.verdict("n").why == "no check: taken as up"
    assert {key.profile for _, key in run.probed} == {"b"}


def test_A13_the_names_own_check_is_laid_on_top() -> None:
    laid = world.policy("p", check=world.expr("b"))
    run = world.Run(world.World([world.pool("p", "e", check=world.expr("a"))], [A, B], policies=[laid]))
    run.go(10.0)
    fail(run, "b")
    run.go(10.0)
    assert run.verdict("e").state == "down"
    assert run.health.verdict(run.snapshot.pools["p"], "e", "ipv4", None, run.now).state == "up"


def test_A13_an_endpoint_outside_all_pools_is_judged_by_its_own_check() -> None:
    router = model.Endpoint("router", ipv4="192.0.2.9", check=world.expr("a"))
    run = world.Run(world.World([world.pool("p", "e")], [A], endpoints=[router]))
    run.go(10.0)
    assert run.state("router") == "up"
    fail(run, "a", endpoint="router")
    run.go(10.0)
    assert run.state("router") == "down"


# --- A6: dependencies ----------------------------------------------------------------------------------------------

ROUTER = model.Endpoint("router", ipv4="192.0.2.250", check=world.expr("a"))


def nyc(*depends_on: str, **more: object) -> model.Endpoint:
    return model.Endpoint("nyc-1", ipv4="192.0.2.1", depends_on=depends_on, **more)  # type: ignore[arg-type]


def dependent(*endpoints: model.Endpoint, sites: tuple[model.Site, ...] = ()) -> world.Run:
    run = world.Run(
        world.World([world.pool("p", "nyc-1", check=world.expr("b"))], [A, B], [*endpoints], sites=list(sites))
    )
    run.go(10.0)
    return run


def test_A6_a_dependency_that_is_down_takes_its_dependants_down_with_that_reason_named() -> None:
    run = dependent(nyc("router"), ROUTER)
    assert run.verdict("nyc-1").state == "up"
    run.finds("router", False)
    run.go(10.0)
    assert (run.verdict("nyc-1").state, run.verdict("nyc-1").why) == ("down", "router is down")
    assert run.health.endpoint_state("nyc-1", "ipv4").reason == "router is down"
    falls = [one for _, one in run.log if one.kind == "endpoint" and one.after == "down"]
    assert {one.subject for one in falls} == {"nyc-1", "router"}
    assert all(one.first_bad_s for one in falls)
    run.finds("router", True)
    run.go(10.0)
    assert run.verdict("nyc-1").state == "up"


def test_A6_a_site_says_it_for_all_its_endpoints() -> None:
    run = dependent(nyc(site="nyc"), ROUTER, sites=(model.Site("nyc", depends_on=("router",)),))
    run.finds("router", False)
    run.go(10.0)
    assert run.verdict("nyc-1").why == "router is down"


def test_A6_a_sites_own_router_may_stand_in_that_site() -> None:
    run = dependent(nyc(site="nyc"), replace(ROUTER, site="nyc"), sites=(model.Site("nyc", depends_on=("router",)),))
    assert (run.state("router"), run.state("nyc-1")) == ("up", "up")
    run.finds("router", False)
    run.go(10.0)
    assert (run.state("router"), run.state("nyc-1")) == ("down", "down")


def test_A6_dependencies_are_followed_transitively() -> None:
    core = replace(ROUTER, name="core")
    unchecked = model.Endpoint("switch", ipv4="192.0.2.5", depends_on=("core",))
    run = dependent(nyc("switch"), unchecked, core)
    run.finds("core", False)
    run.go(10.0)
    assert run.verdict("nyc-1").why == "core is down"
    assert run.state("switch") == "down"


def test_A6_a_site_is_down_when_all_its_endpoints_that_are_looked_at_are() -> None:
    origin = [model.Endpoint(f"o{n}", ipv4=f"192.0.2.10{n}", site="origin", check=world.expr("a")) for n in range(2)]
    silent = model.Endpoint("o9", ipv4="192.0.2.109", site="origin")
    run = dependent(nyc("site:origin"), *origin, silent, sites=(model.Site("origin"),))
    run.finds("o0", False)
    run.go(10.0)
    assert run.verdict("nyc-1").state == "up"
    run.finds("o1", False)
    run.go(10.0)
    assert run.verdict("nyc-1").why == "site origin is down"


def test_A6_a_dependency_with_one_family_up_is_up() -> None:
    run = dependent(nyc("router"), replace(ROUTER, ipv6="2001:db8::9"))
    run.finds("router/ipv4", False)
    run.go(10.0)
    assert run.verdict("nyc-1").state == "up"
    run.finds("router/ipv6", False)
    run.go(10.0)
    assert run.verdict("nyc-1").state == "down"


def test_A6_a_dependency_nobody_has_judged_yet_takes_nobody_down() -> None:
    run = world.Run(world.World([world.pool("p", "nyc-1")], [A], [nyc("router"), ROUTER]))
    assert run.verdict("nyc-1").state == "up"


@pytest.mark.parametrize(("what", "status"), [("down", "down"), ("drain", "up")])
def test_A6_a_dependency_that_is_forced_down_counts_as_down_a_drained_one_works(
    what: str, status: model.Status
) -> None:
    run = dependent(nyc("router"), ROUTER)
    assert "nyc-1" in run.order(world.order(what, "router")) or what == "drain"
    run.go(0.1)
    assert run.verdict("nyc-1").state == status
    if what == "down":
        assert (0.0 + run.log[-1][1].first_bad_s, run.log[-1][1].subject) == (0.0, "nyc-1")


def test_A6_a_dependency_forced_up_is_up_whatever_is_measured() -> None:
    run = dependent(nyc("router"), ROUTER)
    run.finds("router", False)
    run.go(10.0)
    run.order(world.order("up", "router"))
    assert run.verdict("nyc-1").state == "up"


def test_A6_a_loop_that_slipped_through_hangs_nothing() -> None:
    run = dependent(nyc("router"), replace(ROUTER, depends_on=("nyc-1",)))
    run.finds("router", False)
    run.go(10.0)
    assert run.verdict("nyc-1").state == "down"


def test_D1_the_probes_of_a_dependency_count_for_the_ttl() -> None:
    run = dependent(nyc("router"), ROUTER)
    slow = replace(world.TCP, name="a", every_s=2.0, timeout_s=1.0, fall=1)
    run.reload(replace(run.world, profiles=[slow, B]))
    assert run.verdict("nyc-1").steps_s == 2.0
