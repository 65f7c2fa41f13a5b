"""Small ingest servers in the test's own loop: RTMP by a script of answers, SRT by a function of packets."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from gtm.probes import amf, chunks, srt_packet
from tests.probes.probe_servers import Talk

Answer = bytes | None  # None hangs up
H264, AAC = b"\x17\x01\0\0\0picture", b"\xaf\x01sound"
H264_HEADER, AAC_HEADER = b"\x17\x00\0\0\0\x01", b"\xaf\x00\x12\x10"


def command(*values: object, stream: int = 0) -> bytes:
    return chunks.pack(chunks.COMMAND, stream, amf.pack(*values))


def status(code: str, level: str = "status") -> bytes:
    return command("onStatus", 0, None, {"level": level, "code": code}, stream=1)


def media(kind: int, payload: bytes) -> bytes:
    return chunks.pack(kind, 1, payload, 4)


def rtmp(heard: list[list[amf.Value]], **answers: Answer) -> Talk:
    """Serve RTMP: each command is noted, and answered by what stands under its name."""
    usual: dict[str, Answer] = {
        "connect": chunks.pack(chunks.SET_CHUNK_SIZE, 0, struct.pack(">I", 4096), chunks.CONTROL_STREAM)
        + chunks.pack(chunks.USER_CONTROL, 0, bytes((0, 6, 1, 2, 3, 4)), chunks.CONTROL_STREAM)
        + command("_result", 1, None, {"level": "status", "code": "NetConnection.Connect.Success"}),
        "createStream": command("_result", 2, None, 1),
        **answers,
    }

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.readexactly(1537)
        writer.write(hello[:1] + bytes(1536) + hello[1:])
        await reader.readexactly(1536)
        wire = chunks.Reader()
        while data := await reader.read(65536):
            for message in wire.feed(data):
                if message.type == chunks.USER_CONTROL:
                    heard.append(["pong", message.payload.hex()])
                if message.type != chunks.COMMAND:
                    continue
                said = amf.unpack(message.payload)
                heard.append(said)
                answer = usual.get(str(said[0]), b"")
                if answer is None:
                    return
                writer.write(answer)

    return talk


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, answer: Callable[[bytes, srt_packet.Handshake | None], bytes]) -> None:
        self.answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        reply = self.answer(data, srt_packet.read(data))
        if reply:
            self.transport.sendto(reply, addr)  # type: ignore[attr-defined]


async def srt(
    answer: Callable[[bytes, srt_packet.Handshake | None], bytes], where: tuple[str, int] = ("127.0.0.1", 0)
) -> tuple[asyncio.BaseTransport, int]:
    """Serve datagrams on a free port, or at `where`; what `answer` returns is sent back."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Listener(answer), local_addr=where
    )
    return transport, transport.get_extra_info("sockname")[1]


def handshake(to: int, **fields: int) -> bytes:
    """A listener's handshake packet; by default the answer to an induction."""
    of = {"version": 5, "encryption": 0, "extension": srt_packet.MAGIC, "type": 1, "socket": 77, "cookie": 4711}
    of |= fields
    head = struct.pack(">HHIII", srt_packet.HANDSHAKE, 0, 0, 0, to)
    first = struct.pack(">IHH", of["version"], of["encryption"], of["extension"])
    return head + first + struct.pack(">IIIIII16x", 1, 1500, 8192, of["type"], of["socket"], of["cookie"])
