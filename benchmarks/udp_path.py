"""Nothing in, CPU per answered query end to end out: a real worker on loopback under dnsperf, or a sender of our own.

One worker on one core answers A questions for one steered name. What is printed is the worker's own CPU time, user and
kernel, from /proc, divided by the answers that it gave: it says what a core can do whatever else the machine does.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.serve import control, node

SECONDS = 5
# A worker that needs more for an answer than this has lost what the drain loop won: a core below 20,000 answers/s.
PROMISE_US = 50.0
_WINDOW = 64  # questions under way at once, as from a busy resolver


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def with_dnsperf(address: tuple[str, int], folder: Path) -> int:
    """Ask with dnsperf; return how many answers came."""
    questions = folder / "questions"
    questions.write_text(f"{control.NAME} A\n")
    command = ["dnsperf", "-s", address[0], "-p", str(address[1]), "-d", str(questions), "-l", str(SECONDS)]
    done = subprocess.run([*command, "-q", str(_WINDOW)], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if "Queries completed" in line)
    return int(line.split()[2])


def with_own_sender(address: tuple[str, int]) -> int:
    """Ask with a window of questions from one socket; return how many answers came."""
    answered, until_s = 0, time.monotonic() + SECONDS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        sock.settimeout(0.2)
        while time.monotonic() < until_s:
            for _ in range(_WINDOW):
                sock.send(node.question())
            try:
                for _ in range(_WINDOW):
                    sock.recv(4096)
                    answered += 1
            except TimeoutError:
                continue
    return answered


def main() -> None:
    """Measure; end with 1 when the promise is broken."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        one = node.Node(Path(name))
        try:
            one.serve("192.0.2.1")
            (pid,) = one.pids("worker")
            os.sched_setaffinity(pid, cores[-1:])
            before_s, began_s = cpu_s(pid), time.monotonic()
            dnsperf = shutil.which("dnsperf")
            answered = with_dnsperf(one.address, Path(name)) if dnsperf else with_own_sender(one.address)
            took_s, spent_s = time.monotonic() - began_s, cpu_s(pid) - before_s
        finally:
            one.close()
    each_us = 1e6 * spent_s / max(answered, 1)
    print(
        f"UDP, one worker, {'dnsperf' if dnsperf else 'own sender'}: {each_us:.1f} µs of CPU per answer "
        f"({answered:,} answers in {took_s:.1f} s, {answered / took_s:,.0f}/s; promise: below {PROMISE_US:g} µs)"
    )
    if not answered or each_us > PROMISE_US:
        sys.exit(1)


if __name__ == "__main__":
    main()
