"""Any bytes in; an answer that is one, or silence, out: the packet path for a fuzzer that follows coverage (atheris).

`python -m tests.fuzz.packets tests/fuzz/corpus -max_total_time=60` finds new inputs and keeps them in the corpus; every
option of libFuzzer works. Where atheris is not installed the corpus is replayed with plain random damage. The first
byte says over which transport, from where and with which cookies; the rest is the packet.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import random
import sys
from pathlib import Path
from typing import Any

# There are wheels for some machines and versions only.
FUZZER: Any = importlib.import_module("atheris") if importlib.util.find_spec("atheris") else None

with FUZZER.instrument_imports(include=["gtm.wire"]) if FUZZER else contextlib.nullcontext():
    from gtm.wire import cookies, extras, freshness, guard, limit, proxy, respond
    from tests.wire import test_any_bytes

CORPUS = Path(__file__).parent / "corpus"
SECRET, NOW_S = bytes(range(16)), 1_700_000_000
TRANSPORTS = ("udp", "tcp", "tls", "https")
ADDRESSES = ((4, 0xC6336409), (6, 0x20010DB8 << 96 | 9), (4, 0x7F000001))
_REPLAYED = 20_000  # damaged packets of one replay without atheris


class Target:
    """What is fuzzed: responders without cookies, with them, and with them required; and a guard over each."""

    def __init__(self) -> None:
        jars = (None, cookies.Jar((SECRET,), NOW_S), cookies.Jar((SECRET, bytes(16)), NOW_S, require=True))
        self._answers = []
        for jar in jars:
            responder = respond.Responder(test_any_bytes.TABLE, seed=1, more=extras.Extras(jar))
            held = guard.Guard(limit.Limiter(1000, 2, seed=1), jar, exempt=["127.0.0.0/8"], most_times=3)
            self._answers.append((responder.answer, held))
        self._trust = proxy.Trust(["0.0.0.0/0", "::/0"])
        self._lost: list[str] = []
        self._now_s = 0.0

    def take(self, data: bytes) -> None:
        """Answer one input. Raises what should never be raised."""
        how, packet = (data[0], data[1:]) if data else (0, b"")
        transport = TRANSPORTS[how & 3]
        family, address = ADDRESSES[(how >> 2) % len(ADDRESSES)]
        answering, held = self._answers[(how >> 4) % len(self._answers)]
        self._now_s += 0.001
        answer = self._trust.over(answering, self._lost.append) if how >> 7 else answering
        self._lost.clear()
        reply = answer(packet, family, address, transport)
        if reply is not None:
            assert reply[2] & 0x80
            assert len(reply) <= (1232 if transport == "udp" else 65535)
            assert how >> 7 or reply[:2] == packet[:2]
            assert freshness.seconds(reply) >= 0
        if transport == "udp":
            passed = held.over(answer, self._now_s)(packet, family, address, transport)
            assert passed is None or passed[2] & 0x80
        with contextlib.suppress(ValueError):
            proxy.read(packet)


def replay(seed: int) -> None:
    """Take the corpus, whole and damaged."""
    dice, target = random.Random(seed), Target()
    inputs = [path.read_bytes() for path in sorted(CORPUS.iterdir())]
    for data in inputs:
        target.take(data)
    for _ in range(_REPLAYED):
        damaged = bytearray(dice.choice(inputs))
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(damaged) + 1)
            damaged[at : at + dice.randint(0, 2)] = dice.randbytes(dice.randint(0, 3))
        target.take(bytes(damaged))


def main() -> None:
    """Fuzz by libFuzzer's options, or replay."""
    if FUZZER is None:
        replay(1)
        return
    target = Target()
    FUZZER.Setup(sys.argv, target.take)
    FUZZER.Fuzz()


if __name__ == "__main__":
    main()
