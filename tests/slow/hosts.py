"""Real programs in, a world of their own out: a network namespace, and processes in it that all end with the test."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

GTM = (sys.executable, "-c", "from gtm.cli.main import main; main()")
T = TypeVar("T")
STOP_S = 10.0
LOOK_S = 0.1
SBIN = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Namespace:
    """A network of our own with nothing but loopback: every port is free, and nothing gets in or out."""

    def __init__(self, name: str, logs: Path) -> None:
        self.name = name
        self.logs = logs
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, what: str, command: Sequence[str], environment: Mapping[str, str] = {}) -> subprocess.Popen[bytes]:
        """Start a program; `what` names it, and its log. `environment` is added to next to nothing."""
        with (self.logs / f"{what}.log").open("ab") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": SBIN, "LC_ALL": "C.UTF-8", **environment},
            )
        self.running[what] = process
        return process

    def run(self, *command: str) -> str:
        """Run a program to its end and return what it printed; dig's failures are printed too."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, *command], capture_output=True, text=True, check=False, timeout=30
        )
        return done.stdout

    def signal(self, what: str, number: signal.Signals) -> None:
        """Send a program a signal."""
        self.running[what].send_signal(number)

    def end(self, what: str) -> int:
        """End a program and return its status: SIGTERM, and SIGKILL when that does not help."""
        process = self.running.pop(what)
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def kill(self, what: str) -> None:
        """End a program without asking it."""
        process = self.running.pop(what)
        process.kill()
        process.wait()

    def all_alive(self) -> bool:
        """Say whether nothing that was started has ended; what has is raised with its last words."""
        for what, process in self.running.items():
            if process.poll() is not None:
                words = (self.logs / f"{what}.log").read_text(errors="replace")[-2000:]
                raise AssertionError(f"{what} ended with status {process.returncode}:\n{words}")
        return True

    def until(self, look: Callable[[], T], wanted: T, within_s: float) -> float:
        """Look until `wanted` is seen, and return the seconds that it took; fail with what was seen instead."""
        began = time.monotonic()
        while True:
            seen = look()
            took_s = time.monotonic() - began
            if seen == wanted:
                return took_s
            self.all_alive()
            assert took_s < within_s, f"after {took_s:.0f} s it is {seen}, not {wanted}"
            time.sleep(LOOK_S)


N = TypeVar("N", bound=Namespace)


@contextmanager
def namespace(name: str, logs: Path, kind: type[N]) -> Iterator[N]:
    """Make a namespace with its loopback up; end all that runs in it, and remove it, whatever happens."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    world = kind(name, logs)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield world
    finally:
        for what in list(world.running):
            world.end(what)
        subprocess.run(["ip", "netns", "delete", name], check=True)
