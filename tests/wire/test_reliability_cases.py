"""Each wire case of reliability.md, asked of ours; tests/slow/test_peers.py asks a real node and its peers."""

from __future__ import annotations

import pytest

from gtm.wire import cookies, extras, respond
from tests.wire import cases, test_reliability_answers, world

SERVER = world.Server(world.build(world.snapshot(test_reliability_answers.ZONE)))
MORE = extras.Extras(cookies.Jar((bytes(16),), 1_700_000_000))
MORE.idle_s = 15.0
SERVER.responder = respond.Responder(SERVER.table, seed=1, more=MORE)


@pytest.mark.parametrize("case", cases.ALL, ids=[case.name for case in cases.ALL])
def test_a_case_of_reliability_is_answered_as_it_says(case: cases.Case) -> None:
    assert cases.missed(case, SERVER.raw(case.packet, transport=case.transport)) == {}


def test_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in cases.ALL}) == len(cases.ALL) > 130
