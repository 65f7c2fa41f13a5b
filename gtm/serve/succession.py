"""A generation that serves and one that would, in; which of them serves from now on, out.

The new one must load the configuration, catch up on health, hand its workers a table, understand what the supervisor
hands over to itself, and answer the old one's test questions as the old one does. Until all that is done it reads from
no socket, and whatever it does instead (it ends, it hangs, it errs) is its own end and nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from typing import Any, Literal

from gtm.serve import children
from gtm.serve import generation as generations

Phase = Literal["starts", "rehearses", "is judged", "listens", "succeeds", "has succeeded", "has failed"]
_LISTENS_S = 2.0  # the new workers, which answer test questions already, begin to read
_LEAVES_S = 10.0  # the old control process answers who asked for this, and writes its store
RESUME = ("-m", "gtm.serve.supervisor", "--resume")


class Succession:
    """One attempt. Times are monotonic seconds."""

    def __init__(self, old: generations.Generation, within_s: float, now_s: float, state: Callable[[Any], Any]) -> None:
        """`state` returns what the supervisor's next program is given, for a generation."""
        self.old = old
        self.new = generations.Generation(old.command, trial=True)
        self.new.first_revision = max(old.page.revisions()) if old.page else 0
        self.phase: Phase = "starts"
        self.why = ""
        self._until_s = now_s + within_s
        self._within_s = within_s
        self._state = state
        self._rehearsal: subprocess.Popen[bytes] | None = None

    @property
    def on_trial(self) -> bool:
        """Whether the old generation still serves."""
        return self.phase in {"starts", "rehearses", "is judged", "has failed"}

    def listen(self, wanted: Mapping[str, Any]) -> None:
        """The new control process has its configuration: it gets workers on the sockets that there are."""
        self.new.open(wanted, self.old.bound)
        self.new.introduce()

    def verdict(self, told: Mapping[str, Any]) -> None:
        """Hear what the old control process thinks of the answers."""
        if self.phase == "is judged" and told["ok"]:
            self.new.go()
            self.phase = "listens"
        elif self.on_trial:
            self.fail(str(told["why"]))

    def died(self, child: children.Child, how: str) -> None:
        """A process of the new generation, or the old control process, has ended during the trial."""
        self.fail(f"the {'old' if child is self.old.control else 'new'} {child.role} {how}")

    def fail(self, why: str) -> None:
        """Give up. The old generation never stopped."""
        if self.phase == "has failed":
            return
        self.phase, self.why = "has failed", why
        for child in self.new.everybody():
            if child.process is not None:
                child.process.kill()
                child.process.wait()
        self._end_rehearsal()
        self.new.close()
        if self.old.line is not None:
            self.old.line.send_json("replaced", {"ok": False, "why": why})

    def turn(self, now_s: float) -> None:
        """Go on to what comes next."""
        if self.on_trial and self.phase != "has failed" and now_s > self._until_s:
            step = {"starts": "it was not ready", "rehearses": "its supervisor hung", "is judged": "it was not judged"}
            self.fail(f"{step[self.phase]} within {self._within_s:g} s")
        if self.phase == "starts" and self.new.is_ready():
            self._rehearse()
        elif self.phase == "rehearses" and self._rehearsal is not None and (at := self._rehearsal.poll()) is not None:
            self._end_rehearsal()
            if at != 0:
                self.fail("its supervisor does not understand this one")
            else:
                self._have_judged(self._until_s - now_s)
        elif self.phase == "listens" and (self.new.all_listen() or now_s > self._until_s + _LISTENS_S):
            if self.old.line is not None:
                self.old.line.send_json("replaced", {"ok": True, "why": ""})
            self.phase, self._until_s = "succeeds", now_s + _LEAVES_S
        elif self.phase == "succeeds":
            if self.old.control.process is None:
                self.phase = "has succeeded"
            elif now_s > self._until_s:
                self.old.control.process.kill()

    def _rehearse(self) -> None:
        """Have the supervisor's new program read what it will be given, in a process of its own."""
        state = self._state(self.new)
        fd = memory(state)
        self._rehearsal = subprocess.Popen(  # noqa: S603
            [*generations.PYTHON, *RESUME, str(fd), "--rehearse"],
            pass_fds=[fd, *descriptors(state)],
            stdin=subprocess.DEVNULL,
        )
        os.close(fd)
        self.phase = "rehearses"

    def _end_rehearsal(self) -> None:
        if self._rehearsal is not None:
            self._rehearsal.kill()
            self._rehearsal.wait()
            self._rehearsal = None

    def _have_judged(self, within_s: float) -> None:
        """Give the old control process a way to ask the new workers."""
        if self.old.line is None:
            self.fail("the old control process is gone")
            return
        for judge, _ in self.new.judging:
            self.old.line.send("candidate", fd=judge.fileno())
        self.old.line.send_json("judge", {"within_s": within_s})
        self.phase = "is judged"


def memory(state: Mapping[str, Any]) -> int:
    """Return a descriptor of a memfd that holds `state` as JSON."""
    fd = os.memfd_create("gtm-state", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(json.dumps(state).encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def remembered(fd: int) -> dict[str, Any]:
    """Return what `memory` wrote."""
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        state: dict[str, Any] = json.load(file)
        return state


def descriptors(state: Mapping[str, Any]) -> list[int]:
    """Return every descriptor that a supervisor's state names."""
    one = state["generation"]
    found = {one["line"], one["journal"], one["page"], one.get("keys", -1)}
    found |= {fd for pair in one["lines"] for fd in pair} | {fd for row in one["bound"] for pair in row for fd in pair}
    return sorted(found - {-1})
