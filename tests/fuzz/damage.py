"""A source of chance in, questions of every sort and damaged ones out, to be sent or answered in process."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from tests.wire import test_any_bytes, test_subnet

FLAGS = (0, 0x0100, 0x0120, 0x0110, 0x0200, 0x8000, 0x0800, 0x2800, 0x010F, 0xFFFF)


def whole(chance: random.Random, names: Sequence[str]) -> list[bytes]:
    """Return questions of every sort, undamaged: names, types, classes, OPT records and options."""
    options = [
        b"",
        test_subnet.ecs(1, 24, 0, b"\xcb\0\x71"),
        test_subnet.ecs(2, 48, 0, b"\x20\x01\x0d\xb8\0\5"),
        b"\0\3\0\0",
        b"\0\x0a\0\x0812345678",
        b"\0\x0a\0\x1812345678\1\0\0\0" + bytes(12),
        b"\0\x0b\0\0\0\x0c\0\3abc",
        b"\0\x0a\0\x0812345678" + test_subnet.ecs(1, 24, 0, b"\xcb\0\x71"),
    ]
    found = []
    for _ in range(4000):
        asked = test_any_bytes.question(
            chance.choice(names), chance.choice((1, 28, 16, 6, 255, 41, 252, 65)), chance.choice((1, 1, 1, 3))
        )
        opt = chance.choice(
            (b"", test_any_bytes.record(chance.choice((0, 512, 1232, 65535)), 0, 0, chance.choice(options)))
        )
        found.append(test_any_bytes.packet(chance.choice(FLAGS), asked, opt, b""))
    return found


def damaged(chance: random.Random, seeds: Sequence[bytes], count: int) -> Iterator[bytes]:
    """Yield packets with bytes changed, cut out, put in, cut off, or two of them grown together."""
    below, pick = chance.random, chance.choice
    for _ in range(count):
        packet = bytearray(pick(seeds))
        how = below()
        if how < 0.1:
            packet = packet[: int(below() * len(packet))] + pick(seeds)[int(below() * 40) :]
        elif how < 0.2:
            del packet[int(below() * len(packet)) :]
        for _ in range(1 + int(below() * 3)):
            at = int(below() * (len(packet) + 1))
            packet[at : at + int(below() * 3)] = chance.randbytes(int(below() * 4))
        yield bytes(packet)
