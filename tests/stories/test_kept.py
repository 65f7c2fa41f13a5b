"""Verdicts are kept until something touches their endpoint: what is answered is what all of them anew would say."""

from __future__ import annotations

import random
from typing import Literal

import pytest

from gtm import brain, model, seen
from tests.stories import world

TEXT = """
checks:
  web: {kind: http, every: 5s, fall: 2, rise: 2, confirm: 1s, load: {measure: status, low: 250, high: 300}}
  stream: {kind: hls, path: "/{name}.m3u8", every: 4s, on_stale: down, fall: 2, rise: 2, confirm: 1s}
flap: {returns: 2, window: 60s, hold: 20s}
guard: {min_alive: 30%}
endpoints:
  dc: {address: 192.0.2.90, check: web}
  a1: {address: [192.0.2.1, "2001:db8::1"], depends_on: [dc]}
  a2: {address: 192.0.2.2, depends_on: [dc]}
  a3: {address: 192.0.2.3}
  b1: {address: [192.0.2.11, "2001:db8::11"]}
  b2: {address: 192.0.2.12}
  b3: {address: 192.0.2.13}
pools:
  a: {members: {a1: 1, a2: 1, a3: 3}, check: web, failback: 7s, slow_start: 12s, min_up: 2}
  b: {members: {b1: 1, b2: 1, b3: {tier: 2}}, check: web}
zones:
  example.com:
    nameservers: {ns1: [192.0.2.53]}
    hostmaster: ops@example.com
    steer:
      www: [a, b]
      other: b
      cam1: {rules: [{try: [a, b]}], check: stream}
      cam2: {rules: [{try: [a, b]}], check: stream}
"""


def _told(one: seen.Decision) -> tuple[object, ...]:
    """What of a decision anybody is answered; the wording of reasons may be older."""
    who = [[(member.endpoint, member.eligible, member.weight) for member in tried.members] for tried in one.tried]
    return one.rung, one.pool, one.rcode, one.ttl_s, one.replies, one.slots, who


@pytest.mark.parametrize("seed", range(6))
def test_kept_verdicts_decide_what_fresh_ones_would(seed: int) -> None:
    dice = random.Random(seed)
    one = world.World(TEXT)
    one.run(15)
    endpoints, names = list(one.brain.snapshot.endpoints), ("cam1.example.com.", "cam2.example.com.")
    compared = 0
    for _ in range(80):
        who = dice.choice(endpoints)
        match dice.randrange(8):
            case 0:
                one.sick[who] = "refused"
            case 1:
                one.sick.pop(who, None)
            case 2:
                one.sick[who, dice.choice(names)] = "frozen"
            case 3:
                one.sick.clear()
            case 4:
                one.measured[who, "web"] = {"status": dice.choice((200, 280, 320))}
            case 5:
                orders: list[Literal["drain", "down", "up", "weight"]] = ["drain", "down", "up", "weight"]
                order = seen.Override(
                    "1", who, dice.choice(orders), value=0.5, until=one.brain.wall_offset_s + one.now + 9
                )
                one.order(*([order] if dice.random() < 0.7 else []))
            case 6:
                one.blind.add(dice.choice((who, (who, "web"), (who, "stream"))))
            case 7:
                one.blind.clear()
        one.run(dice.choice((0.5, 3, 11)))
        if one.brain.pending():
            one.run(2)
        compared += _same_as_anew(one.brain, one.now)
    assert compared > 400


def _same_as_anew(mind: brain.Brain, now: float) -> int:
    """Compare all decisions in force with what is decided from verdicts of this moment; return how many."""
    if mind.pending():
        return 0
    compared = 0
    for index, policy in enumerate(mind.snapshot.policies):
        fresh = [
            decision
            for who in mind.partition.by_policy[index].audiences
            for decision in mind.decide(policy, who, brain.FAMILIES, now)
        ]
        for before, after in zip(mind.of_policy(index), fresh, strict=True):
            assert _told(before) == _told(after), (policy.name, after.why)
            compared += 1
    pools: dict[str, model.Pool] = dict(mind.snapshot.pools)
    assert {name: mind.pools[name].usable for name in pools} == {
        name: mind.pool_alone(name, now).usable for name in pools
    }
    return compared
