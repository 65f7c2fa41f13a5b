"""What systemd is told, and the sockets that it hands over: sd_notify(3) and sd_listen_fds(3), in a few lines each."""

from __future__ import annotations

import array
import os
import socket
import time
from collections.abc import Mapping, Sequence

_FIRST_FD = 3  # SD_LISTEN_FDS_START
_MOST_FDS = 253  # in one message (SCM_MAX_FD)
# What the unit's ExecReload (see `reloading`) is told: how a reload ended, in which version, and how a replacement did.
ACCEPTED, REFUSED, REPLACED, KEPT = "accepted", "refused", "replaced", "kept"


class Notify:
    """Speaks to `$NOTIFY_SOCKET`; silent where there is none."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # "@" stands for the NUL byte that begins an abstract address.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        folder = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        self._waits = waiting_at(folder) if folder else ""
        usec = int(environment.get("WATCHDOG_USEC", "0")) if mine else 0
        self.watchdog_s = usec / 2e6  # half of the time allowed, as sd_watchdog_enabled(3) advises; 0 is off

    def say(self, *lines: str, fds: Sequence[int] = ()) -> None:
        """Send lines such as `READY=1`. A systemd that does not listen is not our trouble."""
        if self._address:
            _send(self._address, "\n".join(lines), fds)

    def store(self, name: str, sockets: Sequence[socket.socket]) -> None:
        """Leave these, and no others of this name, in systemd's keeping: it hands them over at the next start.

        That needs `FileDescriptorStoreMax=` in the unit; without it systemd lets go of them at once.
        """
        self.say("FDSTOREREMOVE=1", f"FDNAME={name}")
        for at in range(0, len(sockets), _MOST_FDS):
            fds = [sock.fileno() for sock in sockets[at : at + _MOST_FDS]]
            self.say("FDSTORE=1", f"FDNAME={name}", fds=fds)

    def reloading(self) -> None:
        """Say that a reload has begun; `READY=1` ends it."""
        self.say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def ended(self, how: str, text: str) -> None:
        """Tell the unit's ExecReload, if it waits, what became of what it asked for."""
        if self._waits and os.path.exists(self._waits):
            _send(self._waits, f"{how} {text}")


def waiting_at(folder: str) -> str:
    """Return the path of the socket where the unit's ExecReload waits, in the unit's RuntimeDirectory."""
    return os.path.join(folder, "reload")


def _send(address: str, text: str, fds: Sequence[int] = ()) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.setblocking(False)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            sock.sendmsg([text.encode()], rights, 0, address)
        except OSError as error:
            os.write(2, f"gtm: systemd was not told {text.splitlines()[0]}: {error}\n".encode())


def passed_sockets(environment: Mapping[str, str]) -> list[tuple[str, socket.socket]]:
    """Return the sockets that systemd passed to this very process, in order, with their names; none is an empty list.

    A socket unit's are named after it, those of the store as they were stored.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environment.get("LISTEN_FDS", "0"))
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    names += [""] * (count - len(names))
    return [(names[at], socket.socket(fileno=_FIRST_FD + at)) for at in range(count)]
