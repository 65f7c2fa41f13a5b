"""A configuration's path in, a running node out: opens the sockets, keeps the control process and the workers alive.

It holds every socket for as long as it lives, so packets wait in the kernel while a worker restarts. It imports next
to nothing and decides nothing, because what it does not do cannot bring it down.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from gtm import __version__
from gtm.serve import channel, children, sd, silence, sockets, stopping, succession
from gtm.serve import generation as generations

REFUSED = 78  # EX_CONFIG of sysexits.h: the control process's word for "the configuration was refused"
_TICK_S = 0.25
_RETIRED_S = 20.0  # a retired worker ends by itself before that
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD)


class _Stop(Exception):
    """The node ends with this exit status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)


class Supervisor:
    """One node's processes, sockets and what systemd is told."""

    def __init__(
        self,
        control_command: Sequence[str],
        *,
        user: str = "",
        environment: Mapping[str, str],
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """`state` is what an earlier program of this process knew (see `_state`): the node lives already."""
        self._user = user
        self._notify = sd.Notify(environment)
        ours = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}
        self._environment = {name: value for name, value in environment.items() if name not in ours}
        self._now = generations.Generation(control_command, user)
        self._succession: succession.Succession | None = None
        self._retired: list[tuple[children.Child, float]] = []  # who answers its last connections, and until when
        self._passed: list[tuple[str, socket.socket]] = []
        self._told_ready, self._accepted = False, True
        self._stopping_s: float | None = None
        self._silences = silence.Silences(_say)
        self._looked_s = self._watchdog_s = 0.0
        if state is None:
            self._passed = sd.passed_sockets(environment)
            return
        self._now = generations.Generation.unpacked(state["generation"])
        self._told_ready = bool(state["told_ready"])
        for told in state["retired"]:
            child = children.Child(told["role"], lambda: children.Start((), ()))
            child.unpack(told)
            self._retired.append((child, float(told["until_s"])))

    def _state(self, generation: generations.Generation) -> dict[str, Any]:
        """Return what the next program of this process needs. A key may be added; none may change its meaning."""
        retired = [child.packed() | {"until_s": until_s} for child, until_s in self._retired if child.pid]
        return {"generation": generation.packed(), "retired": retired, "told_ready": self._told_ready}

    # --- the loop ----------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Run until told to stop; return the exit status."""
        woken, waker = socket.socketpair()
        for end in (woken, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, _noted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # an earlier program of this process held them back
        try:
            while True:
                self._turn(time.monotonic())
                self._wait(woken, self._wait_s(time.monotonic()))
                try:
                    for byte in woken.recv(256):
                        self._signalled(byte)
                except BlockingIOError:
                    continue
        except _Stop as stop:
            return stop.status
        except sockets.Cannot as error:
            _say(str(error))
            return 1
        finally:
            self._kill_all()

    def _wait(self, woken: socket.socket, wait_s: float) -> None:
        """Wait for a signal or a message; it is heard at the next turn."""
        poll = select.poll()
        poll.register(woken, select.POLLIN)
        for generation in self._generations():
            if generation.line is not None:
                poll.register(generation.line, select.POLLIN)
        poll.poll(math.ceil(wait_s * 1000))

    def _turn(self, now_s: float) -> None:
        """One look at everything."""
        for generation in self._generations():
            self._hear(generation)  # what a dying control process said last comes before its death
        self._bury(now_s)
        if self._stopping_s is not None:
            self._go_on_stopping(now_s, now_s - self._stopping_s)
        else:
            self._go_on_replacing(now_s)
            self._start_due(now_s)
            self._look_for_hung(now_s)
        self._tell_systemd(now_s)
        self._looked_s = now_s

    def _wait_s(self, now_s: float) -> float:
        due = [child.due_s - now_s for child in self._kept() if child.due_s is not None]
        return max(0.0, min([_TICK_S, *due]))

    def _generations(self) -> list[generations.Generation]:
        return [self._now, self._succession.new] if self._succession is not None else [self._now]

    def _kept(self) -> list[children.Child]:
        """Return the processes that are started, and started again."""
        if self._succession is None:
            return self._now.everybody()
        new = self._succession.new.everybody()
        return [*self._now.everybody(), *new] if self._succession.on_trial else new

    def _start_due(self, now_s: float) -> None:
        for generation in self._generations():
            started = [one for one in generation.everybody() if one in self._kept()]
            started = [one for one in started if one.due_s is not None and one.due_s <= now_s]
            for child in started:
                child.start(now_s, self._environment)
                if child is generation.control and generation.theirs is not None:
                    generation.theirs.close()
                    generation.theirs = None
            if started:
                self._tell_control(generation)

    def _bury(self, now_s: float) -> None:
        self._retired = [(child, until_s) for child, until_s in self._retired if child.ended(now_s) is None]
        for child, until_s in self._retired:
            if now_s > until_s:
                child.signal(signal.SIGKILL)
        for generation in self._generations():
            for child in generation.everybody():
                status = child.ended(now_s)
                if status is not None and self._stopping_s is None:
                    self._mourn(generation, child, status, now_s)

    def _mourn(self, generation: generations.Generation, child: children.Child, status: int, now_s: float) -> None:
        """Say that a process ended, and see what becomes of that."""
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        if self._succession is not None:
            if self._succession.on_trial and (generation is not self._now or child is self._now.control):
                self._succession.died(child, how)
            if generation is not self._now or not self._succession.on_trial:
                return  # who gives way may end; who is on trial has ended with it
        if generation.page is None:
            if status != REFUSED:  # a refused configuration has been explained already
                _say(f"the control process {how} before it had read the configuration")
            raise _Stop(1)
        wait_s = max(0.0, (child.due_s or 0.0) - now_s)
        _say(f"{child.role} {how}; it starts again " + (f"in {wait_s:g} s" if wait_s else "now"))
        if child is not generation.control:  # its connections are gone
            generation.page.clear(generation.workers.index(child))

    def _look_for_hung(self, now_s: float) -> None:
        """Kill whose loop does not turn. Who was late itself (a starved machine) judges nobody."""
        serving = self._now
        if self._succession is not None and not self._succession.on_trial:
            serving = self._succession.new
        if now_s - self._looked_s > 3 * _TICK_S:
            return
        for child, silent_s in self._silences.hung(serving, now_s):
            _say(f"{child.role} has not turned for {silent_s:.1f} s; it is killed")
            child.stopping_s = now_s
            child.signal(signal.SIGKILL)

    # --- the control process -----------------------------------------------------------------------------------

    def _hear(self, generation: generations.Generation) -> None:
        try:
            while generation.line is not None and (message := generation.line.receive()) is not None:
                self._from_control(generation, message)
        except EOFError:
            generation.line = None

    def _from_control(self, generation: generations.Generation, message: channel.Message) -> None:
        serves = generation is self._now
        if message.kind == "journal":
            generation.take_journal(message.fd)
        elif message.kind == "keys":
            generation.take_keys(message.fd)
        elif message.kind == "listen":
            self._open(generation, message.json())
        elif message.kind == "ready":
            generation.ready_at = int(message.json()["revision"])
            self._accepted = bool(message.json().get("accepted", True))
            self._told_ready = self._told_ready and not serves
        elif message.kind == "status" and serves:
            self._notify.say("STATUS=" + str(message.json()["text"]).replace("\n", " "))
        elif message.kind == "replace" and serves:
            self._replace(float(message.json()["within_s"]))
        elif message.kind == "kept" and serves:
            self._notify.ended(sd.KEPT, str(message.json()["why"]))
        elif message.kind == "verdict" and serves and self._succession is not None:
            self._succession.verdict(message.json())

    def _open(self, generation: generations.Generation, wanted: Mapping[str, Any]) -> None:
        """Open what the configuration wants, once; tell the control process what there is."""
        if self._succession is not None and generation is self._succession.new and generation.page is None:
            self._succession.listen(wanted)
            return
        if generation.page is None:
            listen: list[sockets.Place] = [(str(host), int(port)) for host, port in wanted["listen"]]
            listen += [(str(host), int(port), str(kind)) for host, port, kind in wanted.get("also", ())]
            bound = sockets.take(self._passed, listen, int(wanted["workers"]))
            generation.open(wanted, bound)
            self._notify.store(sockets.STORED, sockets.own(bound, self._passed))
            self._passed = []
            if self._user:
                children.become(self._user)
                generation.control.user = self._user = ""
        generation.introduce()
        self._tell_control(generation)

    def _tell_control(self, generation: generations.Generation) -> None:
        if generation.line is None or generation.page is None:
            return
        processes = [{"role": "supervisor", "pid": os.getpid()}]
        processes += [{"role": one.role.split()[0], "pid": one.pid} for one in generation.everybody() if one.pid]
        restarts = {
            "control": max(0, generation.control.restarts),
            "worker": sum(max(0, worker.restarts) for worker in generation.workers),
        }
        generation.line.send_json("processes", {"processes": processes, "restarts": restarts})

    # --- another version ---------------------------------------------------------------------------------------

    def _replace(self, within_s: float) -> None:
        if self._succession is None and self._now.page is not None and self._stopping_s is None:
            self._succession = succession.Succession(self._now, within_s, time.monotonic(), self._state)

    def _go_on_replacing(self, now_s: float) -> None:
        if self._succession is None:
            return
        self._succession.turn(now_s)
        if self._succession.phase == "has failed":
            _say(f"the new version does not serve: {self._succession.why}")
            self._succession = None
        elif self._succession.phase == "has succeeded":
            until_s = now_s + _RETIRED_S
            self._retired += [(child, until_s) for child in self._now.retire()]
            self._now.close()
            self._notify.ended(sd.REPLACED, "")
            self._now, self._succession = self._succession.new, None
            if self._now.line is not None:
                self._now.line.send_json("go", {})
            self._tell_control(self._now)
            self._become_anew()

    def _become_anew(self) -> None:
        """Let the new version's program take this process over: its number, its children and its sockets stay."""
        state = self._state(self._now)
        fd = succession.memory(state)
        for one in (fd, *succession.descriptors(state)):
            os.set_inheritable(one, True)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # what comes meanwhile waits for the new program
        try:
            os.execv(sys.executable, [*generations.PYTHON, *succession.RESUME, str(fd)])  # noqa: S606
        except OSError as error:  # then this program goes on with the new generation
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            for one in succession.descriptors(state):
                os.set_inheritable(one, False)
            os.close(fd)
            _say(f"the supervisor stays what it is: {error}")

    # --- signals, systemd, the end -----------------------------------------------------------------------------

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP and self._now.line is not None and self._now.page is not None:
            self._notify.reloading()
            self._now.ready_at = -1
            self._told_ready = False
            self._now.line.send_json("reload", {})
        elif number == signal.SIGUSR2:
            if self._now.line is None or not self._now.line.send_json("replace", {}):
                self._notify.ended(sd.KEPT, "the control process does not listen")
        elif number in {signal.SIGTERM, signal.SIGINT}:
            if self._stopping_s is not None:
                raise _Stop(1)  # asked twice: at once
            self._stopping_s = time.monotonic()
            self._notify.say("STOPPING=1")
            for generation in self._generations():
                generation.control.signal(signal.SIGTERM)

    def _go_on_stopping(self, now_s: float, since_s: float) -> None:
        everybody = [child for generation in self._generations() for child in generation.everybody()]
        everybody += [child for child, _ in self._retired]
        if stopping.is_over(everybody, now_s, since_s, _say):
            raise _Stop(0)

    def _kill_all(self) -> None:
        everybody = [child for generation in self._generations() for child in generation.everybody()]
        for child in (*everybody, *(child for child, _ in self._retired)):
            if child.process is not None:
                child.process.kill()
                child.process.wait()

    def _tell_systemd(self, now_s: float) -> None:
        page = self._now.page
        if page is None or self._stopping_s is not None:
            return
        if not self._told_ready and self._now.is_ready():
            self._told_ready = True
            self._notify.say("READY=1")
            self._notify.ended(sd.ACCEPTED if self._accepted else sd.REFUSED, __version__)
        due = self._notify.watchdog_s and now_s - self._watchdog_s >= self._notify.watchdog_s
        silent = {
            one.role
            for number, one in enumerate(self._now.workers)
            if now_s - page.beaten_ns(number) / 1e9 >= silence.HUNG_S
        }
        if due and silent <= self._silences.starved:  # who is starved would be after a restart, too
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
    command = control_command or [*generations.PYTHON, "-m", "gtm.app", "--config", config_path]
    return Supervisor(command, user=user, environment=os.environ).run()


def main() -> None:
    """`python -m gtm.serve.supervisor --config FILE [--user NAME]`, which is what `gtm serve` becomes.

    `--resume FD` is how a running supervisor becomes this version of itself; with `--rehearse` it only tries to.
    """
    parser = argparse.ArgumentParser(prog="gtm serve")
    parser.add_argument("--config")
    parser.add_argument("--user", default="")
    parser.add_argument("--resume", type=int)
    parser.add_argument("--rehearse", action="store_true")
    arguments = parser.parse_args()
    if arguments.resume is not None:
        state = succession.remembered(arguments.resume)
        for fd in succession.descriptors(state):
            os.set_inheritable(fd, False)
        resumed = Supervisor((), environment=os.environ, state=state)
        sys.exit(0 if arguments.rehearse else resumed.run())
    if arguments.config is None:
        parser.error("--config is missing")
    sys.exit(run(arguments.config, user=arguments.user))


if __name__ == "__main__":
    main()
