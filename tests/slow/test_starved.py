"""A control process with a sixth of its time: no healthy edge is blamed, and a dead one is noticed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slow import chaos
from tests.slow.chaos import ADDRESSES, EDGES
from tests.slow.test_chaos import said

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ALL = set(ADDRESSES)
WITHOUT_C = ALL - {EDGES["c"]}
STOPPED_S, RUNS_S = 1.0, 0.2
HEALTHY_S = 14.0  # more than the window in which starvation is told
# A refusal takes two probes, 1.2 s and 100 ms apart; each may wait for some of our turns on the processor.
NOTICED_S = 10.0
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
