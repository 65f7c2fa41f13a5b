"""The demo's ports, and its drill judged on a stage that is played by a fake clockwork."""

from __future__ import annotations

import socket
from typing import cast

import pytest

from gtm.cli import demo_ask, demo_drill, demo_stage, demo_world


def test_a_wanted_port_that_is_free_is_taken() -> None:
    free = demo_stage.free_port(0)
    assert demo_stage.free_port(free) == free


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_is_taken_on_any_of_the_hosts_is_left_for_another(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as held:
        held.bind(("127.0.0.12", 0))
        if kind == socket.SOCK_STREAM:
            held.listen()
        taken = held.getsockname()[1]
        assert demo_stage.free_port(taken, ("127.0.0.11", "127.0.0.12")) != taken


def test_hosts_that_are_not_ours_are_refused_in_plain_words() -> None:
    with pytest.raises(demo_stage.StageError, match="loopback"):
        demo_stage.free_port(0, ("192.0.2.1",))


class Played:
    """A stage without processes: a knob turned changes the answers at once, or never when `stuck`."""

    def __init__(self, stuck: str = "") -> None:
        self.stuck = stuck
        self.out: set[tuple[str, str]] = set()

    def freeze(self, edge: demo_world.Edge, channel: str) -> None:
        if self.stuck != "freeze":
            self.out.add((edge.name, channel))

    def thaw(self, edge: demo_world.Edge, channel: str) -> None:
        self.out.discard((edge.name, channel))

    def kill(self, edge: demo_world.Edge) -> None:
        self.out |= {(edge.name, channel) for channel in demo_world.CHANNELS}

    def revive(self, edge: demo_world.Edge) -> None:
        self.out -= {(edge.name, channel) for channel in demo_world.CHANNELS}

    def ask(self, channel: str, viewer: demo_world.Viewer) -> demo_ask.Answer:
        order = {"Europe": "edge-eu", "America": "edge-us", "Asia": "edge-as"}
        pools = [order[viewer.where], "edge-us", "edge-eu"]
        for pool in pools:
            up = [e.address for e in demo_world.EDGES if e.pool == pool and (e.name, channel) not in self.out]
            if up:
                return demo_ask.Answer(frozenset(up), 1, f"pool {pool}")
        raise AssertionError("the drill must never leave a name without edges")


def test_the_drill_moves_every_answer_and_brings_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_drill, "ASK_EVERY_S", 0)
    done = list(demo_drill.run(cast(demo_stage.Stage, Played())))
    assert [outcome.ok for outcome in done] == [True] * len(demo_drill.STEPS)
    assert (done[0].before, done[0].after) == (("ams-1", "fra-1"), ("ams-1",))
    last = {(outcome.step.channel, outcome.step.viewer): outcome.after for outcome in done}
    first: dict[tuple[str, demo_world.Viewer], tuple[str, ...]] = {}
    for outcome in done:
        first.setdefault((outcome.step.channel, outcome.step.viewer), outcome.before)
    assert last == first


def test_a_drill_whose_answers_do_not_move_fails_and_stops_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_drill, "ASK_EVERY_S", 0)
    monkeypatch.setattr(demo_drill, "LIMIT_S", 0.01)
    (only,) = demo_drill.run(cast(demo_stage.Stage, Played(stuck="freeze")))
    assert not only.ok
    assert only.after == ("ams-1", "fra-1")
