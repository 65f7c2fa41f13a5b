"""Whole nodes: what goes on answering when a process dies, hangs, restarts, reloads or ends."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gtm.serve import sockets
from tests.serve import node

Start = Callable[..., node.Node]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[node.Node] = []

    def begin(**more: object) -> node.Node:
        started.append(node.Node(tmp_path, **more))  # type: ignore[arg-type]
        return started[-1]

    yield begin
    for one in started:
        one.close()


def gone(pid_fd: int) -> bool:
    """Wait for the end of a process that is not our child."""
    return bool(select.select([pid_fd], [], [], node.PATIENCE_S)[0])


def test_a_node_answers_over_udp_and_tcp_from_every_worker_and_counts(start: Start) -> None:
    one = start(workers=2)
    one.serve("192.0.2.1")
    one.tell("rings", "192.0.2.2", 2)
    swapped: set[int] = set()  # a worker may say it more than once
    while swapped != {0, 1}:
        swapped.add(one.hear("swapped", revision=2)["worker"])
    assert {one.ask() for _ in range(20)} == {"192.0.2.2"}
    assert one.ask_tcp() == "192.0.2.2"
    assert one.hear("counts")["total"] > 0
    for pid in one.pids("worker", count=2):  # strangers write to workers: they may do nothing but answer
        status = Path(f"/proc/{pid}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status


def test_a_killed_worker_is_restarted_and_what_was_asked_meanwhile_is_answered(start: Start) -> None:
    one = start()
    one.serve("192.0.2.1")
    before = one.pids("worker")
    for _ in range(2):
        os.kill(before[0], signal.SIGKILL)
        with one.asking() as waiting:
            assert node.told(waiting.recv(4096)) == "192.0.2.1"
        before = one.pids("worker", other_than=before)
    assert "worker 1 was ended by SIGKILL" in one.complaints()


def test_a_hung_worker_is_noticed_killed_and_replaced(start: Start) -> None:
    one = start()
    one.serve("192.0.2.1")
    before = one.pids("worker")
    os.kill(before[0], signal.SIGSTOP)
    with one.asking() as waiting:
        assert node.told(waiting.recv(4096)) == "192.0.2.1"
    assert one.pids("worker", other_than=before) != before
    assert re.search(r"worker 1 has not turned for [12]\.", one.complaints())


def test_G2_workers_old_and_new_answer_the_newest_rings_while_the_control_process_is_dead(start: Start) -> None:
    one = start()
    bound = one.serve("192.0.2.1")
    one.tell("rings", "192.0.2.2", 2)
    one.hear("swapped", revision=2)
    worker = one.pids("worker")
    one.hold.touch()
    os.kill(bound["pid"], signal.SIGKILL)
    one.hear("holding")
    assert one.ask() == "192.0.2.2"
    os.kill(worker[0], signal.SIGKILL)
    assert one.ask() == "192.0.2.2"


def test_G1_a_restarted_control_process_learns_the_revision_and_an_older_table_is_refused(start: Start) -> None:
    one = start()
    bound = one.serve("192.0.2.1", 5)
    os.kill(bound["pid"], signal.SIGKILL)
    again = one.hear("bound")
    assert (again["listen"], again["revision"]) == (bound["listen"], 5)
    one.tell("table", "192.0.2.99", 4)
    one.hear("swapped", revision=5)
    assert one.ask() == "192.0.2.1"
    one.tell("table", "192.0.2.2", 6)
    one.hear("swapped", revision=6)
    one.tell("rings", "192.0.2.99", 6)
    one.hear("swapped", revision=6)
    assert one.ask() == "192.0.2.2"


def test_sigterm_lets_the_control_process_finish_and_sighup_tells_it_to_reload(start: Start) -> None:
    one = start()
    one.serve("192.0.2.1")
    one.signal(signal.SIGHUP)
    one.hear("reload")
    one.signal(signal.SIGTERM)
    one.hear("stopping")
    assert one.ended() == 0
    assert one.complaints() == ""


def test_everybody_ends_with_a_killed_supervisor(start: Start) -> None:
    one = start(workers=2)
    bound = one.serve("192.0.2.1")
    fds = [os.pidfd_open(pid) for pid in [*one.pids("worker", count=2), bound["pid"]]]
    one.signal(signal.SIGKILL)
    assert [gone(fd) for fd in fds] == [True] * 3
    for fd in fds:
        os.close(fd)


def test_systemd_hears_ready_when_every_worker_answers_and_the_rest_as_it_happens(start: Start) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(node.PATIENCE_S)
        listening.bind(b"")
        name = "@" + listening.getsockname()[1:].decode()
        one = start(environment={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "600000"})

        def hears(word: str) -> bytes:
            while not (said := listening.recv(200)).startswith(word.encode()):
                assert said == b"WATCHDOG=1" or said.startswith(b"FDSTORE")
            return said

        bound = one.hear("bound")
        one.address = (bound["listen"][0][0], bound["listen"][0][1])
        one.tell("ready")  # before any table: that is not ready
        one.tell("status", "reading", "the", "world")
        assert hears("STATUS") == b"STATUS=reading the world"
        one.tell("table", "192.0.2.1", 1)
        hears("READY=1")
        assert one.ask() == "192.0.2.1"
        one.signal(signal.SIGHUP)
        hears("RELOADING=1")
        one.tell("ready")
        hears("READY=1")
        hears("WATCHDOG=1")
        one.signal(signal.SIGTERM)
        hears("STOPPING=1")
        assert one.ended() == 0


def test_sockets_of_systemd_are_answered_on(start: Start) -> None:
    datagrams, stream = node.pair_of_sockets()
    with datagrams, stream:
        one = start(sockets=[datagrams, stream], workers=2)
        bound = one.serve("192.0.2.1")
        assert tuple(bound["listen"][0]) == datagrams.getsockname()
        assert {one.ask() for _ in range(4)} == {"192.0.2.1"}
        assert one.ask_tcp() == "192.0.2.1"
        # As tcp(7) has it for who listens: how many connections the kernel holds for us, so that a burst is not lost.
        (held,) = struct.unpack_from("I", stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 28)
        assert held == min(sockets.BACKLOG, int(Path("/proc/sys/net/core/somaxconn").read_text()))


@pytest.mark.parametrize(("before", "after"), [(2, 2), (1, 2), (3, 2)])
def test_sockets_that_systemd_kept_are_answered_on_after_a_restart_with_all_that_waits_in_them(
    start: Start, before: int, after: int
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(node.PATIENCE_S)
        listening.bind(b"")
        one = start(workers=before, environment={"NOTIFY_SOCKET": "@" + listening.getsockname()[1:].decode()})
        bound = one.serve("192.0.2.1")
        assert listening.recv(200) == b"FDSTOREREMOVE=1\nFDNAME=gtm-dns"
        said, fds, *_ = socket.recv_fds(listening, 200, 20)
        assert said == b"FDSTORE=1\nFDNAME=gtm-dns"
        assert len(fds) == 2 * before
        one.signal(signal.SIGTERM)
        assert one.ended() == 0
        with contextlib.ExitStack() as held:
            kept = [held.enter_context(socket.socket(fileno=fd)) for fd in fds]
            stranger = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            stranger.bind(("127.0.0.2", 0))  # an address that the configuration does not want any more
            waiting = [held.enter_context(one.asking()) for _ in range(20)]
            kept.append(stranger)
            names = ":".join(["gtm-dns"] * len(kept))
            two = start(workers=after, sockets=kept, listen=[one.address], environment={"LISTEN_FDNAMES": names})
            again = two.serve("192.0.2.2")
            assert again["listen"] == bound["listen"]
            assert {node.told(sock.recv(4096)) for sock in waiting} == {"192.0.2.2"}
            assert {two.ask() for _ in range(20)} | {two.ask_tcp() for _ in range(10)} == {"192.0.2.2"}


def test_a_flood_from_one_network_is_truncated_over_udp_and_answered_over_tcp(start: Start) -> None:
    one = start(settings={"rate_limit": (1, 1)})
    one.serve("192.0.2.1")
    with one.asking() as sock:
        for _ in range(49):
            sock.send(node.question())
        cut = [bool(sock.recv(4096)[2] & 0x02) for _ in range(50)]
    assert not cut[0]
    assert sum(cut) > 25
    assert one.ask_tcp() == "192.0.2.1"


@pytest.mark.parametrize(
    ("status", "words"), [(78, ""), (3, "the control process ended with status 3 before it had read the configuration")]
)
def test_a_node_that_cannot_start_says_why_once_and_exits_1(start: Start, status: int, words: str) -> None:
    one = start(settings={"exit": status})
    assert one.ended() == 1
    assert one.complaints() == (f"gtm: {words}\n" if words else "")


def test_an_address_in_use_is_told_and_the_node_exits_1(start: Start) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        one = start(listen=[taken.getsockname()])
        assert one.ended() == 1
        assert "cannot listen on 127.0.0.1:" in one.complaints()
