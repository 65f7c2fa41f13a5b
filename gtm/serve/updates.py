"""Signed UPDATEs in, on their way to the control process, which alone may change anything; its answers to who waits.

What is not signed as it should be is answered here and goes no further, so strangers cost the control process nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping

from gtm import names
from gtm.serve import channel, keys
from gtm.wire import query, tsig, update

# A client sends a handful for a certificate; beyond this they get no answer, and come again.
PER_S, BURST = 20.0, 40.0
MOST_WAITING = 64  # three seconds' worth of them
WAIT_S = 5.0  # a client gives up, or asks again, sooner
KNOCK_S = 1.0  # so often the control process hears of one that was refused here
NUMBER_BYTES = 8

Send = Callable[[bytes], object]


class Updates:
    """The UPDATEs of one worker. `line` leads to the control process."""

    def __init__(self, line: channel.Channel) -> None:
        self._line = line
        self._keys: Mapping[bytes, tsig.Key] = {}
        self._good = b""  # the packet that was looked at last, and passed
        self._waiting: dict[int, tuple[Send, float]] = {}
        self._number = 0
        self._tokens, self._filled_s = BURST, 0.0
        self._knocked_s = -KNOCK_S

    def take(self, secret: keys.Keys) -> bool:
        """Believe in the keys that may update, and say whether there are any."""
        self._keys = {one.name: one for one in secret.tsig if names.text(one.name) in secret.updating}
        return bool(self._keys)

    def answer(self, packet: bytes, family: int, address: int) -> bytes | None:
        """Return the answer to an UPDATE that is not signed as it should be; None for one that `pass_on` is to take."""
        now_s = time.time()
        verified = tsig.verify(packet, self._keys, now_s)
        if verified is not None and verified.key is not None and not verified.error:
            self._good = packet
            return None
        word = {None: "no signature", tsig.BADKEY: "BADKEY", tsig.BADSIG: "BADSIG", tsig.BADTIME: "BADTIME"}
        self._knock(family, address, word[verified.error if verified is not None else None])
        if verified is None:
            return update.reply(packet, query.REFUSED)
        return tsig.refusal(packet, verified, now_s)

    def _knock(self, family: int, address: int, why: str) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._knocked_s >= KNOCK_S:
            self._knocked_s = now_s
            self._line.send("update-refused", json.dumps([family, address, why]).encode())

    def pass_on(self, packet: bytes, send: Send) -> None:
        """Pass on an UPDATE that was found good just now; `send` takes the answer when it comes."""
        if not self._good or packet != self._good:
            return
        self._good = b""
        now_s = asyncio.get_running_loop().time()
        for number in [number for number, (_, since_s) in self._waiting.items() if now_s - since_s > WAIT_S]:
            del self._waiting[number]
        self._tokens = min(BURST, self._tokens + (now_s - self._filled_s) * PER_S)
        self._filled_s = now_s
        if self._tokens < 1 or len(self._waiting) >= MOST_WAITING:
            return
        self._tokens -= 1
        self._number += 1
        if self._line.send("update", self._number.to_bytes(NUMBER_BYTES) + packet):
            self._waiting[self._number] = send, now_s

    def done(self, body: bytes) -> None:
        """Send an answer of the control process to who waits for it."""
        send, _ = self._waiting.pop(int.from_bytes(body[:NUMBER_BYTES]), (None, 0.0))
        if send is not None:
            send(body[NUMBER_BYTES:])
