"""One worker's own bookkeeping, in this process: what it counts while nobody hears it."""

from __future__ import annotations

import asyncio
import struct

from gtm.serve import channel, counters, shared, worker
from tests.wire import test_questions, test_reliability_answers, world

ASKED = 3000  # kinds of question


async def test_G6_what_is_counted_while_the_control_process_is_dead_is_few_labels_and_nothing_is_lost() -> None:
    ours, theirs = channel.pair()
    page = shared.Page.new(1)
    settings = worker.Settings(0, 1, theirs.sock.detach(), page.fd, -1, [], (8, 8, 15.0), None)
    one = worker.Worker(settings)
    responder = world.serve(test_reliability_answers.ZONE).responder
    one._responder = responder
    while one._channel.send("counts", b"[]"):
        continue  # nobody reads: soon nothing goes any more
    for start in range(0, ASKED, 100):
        for kind in range(start, start + 100):
            question = b"\5plain\7example\0" + struct.pack(">HH", kind, 2 + kind)
            assert responder.answer(test_questions.packet(question=question), 4, 1, "udp") is not None
        await one._collect()
        assert len(responder._tally.udp) == 0
        assert sum(map(len, one._counts.values())) < 10
    async with asyncio.timeout(10):
        heard: counters.Counts = {}
        while sum(heard.get("queries", {}).values()) < ASKED:
            while (message := ours.receive()) is not None:
                counters.add(heard, counters.unpack(message.body))
            await one._collect()
    assert heard["queries"] == {("udp", "other"): ASKED}
    assert heard["responses"] == {("REFUSED",): ASKED}
    for end in (ours, one._channel):
        end.close()
    page.close()
