"""The guard: when nearly everything seems dead, it is ourselves (semantics A9)."""

from __future__ import annotations

from dataclasses import replace

from gtm import model
from tests.health import world

NAMES = tuple(f"e{number}" for number in range(10))
TEN = world.World([world.pool("p", *NAMES, check=world.expr("tcp"))], guard=0.3, flap=model.FlapSettings())


def cut(run: world.Run, *names: str, ok: world.Answer = "silent") -> None:
    for name in names or NAMES:
        run.finds(name, ok)


def alive(run: world.Run) -> set[str]:
    return {name for name in NAMES if run.verdict(name).eligible}


def test_A9_a_cut_off_node_holds_the_verdicts_from_before_the_fall() -> None:
    run = world.Run(TEN)
    cut(run, "e0")
    run.go(60.0)
    assert alive(run) == set(NAMES[1:])
    cut(run)
    run.go(60.0)
    assert run.health.guard_tripped
    assert alive(run) == set(NAMES[1:])
    assert run.verdict("e3").why == "up, held by the guard"
    [(_, subject, before, after)] = run.heard("guard")
    assert (subject, before, after) == ("ns1", "clear", "tripped")
    assert "2 of 10 endpoints alive, under 30%" in next(one.reason for _, one in run.log if one.kind == "guard")
    assert all(state.status == "down" for state in run.health.states().values())


def test_A9_it_recovers_by_itself_without_a_flap() -> None:
    run = world.Run(TEN)
    run.go(20.0)
    for _ in range(5):
        cut(run)
        run.go(60.0)
        cut(run, ok=True)
        run.log.clear()
        run.go(70.0)
        assert not run.health.guard_tripped
        assert [one.after for _, one in run.log if one.kind in {"guard", "endpoint"}] == ["clear"]
        assert alive(run) == set(NAMES)
    assert not run.heard("flap")
    assert all(len(state.returns) == 0 for state in run.health.states().values())


def test_A9_what_stays_dead_after_the_cut_is_down_in_the_end() -> None:
    run = world.Run(TEN)
    run.go(20.0)
    cut(run)
    run.go(60.0)
    cut(run, *NAMES[:7], ok=True)
    run.go(12.0)
    assert alive(run) == set(NAMES)
    run.go(60.0)
    assert alive(run) == set(NAMES[:7])


def test_A9_it_falls_back_into_distrust_when_the_cut_comes_back() -> None:
    run = world.Run(TEN)
    run.go(20.0)
    cut(run)
    run.go(60.0)
    cut(run, *NAMES[:5], ok=True)
    run.go(15.0)
    cut(run)
    run.go(200.0)
    assert run.health.guard_tripped
    assert alive(run) == set(NAMES)
    assert len(run.heard("guard")) == 1


def test_A9_deaths_that_are_far_apart_are_no_cut() -> None:
    run = world.Run(TEN)
    run.go(20.0)
    for name in NAMES[:7]:
        cut(run, name)
        run.go(120.0)
    assert not run.health.guard_tripped
    cut(run, "e7")
    run.go(20.0)
    assert run.health.guard_tripped
    assert alive(run) == {"e7", "e8", "e9"}


def test_A9_is_off_unless_configured() -> None:
    run = world.Run(replace(TEN, guard=None))
    run.go(20.0)
    cut(run)
    run.go(20.0)
    assert alive(run) == set()
    assert not run.health.guard_tripped


def test_A9_exactly_the_share_is_enough() -> None:
    run = world.Run(TEN)
    run.go(20.0)
    cut(run, *NAMES[:7])
    run.go(20.0)
    assert alive(run) == set(NAMES[7:])


def test_A9_endpoints_without_a_check_are_left_out_of_the_share() -> None:
    pools = [*TEN.pools, world.pool("cdn", *(f"c{number}" for number in range(90)))]
    run = world.Run(replace(TEN, pools=pools))
    run.go(20.0)
    cut(run)
    run.go(20.0)
    assert run.health.guard_tripped


def test_A9_cut_off_at_the_start_nobody_is_called_down() -> None:
    run = world.Run(TEN)
    cut(run)
    run.go(60.0)
    assert run.health.guard_tripped
    assert {run.verdict(name).state for name in NAMES} == {"unknown"}
    assert run.health.judged(run.now)


def test_A9_the_verdicts_that_are_held_are_what_is_remembered() -> None:
    run = world.Run(TEN)
    run.go(20.0)
    cut(run)
    run.go(60.0)
    assert {known.status for known in run.health.remember(run.now).values()} == {"up"}


def test_A9_switching_the_guard_off_lets_what_is_measured_count() -> None:
    run = world.Run(TEN)
    run.go(20.0)
    cut(run)
    run.go(60.0)
    run.reload(replace(TEN, guard=None))
    run.go(0.1)
    assert alive(run) == set()
    assert run.heard("guard")[-1][2:] == ("tripped", "clear")


def test_A9_a_broken_resolver_that_makes_everything_stale_is_a_cut_too() -> None:
    profile = model.Profile("tcp", "tcp", on_stale="down")
    run = world.Run(replace(TEN, profiles=[profile]))
    run.go(20.0)
    cut(run, ok=None)
    run.go(100.0)
    assert run.health.guard_tripped
    assert alive(run) == set(NAMES)


def test_A9_a_node_without_a_way_out_says_so_and_keeps_every_verdict() -> None:
    run = world.Run(TEN)
    cut(run, "e0")
    run.go(60.0)
    cut(run, ok="cut off")
    heard = run.go(60.0)
    assert run.health.guard_tripped
    assert [one.after for one in heard if one.kind in {"guard", "endpoint"}] == ["tripped"]
    assert alive(run) == set(NAMES[1:])
    cut(run, ok=True)
    heard = run.go(60.0)
    assert not run.health.guard_tripped
    assert [one.after for one in heard if one.kind == "guard"] == ["clear"]
    assert alive(run) == set(NAMES)


def test_A9_probes_that_cannot_run_for_another_reason_trip_nothing() -> None:
    run = world.Run(TEN)
    run.go(20.0)
    cut(run, ok=None)
    run.go(120.0)
    assert not run.health.guard_tripped
    assert alive(run) == set(NAMES)


def test_A9_one_probe_without_a_way_out_trips_nothing() -> None:
    run = world.Run(TEN)
    run.go(20.0)
    for key in run.snapshot.checks:
        run.result(key, "cut off")
    assert not run.health.guard_tripped
