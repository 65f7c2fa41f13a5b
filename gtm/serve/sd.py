"""What systemd is told, and the sockets that it hands over: sd_notify(3) and sd_listen_fds(3), in a few lines each."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

_FIRST_FD = 3  # SD_LISTEN_FDS_START


class Notify:
    """Speaks to `$NOTIFY_SOCKET`; silent where there is none."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # "@" stands for the NUL byte that begins an abstract address.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = int(environment.get("WATCHDOG_USEC", "0")) if mine else 0
        self.watchdog_s = usec / 2e6  # half of the time allowed, as sd_watchdog_enabled(3) advises; 0 is off

    def say(self, *lines: str) -> None:
        """Send lines such as `READY=1`. A systemd that does not listen is not our trouble."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)
            try:
                sock.sendto("\n".join(lines).encode(), self._address)
            except OSError as error:
                os.write(2, f"gtm: systemd was not told {lines[0]}: {error}\n".encode())

    def reloading(self) -> None:
        """Say that a reload has begun; `READY=1` ends it."""
        self.say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def passed_sockets(environment: Mapping[str, str]) -> list[socket.socket]:
    """Return the sockets that systemd passed to this very process, in order; none is an empty list."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environment.get("LISTEN_FDS", "0"))
    return [socket.socket(fileno=fd) for fd in range(_FIRST_FD, _FIRST_FD + count)]
