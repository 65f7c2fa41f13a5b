"""A control process with a sixth of its time, and a worker with none: no healthy edge and no sound worker is blamed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve import node as nodes
from tests.slow import chaos
from tests.slow.chaos import ADDRESSES, EDGES
from tests.slow.test_chaos import said

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(300)]

ALL = set(ADDRESSES)
WITHOUT_C = ALL - {EDGES["c"]}
STOPPED_S, RUNS_S = 1.0, 0.2
HEALTHY_S = 14.0  # more than the window in which starvation is told
# A refusal takes two probes, 1.2 s and 100 ms apart; each may wait for some of our turns on the processor.
NOTICED_S = 10.0
STARVES_S = 60.0  # until a worker has had no processor for a second and a half
ALONE_S = 6.0  # so long it is starved after that
# An edge whose answer takes half a second, so that it comes while nobody here reads.
EDGE = """
import asyncio, sys
async def answer(reader, writer):
    try:
        await reader.readuntil(b"\\r\\n\\r\\n")
        await asyncio.sleep(0.5)
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\nConnection: close\\r\\n\\r\\nok\\n")
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()
async def main():
    async with await asyncio.start_server(answer, sys.argv[1], 8080) as server:
        await server.serve_forever()
asyncio.run(main())
"""


@contextlib.contextmanager
def starved(pid: int) -> Iterator[None]:
    """Let a process run for a sixth of the time, as a machine does that has no more for it."""
    over = threading.Event()

    def take_turns() -> None:
        while not over.is_set():
            os.kill(pid, signal.SIGSTOP)
            over.wait(STOPPED_S)
            os.kill(pid, signal.SIGCONT)
            over.wait(RUNS_S)

    turns = threading.Thread(target=take_turns)
    turns.start()
    try:
        yield
    finally:
        over.set()
        turns.join()


def probes(node: chaos.Chaos, result: str) -> float:
    """Return how many probes had this result."""
    text = node.run("curl", "-s", "--max-time", "10", f"http://{chaos.WEB}/metrics")
    found = re.search(rf'^gtm_probes_total{{kind="http",result="{result}"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_A7_a_starved_machine_calls_no_healthy_edge_down_and_notices_a_dead_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chaos.world("starved", tmp_path, edges=()) as node:
        for name, address in EDGES.items():
            node.start(f"edge-{name}", [sys.executable, "-c", EDGE, address])
        path = node.logs / "gtm.yaml"
        path.write_text(node.write().replace("every: 300ms, timeout: 200ms", "every: 1200ms, timeout: 950ms"))
        node.serve()
        node.ready()
        node.until(node.states, dict.fromkeys(EDGES, "up"), chaos.SETTLE_S)
        node.until(node.answers, ALL, chaos.SETTLE_S)
        known = len(node.events("endpoint"))
        (control,) = node.pids("control")
        with starved(control):
            with node.asked() as heard:
                threading.Event().wait(HEALTHY_S)
            chaos.judged(heard(), (0, ALL))
            assert [one for one in node.events("endpoint")[known:] if one[1] == "down"] == []
            node.kill("edge-c")
            noticed_s = node.until(node.answers, WITHOUT_C, NOTICED_S)
            with node.asked() as heard:
                threading.Event().wait(HEALTHY_S)
            found = chaos.judged(heard(), (0, WITHOUT_C))
        assert node.pids("control") == [control]
        excused, happened = probes(node, "could_not_run"), node.events("endpoint")[known:]
        said(
            capsys,
            f"the control process runs for {RUNS_S / (RUNS_S + STOPPED_S):.0%} of 28 s",
            f"{excused:.0f} probes excused, a dead edge noticed in {noticed_s:.1f} s; {found.figures()}",
        )
        assert excused > 0, "nobody was starved: this test says nothing"
        assert [one for one in happened if one[1] == "down"] == [("c", "down")]
        assert ("machine", "starved") in node.events("node")
        assert [after for _, after in node.events("name") if after != "first"] == []


@contextlib.contextmanager
def no_time_for(pid: int) -> Iterator[None]:
    """Let a process have next to nothing of a processor: it gives way to four that take all of the one that it has."""
    core = {min(os.sched_getaffinity(0))}
    before = os.sched_getaffinity(pid), os.sched_getscheduler(pid)
    os.sched_setaffinity(pid, core)
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        for one in spinning:
            os.sched_setaffinity(one.pid, core)
            # Else its fair share would be 0.7 ms a second, and that is about what an idle worker needs.
            os.setpriority(os.PRIO_PROCESS, one.pid, -10)
        yield
    finally:
        for one in spinning:
            one.kill()
            one.wait()
    os.sched_setaffinity(pid, before[0])
    os.sched_setscheduler(pid, before[1], os.sched_param(0))


def test_a_worker_that_gets_no_processor_is_left_alone_and_one_that_is_stopped_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = nodes.Node(tmp_path)
    try:
        one.serve("192.0.2.1")
        (worker,) = one.pids("worker")
        with no_time_for(worker):
            until_s = time.monotonic() + STARVES_S
            while "has had no processor" not in one.complaints():
                assert time.monotonic() < until_s, f"it was not starved: this test says nothing {one.complaints()}"
                time.sleep(0.1)
            time.sleep(ALONE_S)
        assert one.ask() == "192.0.2.1"
        assert "killed" not in one.complaints()
        os.kill(worker, signal.SIGSTOP)
        assert one.pids("worker", other_than=[worker]) != [worker]
        said(capsys, "a worker without a processor, then stopped", one.complaints().strip().replace("\n", "; "))
        assert re.search(r"worker 1 has not turned for [12]\.\d s; it is killed", one.complaints())
        assert one.ask() == "192.0.2.1"
    finally:
        one.close()
