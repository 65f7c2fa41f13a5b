"""A command in, a process that is kept alive out: starts it, says when it may start again, ends it."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_HEALTHY_S = 30.0  # who lived this long is forgiven its earlier deaths

# Loaded once, here: between fork and exec there is no time to load libraries.
_LIBC = ctypes.CDLL(None, use_errno=True)


class Start(NamedTuple):
    """What to run, which descriptors it inherits, and what its environment holds beside ours."""

    command: Sequence[str]
    fds: Sequence[int]
    variables: Mapping[str, str] = {}


class Backoff:
    """How long to wait before the next start: not at all, 100 ms, then doubling to 5 s."""

    def __init__(self) -> None:
        self._deaths = 0

    def after_death(self, lived_s: float) -> float:
        """Return the wait after a process that lived `lived_s`."""
        self._deaths = 1 if lived_s >= _HEALTHY_S else self._deaths + 1
        if self._deaths == 1:
            return 0.0
        return min(_FIRST_WAIT_S * 2.0 ** min(self._deaths - 2, 10), _LONGEST_WAIT_S)


class Child:
    """One process that the supervisor keeps alive. Times are monotonic seconds.

    `command` is asked at every start. `user` is whom it runs as; empty is who we are.
    """

    def __init__(self, role: str, command: Callable[[], Start], user: str = "") -> None:
        self.role = role
        self.restarts = -1  # the first start is none
        self.started_s = 0.0
        self.due_s: float | None = 0.0  # when to start; None while it runs
        self.stopping_s: float | None = None  # since when it has been asked to end
        self.process: subprocess.Popen[bytes] | Adopted | None = None
        self.user = user
        self._command = command
        self._backoff = Backoff()

    @property
    def pid(self) -> int:
        """The process id, or 0 when it does not run."""
        return self.process.pid if self.process else 0

    def start(self, now_s: float, environment: Mapping[str, str]) -> None:
        """Start it."""
        command, fds, variables = self._command()
        self.process = subprocess.Popen(  # noqa: S603
            command,
            env={**environment, **variables},
            pass_fds=tuple(fds),
            stdin=subprocess.DEVNULL,
            process_group=0,  # a Ctrl-C at the terminal is for the supervisor, who ends the others in order
            preexec_fn=_die_with(os.getpid()),  # single-threaded: safe  # noqa: PLW1509
            **_identity(self.user),
        )
        self.started_s, self.due_s, self.stopping_s = now_s, None, None
        self.restarts += 1

    def ended(self, now_s: float) -> int | None:
        """Return the exit status (negative: by that signal) when it has just ended, and plan its next start."""
        if self.process is None:
            return None
        status = self.process.poll()
        if status is None:
            return None
        self.process = None
        self.due_s = now_s + self._backoff.after_death(now_s - self.started_s)
        return status

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.process is not None:
            self.process.send_signal(number)

    def packed(self) -> dict[str, Any]:
        """Return what another program of this process needs to keep it alive, as JSON."""
        return {"role": self.role, "pid": self.pid, "restarts": self.restarts, "started_s": self.started_s}

    def unpack(self, told: Mapping[str, Any]) -> None:
        """Take over a process that an earlier program of this process started."""
        self.restarts, self.started_s = int(told["restarts"]), float(told["started_s"])
        self.due_s = None if told["pid"] else 0.0
        self.process = Adopted(int(told["pid"])) if told["pid"] else None


class Adopted:
    """A child of this process that another program started, before this one took the process over."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return its exit status (negative: by that signal), or None while it runs."""
        return self._wait(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait for its end."""
        return self._wait(0)

    def _wait(self, options: int) -> int | None:
        if self._status is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:  # somebody else has buried it
                pid, status = self.pid, 0
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is not buried (then its number may be another's)."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


def _die_with(parent: int) -> Callable[[], None]:
    """Return what a new process does first: ask the kernel to kill it when its parent dies, whatever it is doing."""

    def ask() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return ask


def become(user: str) -> None:
    """Become `user` for good. Only root can."""
    entry = pwd.getpwnam(user)
    os.setgroups(os.getgrouplist(user, entry.pw_gid))
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def _identity(user: str) -> dict[str, Any]:
    """Return the arguments that start a process as `user`; none for the user that we are."""
    if not user:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(user, entry.pw_gid)}
