"""What a store holds when the process dies: a dead endpoint must not come back to life with the next one."""

from __future__ import annotations

from gtm import model
from tests.stories import test_ladder
from tests.stories.world import WALL_S, World

A1 = model.CheckKey("web", "a1", "ipv4")


def reborn(before: World) -> World:
    """Return the node that starts with what the store of one that died holds."""
    wall = WALL_S - 1000.0 + before.now
    after = World(
        test_ladder.config(),
        remembered={key: known._replace(at_s=wall - known.at_s) for key, known in before.kept.items()},
    )
    assert after.brain.judged()
    return after


def test_G_an_endpoint_that_has_just_left_stays_out_after_a_sudden_death() -> None:
    world = test_ladder.judged()
    world.sick["a1"] = "connection refused"
    while "192.0.2.11" in world.ever(test_ladder.PLAY):
        world.run(0.01)
    world.run(0.03)
    assert world.kept[A1][0] == "down"
    assert reborn(world).ever(test_ladder.PLAY) == {"192.0.2.12"}


def test_G_one_that_has_just_come_back_stays_in_after_a_sudden_death() -> None:
    world = test_ladder.judged()
    world.sick["a1"] = world.sick["a2"] = "connection refused"
    world.run(5)
    assert reborn(world).ever(test_ladder.PLAY) == test_ladder.BACKUP
    del world.sick["a1"]
    while world.ever(test_ladder.PLAY) == test_ladder.BACKUP:
        world.run(0.01)
    world.run(0.03)
    assert reborn(world).ever(test_ladder.PLAY) == {"192.0.2.11"}


def test_what_is_remembered_stays_young_though_nothing_changes() -> None:
    world = test_ladder.judged()
    world.run(60)
    wall = WALL_S - 1000.0 + world.now
    assert all(wall - known.at_s < 10 for known in world.kept.values())
    assert len(world.kept) == 8 - 2, "each check: four endpoints, two of them with two families"
