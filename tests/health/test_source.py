"""A stream that is dead on every node has lost its source: no node is to blame (semantics A12, streaming 1.13)."""

from __future__ import annotations

from dataclasses import replace

from gtm import model
from tests.health import world

HLS = world.quick(world.STREAM)


def channels(count: int, *nodes: str, guard: float | None = None) -> world.Run:
    names = [world.policy("p", name=f"ch{number}.tv.") for number in range(1, count + 1)]
    pool = world.pool("p", *nodes, check=world.expr("hls"))
    run = world.Run(world.World([pool], [HLS], policies=names, guard=guard))
    run.go(10.0)
    return run


def look(run: world.Run, node: str, number: int, ok: bool, *, reached: bool = True) -> None:
    run.result(model.CheckKey("hls", node, "ipv4", f"ch{number}.tv."), ok, reached=reached)


def lacking(run: world.Run, number: int) -> dict[str, bool]:
    laid = run.snapshot.policies[number - 1]
    return {node: run.verdict(node, policy=laid).source_down for node in run.snapshot.endpoints}


def test_A12_a_stream_frozen_on_all_nodes_is_its_sources_fault_and_said_once() -> None:
    run = channels(3, "n1", "n2", "n3")
    for node in ("n1", "n2"):
        look(run, node, 1, ok=False)
    assert set(lacking(run, 1).values()) == {False}
    look(run, "n3", 1, ok=False)
    assert set(lacking(run, 1).values()) == {True}
    assert set(lacking(run, 2).values()) == {False}
    assert [one[1:] for one in run.heard("source")] == [("ch1.tv.", "on air", "source down")]
    [told] = [one for _, one in run.log if one.kind == "source"]
    assert told.reason == "dead on all 3 nodes: refused"
    assert told.name == "ch1.tv."
    look(run, "n2", 1, ok=True)
    assert set(lacking(run, 1).values()) == {False}
    assert run.heard("source")[-1][1:] == ("ch1.tv.", "source down", "on air")


def test_A12_nodes_that_cannot_be_reached_are_no_witnesses_and_are_not_kept() -> None:
    run = channels(1, "n1", "n2", "n3")
    look(run, "n1", 1, ok=False, reached=False)
    look(run, "n2", 1, ok=False)
    look(run, "n3", 1, ok=False, reached=False)
    assert set(lacking(run, 1).values()) == {False}  # one node alone may have lost it by itself
    look(run, "n3", 1, ok=False)  # it can be reached again, and has no stream either
    assert lacking(run, 1) == {"n1": False, "n2": True, "n3": True}


def test_A12_nodes_stay_up_when_every_source_is_dead_and_the_guard_stays_calm() -> None:
    run = channels(3, "n1", "n2", guard=0.6)
    for number in (1, 2, 3):
        for node in ("n1", "n2"):
            look(run, node, number, ok=False)
    assert [run.state(node) for node in ("n1", "n2")] == ["up", "up"]
    assert run.heard("guard") == []
    assert run.heard("endpoint")[2:] == []  # beyond becoming up at the start
    for number in (1, 2, 3):
        assert set(lacking(run, number).values()) == {True}


def test_A12_a_single_node_has_nobody_to_compare_with() -> None:
    run = channels(1, "n1")
    look(run, "n1", 1, ok=False)
    assert lacking(run, 1) == {"n1": False}
    assert run.heard("source") == []


def test_A12_a_drained_node_is_not_kept_when_the_source_dies() -> None:
    run = channels(1, "n1", "n2")
    run.order(world.order("drain", "n1"))
    for node in ("n1", "n2"):
        look(run, node, 1, ok=False)
    assert lacking(run, 1) == {"n1": False, "n2": True}


def test_A12_a_dead_source_is_still_known_after_a_reload() -> None:
    run = channels(1, "n1", "n2")
    for node in ("n1", "n2"):
        run.finds(f"{node}/ch1.tv.", False)
        look(run, node, 1, ok=False)
    run.reload(replace(run.world))
    assert set(lacking(run, 1).values()) == {True}
    assert len(run.heard("source")) == 1


def test_A12_a_node_that_has_failed_as_a_whole_does_not_come_back_because_a_third_stream_dies_at_its_source() -> None:
    run = channels(3, "n1", "n2", "n3")
    for number in (1, 2):
        look(run, "n2", number, ok=False)
    assert run.health.endpoint_state("n2", "ipv4").state == "down"
    for node in ("n1", "n2", "n3"):
        look(run, node, 3, ok=False)
    assert run.health.endpoint_state("n2", "ipv4").state == "down"
    assert run.health.endpoint_state("n2", "ipv4").reason == "2 of 3 streams failed on this node"
    assert lacking(run, 3) == {"n1": True, "n2": False, "n3": True}
