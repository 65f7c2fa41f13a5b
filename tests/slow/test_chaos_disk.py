"""A disk that is full, cannot be written or holds rubbish: answers and failover go on, it is said, it heals."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slow import chaos
from tests.slow.chaos import ADDRESSES, EDGES
from tests.slow.test_chaos import DETECTED_S, ONLY_BC, said

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(300)]

ALL = set(ADDRESSES)
HEALS_S = 12.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chaos.Chaos]:
    """A world without its node: each test starts one."""
    with chaos.world("disk", tmp_path_factory.mktemp("disk")) as world:
        yield world


@pytest.fixture
def node(shared: chaos.Chaos, tmp_path: Path) -> Iterator[chaos.Chaos]:
    """The world, and an end to the node that a test has started."""
    yield shared
    if "gtm" in shared.running:
        shared.end("gtm")
    text = shared.log()
    (shared.logs / "gtm.log").write_text("")
    assert "Traceback" not in text


def serve_with_disk(node: chaos.Chaos, disk: Path, *, first: str = "true") -> None:
    """Start the node with `disk` a small file system that only it sees, on which `first` has been run."""
    disk.mkdir(exist_ok=True)
    node.write(store=f"sqlite://{disk}/gtm.db")
    mount = f"mount -t tmpfs -o size=512k chaos {disk} && cd {disk} && {{ {first}; }}; cd {Path.cwd()}"
    node.serve("unshare", "-m", "sh", "-c", f'{mount}; exec "$@"', "sh")
    node.ready()


def on_disk(node: chaos.Chaos, disk: Path, command: str) -> None:
    """Run a command where the node sees its disk."""
    subprocess.run(
        ["nsenter", "-t", str(node.pids("supervisor")[0]), "-m", "sh", "-c", f"cd {disk} && {command}"],
        check=False, capture_output=True, timeout=10,
    )  # fmt: skip


def fails_over(node: chaos.Chaos, capsys: pytest.CaptureFixture[str], what: str) -> None:
    """Show that a dead edge leaves and comes back under a stream."""
    with node.asked() as heard:
        node.kill("edge-a")
        began_s = time.monotonic()
        node.until(node.answers, ONLY_BC, chaos.SETTLE_S)
        took_s = time.monotonic() - began_s
        node.edge("a")
        back_s = time.monotonic()
        node.until(node.answers, ALL, chaos.SETTLE_S)
    found = chaos.judged(heard(), (0, ALL), (began_s + took_s, ONLY_BC), (back_s, ALL))
    said(capsys, what, f"dead edge out after {took_s:.1f} s; {found.figures()}")
    assert took_s < DETECTED_S


def test_a_full_disk_stops_no_failover_is_said_and_heals(
    node: chaos.Chaos, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    serve_with_disk(node, disk)
    assert node.metric("gtm_store_up") == 1
    on_disk(node, disk, "dd if=/dev/zero of=fill bs=1k")
    fails_over(node, capsys, "disk full")
    node.until(lambda: node.metric("gtm_store_up"), 0.0, HEALS_S)
    refused = node.order("b", "drain", for_s=600)
    assert refused["error"]["code"] == "store", refused
    assert node.answers() == ALL, "an order that was refused is not in force"
    on_disk(node, disk, "rm fill")
    node.until(lambda: node.metric("gtm_store_up"), 1.0, HEALS_S)
    assert "order" in node.order("b", "drain", for_s=600)
    assert node.answers() == ALL - {EDGES["b"]}
    happened = node.events("store")
    assert [after for _, after in happened] == ["unusable", "usable"], happened


@pytest.mark.parametrize(
    ("trouble", "cure"),
    [
        ("dd if=/dev/zero of=fill bs=1k", "rm fill"),
        ("mount -o remount,ro .", "mount -o remount,rw ."),
        ("mkdir gtm.db", "rmdir gtm.db"),
    ],
    ids=["full", "read-only", "in-the-way"],
)
def test_a_disk_that_cannot_be_used_at_the_start_is_used_as_soon_as_it_can(
    node: chaos.Chaos, tmp_path: Path, capsys: pytest.CaptureFixture[str], trouble: str, cure: str
) -> None:
    disk = tmp_path / "disk"
    serve_with_disk(node, disk, first=trouble)
    assert node.metric("gtm_store_up") == 0
    assert "unusable" in node.log()
    fails_over(node, capsys, f"at the start: {trouble}")
    refused = node.order("b", "drain", for_s=600)
    assert refused["error"]["code"] == "store", "what would be forgotten is refused"
    on_disk(node, disk, cure)
    node.until(lambda: node.metric("gtm_store_up"), 1.0, HEALS_S)
    assert "order" in node.order("c", "drain", for_s=600)
    gone = node.pids("control")
    chaos.kill(gone)
    node.until(lambda: node.pids("control") not in ([], gone), True, 5)
    node.ready()
    assert node.orders() == ["drain c"]
    assert ("a", "down") in node.events("endpoint"), "what happened meanwhile is written down later"


@pytest.mark.parametrize("how", ["rubbish", "empty", "cut", "flipped"])
def test_a_damaged_store_is_set_aside_or_begun_anew_and_nothing_else_happens(
    node: chaos.Chaos, tmp_path: Path, how: str
) -> None:
    store = tmp_path / "gtm.db"
    node.write(store=f"sqlite://{store}")
    node.serve()
    node.ready()
    node.order("c", "drain", for_s=600)
    node.end("gtm")
    data = bytearray(store.read_bytes())
    if how == "flipped":
        for at in range(100, len(data), 97):
            data[at] ^= 0x55
    damaged = {"rubbish": b"rubbish" * 10_000, "empty": b"", "cut": bytes(data[:5000]), "flipped": bytes(data)}[how]
    store.write_bytes(damaged)
    node.serve()
    node.ready()
    assert node.metric("gtm_store_up") == 1
    assert node.answers() == ALL
    set_aside = list(tmp_path.glob("gtm.db.corrupt-*"))
    assert bool(set_aside) == (how != "empty")
    assert how == "empty" or any(after == "begun anew" for _, after in node.events("store"))
    assert "order" in node.order("c", "drain", for_s=600)
    node.signal("gtm", signal.SIGTERM)
