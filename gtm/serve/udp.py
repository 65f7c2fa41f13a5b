"""Datagrams in, answers out, as many as wait: one wake-up of the loop, one call to receive and one to send.

The kernel's half of an answer costs the same however it is called. Ours does not: an address as text, a tuple around
it and a buffer for each datagram, there and back, cost half as much as finding the answer. So datagrams are received
into one block of memory (recvmmsg) and answered in the places where they lie, with the sender's address and ours as the
kernel put them there (sendmmsg). `docs/benchmarks/profile.md` says what that wins.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from gtm.serve import sockets, tap
from gtm.wire import update

Answer = Callable[[bytes, int, int, str], bytes | None]
Oops = Callable[[str, BaseException], None]
Later = Callable[[bytes, Callable[[bytes], None]], None]

# A bound, so that TCP, new tables and the heartbeat get their turn in a flood: 64 answers take about a millisecond.
BATCH = 64
QUERY_BYTES = 4096  # semantics G6; a longer datagram is cut here, and a cut packet is malformed
# What stands beside each datagram: sockaddr_in or sockaddr_in6; then one control message, where there is any.
_NAME_BYTES = 32
_SPACE_BYTES = 64
_CONTROL_BYTES: Mapping[int, int] = {socket.AF_INET: socket.CMSG_SPACE(12), socket.AF_INET6: socket.CMSG_SPACE(20)}
_INTERFACE_AT: Mapping[int, int] = {socket.AF_INET: socket.CMSG_LEN(0), socket.AF_INET6: socket.CMSG_LEN(16)}
# A sender's address behind family and port (and, for IPv6, flow): one or two numbers.
_SENDER: Mapping[int, struct.Struct] = {
    socket.AF_INET: struct.Struct(">4xI24x"),
    socket.AF_INET6: struct.Struct(">8xQQ8x"),
}

_CONTROL_HEAD = struct.Struct("@Nii")  # struct cmsghdr

_UNTAPPED = tap.Writer()  # has no ring, and gets none
_libc = ctypes.CDLL(None, use_errno=True)
_receive_all, _send_all = _libc.recvmmsg, _libc.sendmmsg
_receive_all.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
_send_all.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]


class Piece(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Message(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_bytes", ctypes.c_uint32),
        ("pieces", ctypes.c_void_p),
        ("piece_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_bytes", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class Head(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("message", Message), ("length", ctypes.c_uint))


_HEAD_BYTES = ctypes.sizeof(Head)


class _Block:
    """BATCH places for datagrams of one socket, in memory that the kernel writes to and reads from.

    Nothing here is ever resized or freed while the block lives, and every place is as long as the kernel is told.
    """

    def __init__(self, kind: int, *, control: bool) -> None:
        self._kept = kept = [
            ctypes.create_string_buffer(BATCH * each) for each in (QUERY_BYTES, _NAME_BYTES, _SPACE_BYTES)
        ]
        data, names, controls = map(ctypes.addressof, kept)
        self.heads, pieces = (Head * BATCH)(), (Piece * BATCH)()
        self._pieces = pieces
        for at in range(BATCH):
            pieces[at] = Piece(data + at * QUERY_BYTES, QUERY_BYTES)
            self.heads[at].message = Message(
                name=names + at * _NAME_BYTES, name_bytes=_NAME_BYTES,
                pieces=ctypes.addressof(pieces) + at * ctypes.sizeof(Piece), piece_count=1,
                control=controls + at * _SPACE_BYTES if control else None, control_bytes=_CONTROL_BYTES[kind] * control,
            )  # fmt: skip
        self.data, self.names, self.controls = (memoryview(one).cast("B") for one in kept[:3])
        self.lengths = memoryview(self.heads).cast("B").cast("I")[Head.length.offset // 4 :: ctypes.sizeof(Head) // 4]
        self.sizes = memoryview(pieces).cast("B").cast("P")[1::2]
        # What the kernel and we overwrite is put back as it was, all at once.
        self._all = [(view, bytes(view)) for view in (memoryview(one).cast("B") for one in (self.heads, pieces))]

    def clear(self) -> None:
        """Make all places ready to receive."""
        for view, first in self._all:
            view[:] = first


def number(kind: int, host: str) -> int:
    """Return an address of the socket family `kind` as a number."""
    # A link-local sender has its interface behind a percent sign.
    return int.from_bytes(socket.inet_pton(kind, host.partition("%")[0]))


def drain(
    sock: socket.socket,
    answering: Callable[[], Answer],
    oops: Oops,
    tapped: tap.Writer = _UNTAPPED,
    later: Later | None = None,
) -> Callable[[], None]:
    """Return what to call when `sock`, which does not block, can be read: it answers up to BATCH datagrams.

    `answering` is asked once for a batch: a table that comes gives another answerer, and asking for it with each packet
    would cost a call. That takes packet, family (4 or 6), address as a number and "udp". What it raises goes to `oops`
    with the word `internal`, what the kernel refuses to send with `send`: one bad packet is one packet (semantics E8).
    What `tapped` picks of a batch is put there when the answers are on their way. `later` hears of each UPDATE that got
    no answer, and what to do with one.
    """
    kind = sock.family
    family = 6 if kind == socket.AF_INET6 else 4
    # On a socket for all addresses the answer must leave from the address that was asked (RFC 2181 section 4.1).
    everywhere = sock.getsockname()[0] in sockets.EVERYWHERE
    block = _Block(kind, control=everywhere)
    first = ctypes.addressof(block.heads)
    send = functools.partial(_send, sock, first, oops)
    data, lengths, sizes, clear = block.data, block.lengths, block.sizes, block.clear
    senders = _SENDER[kind].iter_unpack

    def ready() -> None:
        clear()
        count = _receive_all(sock.fileno(), first, BATCH, socket.MSG_DONTWAIT, None)
        if count < 0:
            if ctypes.get_errno() != errno.EAGAIN:  # an ICMP error about an earlier answer; the next call reads on
                oops("receive", _error())
            return
        _turn(block.controls, kind, count if everywhere else 0)
        # Answers are written over their questions.
        picked = [(pick, data[pick * QUERY_BYTES :][: lengths[pick]].tobytes()) for pick in tapped.picks(count)]
        answer, start, at = answering(), 0, 0
        for length, sender in zip(lengths[:count], senders(block.names[: count * _NAME_BYTES]), strict=True):
            place = at * QUERY_BYTES
            address = sender[0] if family == 4 else sender[0] << 64 | sender[1]
            try:
                reply = answer(data[place : place + length].tobytes(), family, address, "udp")
                if reply is not None:
                    size = len(reply)
                    if size <= QUERY_BYTES:
                        sizes[at] = size
                        data[place : place + size] = reply
                    else:
                        oops("send", OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE)))
                        reply = None
            except Exception as error:
                oops("internal", error)
                reply = None
            at += 1
            if reply is None:
                if later is not None and update.is_one(data[place : place + length]):
                    later(data[place : place + length].tobytes(), _back(sock, block, at - 1, oops))
                sizes[at - 1] = 0
                send(start, at - 1)
                start = at
        send(start, at)
        if picked:
            _show(block, family, picked, tapped)

    return ready


def _send(sock: socket.socket, first: int, oops: Oops, start: int, stop: int) -> None:
    """Send the answers in these places of a block whose heads begin at `first`."""
    while start < stop:
        sent = _send_all(sock.fileno(), first + start * _HEAD_BYTES, stop - start, 0)
        if sent < 0:  # it is the first of them that the kernel refuses
            oops("send", _error())
            sent = 1
        start += sent


def _back(sock: socket.socket, block: _Block, at: int, oops: Oops) -> Callable[[bytes], None]:
    """Return what sends an answer to who sent the datagram in this place, from the address that was asked."""
    kind = sock.family
    name = bytes(block.names[at * _NAME_BYTES : (at + 1) * _NAME_BYTES])
    control = bytes(block.controls[at * _SPACE_BYTES : (at + 1) * _SPACE_BYTES])
    port = int.from_bytes(name[2:4])
    to: tuple[str, int] | tuple[str, int, int, int] = socket.inet_ntop(kind, name[4:8]), port
    if kind == socket.AF_INET6:
        to = socket.inet_ntop(kind, name[8:24]), port, 0, int.from_bytes(name[24:28], sys.byteorder)
    size, level, what = _CONTROL_HEAD.unpack_from(control)  # zero where the kernel told nothing
    beside = [(level, what, control[_CONTROL_HEAD.size : size])] if size else []

    def send(reply: bytes) -> None:
        try:
            sock.sendmsg([reply], beside, 0, to)
        except OSError as error:
            oops("send", error)

    return send


def _show(block: _Block, family: int, picked: Sequence[tuple[int, bytes]], tapped: tap.Writer) -> None:
    """Put questions with the answers in their places."""
    now = time.time()
    for at, question in picked:
        sender = bytes(block.names[at * _NAME_BYTES : (at + 1) * _NAME_BYTES])
        address = int.from_bytes(sender[4:8] if family == 4 else sender[8:24])
        reply = block.data[at * QUERY_BYTES :][: block.sizes[at]].tobytes()
        tapped.put(tap.Sample(now, 1, family, address, int.from_bytes(sender[2:4]), "udp", question, reply))


def _turn(controls: memoryview, kind: int, count: int) -> None:
    """Make what packets came with into what their answers go with: the same local address, any interface."""
    at = _INTERFACE_AT[kind]
    for start in range(0, count * _SPACE_BYTES, _SPACE_BYTES):
        # struct in_pktinfo: interface index, our address (ipi_spec_dst), address in the header; struct in6_pktinfo:
        # our address, interface index. Index 0 lets routing choose; only a link-local address needs its interface.
        if kind == socket.AF_INET or not (controls[start + 16] == 0xFE and controls[start + 17] & 0xC0 == 0x80):
            controls[start + at : start + at + 4] = bytes(4)


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
