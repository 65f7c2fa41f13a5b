"""Short messages between two processes, with a file descriptor where one travels along.

One message is one packet of a `SOCK_SEQPACKET` pair: `KIND\\nBODY`. The kernel keeps packets whole and in order, so
there is no framing to get wrong. A body too big for a packet rides in a memfd, which the receiver reads for itself.
"""

from __future__ import annotations

import array
import json
import os
import socket
from typing import Any, NamedTuple

# A packet must fit into the socket's send buffer (212,992 bytes by default); this leaves room for several.
PACKET_BYTES = 32 * 1024
_IN_MEMFD = b"@"
# Of a body in a memfd no more is read: a second's counts of a thousand names of 255 bytes, each written as four, are
# one or two MiB. A worker faces strangers, and what it passes on must not fill the memory of who reads it.
MOST_BYTES = 16 * 1024 * 1024

# Where the supervisor tells the control process the descriptor of the channel between them.
VARIABLE = "GTM_SUPERVISOR_FD"
# Set for a control process that must prove itself before it may touch anything that others see.
TRIAL = "GTM_TRIAL"


class Message(NamedTuple):
    """One message. `fd` is -1, or a descriptor that now belongs to the receiver."""

    kind: str
    body: bytes
    fd: int = -1

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Channel:
    """One end of a pair. Never blocks."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)

    @classmethod
    def of_fd(cls, fd: int) -> Channel:
        """Return the channel over an inherited descriptor."""
        return cls(socket.socket(fileno=fd))

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self.sock.fileno()

    def send(self, kind: str, body: bytes = b"", fd: int = -1) -> bool:
        """Send one message, with a copy of `fd` where one is given; say whether it went.

        False means that the other end has not read for a while (the queue is full), or is gone. Raises `ValueError`
        for what is too long to be read.
        """
        if len(body) > MOST_BYTES:
            raise ValueError(f"a message of {len(body)} bytes is too long")
        head, passed, own = kind.encode() + b"\n", fd, -1
        if len(body) > PACKET_BYTES:
            if fd >= 0:
                raise ValueError("a big body and a descriptor do not fit into one message")
            passed = own = os.memfd_create("gtm-message", os.MFD_CLOEXEC)
            head, body = _IN_MEMFD + head, _written(own, body)
        try:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [passed]))] if passed >= 0 else []
            self.sock.sendmsg([head + body], rights, socket.MSG_NOSIGNAL)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return False
        finally:
            if own >= 0:
                os.close(own)
        return True

    def send_json(self, kind: str, value: Any, fd: int = -1) -> bool:
        """Send a message whose body is JSON."""
        return self.send(kind, json.dumps(value, separators=(",", ":")).encode(), fd)

    def receive(self) -> Message | None:
        """Return the next message, or None when there is none now.

        Raises `EOFError` when the other end is closed, or sends what none of ours would.
        """
        try:
            data, rights, _, _ = self.sock.recvmsg(2 * PACKET_BYTES, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            data, rights = b"", []
        if not data:
            raise EOFError
        fd = array.array("i", rights[0][2])[0] if rights else -1
        head, _, body = data.partition(b"\n")
        if head.startswith(_IN_MEMFD) and fd >= 0:
            with os.fdopen(fd, "rb") as file:
                if os.fstat(fd).st_size > MOST_BYTES:
                    raise EOFError
                file.seek(0)
                return Message(head[1:].decode(), file.read(MOST_BYTES))
        return Message(head.decode(), body, fd)

    def close(self) -> None:
        """Close this end."""
        self.sock.close()


def pair() -> tuple[Channel, Channel]:
    """Return the two ends of a new channel."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Channel(one), Channel(other)


def _written(fd: int, body: bytes) -> bytes:
    """Write the whole body into a memfd; return the empty bytes that go into the packet in its place."""
    at, view = 0, memoryview(body)
    while at < len(body):
        at += os.pwrite(fd, view[at:], at)
    return b""
