"""Whatever stands in a sample, looking at it does no harm, and what is said of it is true."""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path

import dns.message
import pytest

from gtm import app, brain, events, model
from gtm.app import analytics, geography, series, watching
from gtm.serve import tap
from gtm.wire import pack as packing
from gtm.wire import report, respond, unpack

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "three-regions-live" / "gtm.yaml"


class World:
    """A brain with the example's configuration, what watches it, and an answerer with its table."""

    def __init__(self) -> None:
        snapshot = app.load_configuration(str(EXAMPLE)).snapshot
        assert snapshot is not None
        self.snapshot: model.Snapshot = snapshot
        self.atlas = geography.Atlas.open(snapshot)
        self.mind = brain.Brain("ns1", dice=random.Random(1).random)
        self.mind.feed(events.ConfigCame(snapshot, self.atlas.networks(snapshot)), 100.0)
        self.recorder = series.Recorder()
        self.watching = watching.Watching(analytics.Analytics(self.recorder, lambda *_: None), lambda *_: None)
        table = unpack.whole(packing.pack_table(self.mind.current_table()))
        self.responder = respond.Responder(table, seed=1)

    def sample(self, name: str, kind: str = "A") -> tap.Sample:
        question = dns.message.make_query(name, kind, use_edns=0).to_wire()
        answer = self.responder.answer(question, 4, 0xC0000235, "udp") or b""
        return tap.Sample(1.7e9, 1, 4, 0xC0000235, 5353, "udp", question, answer)

    def line(self, sample: tap.Sample) -> dict[str, object]:
        found = report.read(sample.question, sample.answer)
        index = self.watching._policy(found.name)
        return dict(json.loads(self.watching._line(sample, found, index, whole=False)))


@pytest.fixture
async def world() -> World:
    made = World()
    await made.watching.configure(made.snapshot, made.mind, made.atlas)
    return made


def steered(world: World) -> str:
    return next(owner for zone in world.snapshot.zones for owner in zone.steer if not owner.startswith("*"))


async def test_a_line_names_the_rule_and_the_endpoints_that_were_answered(world: World) -> None:
    for kind in ("A", "AAAA"):
        line = world.line(world.sample(steered(world), kind))
        assert line["rcode"] == "NOERROR"
        assert line["pool"] in world.snapshot.pools
        addresses = {getattr(world.snapshot.endpoints[str(one)], {"A": "ipv4", "AAAA": "ipv6"}[kind])
                     for one in line["endpoints"]}  # type: ignore[attr-defined]  # fmt: skip
        assert addresses == {*line["answers"]}  # type: ignore[misc]
        assert line["client"] == "192.0.2.0/24"


async def test_an_answer_of_before_a_failover_is_given_no_reason_of_after_it(world: World) -> None:
    sample = world.sample(steered(world))
    line = world.line(sample._replace(answer=sample.answer.replace(sample.answer[-15:-11], b"\1\2\3\4")))
    if line["answers"] != world.line(sample)["answers"]:
        assert (line["pool"], line["endpoints"]) == (None, [])


async def test_any_bytes_in_a_sample_do_no_harm(world: World) -> None:
    dice, good = random.Random(5), world.sample(steered(world))
    for number in range(2000):
        question, answer = bytearray(good.question), bytearray(good.answer)
        for _ in range(dice.randrange(1, 6)):
            question[dice.randrange(len(question))] = dice.randrange(256)
            answer[dice.randrange(len(answer))] = dice.randrange(256)
        if number % 3 == 0:
            del question[dice.randrange(len(question)) :], answer[dice.randrange(len(answer)) :]
        sample = good._replace(question=bytes(question), answer=bytes(answer), family=dice.choice((4, 6)))
        world.watching._take(sample, watching._Thinner(1.0))
        world.line(sample)


async def test_only_steered_names_are_counted_by_country(world: World) -> None:
    world.watching._take(world.sample(steered(world)), watching._Thinner(1.0))
    world.watching._take(world.sample("no.such.name.example"), watching._Thinner(1.0))
    world.recorder.tick(1.7e9, 10.0)
    (points,) = world.recorder.hour("answers", "country", 0)[1].values()
    assert points[-1] == 0.1


async def test_how_much_is_sampled_follows_what_is_asked_and_what_is_wanted(world: World) -> None:
    reader, writer = tap.Reader(), tap.Writer()
    eye = watching._Eye(reader)
    world.watching._aim(eye, 1.0)
    assert reader.every == 1  # a quiet worker shows everything
    writer.use(os.dup(reader.fd))
    for _ in range(625):  # 40,000 all of a sudden: a part of them is put, the others are counted
        for _ in writer.picks(64):
            writer.put(world.sample(steered(world)))
    eye.seen = len(list(reader.read(40_000)))
    assert 10 < eye.seen < 200
    world.watching._aim(eye, 1.0)
    assert reader.every == 1021  # 40 a second
    eye.seen = 40
    world.watching._aim(eye, 1.0)
    assert reader.every == 1021
    eye.seen = 150
    world.watching._aim(eye, 1.0)
    assert reader.every == 4093  # 37 of 153,150 a second
    eye.seen = 0
    world.watching._aim(eye, 1.0)
    reader.want(1021)
    eye.seen = 1
    world.watching._aim(eye, 1.0)
    assert reader.every == 31
    assert writer.picks(64) == range(0, 64, 31)
    reader.close()
    await asyncio.sleep(0)
