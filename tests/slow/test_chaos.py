"""Kill it, stop it, flood it: under a steady stream of questions every answer is judged (issue 3, reliability 5)."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator

import pytest

from tests.slow import chaos
from tests.slow.chaos import ADDRESSES, EDGES

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(300)]

ALL = set(ADDRESSES)
ONLY_BC, ONLY_B = {EDGES["b"], EDGES["c"]}, {EDGES["b"]}
# A dead edge: 300 ms to the next probe, a repetition after 100 ms, 200 ms each when it hangs; and a busy machine.
DETECTED_S = 1.5
# A worker's death loses what it had read and not yet answered; the rest waits in the kernel.
IN_HAND = 3


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chaos.Chaos]:
    """One node for all tests here."""
    with chaos.world("chaos", tmp_path_factory.mktemp("chaos")) as world:
        world.serve()
        yield world


@pytest.fixture
def node(shared: chaos.Chaos) -> Iterator[chaos.Chaos]:
    """The node and its edges whole before each test, and nothing in its log that nobody meant."""
    shared.heal()
    yield shared
    assert "Traceback" not in shared.log()


def replaced(node: chaos.Chaos, role: str, gone: list[int], within_s: float) -> float:
    """Wait until a role has other processes than these, as many as it had; return how long that took."""
    count = 2 if role == "worker" else 1
    return node.until(lambda: len(pids := node.pids(role)) == count and not set(pids) & set(gone), True, within_s)


def calm(node: chaos.Chaos) -> bool:
    """Say whether no reload has come for half a second."""
    before = node.events("config")
    time.sleep(0.5)
    return node.events("config") == before


def test_a_killed_worker_loses_at_most_what_it_held_and_is_back_within_a_second(
    node: chaos.Chaos, capsys: pytest.CaptureFixture[str]
) -> None:
    with node.asked(1000) as heard:
        for _ in range(3):
            gone = node.pids("worker")[:1]
            chaos.kill(gone)
            assert replaced(node, "worker", gone, 5) < 1
            time.sleep(1)
    found = chaos.judged(heard(), (0, ALL), lost=3 * IN_HAND)
    said(capsys, "worker killed three times at 1,000/s", found.figures())
    assert found.slowest_s < 1


def test_a_stopped_worker_is_noticed_within_two_seconds_and_only_its_share_waits(
    node: chaos.Chaos, capsys: pytest.CaptureFixture[str]
) -> None:
    with node.asked() as heard:
        gone = node.pids("worker")[:1]
        stopped_s = chaos.kill(gone, signal.SIGSTOP)
        took_s = replaced(node, "worker", gone, 10)
        time.sleep(1)
    found = chaos.judged(heard(), (0, ALL), lost=IN_HAND)
    said(capsys, "worker stopped", f"replaced after {took_s:.1f} s; {found.figures()}")
    assert took_s < 2.5, "noticed within two seconds, and started anew"
    asked = [one for one in found.asked if stopped_s < one.sent_s < stopped_s + took_s]
    waited = [sent_s for sent_s in found.later_than(0.3) if sent_s > stopped_s]
    assert len(waited) < 0.75 * len(asked), "the other worker's share is answered at once"
    assert found.slowest_s < 3


def test_a_killed_control_process_is_not_missed_and_has_forgotten_nothing(
    node: chaos.Chaos, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "order" in node.order("c", "drain", for_s=600)
    node.kill("edge-a")
    node.until(node.answers, ONLY_B, chaos.SETTLE_S)
    with node.asked() as heard:
        time.sleep(0.2)  # a fall is written down at once, but not before it is answered
        gone = node.pids("control")
        began_s = chaos.kill(gone)
        took_s = replaced(node, "control", gone, 5)
        node.ready()
        ready_s = time.monotonic() - began_s
        time.sleep(1)
    found = chaos.judged(heard(), (0, ONLY_B))
    said(capsys, "control killed", f"new after {took_s:.1f} s, judged after {ready_s:.1f} s; {found.figures()}")
    assert node.orders() == ["drain c"]


def test_an_edge_that_dies_together_with_the_control_process_leaves_the_answers(
    node: chaos.Chaos, capsys: pytest.CaptureFixture[str]
) -> None:
    with node.asked() as heard:
        node.kill("edge-a")
        began_s = chaos.kill(node.pids("control"))
        node.until(node.answers, ONLY_BC, chaos.SETTLE_S)
        took_s = time.monotonic() - began_s
        time.sleep(1)
    found = chaos.judged(heard(), (0, ALL), (began_s + took_s, ONLY_BC))
    said(capsys, "edge and control die together", f"the edge is out after {took_s:.1f} s; {found.figures()}")
    assert took_s < 5


def test_a_stopped_control_process_is_not_missed_and_goes_on_where_it_was(
    node: chaos.Chaos, capsys: pytest.CaptureFixture[str]
) -> None:
    with node.asked() as heard:
        control, known = node.pids("control"), len(node.events("endpoint"))
        chaos.kill(control, signal.SIGSTOP)
        time.sleep(3)
        going_s = chaos.kill(control, signal.SIGCONT)
        time.sleep(1.5)
        assert node.pids("control") == control
        node.kill("edge-a")
        node.until(node.answers, ONLY_BC, chaos.SETTLE_S)
        took_s = time.monotonic() - going_s - 1.5
    found = chaos.judged(heard(), (0, ALL))
    said(capsys, "control stopped for 3 s", f"an edge that dies then is out after {took_s:.1f} s; {found.figures()}")
    # That news is stale after ten intervals is said, and changes nothing (semantics A7).
    assert [one for one in node.events("endpoint")[known:] if one[1] not in {"stale", "fresh"}] == [("a", "down")]


def test_a_control_process_that_hangs_is_replaced_within_ten_seconds_or_so_and_answers_go_on(
    node: chaos.Chaos, capsys: pytest.CaptureFixture[str]
) -> None:
    with node.asked() as heard:
        control = node.pids("control")
        chaos.kill(control, signal.SIGSTOP)
        took_s = replaced(node, "control", control, 20)
        node.ready()
        time.sleep(1)
    found = chaos.judged(heard(), (0, ALL))
    said(capsys, "control stopped for good", f"replaced after {took_s:.1f} s; {found.figures()}")
    assert took_s < 13, "ten seconds of silence, a tick, the last beat, and a start"
    node.kill("edge-a")
    node.until(node.answers, ONLY_BC, chaos.SETTLE_S)


def test_after_the_death_of_everything_a_dead_edge_is_not_handed_out(
    node: chaos.Chaos, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "order" in node.order("c", "drain", for_s=600)
    node.kill("edge-a")
    node.until(node.answers, ONLY_B, chaos.SETTLE_S)
    time.sleep(0.2)  # a fall is written down at once, but not before it is answered
    with node.asked() as heard:
        began_s = chaos.kill([*node.pids("control"), *node.pids("worker")])
        node.kill("gtm")
        node.serve()
        node.ready()
        took_s = time.monotonic() - began_s
        time.sleep(0.5)
    found = heard()
    said(capsys, "everything killed", f"judged again after {took_s:.1f} s; {found.figures()}")
    chaos.judged(found, (0, ONLY_B), lost=chaos.RATE * 3)
    assert node.orders() == ["drain c"]


def test_broken_reloads_and_a_storm_of_hangups_change_nothing(
    node: chaos.Chaos, capsys: pytest.CaptureFixture[str]
) -> None:
    good = node.write()
    file = node.logs / "gtm.yaml"
    revision = node.get("/api/v1/status")["revision"]
    with node.asked() as heard:
        supervisor = node.pids("supervisor")
        for text in (good.replace("edges,", "egdes,"), "", "{", "\x00", good + "a: [", "zones: {}\n"):
            file.write_text(text)
            chaos.kill(supervisor, signal.SIGHUP)
            node.until(lambda: node.get("/api/v1/status")["config"]["accepted"], False, 5)
            file.write_text(good)
            chaos.kill(supervisor, signal.SIGHUP)
            node.until(lambda: node.get("/api/v1/status")["config"]["accepted"], True, 5)
        began_s = time.monotonic()
        for _ in range(300):
            chaos.kill(supervisor, signal.SIGHUP)
            time.sleep(0.003)
        told = len(node.events("config"))
        node.until(lambda: calm(node), True, 60)
        took_s = time.monotonic() - began_s
    found = chaos.judged(heard(), (0, ALL))
    reloads = len(node.events("config")) - told
    after = node.get("/api/v1/status")["revision"] - revision
    said(
        capsys,
        "300 hang-ups",
        f"over after {took_s:.1f} s, {reloads} reloads after the last, {after} revisions; {found.figures()}",
    )
    assert took_s < 10


def test_hung_and_flooding_endpoints_leave_and_take_nobody_with_them(
    node: chaos.Chaos, capsys: pytest.CaptureFixture[str]
) -> None:
    before_mib = node.resident_mib("control")
    with node.asked() as heard:
        node.signal("edge-a", signal.SIGSTOP)
        began_s = time.monotonic()
        node.until(node.answers, ONLY_BC, chaos.SETTLE_S)
        hung_s = time.monotonic() - began_s
        node.kill("edge-b")
        node.start("flood", [sys.executable, "-m", "tests.slow.flood", EDGES["b"], str(chaos.EDGE_PORT)])
        time.sleep(5)
        after_mib = node.resident_mib("control")
    found = chaos.judged(heard(), (0, ALL), (began_s + hung_s, ONLY_BC))
    said(
        capsys,
        "hung and flooding",
        f"hung edge out after {hung_s:.1f} s; control {before_mib:.0f} -> {after_mib:.0f} MiB; {found.figures()}",
    )
    assert after_mib < before_mib + 20
    assert hung_s < DETECTED_S + 1


def said(capsys: pytest.CaptureFixture[str], what: str, figures: str) -> None:
    """Show figures also when all is well."""
    with capsys.disabled():
        print(f"\n  {what}: {figures}")
