"""Publishers and their ingests: a name does not move while its ingest is healthy (semantics B8 and B11)."""

from __future__ import annotations

from tests.stories.world import World

INGEST = """
checks:
  stat: {kind: http, publishers: json.publishers, every: 2s, timeout: 1s, fall: 2, rise: 2}
endpoints:
  a: {address: 192.0.2.1}
  b: {address: 192.0.2.2}
  c: {address: 192.0.2.3}
pools:
  ingest: {members: [a, b, c], check: stat, failback: when_idle}
zones:
  example.org:
    nameservers: {ns1: 192.0.2.53}
    hostmaster: ops@example.org
    steer: {studio: {try: [ingest], ttl: 5s}}
"""
NODE = {"192.0.2.1": "a", "192.0.2.2": "b", "192.0.2.3": "c"}
STUDIOS = [f"198.51.{number}.7" for number in range(24)]


def ingests(world: World) -> dict[str, str]:
    """Return for each studio the ingest that it is sent to; each asks more than once, as encoders do."""
    found = {}
    for studio in STUDIOS:
        (address,) = {one for _ in range(5) for one in world.ask("studio.example.org", client=studio)}
        found[studio] = NODE[address]
    return found


def test_B8_a_publishers_name_does_not_move_while_its_ingest_is_healthy_whatever_becomes_of_the_others() -> None:
    world = World(INGEST)
    world.measured["stat"] = {"status": 200, "json.publishers": 8}
    world.run(20)
    before = ingests(world)
    assert set(before.values()) == set("abc"), "each ingest has its share of the studios"
    for _ in range(10):
        world.run(7)
        assert ingests(world) == before

    world.sick["a"] = "connection refused"
    world.run(10)
    without = ingests(world)
    assert "a" not in without.values()
    assert {studio: node for studio, node in without.items() if before[studio] != "a"} == {
        studio: node for studio, node in before.items() if node != "a"
    }, "who did not publish to it did not move"

    del world.sick["a"]
    world.run(60)
    assert ingests(world) == without, "those that took over are healthy, and somebody publishes to them"
    world.measured["stat"] = {"status": 200, "json.publishers": 0}
    world.run(10)
    assert ingests(world) == before, "nobody publishes any more: its studios go home"
