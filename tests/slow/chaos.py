"""A configuration in, a node with its edges in a namespace of its own out, and the hands that break it."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.slow import hosts, stream

EDGES = {"a": "127.0.0.2", "b": "127.0.0.3", "c": "127.0.0.4"}
ADDRESSES = frozenset(EDGES.values())
DNS, WEB, EDGE_PORT, RATE = "127.53.0.1", "127.53.0.1:8053", 8080, 200
PLAY, STATIC = "play.live.example.com", "www.live.example.com"
STATIC_ANSWER = {"192.0.2.80"}
SETTLE_S = 60.0  # on a busy machine, too

CONFIG = """
node: ns1-chaos
dns: {{listen: "127.53.0.1:53", workers: 2}}
web: {{listen: "127.53.0.1:8053"}}
store: {store}
flap: off
checks:
  edge: {{kind: http, port: 8080, path: /, every: 300ms, timeout: 200ms, confirm: 100ms, fall: 2, rise: 2}}
endpoints:
  a: {{address: {a}}}
  b: {{address: {b}}}
  c: {{address: {c}}}
pools:
  edges: {{members: [a, b, c], check: edge, answers: 1}}
zones:
  live.example.com:
    nameservers: {{ns1: 127.53.0.1}}
    hostmaster: ops@example.com
    records: {{www: {{A: 192.0.2.80}}}}
    steer:
      play: {{try: edges, ttl: 1s..2s}}
"""


class Chaos(hosts.Namespace):
    """One node, its edges, and the questions that it is asked meanwhile."""

    folder: Path
    streams = 0

    # --- what runs -------------------------------------------------------------------------------------------------

    def edge(self, name: str, address: str = "") -> None:
        """Start an edge."""
        empty = self.logs / "empty"
        empty.mkdir(exist_ok=True)
        where = ["--bind", address or EDGES[name], "--directory", str(empty), str(EDGE_PORT)]
        self.start(f"edge-{name}", [sys.executable, "-m", "http.server", *where])

    def write(self, more: str = "", *, store: str = "", edges: Mapping[str, str] = EDGES) -> str:
        """Write the configuration, `more` behind it, and return its text."""
        text = CONFIG.format(store=store or f"sqlite://{self.logs}/gtm.db", **edges) + more
        (self.logs / "gtm.yaml").write_text(text)
        return text

    def serve(self, *before: str, environment: Mapping[str, str] = {}) -> None:
        """Start the node; `before` is a command that runs it."""
        command = [*before, *hosts.GTM, "serve", "-c", str(self.logs / "gtm.yaml")]
        self.start("gtm", command, environment=environment)

    def ready(self) -> None:
        """Wait until the node answers from judged health."""
        self.until(lambda: self.get("/readyz").get("ready"), True, SETTLE_S)

    def heal(self) -> None:
        """Bring everything back: processes that were stopped or are gone, no orders, the first configuration."""
        if "flood" in self.running:
            self.kill("flood")
        for name in EDGES:
            if f"edge-{name}" in self.running:
                self.signal(f"edge-{name}", signal.SIGCONT)
            else:
                self.edge(name)
        self.write()
        if "gtm" not in self.running:
            self.serve()
        self.ready()
        for one in self.get("/api/v1/orders")["orders"]:
            self.get(f"/api/v1/orders/{one['id']}", "-X", "DELETE")
        self.until(self.states, dict.fromkeys(EDGES, "up"), SETTLE_S)
        self.until(self.answers, set(ADDRESSES), SETTLE_S)

    # --- what it says ----------------------------------------------------------------------------------------------

    def get(self, path: str, *curl: str) -> Any:
        """Return the JSON of a page; an empty object when there is none."""
        said = self.run("curl", "-s", "--max-time", "3", *curl, f"http://{WEB}{path}")
        return json.loads(said) if said.startswith(("{", "[")) else {}

    def order(self, target: str, order: str, **more: Any) -> Any:
        """Give an order and return what came back."""
        body = json.dumps({"target": target, "order": order, "why": "chaos", **more})
        return self.get("/api/v1/orders", "-H", "Content-Type: application/json", "-d", body)

    def orders(self) -> list[str]:
        """Return the orders in force, as `drain a`."""
        return [f"{one['order']} {one['target']}" for one in self.get("/api/v1/orders").get("orders", [])]

    def events(self, kind: str) -> list[tuple[str, str]]:
        """Return (subject, after) of what happened of a kind."""
        told = self.get("/api/v1/events?limit=1000").get("events", [])
        return [(one["subject"], one["after"]) for one in told if one["kind"] == kind]

    def states(self) -> dict[str, str]:
        """Return each endpoint's measured state."""
        return {one["endpoint"]: one["state"] for one in self.get("/api/v1/status").get("endpoints", [])}

    def metric(self, name: str) -> float:
        """Return a metric without labels."""
        said = self.run("curl", "-s", "--max-time", "3", f"http://{WEB}/metrics")
        found = re.search(rf"^{name} (\S+)$", said, re.MULTILINE)
        return float(found[1]) if found else float("nan")

    def log(self) -> str:
        """Return all that the node wrote."""
        return (self.logs / "gtm.log").read_text(errors="replace")

    def answers(self) -> set[str]:
        """Return what twelve questions for the steered name get."""
        said = self.run("dig", f"@{DNS}", "+short", "+time=1", "+tries=1", *[PLAY] * 12)
        return {line for line in said.splitlines() if line and not line.startswith(";")}

    # --- its processes ---------------------------------------------------------------------------------------------

    def pids(self, role: str) -> list[int]:
        """Return the process ids of a role: `supervisor`, `control` or `worker`."""
        supervisor = self.running["gtm"].pid
        while (command := _command(supervisor)) and "gtm.serve.supervisor" not in command:
            inner = _children(supervisor)  # behind unshare, or not yet what it becomes
            if not inner:
                return []
            supervisor = inner[0]
        if role == "supervisor":
            return [supervisor] if command else []
        word = {"control": "gtm.app", "worker": "gtm.serve.worker"}[role]
        return [pid for pid in _children(supervisor) if word in _command(pid)]

    def resident_mib(self, role: str) -> float:
        """Return the resident memory of a role's processes together, in MiB."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids(role)) / 256

    # --- the stream ------------------------------------------------------------------------------------------------

    @contextmanager
    def asked(self, rate: int = RATE) -> Iterator[Callable[[], stream.Heard]]:
        """Ask steadily inside the block; what is yielded, called after the block, returns what was heard."""
        Chaos.streams += 1
        report = self.logs / f"stream-{Chaos.streams}.json"
        what = f"stream-{Chaos.streams}"
        names = [PLAY, PLAY, PLAY, STATIC]
        self.start(what, [sys.executable, "-m", "tests.slow.stream", DNS, "53", str(rate), str(report), *names])
        time.sleep(0.5)  # until it has started, and for some calm before the storm
        try:
            yield lambda: stream.read(report)
        finally:
            self.end(what)


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def judged(heard: stream.Heard, *stages: tuple[float, set[str]], lost: int = 0) -> stream.Heard:
    """Hold every answer to the stages of the steered name, and the static one to its record; say the figures."""
    assert heard.strange == []
    wrong = heard.wrong(PLAY, *stages)
    assert wrong == [], f"{len(wrong)} wrong answers, the first {wrong[:5]}"
    assert heard.wrong(STATIC, (0.0, STATIC_ANSWER)) == []
    assert len(heard.lost) <= lost, f"{heard.figures()}; lost at {heard.lost[:20]}"
    return heard


@contextmanager
def world(name: str, folder: Path, *, edges: Sequence[str] = tuple(EDGES)) -> Iterator[Chaos]:
    """Give a namespace with edges in it, the configuration written and the node not yet started."""
    with hosts.namespace(f"gtm-{name}-{os.getpid()}", folder, Chaos) as one:
        for edge in edges:
            one.edge(edge)
        one.write()
        yield one


def kill(pids: Sequence[int], number: signal.Signals = signal.SIGKILL) -> float:
    """Send processes a signal; return when."""
    for pid in pids:
        os.kill(pid, number)
    return time.monotonic()
