"""Who hangs and who only gets no processor, of real processes and of what the kernel says of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from gtm.serve import children, generation, shared, silence
from tests.serve import node

PATIENCE_S = node.PATIENCE_S
SPINS = "import sys\nsys.stdout.write('x')\nsys.stdout.flush()\nwhile True: pass"
WAITS = "import sys\nsys.stdout.write('x')\nsys.stdout.flush()\nsys.stdin.read()"

Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[subprocess.Popen[bytes]] = []

    def begin(program: str) -> subprocess.Popen[bytes]:
        one = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.append(one)
        assert one.stdout is not None
        assert one.stdout.read(1) == b"x"
        return one

    yield begin
    for one in running:
        one.kill()
        one.communicate()


def until(is_so: Callable[[], bool]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until_s


def figures(pid: int) -> silence.Figures:
    found = silence.figures(pid)
    assert found is not None
    return found


def test_the_kernel_says_who_could_run_and_what_it_had(start: Start) -> None:
    spins, waits = start(SPINS), start(WAITS)
    until(lambda: not figures(waits.pid).could_run)
    before = figures(spins.pid)
    until(lambda: figures(spins.pid).had_s >= before.had_s + 0.1)
    assert before.could_run
    os.kill(spins.pid, signal.SIGSTOP)
    until(lambda: not figures(spins.pid).could_run)
    stopped = figures(spins.pid)
    assert figures(spins.pid) == stopped
    waits.communicate()
    assert silence.figures(waits.pid) is None


class World:
    """A generation of one worker whose figures are told, and of a control process that is well."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[str] = []
        self.silences = silence.Silences(self.said.append)
        self.serving = generation.Generation(["unused"])
        self.page = self.serving.page = shared.Page.new(1)
        self.serving.workers = [children.Child("worker 1", lambda: children.Start((), ()))]
        for one in (self.serving.control, *self.serving.workers):
            one.process = children.Adopted(4242)
        self.figures: silence.Figures | None = None
        monkeypatch.setattr(silence, "figures", lambda pid: self.figures)

    def silent(self, figures: Callable[[float], silence.Figures | None], for_s: float) -> float | None:
        """Let the worker be silent from 100 s on; return after how long it was said to hang, if it was."""
        self.page.beat(0, 100_000_000_000)
        found = None
        for tick in range(int(for_s * 4) + 1):
            after_s = tick / 4
            self.figures = figures(after_s)
            self.page.beat(1, int((100 + after_s) * 1e9))
            for child, silent_s in self.silences.hung(self.serving, 100 + after_s):
                assert (child, silent_s) == (self.serving.workers[0], after_s)
                found = found or silent_s
        return found


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    one = World(monkeypatch)
    yield one
    one.page.close()


def test_who_is_stopped_or_waits_or_spins_hangs_within_two_seconds(world: World) -> None:
    assert world.silent(lambda at_s: silence.Figures(False, 7.0), 3) == 1.75
    assert world.silent(lambda at_s: silence.Figures(True, 7.0 + at_s), 3) == 1.75
    assert world.silent(lambda at_s: silence.Figures(True, 7.0 + at_s / 3), 3) == 1.75
    assert world.said == []
    assert world.silences.starved == set()


def test_where_the_kernel_says_nothing_silence_is_all_there_is_to_go_by(world: World) -> None:
    assert world.silent(lambda at_s: None, 3) == 1.75


def test_who_could_run_and_hardly_did_is_starved_and_said_to_be_once_a_minute(world: World) -> None:
    assert world.silent(lambda at_s: silence.Figures(True, 7.0 + at_s / 300), 59) is None
    assert world.said == ["worker 1 has had no processor for 1.8 s; this machine is starved"]
    assert world.silent(lambda at_s: silence.Figures(True, 7.0 + at_s / 300), 62) is None
    assert world.silences.starved == {"worker 1"}
    assert len(world.said) == 2  # the clock of the second is that of the first


def test_who_was_starved_and_then_hangs_is_noticed_at_the_next_look(world: World) -> None:
    assert world.silent(lambda at_s: silence.Figures(at_s < 10, 7.0), 12) == 10
    assert world.silent(lambda at_s: silence.Figures(True, 7.0 + max(0.0, at_s - 10)), 12) == 10.5


def test_what_another_process_had_in_the_same_role_is_not_held_against_this_one(world: World) -> None:
    assert world.silent(lambda at_s: silence.Figures(True, 7.0), 1) is None
    world.serving.workers[0].process = children.Adopted(4243)
    assert world.silent(lambda at_s: silence.Figures(True, 9.0), 3) is None
