"""Real datagrams on loopback: what is answered, from which address, and how sockets are opened."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from gtm.serve import sd, sockets, tap, udp
from tests.serve import node


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    made: list[socket.socket] = []
    yield made
    for sock in made:
        sock.close()


def every(rows: list[list[sockets.Bound]], opened: list[socket.socket]) -> list[list[sockets.Bound]]:
    opened += [sock for row in rows for bound in row for sock in bound[:2] if sock is not None]
    return rows


def client_of(address: tuple[str, int], opened: list[socket.socket]) -> socket.socket:
    """Return a connected client: the kernel gives it nothing that comes from another address than it asked."""
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
    opened.append(sock)
    sock.settimeout(5)
    sock.connect(address)
    return sock


def shout(packet: bytes, family: int, address: int, transport: str) -> bytes | None:
    if packet == b"boom":
        raise ValueError(packet)
    return None if packet == b"hush" else b"%d %d " % (family, address) + packet.upper()


@pytest.mark.parametrize(
    ("listen", "asked", "start"),
    [
        ("127.0.0.1", "127.0.0.1", b"4 2130706433 "),
        ("0.0.0.0", "127.0.0.2", b"4 2130706433 "),
        ("::1", "::1", b"6 1 "),
        ("::", "::1", b"6 1 "),
    ],
)
def test_an_answer_leaves_from_the_address_that_was_asked(
    listen: str, asked: str, start: bytes, opened: list[socket.socket]
) -> None:
    rows = every(sockets.open_all([(listen, 0)], 1), opened)
    sock = rows[0][0].udp
    assert sock is not None
    sock.setblocking(False)
    client = client_of((asked, sockets.addresses(rows[0])[0][1]), opened)
    wrong: list[str] = []
    ready = udp.drain(sock, lambda: shout, lambda reason, _: wrong.append(reason))
    for packet in (b"hush", b"boom", b"", b"hello"):
        client.send(packet)
    ready()
    assert [client.recv(100), client.recv(100)] == [start, start + b"HELLO"]
    assert wrong == ["internal"]


def test_one_wake_up_answers_what_waits_up_to_a_bound(opened: list[socket.socket]) -> None:
    rows = every(sockets.open_all([("127.0.0.1", 0)], 1), opened)
    sock = rows[0][0].udp
    assert sock is not None
    sock.setblocking(False)
    client = client_of(sockets.addresses(rows[0])[0], opened)
    count = 0

    def counted(packet: bytes, family: int, address: int, transport: str) -> None:
        nonlocal count
        count += 1

    for _ in range(udp.BATCH + 5):
        client.send(b"x")
    ready = udp.drain(sock, lambda: counted, lambda reason, error: None)
    ready()
    assert count == udp.BATCH
    ready()
    assert count == udp.BATCH + 5


def test_an_answer_that_cannot_be_sent_is_counted(opened: list[socket.socket]) -> None:
    rows = every(sockets.open_all([("127.0.0.1", 0)], 1), opened)
    sock = rows[0][0].udp
    assert sock is not None
    sock.setblocking(False)
    client = client_of(sockets.addresses(rows[0])[0], opened)
    wrong: list[str] = []
    client.send(b"x")
    udp.drain(sock, lambda: lambda *_: bytes(70_000), lambda reason, _: wrong.append(reason))()
    assert wrong == ["send"]


def test_port_0_is_one_free_number_for_udp_and_tcp_of_every_worker(opened: list[socket.socket]) -> None:
    rows = every(sockets.open_all([("127.0.0.1", 0), ("::1", 0)], 3), opened)
    assert len(rows) == 3
    assert len({tuple(sockets.addresses(row)) for row in rows}) == 1
    assert [host for host, _ in sockets.addresses(rows[0])] == ["127.0.0.1", "::1"]
    assert len(set(opened)) == 12


def test_a_second_node_on_the_same_port_is_refused_in_plain_words(opened: list[socket.socket]) -> None:
    rows = every(sockets.open_all([("127.0.0.1", 0)], 2), opened)
    port = sockets.addresses(rows[0])[0][1]
    with pytest.raises(sockets.Cannot, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        sockets.open_all([("127.0.0.1", port)], 2)


def test_an_address_that_is_not_ours_is_refused_in_plain_words() -> None:
    with pytest.raises(sockets.Cannot, match=r"cannot listen on 192\.0\.2\.1:0: Cannot assign"):
        sockets.open_all([("192.0.2.1", 0)], 1)


def test_sockets_of_systemd_are_shared_by_all_workers(opened: list[socket.socket]) -> None:
    datagrams, stream = node.pair_of_sockets()
    other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    opened += [datagrams, stream, other]
    rows = sockets.deal([datagrams, stream], 2)
    assert rows[0] == rows[1] == [sockets.Bound(datagrams, None), sockets.Bound(None, stream)]
    assert sockets.addresses(rows[0]) == [datagrams.getsockname()]
    with pytest.raises(sockets.Cannot):
        sockets.deal([other], 2)


def test_sockets_that_systemd_passed_to_another_process_are_not_ours() -> None:
    assert sd.passed_sockets({"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1"}) == []
    assert sd.passed_sockets({}) == []


def test_systemd_is_told_and_a_watchdog_of_another_process_is_not_ours(opened: list[socket.socket]) -> None:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    opened.append(listening)
    listening.bind(b"")  # an abstract address of the kernel's choice
    name = "@" + listening.getsockname()[1:].decode()
    pid = str(os.getpid())
    notify = sd.Notify({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": pid})
    notify.say("READY=1", "STATUS=fine")
    notify.reloading()
    assert listening.recv(100) == b"READY=1\nSTATUS=fine"
    assert listening.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert notify.watchdog_s == 10
    assert sd.Notify({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": pid + "0"}).watchdog_s == 0
    sd.Notify({}).say("READY=1")


# --- many datagrams at once ---


def _listening(listen: str, opened: list[socket.socket]) -> tuple[socket.socket, tuple[str, int]]:
    rows = every(sockets.open_all([(listen, 0)], 1), opened)
    sock = rows[0][0].udp
    assert sock is not None
    sock.setblocking(False)
    return sock, sockets.addresses(rows[0])[0]


@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_each_client_gets_its_own_answers_in_order_whatever_is_dropped_between_them(
    listen: str, opened: list[socket.socket]
) -> None:
    sock, address = _listening(listen, opened)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen, listen)
    clients = [client_of((host, address[1]), opened) for _ in range(4)]
    wrong: list[str] = []
    ready = udp.drain(sock, lambda: shout, lambda reason, _: wrong.append(reason))
    for turn in range(3):  # what one turn leaves in memory must not show in the next
        for at, client in enumerate(clients):
            for word in (b"hush", b"a" * (500 * turn) + b"first%d" % at, b"boom", b"second%d" % at):
                client.send(word)
        ready()
        for at, client in enumerate(clients):
            start = b"4 2130706433 " if "." in host else b"6 1 "
            assert client.recv(4096) == start + b"A" * (500 * turn) + b"FIRST%d" % at
            assert client.recv(4096) == start + b"SECOND%d" % at
    assert wrong == ["internal"] * 12


def test_an_answer_that_is_too_long_leaves_its_neighbours_alone(opened: list[socket.socket]) -> None:
    sock, address = _listening("127.0.0.1", opened)
    client = client_of(address, opened)
    wrong: list[str] = []

    def answer(packet: bytes, family: int, sender: int, transport: str) -> bytes:
        return packet * (udp.QUERY_BYTES // len(packet) + (packet == b"long"))

    for packet in (b"good", b"long", b"fine"):
        client.send(packet)
    udp.drain(sock, lambda: answer, lambda reason, _: wrong.append(reason))()
    assert [client.recv(9000), client.recv(9000)] == [b"good" * 1024, b"fine" * 1024]
    assert wrong == ["send"]


@pytest.mark.parametrize(("words", "answered", "said"), [([], 3, []), ([b"hush"], 2, ["send"])])
def test_what_the_kernel_refuses_is_counted_and_the_rest_is_sent(
    words: list[bytes], answered: int, said: list[str], opened: list[socket.socket]
) -> None:
    sock, address = _listening("127.0.0.1", opened)
    sock.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR: the kernel tells us of clients that are gone
    gone, *rest = (client_of(address, opened) for _ in range(4))
    for word in (b"hello", *words):
        gone.send(word)
    for client in rest:
        client.send(b"hello")
    gone.close()
    wrong: list[str] = []
    # The answer to the one that is gone brings an error at once. Within one call the kernel stops there and we go on;
    # a call that begins with it fails, and what it was to send first is lost.
    udp.drain(sock, lambda: shout, lambda reason, _: wrong.append(reason))()
    assert wrong == said
    assert [client.recv(100) for client in rest[-answered:]] == [b"4 2130706433 HELLO"] * answered


def test_a_datagram_longer_than_any_query_is_cut_and_hurts_nobody(opened: list[socket.socket]) -> None:
    sock, address = _listening("127.0.0.1", opened)
    client = client_of(address, opened)
    lengths: list[int] = []
    for size in (60_000, 1, udp.QUERY_BYTES, udp.QUERY_BYTES + 1):
        client.send(bytes(size))

    def answer(packet: bytes, family: int, sender: int, transport: str) -> None:
        lengths.append(len(packet))

    udp.drain(sock, lambda: answer, lambda *_: None)()
    assert lengths == [udp.QUERY_BYTES, 1, udp.QUERY_BYTES, udp.QUERY_BYTES]


def test_the_sender_of_an_ipv6_datagram_is_told_whole(opened: list[socket.socket]) -> None:
    head = bytes(8) + bytes(range(1, 17)) + bytes(8)
    assert [high << 64 | low for high, low in udp._SENDER[socket.AF_INET6].iter_unpack(head)] == [
        int.from_bytes(bytes(range(1, 17)))
    ]


@pytest.mark.parametrize(("host", "family", "address"), [("127.0.0.1", 4, 0x7F000001), ("::1", 6, 1)])
def test_what_is_tapped_is_the_question_as_it_came_with_the_answer_that_was_sent(
    host: str, family: int, address: int, opened: list[socket.socket]
) -> None:
    rows = every(sockets.open_all([(host, 0)], 1), opened)
    sock = rows[0][0].udp
    assert sock is not None
    sock.setblocking(False)
    client = client_of(sockets.addresses(rows[0])[0], opened)
    reader, writer = tap.Reader(), tap.Writer()
    writer.use(os.dup(reader.fd))
    reader.want(3)
    ready = udp.drain(sock, lambda: shout, lambda *_: None, writer)
    for packet in (b"one", b"two", b"three", b"hush", b"five", b"six", b"boom"):
        client.send(packet)
    ready()
    found = [(one.family, one.address, one.port, one.question, one.answer) for one in reader.read(10)]
    begin, port = b"%d %d " % (family, address), client.getsockname()[1]
    assert found == [
        (family, address, port, b"one", begin + b"ONE"),
        (family, address, port, b"hush", b""),
        (family, address, port, b"boom", b""),
    ]
    reader.close()
