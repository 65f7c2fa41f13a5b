"""SIGHUP in, reloads out: however many come, one more reload sees what they were about."""

from __future__ import annotations

import asyncio
import os
import types
from typing import Any, cast

import pytest

from gtm import errors
from gtm.app import __main__ as control
from gtm.app import desk as desks
from gtm.app import node as nodes
from gtm.web import node as desk


class Slow:
    """A desk whose reloads end when they are let, and the node behind it."""

    def __init__(self) -> None:
        self.reloads = self.readies = 0
        self.gate = asyncio.Event()
        self.link = self

    async def reload(self, yes: bool, by: str) -> desk.Reloaded:
        self.reloads += 1
        await self.gate.wait()
        return desk.Reloaded(True)

    def ready(self, *, accepted: bool) -> None:
        assert accepted
        self.readies += 1


async def test_a_storm_of_hang_ups_is_one_reload_and_one_more() -> None:
    one, asked = Slow(), asyncio.Event()
    running = asyncio.create_task(control._reload_when(asked, cast(Any, one), cast(Any, one)))
    for _ in range(300):
        asked.set()
        await asyncio.sleep(0)
    assert one.reloads == 1
    one.gate.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert (one.reloads, one.readies) == (2, 2)
    asked.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert one.reloads == 3
    running.cancel()


@pytest.mark.parametrize("trouble", [MemoryError(), RuntimeError("can't start new thread"), errors.GtmError("x")])
async def test_G3_a_configuration_that_this_machine_has_no_room_for_is_refused_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    async def read(path: str) -> None:
        raise trouble

    said: list[tuple[str, ...]] = []
    node = types.SimpleNamespace(
        snapshot=types.SimpleNamespace(web=types.SimpleNamespace(tokens=())), listeners=set(),
        happened=lambda *what: said.append(what), say_status=lambda: None,
    )  # fmt: skip
    monkeypatch.setattr("gtm.app.reading.read", read)
    done = await desks.Desk(cast(Any, node), "gtm.yaml", cast(Any, None)).reload(False, "SIGHUP")
    assert not done.accepted
    assert done.text.startswith("it could not be read: ")
    assert (node.config_accepted, "it could not be read" in node.config_trouble) == (False, True)
    assert [what[3] for what in said] == ["refused"]


async def test_a_control_process_that_runs_out_of_memory_ends_and_other_mistakes_are_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ends: list[int] = []
    monkeypatch.setattr(os, "_exit", ends.append)
    loop = asyncio.get_running_loop()
    control._fallen(loop, {"message": "in a callback", "exception": ValueError("a mistake")})
    assert ends == []
    assert "in a callback" in caplog.text
    control._fallen(loop, {"message": "in a callback", "exception": MemoryError()})
    assert ends == [os.EX_OSERR]


async def test_after_a_mistake_in_the_brain_it_is_woken_again() -> None:
    def go_on(late_s: float) -> None:
        raise ValueError("a mistake")

    loop = asyncio.get_running_loop()
    mind = types.SimpleNamespace(growing=False, judging=False)
    asked: list[float] = []
    node = types.SimpleNamespace(brain=mind, _go_on=go_on, _waking=types.SimpleNamespace(anew=asked.append))
    with pytest.raises(ValueError, match="a mistake"):
        nodes.Node._wake(cast(Any, node), 0.0)
    assert asked == [pytest.approx(loop.time() + nodes.STUMBLE_S, abs=0.5)]
