"""A node's main process in; SIGHUP to it, another installed version in its place, and what became of both out.

This is the unit's ExecReload, run by the installed version: `systemctl reload` returns when the new configuration is
answered, and fails when it was refused. systemd itself has no way for a service to say the latter, Type=notify-reload
included. A version that runs and is not the installed one then gives way to that, once that has proved itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence

from gtm import __version__
from gtm.serve import sd

_MOST_BYTES = 4096  # of what is told: a word and a reason


def run(pid: int, folder: str) -> str:
    """Have the node of this supervisor reload, and replaced where it is another version; return what went wrong.

    `folder` is the unit's RuntimeDirectory, where the supervisor finds who waits. It is not for us to be in a hurry:
    systemd ends what takes longer than TimeoutStartSec.
    """
    path = sd.waiting_at(folder)
    with contextlib.suppress(FileNotFoundError):  # of one that was killed
        os.unlink(path)
    process = os.pidfd_open(pid)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as heard:
        heard.bind(path)
        try:
            how, version = _asked(heard, process, signal.SIGHUP)
            if how == sd.REFUSED:
                return "the configuration was refused, and the one before stays; `journalctl` has the reasons"
            if how != sd.ACCEPTED:
                return "the node ended before its reload did"
            if version == __version__:
                return ""
            how, why = _asked(heard, process, signal.SIGUSR2)
            if how == sd.REPLACED:
                return ""
            return f"gtm {__version__} does not take over, and {version} goes on: {why or 'the node ended'}"
        finally:
            os.unlink(path)
            os.close(process)


def _asked(heard: socket.socket, process: int, number: int) -> tuple[str, str]:
    """Send a signal; return how what it asks for ended, and what is said of that: nothing when the process ends."""
    signal.pidfd_send_signal(process, number)
    poll = select.poll()
    for one in (heard.fileno(), process):
        poll.register(one, select.POLLIN)
    ready = [fd for fd, _ in poll.poll()]
    how, _, text = heard.recv(_MOST_BYTES).decode().partition(" ") if heard.fileno() in ready else ("", "", "")
    return how, text


def main(arguments: Sequence[str], folder: str) -> int:
    """`python -m gtm.serve.reloading $MAINPID`, by systemd; elsewhere there are `gtm reload` and `gtm replace`."""
    if len(arguments) != 1 or not arguments[0].isdigit() or not folder:
        sys.stderr.write("gtm: this is the ExecReload of gtm.service; by hand use `gtm reload`\n")
        return 2
    why = run(int(arguments[0]), folder.partition(":")[0])
    if why:
        sys.stderr.write(f"gtm: {why}\n")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ.get("RUNTIME_DIRECTORY", "")))
