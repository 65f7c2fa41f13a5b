"""What a machine does to a node: its clock jumps, its memory ends, its network goes. Every answer is judged."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.slow import chaos, hosts
from tests.slow.chaos import ADDRESSES, EDGES
from tests.slow.test_chaos import ONLY_BC, said

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(300)]

ALL = set(ADDRESSES)
DAY_S = 86400


def quiet(node: chaos.Chaos, known: int) -> list[tuple[str, str]]:
    """Return what was said of endpoints since `known` events, staleness aside (it changes nothing)."""
    return [one for one in node.events("endpoint")[known:] if one[1] not in {"stale", "fresh"}]


def test_G4_clock_jumps_change_no_verdict_and_orders_keep_their_length(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    fake = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }

    def jump(by_s: int) -> None:
        (tmp_path / "next").write_text(f"{by_s:+d}\n")
        (tmp_path / "next").rename(clock)

    with chaos.world("clock", tmp_path) as node:
        node.serve(environment=fake)
        node.ready()
        node.until(lambda: {(name, "up") for name in EDGES} <= {*node.events("endpoint")}, True, 5)
        known = len(node.events("endpoint"))
        with node.asked() as heard:
            # An order's time begins somewhere between the moment before it is asked for and the one after its answer.
            asked_c_s = time.monotonic()
            assert "order" in node.order("c", "drain", for_s=12)
            given_c_s = time.monotonic()
            node.until(node.answers, ALL - {EDGES["c"]}, 3)
            jump(DAY_S)
            time.sleep(1.5)
            asked_b_s = time.monotonic()
            assert "order" in node.order("b", "drain", for_s=5)
            given_b_s = time.monotonic()
            assert sorted(node.orders()) == ["drain b", "drain c"]
            assert node.answers() == {EDGES["a"]}
            jump(-DAY_S)
            time.sleep(1)
            assert sorted(node.orders()) == ["drain b", "drain c"]
            node.until(node.answers, ALL - {EDGES["c"]}, 10)
            over_b_s = time.monotonic()
            node.until(node.answers, ALL, 15)
            over_c_s = time.monotonic()
        found = chaos.judged(heard(), (0, ALL))
        lengths = f"orders of 5 and 12 s: {over_b_s - given_b_s:.1f}, {over_c_s - given_c_s:.1f}"
        said(capsys, "clock a day on and two back", f"{lengths}; {found.figures()}")
        assert quiet(node, known) == []
        assert (over_b_s - asked_b_s > 4, over_b_s - given_b_s < 6) == (True, True)
        assert (over_c_s - asked_c_s > 11, over_c_s - given_c_s < 13) == (True, True)
        node.kill("edge-a")
        node.until(node.answers, ONLY_BC, 3)


def test_a_control_process_without_memory_refuses_a_reload_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chaos.world("memory", tmp_path) as node:
        good = node.write()
        node.serve()
        node.ready()
        with node.asked() as heard:
            (control,) = node.pids("control")
            size = int(Path(f"/proc/{control}/statm").read_text().split()[0]) * 4096
            # What reads the configuration is a process of its own, which inherits the limit and needs more.
            subprocess.run(["prlimit", "--pid", str(control), f"--as={size + 100 * 2**20}:unlimited"], check=True)
            big = "".join(f"  e{at}: {{address: 10.{at >> 16}.{at >> 8 & 255}.{at & 255}}}\n" for at in range(200_000))
            (node.logs / "gtm.yaml").write_text(good.replace("pools:\n", f"{big}pools:\n"))
            chaos.kill(node.pids("supervisor"), signal.SIGHUP)
            node.until(lambda: "refused (it could not be read" in node.log(), True, 60)
            assert node.get("/api/v1/status")["config"]["accepted"] is False
            assert node.pids("control") == [control]
            node.kill("edge-a")  # it still sees, decides and swaps under its limit
            node.until(node.answers, ONLY_BC, 5)
            assert node.pids("control") == [control]
            subprocess.run(["prlimit", "--pid", str(control), "--as=unlimited:unlimited"], check=True)
            (node.logs / "gtm.yaml").write_text(good)
            chaos.kill(node.pids("supervisor"), signal.SIGHUP)
            node.until(lambda: node.get("/api/v1/status").get("config", {}).get("accepted"), True, 20)
            assert node.pids("control") == [control]
            node.kill("edge-b")
            node.until(node.answers, {EDGES["c"]}, 5)
        found = chaos.judged(heard(), (0, ALL))
        said(capsys, "control without memory", f"the same process goes on; {found.figures()}")


@contextmanager
def far_edges(tmp_path: Path) -> Iterator[tuple[chaos.Chaos, chaos.Chaos]]:
    """Give a node whose edges are in another namespace, behind one link."""
    far = {"a": "10.99.0.2", "b": "10.99.0.3", "c": "10.99.0.4"}
    (tmp_path / "far").mkdir()
    with (
        hosts.namespace(f"gtm-near-{os.getpid()}", tmp_path, chaos.Chaos) as near,
        hosts.namespace(f"gtm-far-{os.getpid()}", tmp_path / "far", chaos.Chaos) as there,
    ):
        commands = [
            f"ip link add near netns {near.name} type veth peer name far netns {there.name}",
            f"ip -n {near.name} address add 10.99.0.1/24 dev near",
            f"ip -n {near.name} link set near up",
            *[f"ip -n {there.name} address add {one}/24 dev far" for one in far.values()],
            f"ip -n {there.name} link set far up",
        ]
        for command in commands:
            subprocess.run(command.split(), check=True)
        for name, address in far.items():
            there.edge(name, address)
        near.write("guard: {min_alive: 50%}\n", edges=far)
        near.serve()
        near.ready()
        yield near, there


@pytest.mark.parametrize("end", ["near", "far"])
def test_A9_a_node_that_is_cut_off_keeps_its_answers_says_so_and_does_not_flap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], end: str
) -> None:
    with far_edges(tmp_path) as (node, there):
        all_far = {"10.99.0.2", "10.99.0.3", "10.99.0.4"}
        where = node if end == "near" else there
        node.until(node.answers, all_far, 10)
        known = len(node.events("endpoint"))
        with node.asked() as heard:
            subprocess.run(["ip", "-n", where.name, "link", "set", end, "down"], check=True)
            cut_s = time.monotonic()
            node.until(lambda: (node.events("guard") or [("", "")])[-1][1], "tripped", 10)
            said_s = time.monotonic() - cut_s
            time.sleep(4)
            subprocess.run(["ip", "-n", where.name, "link", "set", end, "up"], check=True)
            node.until(lambda: node.events("guard")[-1][1], "clear", 20)
            time.sleep(2)
        found = chaos.judged(heard(), (0, all_far))
        said(capsys, f"link down at the {end} end", f"guard after {said_s:.1f} s; {found.figures()}")
        assert [after for _, after in node.events("guard")] == ["tripped", "clear"]
        assert [one for one in quiet(node, known) if one[1] == "flapping"] == []
        there.kill("edge-a")
        node.until(node.answers, all_far - {"10.99.0.2"}, 5)
