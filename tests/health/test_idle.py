"""Ingest goes home when its publisher has gone: `failback: when_idle` (semantics B11)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gtm import model
from tests.health import world

STAT = replace(world.quick(), name="stat", publishers="json.publishers")
CHECK = world.expr("stat")
HOLD_S = 600.0


def ingest(*pools: model.Pool) -> world.Run:
    given = pools or (
        world.pool("main", "m", check=CHECK, when_idle=True, failback_s=HOLD_S),
        world.pool("backup", "b", check=CHECK),
    )
    run = world.Run(world.World(list(given), [STAT], policies=[world.policy(*(one.name for one in given))]))
    run.go(5.0)
    return run


def count(run: world.Run, node: str, publishers: float) -> None:
    run.result(model.CheckKey("stat", node, "ipv4"), True, measures={"json.publishers": publishers})


def die_and_return(run: world.Run, node: str = "m") -> None:
    run.result(model.CheckKey("stat", node, "ipv4"), False)
    run.go(1.0)
    count(run, node, 0)


def test_B11_nothing_moves_back_while_somebody_publishes_to_the_stand_in() -> None:
    run = ingest()
    count(run, "b", 1)
    die_and_return(run)
    count(run, "b", 1)
    verdict = run.verdict("m", "main")
    assert (verdict.eligible, verdict.held) == (False, True)
    assert verdict.why == "up, held back until nobody publishes to its stand-in"
    count(run, "b", 0)
    assert run.verdict("m", "main").eligible
    assert [one[1:] for one in run.heard("idle")] == [("m", "held", "given back")]


def test_B11_a_count_from_before_the_return_is_no_news() -> None:
    run = ingest()
    count(run, "b", 0)
    run.go(1.0)
    die_and_return(run)
    assert run.verdict("m", "main").held
    count(run, "b", 0)
    assert not run.verdict("m", "main").held


def test_B11_once_given_back_a_later_publisher_holds_nobody() -> None:
    run = ingest()
    die_and_return(run)
    count(run, "b", 0)
    count(run, "b", 1)
    assert run.verdict("m", "main").eligible


def test_B11_the_hold_down_ends_the_wait_for_a_publisher_who_never_goes() -> None:
    run = ingest()
    die_and_return(run)
    run.now += HOLD_S - 1
    assert run.verdict("m", "main").held
    run.now += 2
    assert run.verdict("m", "main").eligible


def test_B11_a_stand_in_that_dies_has_no_publishers() -> None:
    run = ingest()
    count(run, "b", 1)
    die_and_return(run)
    run.result(model.CheckKey("stat", "b", "ipv4"), False)
    assert run.verdict("m", "main").eligible


def test_B11_within_a_pool_the_fellows_are_the_stand_ins() -> None:
    pool = model.Pool(
        "main", (model.Member("m", tier=1), model.Member("b", tier=2)), check=CHECK, when_idle=True, failback_s=HOLD_S
    )
    run = ingest(pool)
    count(run, "b", 2)
    die_and_return(run)
    assert run.verdict("m", "main").held
    count(run, "b", 0)
    assert not run.verdict("m", "main").held


def test_B11_a_stand_in_whose_publishers_nobody_counts_is_not_known_to_be_idle() -> None:
    run = ingest(world.pool("main", "m", check=CHECK, when_idle=True, failback_s=HOLD_S), world.pool("backup", "b"))
    die_and_return(run)
    count(run, "m", 0)
    assert run.verdict("m", "main").held


@pytest.mark.parametrize("released", ["m", "pool:main"])
def test_B11_an_operator_may_give_back_sooner(released: str) -> None:
    run = ingest()
    count(run, "b", 1)
    die_and_return(run)
    run.order(released=(released,))
    assert run.verdict("m", "main").eligible
