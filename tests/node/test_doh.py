"""DNS over HTTPS beside the loop: what comes while its table is made ready."""

from __future__ import annotations

import asyncio

from gtm import model, table
from gtm.app import doh
from tests.wire import test_questions, world

A_IN = b"\0\1\0\1"


def ring(at: int) -> table.Ring:
    (made,) = world.rings(world.decision([f"192.0.2.{at % 250}"]))
    return made


async def test_G6_of_rings_that_come_while_a_table_is_made_ready_only_the_newest_are_held_and_answered() -> None:
    whole = world.snapshot(
        test_questions.ZONE,
        endpoints=[model.Endpoint("e", ipv4="192.0.2.1")],
        pools=[world.pool("p", "e")],
        policies=[world.policy("p")],
    )
    built = world.build(whole, steerings=[table.Steering(-1, (0,), (0,), (0,))], rings=(ring(1),))
    one = doh.Answerer(lambda counts: None)
    one.use(built)
    for revision in range(built.revision + 1, built.revision + 500):
        one.rings(revision, {0: ring(revision)}, {})
        assert len(one._later[1]) == 1
    async with asyncio.timeout(10):
        while not one.is_ready:  # noqa: ASYNC110 - it is made in a thread, which nobody announces
            await asyncio.sleep(0)
    question = test_questions.packet(question=b"\4play\4live\7example\0" + A_IN)
    found = one.answer(question, 4, 1)
    assert found is not None
    assert found[0].endswith(bytes((192, 0, 2, (built.revision + 499) % 250)))
