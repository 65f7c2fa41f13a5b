"""A node's main process in; SIGHUP to it, and when the reload is over what became of it as an exit status, out.

This is the unit's ExecReload: `systemctl reload` returns when the new configuration is answered, and fails when it was
refused. systemd itself has no way for a service to say the latter, Type=notify-reload included.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence

from gtm.serve import sd


def run(pid: int, folder: str) -> int:
    """Have the node of this supervisor reload; return 0 when it took the configuration, 1 when not.

    `folder` is the unit's RuntimeDirectory, where the supervisor finds who waits. It is not for us to be in a hurry:
    systemd ends what takes longer than TimeoutStartSec.
    """
    path = sd.waiting_at(folder)
    with contextlib.suppress(FileNotFoundError):  # of one that was killed
        os.unlink(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as heard:
        heard.bind(path)
        try:
            said = _hear(heard, pid)
        finally:
            os.unlink(path)
    if said == sd.ACCEPTED:
        return 0
    what = "the configuration was refused, and the one before stays; `journalctl` has the reasons"
    sys.stderr.write(f"gtm: {what if said else 'the node ended before its reload did'}\n")
    return 1


def _hear(heard: socket.socket, pid: int) -> str:
    """Send SIGHUP; return what is said of the reload, or "" when the process ends instead."""
    process = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(process, signal.SIGHUP)
        poll = select.poll()
        for one in (heard.fileno(), process):
            poll.register(one, select.POLLIN)
        ready = [fd for fd, _ in poll.poll()]
        return heard.recv(64).decode() if heard.fileno() in ready else ""
    finally:
        os.close(process)


def main(arguments: Sequence[str], folder: str) -> int:
    """`python -m gtm.serve.reloading $MAINPID`, by systemd; elsewhere there is `gtm reload`."""
    if len(arguments) != 1 or not arguments[0].isdigit() or not folder:
        sys.stderr.write("gtm: this is the ExecReload of gtm.service; by hand use `gtm reload`\n")
        return 2
    return run(int(arguments[0]), folder.partition(":")[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ.get("RUNTIME_DIRECTORY", "")))
