"""A control process, the workers that it feeds and what they share; sockets come in, and outlive them.

A node has one; while it is being replaced there is a second on the same sockets, whose workers read nothing until
they are told to.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gtm.serve import channel, children, shared, sockets

PYTHON = [sys.executable, *(["-P"] if sys.flags.safe_path else [])]


class Generation:
    """Everything that is made anew when a node is replaced. `trial`: it may not serve anybody yet."""

    def __init__(self, command: Sequence[str], user: str = "", *, trial: bool = False) -> None:
        self.command = list(command)
        self.trial = trial
        self.control = children.Child("control", self._control_start, user)
        self.line: channel.Channel | None = None  # to the control process
        self.theirs: channel.Channel | None = None  # the end that it inherits
        self.journal = -1
        self.keys = -1
        self.ready_at = -1  # the revision that all workers must answer from before it counts as ready; -1 is unasked
        self.first_revision = 0
        # What exists from the first accepted configuration on, by worker where it is a list.
        self.wanted: Mapping[str, Any] = {}
        self.bound: list[list[sockets.Bound]] = []
        self.page: shared.Page | None = None
        self.lines: list[tuple[channel.Channel, channel.Channel]] = []  # the control process's end, the worker's end
        self.judging: list[tuple[channel.Channel, channel.Channel]] = []  # the judge's end, the worker's end
        self.workers: list[children.Child] = []

    def everybody(self) -> list[children.Child]:
        """Return all processes, the control process first."""
        return [self.control, *self.workers]

    # --- commands of the children ------------------------------------------------------------------------------

    def _control_start(self) -> children.Start:
        """A new channel each time: nothing that was said to a dead process reaches the next one."""
        if self.line is not None:
            self.line.close()
        if self.page is not None:
            self.page.clear(self.page.workers)
        self.line, self.theirs = channel.pair()
        fd = self.theirs.fileno()
        trial = {channel.TRIAL: "1"} if self.trial else {}
        return children.Start(self.command, (fd,), {channel.VARIABLE: str(fd), **trial})

    def _worker_start(self, number: int) -> children.Start:
        if self.page is None:
            raise AssertionError("workers exist once there is a page")
        self.page.clear(number)
        end = self.lines[number][1].fileno()
        trial = self.judging[number][1].fileno() if self.trial else -1
        pairs = sockets.fds_of(self.bound[number])
        settings = {
            "worker": number,
            "workers": len(self.workers),
            "channel": end,
            "page": self.page.fd,
            "journal": self.journal,
            "sockets": pairs,
            "tcp": self.wanted["tcp"],
            "rate_limit": self.wanted["rate_limit"],
            "trial": trial,
            "keys": self.keys,
            "kinds": sockets.kinds_of(self.bound[number]),
            "guards": self.wanted.get("guards", {}),
        }
        fds = {end, self.page.fd, self.journal, self.keys, trial, *(fd for pair in pairs for fd in pair)} - {-1}
        return children.Start([*PYTHON, "-m", "gtm.serve.worker", json.dumps(settings)], sorted(fds))

    # --- the workers -------------------------------------------------------------------------------------------

    def open(self, wanted: Mapping[str, Any], bound: list[list[sockets.Bound]]) -> None:
        """Prepare the workers; they start at the next turn."""
        count = len(bound)
        self.wanted, self.bound, self.page = wanted, bound, shared.Page.new(count)
        self.lines = [channel.pair() for _ in range(count)]
        self.judging = [channel.pair() for _ in range(count)] if self.trial else []
        self._make_workers()

    def _make_workers(self) -> None:
        for number in range(len(self.bound)):
            start = functools.partial(self._worker_start, number)
            self.workers.append(children.Child(f"worker {number + 1}", start))

    def introduce(self) -> None:
        """Tell the control process of its workers."""
        if self.line is None or self.page is None:
            return
        for theirs, _ in self.lines:
            self.line.send("worker", fd=theirs.fileno())
        every = [one for row in self.bound for one in row]
        listen = sockets.addresses(every)
        also = [(*one, kind) for kind in (sockets.TLS, sockets.PROXY) for one in sockets.addresses(every, kind)]
        told = {"listen": listen, "also": also, "workers": len(self.workers), "revision": self.first_revision}
        self.line.send_json("bound", told, self.page.fd)

    def take_journal(self, fd: int) -> None:
        """Hold this journal from now on, for workers that start."""
        if self.journal >= 0:
            os.close(self.journal)
        self.journal = fd

    def take_keys(self, fd: int) -> None:
        """Hold these secrets from now on, for workers that start."""
        if self.keys >= 0:
            os.close(self.keys)
        self.keys = fd

    def is_ready(self) -> bool:
        """Say whether the control process stands behind what all workers answer from."""
        return self.page is not None and self.ready_at >= 0 and min(self.page.revisions()) >= max(self.ready_at, 1)

    # --- the end of a trial ------------------------------------------------------------------------------------

    def go(self) -> None:
        """Let the workers read from the sockets; each says `listening` when it does."""
        self.trial = False
        for judge, _ in self.judging:
            judge.send("go")

    def all_listen(self) -> bool:
        """Say whether all workers have said that they read, or are dead and will read when they are started again."""
        waiting = []
        for ends in self.judging:
            try:
                message = ends[0].receive()
            except EOFError:
                message = channel.Message("listening", b"")
            if message is None:
                waiting.append(ends)
            else:
                _close(ends)
        self.judging = waiting
        return not waiting

    def retire(self) -> list[children.Child]:
        """Let the workers stop reading, and end when their connections do; return them. The control process is gone."""
        for theirs, _ in self.lines:
            theirs.send("retire")
        return [worker for worker in self.workers if worker.process is not None]

    def close(self) -> None:
        """Close what belongs to this generation alone: all but the sockets."""
        for one in (self.line, self.theirs):
            if one is not None:
                one.close()
        for ends in (*self.lines, *self.judging):
            _close(ends)
        self.line = self.theirs = None
        self.lines, self.judging = [], []
        if self.journal >= 0:
            os.close(self.journal)
            self.journal = -1
        self.take_keys(-1)
        if self.page is not None:
            self.page.close()
            self.page = None

    # --- over an exec ------------------------------------------------------------------------------------------

    def packed(self) -> dict[str, Any]:
        """Return what `unpacked` needs in another program of this very process, as JSON."""
        return {
            "command": self.command,
            "line": self.line.fileno() if self.line else -1,
            "journal": self.journal,
            "keys": self.keys,
            "ready_at": self.ready_at,
            "wanted": dict(self.wanted),
            "page": self.page.fd if self.page else -1,
            "lines": [[one.fileno(), other.fileno()] for one, other in self.lines],
            "bound": [sockets.fds_of(row) for row in self.bound],
            "kinds": [sockets.kinds_of(row) for row in self.bound],
            "children": [child.packed() for child in self.everybody()],
        }  # fmt: skip

    @classmethod
    def unpacked(cls, told: Mapping[str, Any]) -> Generation:
        """Return the generation that an earlier program of this process held."""
        one = cls(told["command"])
        one.line = channel.Channel.of_fd(told["line"]) if told["line"] >= 0 else None
        one.journal, one.ready_at, one.wanted = told["journal"], told["ready_at"], told["wanted"]
        one.keys = told.get("keys", -1)
        one.page = shared.Page(told["page"], len(told["bound"]))
        one.lines = [(channel.Channel.of_fd(theirs), channel.Channel.of_fd(ours)) for theirs, ours in told["lines"]]
        one.bound = sockets.of_fds(told["bound"], told.get("kinds"))
        one._make_workers()
        for child, packed in zip(one.everybody(), told["children"], strict=True):
            child.unpack(packed)
        return one


def _close(ends: tuple[channel.Channel, channel.Channel]) -> None:
    for end in ends:
        end.close()
