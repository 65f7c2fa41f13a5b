"""A configuration's path in, a running node out: opens the sockets, keeps the control process and the workers alive.

It holds every socket for as long as it lives, so packets wait in the kernel while a worker restarts. It imports next
to nothing and decides nothing, because what it does not do cannot bring it down.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gtm.serve import channel, children, sd, shared, sockets

REFUSED = 78  # EX_CONFIG of sysexits.h: the control process's word for "the configuration was refused"
_HUNG_S = 1.5  # with the beat and the tick between two looks, a hung worker is noticed within 2 s
_STARTING_S = 20.0  # until the first heartbeat: a busy machine may take its time to load a Python
# The control process may think for long about a big configuration; answers do not wait for it.
_CONTROL_HUNG_S = 30.0
_TICK_S = 0.25
_CONTROL_STOPS_S, _WORKERS_STOP_S = 10.0, 3.0
_PYTHON = [sys.executable, *(["-P"] if sys.flags.safe_path else [])]


class _Stop(Exception):
    """The node ends with this exit status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)


class Answering(NamedTuple):
    """What exists from the first accepted configuration on, by worker where it is a list."""

    wanted: Mapping[str, Any]
    bound: list[list[sockets.Bound]]
    page: shared.Page
    lines: list[tuple[channel.Channel, channel.Channel]]  # the control process's end, the worker's end
    workers: list[children.Child]


class Supervisor:
    """One node's processes, sockets and what systemd is told."""

    def __init__(self, control_command: Sequence[str], *, user: str = "", environment: Mapping[str, str]) -> None:
        self._control_command = list(control_command)
        self._user = user
        self._notify = sd.Notify(environment)
        self._passed = sd.passed_sockets(environment)
        ours = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}
        self._environment = {name: value for name, value in environment.items() if name not in ours}
        self._selector = selectors.DefaultSelector()
        self._control = children.Child("control", self._control_start, user)
        self._line: channel.Channel | None = None  # to the control process, and the end that it inherits
        self._theirs: channel.Channel | None = None
        self._answering: Answering | None = None
        self._journal = -1
        self._ready_at = -1  # the revision that all workers must answer from before systemd hears READY
        self._stopping_s: float | None = None
        self._looked_s = self._watchdog_s = 0.0

    # --- commands of the children ------------------------------------------------------------------------------

    def _control_start(self) -> children.Start:
        """A new channel each time: nothing that was said to a dead process reaches the next one."""
        self._drop_line()
        if self._answering is not None:
            self._answering.page.clear(self._answering.page.workers)
        self._line, self._theirs = channel.pair()
        self._selector.register(self._line, selectors.EVENT_READ)
        fd = self._theirs.fileno()
        return children.Start(self._control_command, (fd,), {channel.VARIABLE: str(fd)})

    def _worker_start(self, to: Answering, number: int) -> children.Start:
        to.page.clear(number)
        end = to.lines[number][1].fileno()
        pairs = [(udp.fileno() if udp else -1, tcp.fileno() if tcp else -1) for udp, tcp in to.bound[number]]
        settings = {
            "worker": number,
            "workers": len(to.workers),
            "channel": end,
            "page": to.page.fd,
            "journal": self._journal,
            "sockets": pairs,
            "tcp": to.wanted["tcp"],
            "rate_limit": to.wanted["rate_limit"],
        }
        fds = {end, to.page.fd, self._journal, *(fd for pair in pairs for fd in pair)} - {-1}
        return children.Start([*_PYTHON, "-m", "gtm.serve.worker", json.dumps(settings)], sorted(fds))

    # --- the loop ----------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Run until told to stop; return the exit status."""
        woken, waker = socket.socketpair()
        for end in (woken, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, _noted)
        self._selector.register(woken, selectors.EVENT_READ)
        try:
            while True:
                self._turn(time.monotonic())
                for key, _ in self._selector.select(self._wait_s(time.monotonic())):
                    if key.fileobj is woken:  # the rest is heard at the next turn
                        for byte in woken.recv(256):
                            self._signalled(byte)
        except _Stop as stop:
            return stop.status
        except sockets.Cannot as error:
            _say(str(error))
            return 1
        finally:
            self._kill_all()

    def _turn(self, now_s: float) -> None:
        """One look at everything."""
        self._hear()  # what a dying control process said last comes before its death
        self._bury(now_s)
        if self._stopping_s is not None:
            self._go_on_stopping(now_s, now_s - self._stopping_s)
        else:
            self._start_due(now_s)
            self._look_for_hung(now_s)
        self._tell_systemd(now_s)
        self._looked_s = now_s

    def _wait_s(self, now_s: float) -> float:
        due = [child.due_s - now_s for child in self._everybody() if child.due_s is not None]
        return max(0.0, min([_TICK_S, *due]))

    def _everybody(self) -> list[children.Child]:
        return [self._control, *self._workers()]

    def _workers(self) -> list[children.Child]:
        return self._answering.workers if self._answering else []

    def _start_due(self, now_s: float) -> None:
        started = False
        for child in self._everybody():
            if child.due_s is not None and child.due_s <= now_s:
                child.start(now_s, self._environment)
                started = True
                if child is self._control and self._theirs is not None:
                    self._theirs.close()
        if started:
            self._tell_control()

    def _bury(self, now_s: float) -> None:
        for child in self._everybody():
            status = child.ended(now_s)
            if status is None or self._stopping_s is not None:
                continue
            how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            if self._answering is None:
                if status != REFUSED:  # a refused configuration has been explained already
                    _say(f"the control process {how} before it had read the configuration")
                raise _Stop(1)
            wait_s = max(0.0, (child.due_s or 0.0) - now_s)
            _say(f"{child.role} {how}; it starts again " + (f"in {wait_s:g} s" if wait_s else "now"))
            if child is not self._control:  # its connections are gone
                self._answering.page.clear(self._answering.workers.index(child))

    def _look_for_hung(self, now_s: float) -> None:
        """Kill whose loop does not turn. Who was late itself (a starved machine) judges nobody."""
        if self._answering is None or now_s - self._looked_s > 3 * _TICK_S:
            return
        for number, child in enumerate([*self._answering.workers, self._control]):
            if child.process is None or child.stopping_s is not None:
                continue
            beaten_s = self._answering.page.beaten_ns(number) / 1e9
            silent_s = now_s - (beaten_s or child.started_s)
            if child is self._control:
                allowed_s = _CONTROL_HUNG_S if beaten_s else math.inf  # it reads its configuration
            else:
                allowed_s = _HUNG_S if beaten_s else _STARTING_S
            if silent_s > allowed_s:
                _say(f"{child.role} has not turned for {silent_s:.1f} s; it is killed")
                child.stopping_s = now_s
                child.signal(signal.SIGKILL)

    # --- the control process -----------------------------------------------------------------------------------

    def _drop_line(self) -> None:
        if self._line is not None:
            self._selector.unregister(self._line)
            self._line.close()
            self._line = None

    def _hear(self) -> None:
        try:
            while self._line is not None and (message := self._line.receive()) is not None:
                self._from_control(self._line, message)
        except EOFError:
            self._drop_line()

    def _from_control(self, line: channel.Channel, message: channel.Message) -> None:
        if message.kind == "journal":
            if self._journal >= 0:
                os.close(self._journal)
            self._journal = message.fd
        elif message.kind == "listen":
            self._open(line, message.json())
        elif message.kind == "ready":
            self._ready_at = int(message.json()["revision"])
        elif message.kind == "status":
            self._notify.say("STATUS=" + str(message.json()["text"]).replace("\n", " "))

    def _open(self, line: channel.Channel, wanted: Mapping[str, Any]) -> None:
        """Open what the configuration wants, once; tell the control process what there is."""
        if self._answering is None:
            count = int(wanted["workers"])
            if self._passed:
                bound = sockets.share_passed(self._passed, count)
            else:
                bound = sockets.open_all([(host, port) for host, port in wanted["listen"]], count)
            lines = [channel.pair() for _ in range(count)]
            self._answering = Answering(wanted, bound, shared.Page.new(count), lines, [])
            for number in range(count):
                start = functools.partial(self._worker_start, self._answering, number)
                self._answering.workers.append(children.Child(f"worker {number + 1}", start))
            if self._user:
                children.become(self._user)
                self._control.user = self._user = ""
        _, bound, page, lines, workers = self._answering
        for theirs, _ in lines:
            line.send("worker", fd=theirs.fileno())
        line.send_json("bound", {"listen": sockets.addresses(bound[0]), "workers": len(workers)}, page.fd)
        self._tell_control()

    def _tell_control(self) -> None:
        if self._line is None or self._answering is None:
            return
        processes = [{"role": "supervisor", "pid": os.getpid()}]
        processes += [{"role": child.role.split()[0], "pid": child.pid} for child in self._everybody() if child.pid]
        restarts = {
            "control": max(0, self._control.restarts),
            "worker": sum(max(0, worker.restarts) for worker in self._answering.workers),
        }
        self._line.send_json("processes", {"processes": processes, "restarts": restarts})

    # --- signals, systemd, the end -----------------------------------------------------------------------------

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP and self._line is not None and self._answering is not None:
            self._notify.reloading()
            self._ready_at = -1
            self._line.send_json("reload", {})
        elif number in {signal.SIGTERM, signal.SIGINT}:
            if self._stopping_s is not None:
                raise _Stop(1)  # asked twice: at once
            self._stopping_s = time.monotonic()
            self._notify.say("STOPPING=1")
            self._control.signal(signal.SIGTERM)

    def _go_on_stopping(self, now_s: float, since_s: float) -> None:
        """The control process writes its store while the workers still answer; then they answer what waits and end."""
        if self._control.process is not None:
            if since_s < _CONTROL_STOPS_S:
                return
            _say(f"the control process has not stopped for {_CONTROL_STOPS_S:g} s; it is killed")
            self._control.signal(signal.SIGKILL)
            return
        alive = [worker for worker in self._workers() if worker.process is not None]
        if not alive:
            raise _Stop(0)
        for worker in alive:
            if worker.stopping_s is None:
                worker.stopping_s = now_s
                worker.signal(signal.SIGTERM)
            elif now_s - worker.stopping_s > _WORKERS_STOP_S:
                worker.signal(signal.SIGKILL)

    def _kill_all(self) -> None:
        for child in self._everybody():
            if child.process is not None:
                child.process.kill()
                child.process.wait()

    def _tell_systemd(self, now_s: float) -> None:
        if self._answering is None or self._stopping_s is not None:
            return
        page = self._answering.page
        if self._ready_at >= 0 and min(page.revisions()) >= max(self._ready_at, 1):
            self._ready_at = -1
            self._notify.say("READY=1")
        due = self._notify.watchdog_s and now_s - self._watchdog_s >= self._notify.watchdog_s
        if due and all(now_s - page.beaten_ns(number) / 1e9 < _HUNG_S for number in range(page.workers)):
            self._watchdog_s = now_s
            self._notify.say("WATCHDOG=1")


def _noted(number: int, frame: object) -> None:
    """Let the wake-up descriptor carry the signal."""


def _say(text: str) -> None:
    os.write(2, f"gtm: {text}\n".encode())


def run(config_path: str, *, user: str = "", control_command: Sequence[str] = ()) -> int:
    """Run a node until SIGTERM; return its exit status: 1 when it could not start.

    `control_command` replaces the control process's command (for tests). `user` is whom to become once the sockets
    are open; empty stays.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    command = control_command or [*_PYTHON, "-m", "gtm.app", "--config", config_path]
    return Supervisor(command, user=user, environment=os.environ).run()


def main() -> None:
    """`python -m gtm.serve.supervisor --config FILE [--user NAME]`, which is what `gtm serve` becomes."""
    parser = argparse.ArgumentParser(prog="gtm serve")
    parser.add_argument("--config", required=True)
    parser.add_argument("--user", default="")
    arguments = parser.parse_args()
    sys.exit(run(arguments.config, user=arguments.user))


if __name__ == "__main__":
    main()
