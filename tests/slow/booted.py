"""A folder in, a machine that systemd has booted out: PID 1, its units and its journal, in namespaces of their own."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.slow import hosts

ROOT = Path(__file__).resolve().parents[2]
SOURCE = "/usr/src/gtm"  # where boot.sh shows this project
BOOT_S, OFF_S = 60.0, 30.0
_PLAIN = {"PATH": hosts.SBIN, "LC_ALL": "C.UTF-8", "HOME": "/root", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}


class Machine(hosts.Namespace):
    """`start` and `run` give a program its network and our files, `inside` all that is its own."""

    def __init__(self, name: str, logs: Path, pid: int) -> None:
        """`pid` is what its PID 1 is called out here."""
        super().__init__(name, logs)
        self.pid = pid

    def inside(self, *command: str, network: bool = True, within_s: float = 180.0) -> subprocess.CompletedProcess[str]:
        """Run a program in there to its end, whatever its status. Without its `network` it has this machine's."""
        which = ["--mount", "--uts", "--ipc", "--pid", "--cgroup", *(["--net"] if network else [])]
        # How pip comes by its packages is this machine's affair.
        given = {
            name: value for name, value in os.environ.items() if re.match("(?i)pip_|ssl_|https?_proxy|no_proxy", name)
        }
        return subprocess.run(
            ["nsenter", f"--target={self.pid}", *which, f"--wdns={SOURCE}", *command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=within_s,
            env=_PLAIN | ({} if network else given),
        )  # fmt: skip

    def does(self, *command: str, network: bool = True) -> str:
        """Run a program in there that must succeed; return what it printed."""
        done = self.inside(*command, network=network)
        if done.returncode:
            last = self.inside("journalctl", "--output=cat", "--lines=30").stdout
            raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}\n{last}")
        return done.stdout

    def file(self, path: str) -> Path:
        """Return one of its files as seen from here."""
        return Path(f"/proc/{self.pid}/root") / path.lstrip("/")

    def show(self, name: str, unit: str = "gtm") -> str:
        """Return a property of a unit, as systemd knows it now."""
        return self.does("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def is_up(self) -> bool:
        """Say whether it has booted."""
        return self.inside("systemctl", "is-active", "basic.target").returncode == 0

    def said(self, unit: str = "gtm") -> str:
        """Return what the journal has of a unit."""
        return self.does("journalctl", "--output=cat", f"--unit={unit}")


def _only_child(pid: int) -> int:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return 0
    return int(children[0]) if children else 0


@contextmanager
def booted(name: str, logs: Path) -> Iterator[Machine]:
    """Boot, and power off; nothing of it is left."""
    folder = logs / "machine"
    folder.mkdir()
    before = hosts.Namespace(name, logs)
    with (logs / "boot.log").open("wb") as log:
        boot = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", Path(__file__).with_name("boot.sh"), folder, ROOT],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    before.running["boot"] = boot
    machine = None
    try:
        before.until(lambda: _comm(_only_child(_only_child(boot.pid))), "systemd", BOOT_S)
        machine = Machine(name, logs, _only_child(_only_child(boot.pid)))
        machine.running["boot"] = boot
        machine.until(machine.is_up, True, BOOT_S)
        subprocess.run(["ip", "netns", "attach", name, str(machine.pid)], check=True)
        yield machine
    finally:
        _off(machine or before)
        subprocess.run(["ip", "netns", "delete", name], check=machine is not None)


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _off(world: hosts.Namespace) -> None:
    """End what was started; then switch it off, or pull the plug."""
    boot = world.running.pop("boot")
    for what in list(world.running):
        world.end(what)
    if isinstance(world, Machine):
        world.inside("systemctl", "poweroff", "--no-block")
    try:
        boot.wait(OFF_S if isinstance(world, Machine) else 0)
    except subprocess.TimeoutExpired:
        unshare = _only_child(boot.pid)
        if unshare:
            os.kill(unshare, 9)  # takes PID 1 with it, and PID 1 everybody; the script cleans up behind them
        boot.wait(OFF_S)
    assert boot.returncode == 0, "it could not clean up behind itself"
