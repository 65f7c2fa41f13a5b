"""Processes with their heartbeats in, those that hang out, and not those that only got no processor.

On a machine that has no time for it a process is as silent as one that hangs, and to start another in its place costs
the time that there is not, and its connections. The kernel tells them apart: who hangs waits for something, or is
stopped, or runs and runs; who is starved could run all the while and hardly did.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from gtm.serve import children, generation

HUNG_S = 1.5  # with the beat and the tick between two looks, a hung worker is noticed within 2 s
_STARTING_S = 20.0  # until the first heartbeat: a busy machine may take its time to load a Python
# The loop of a sound control process stands still for a tenth of a second with 100,000 names, and for one or two on a
# machine that is starved; 10 s leave room for a million, and answers do not wait for it meanwhile.
_CONTROL_HUNG_S = 10.0
_QUIET_S = 0.5  # two heartbeats are missed: what it does from then on is looked at
# Who had a processor for this part of the silence that is allowed, and did not turn its loop with it, hangs: a turn
# takes milliseconds.
_SPENT_PART = 6
_TOLD_S = 60.0  # of starvation, which comes again and again, one line a minute
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Figures(NamedTuple):
    """What the kernel says of a process: whether it could run at this moment, and what it has had so far, seconds."""

    could_run: bool
    had_s: float


class Silences:
    """Knows what each silent process had had when its silence was first looked at. `say` takes a line for the log."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        # By role: process and heartbeat, which make a silence one of its own, and what it had had.
        self._began: dict[str, tuple[int, int, float]] = {}
        self._told_s = -math.inf
        self.starved: set[str] = set()  # the roles of those who were found so at the last look

    def hung(self, serving: generation.Generation, now_s: float) -> Iterator[tuple[children.Child, float]]:
        """Yield each process that hangs, and for how long it has been silent. To be asked at every tick."""
        self.starved.clear()
        if serving.page is None:
            return
        for number, child in enumerate([*serving.workers, serving.control]):
            if child.process is None or child.stopping_s is not None:
                continue
            beaten_ns = serving.page.beaten_ns(number)
            silent_s = now_s - (beaten_ns / 1e9 or child.started_s)
            if child is serving.control:
                allowed_s = _CONTROL_HUNG_S if beaten_ns else math.inf  # it reads its configuration
            else:
                allowed_s = HUNG_S if beaten_ns else _STARTING_S
            if silent_s <= _QUIET_S:
                continue
            had_s = self._had_s(child, beaten_ns)
            if silent_s <= allowed_s or serving.page.beaten_ns(number) != beaten_ns:
                continue  # it has turned since we looked, and may well wait for something by now
            if had_s is None or had_s > allowed_s / _SPENT_PART:
                yield child, silent_s
            else:
                self._spare(child, silent_s, now_s)

    def _had_s(self, child: children.Child, beaten_ns: int) -> float | None:
        """Return what a process has had of a processor in this silence; None when it could not have run now.

        None, too, where the kernel does not say: then silence is all there is to go by.
        """
        now = figures(child.pid)
        if now is None:
            return None
        began = self._began.get(child.role)
        if began is None or began[:2] != (child.pid, beaten_ns):
            began = self._began[child.role] = child.pid, beaten_ns, now.had_s
        return now.had_s - began[2] if now.could_run else None

    def _spare(self, child: children.Child, silent_s: float, now_s: float) -> None:
        self.starved.add(child.role)
        if now_s - self._told_s > _TOLD_S:
            self._told_s = now_s
            self._say(f"{child.role} has had no processor for {silent_s:.1f} s; this machine is starved")


def figures(pid: int) -> Figures | None:
    """Return what the kernel says of a process (proc(5), /proc/pid/stat); None where it does not.

    A process that its cgroup's quota holds back could run, too. What is said of the state is its first thread's, in
    which our loops turn.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return Figures(fields[0] == "R", (int(fields[11]) + int(fields[12])) * _TICK_S)
    except (OSError, ValueError, IndexError):
        return None
