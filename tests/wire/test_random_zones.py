"""Random zones and questions: what we answer is what RFC 1034 section 4.3.2 says, over dnspython's own zone."""

from __future__ import annotations

import random

import pytest

from tests.wire import random_zones, world

ZONES, QUESTIONS = 60, 40


@pytest.mark.parametrize("seed", range(5))
def test_random_zones_are_answered_by_the_book(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(ZONES // 5):
        zone = random_zones.text(dice)
        server, model = world.serve(world.zone(random_zones.APEX, zone)), random_zones.Model(zone)
        for _ in range(QUESTIONS):
            name, rtype = random_zones.question(dice, zone)
            found = random_zones.said(server.ask(name, rtype, transport="tcp"))
            assert found == model.answer(name, rtype), f"{name} {rtype}, seed {seed}, in\n{zone}"
