"""The herald over a real brain and a real store: told in charge only, whatever the store or a receiver does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
import types
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from gtm import errors, events, model
from gtm.alerts import outbox, rules, words
from gtm.app import herald
from gtm.store import memory
from tests.notify.receiving import Receiver
from tests.stories.world import World

CONFIG = """
node: ns1
checks: {edge: {kind: tcp, port: 443, every: 300ms, timeout: 100ms, confirm: 100ms}}
endpoints: {one: {address: 192.0.2.1}, two: {address: 192.0.2.2}}
pools: {edges: {members: [one, two], check: edge}}
zones: {example.com: {nameservers: {ns1: [203.0.113.53]}, steer: {play: edges}}}
"""
PATIENCE_S = 10.0


class Shaky(memory.MemoryStore):
    """A store whose disk can break."""

    broken = False

    async def papers(self) -> Mapping[tuple[str, str], str]:
        if self.broken:
            raise errors.StoreError("database or disk is full")
        return await super().papers()

    async def keep_papers(self, changes: Mapping[tuple[str, str], str | None]) -> None:
        if self.broken:
            raise errors.StoreError("database or disk is full")
        await super().keep_papers(changes)


class Stage:
    """A node as the herald sees it, with receivers; `begin` starts a herald, as another process would."""

    def __init__(self, *receivers: model.Receiver) -> None:
        self.world = World(CONFIG)
        self.world.run(5)
        self.told: list[tuple[str, ...]] = []
        self.store = Shaky(now=time.time)
        self.node: Any = types.SimpleNamespace(
            brain=self.world.brain, book=types.SimpleNamespace(works=True), path="gtm.yaml", store=self.store,
            config_accepted=True, config_trouble="", in_charge=asyncio.Event(), listeners=set(),
            happened=lambda *what: self.told.append(what),
            in_force=lambda: self.world.brain.health.in_force(self.world.now),
        )  # fmt: skip
        self.take(*receivers)
        self.node.in_charge.set()

    def take(self, *receivers: model.Receiver) -> None:
        self.node.snapshot = replace(self.world.brain.snapshot, alerts=receivers)

    def tell(self, kind: events.EventKind, subject: str, before: str, after: str, cause: str = "why") -> None:
        for listener in tuple(self.node.listeners):
            listener(events.Event(time.time(), kind, subject, before, after, cause, 1))

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[herald.Herald]:
        one = herald.Herald(self.node)
        one.start()
        yield one
        await one.close()

    def fall(self) -> None:
        """Let the pool fall, in the brain and in the events."""
        self.world.sick |= {"one": "refused", "two": "refused"}
        self._go()

    def rise(self) -> None:
        self.world.sick.clear()
        self._go()

    def _go(self) -> None:
        before = len(self.world.log)
        self.world.run(5)
        for event in self.world.log[before:]:
            self.tell(event.kind, event.subject, event.before, event.after, event.cause)


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not what():  # noqa: ASYNC110  # nobody announces it
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "TICK_S", 0.02)
    monkeypatch.setattr(rules, "LEAST_GATHER_S", 0.05)
    monkeypatch.setattr(rules, "MOST_GATHER_S", 0.05)
    monkeypatch.setattr(herald, "READY_S", 0.01)
    monkeypatch.setattr(herald, "AGAIN_S", 0.05)
    monkeypatch.setattr(outbox, "FIRST_WAIT_S", 0.05)


def webhook(name: str, url: str, **more: Any) -> model.Receiver:
    return model.Receiver(name, "webhook", ("pool", "name"), options={"url": url}, **more)


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Receiver]:
    one = await Receiver().start()
    yield one
    await one.stop()


def whats(server: Receiver) -> list[str]:
    return [body["what"] for _, _, body in server.got]


async def test_A7_of_a_flood_of_checks_that_cannot_be_probed_each_is_found_and_their_end_too() -> None:
    async with listening() as server:
        stage = Stage(replace(webhook("ops", server.url), on=("endpoint",)))
        async with stage.begin() as one:
            await until(lambda: "ops" in one.couriers)
            for blind, word in ((["one", "two"], "stale"), ([], "fresh")):
                stage.world.blind = set(blind)
                stage.world.run(5)  # and only the one event is heard that stands for many
                stage.tell("node", "checks", "", word, "2 checks more within a second")
                await until(lambda: whats(server)[-1:] == [{"stale": "firing", "fresh": "resolved"}[word]])  # noqa: B023
            assert [[fact["subject"] for fact in body["facts"]] for _, _, body in server.got] == [["one", "two"], []]


async def test_what_falls_is_told_and_so_is_its_end() -> None:
    async with listening() as server:
        stage = Stage(webhook("ops", server.url))
        async with stage.begin() as one:
            await until(lambda: "ops" in one.couriers)
            stage.fall()
            await until(lambda: whats(server) == ["firing"])
            stage.rise()
            await until(lambda: whats(server) == ["firing", "resolved"])
            await until(lambda: not len(one.outbox))
            assert one.metrics()["alerts_sent_total"] == {("webhook", "sent"): 2.0}
            assert one.shown()["receivers"][0]["sent_at"]


async def test_who_is_not_in_charge_is_silent() -> None:
    async with listening() as server:
        stage = Stage(webhook("ops", server.url))
        stage.node.in_charge.clear()
        async with stage.begin() as one:
            stage.fall()
            await asyncio.sleep(0.3)
            assert (one.couriers, server.got, await stage.store.papers()) == ({}, [], {})
        async with stage.begin():
            stage.node.in_charge.set()
            await until(lambda: whats(server) == ["firing"])


async def test_a_receiver_that_was_away_over_a_restart_gets_each_message_once_and_in_order() -> None:
    async with listening() as server:
        stage = Stage(webhook("ops", server.url))
        server.status = 503
        async with stage.begin() as one:
            await until(lambda: "ops" in one.couriers)
            stage.fall()
            await until(lambda: len(server.got) >= 2)
            assert [(found["told"], found["waiting"]) for found in one.shown()["open"]] == [([], ["ops"])]
            assert one.shown()["outbox"][0]["trouble"] == "localhost answered 503: ok"
        stage.rise()
        async with stage.begin():
            await until(lambda: len(server.got) >= 4)
        server.status, tries = 200, len(server.got)
        async with stage.begin() as one:
            await until(lambda: not len(one.outbox) and len(server.got) >= tries + 2)
            await asyncio.sleep(0.2)
        assert whats(server)[tries:] == ["firing", "resolved"]
        assert len({headers["X-GTM-Id"] for _, headers, body in server.got if body["what"] == "firing"}) == 1
        words = [(kind, subject, after) for kind, subject, _, after, _ in stage.told]
        assert words == [("alert", "ops", "failing"), ("alert", "ops", "working")]


async def test_a_receiver_that_was_away_is_reminded_of_what_it_has_taken_and_not_at_once() -> None:
    async with listening() as server:
        stage = Stage(webhook("ops", server.url, remind_s=0.3))
        server.status = 503
        async with stage.begin() as one:
            await until(lambda: "ops" in one.couriers)
            stage.fall()
            await until(lambda: bool(server.got))
            began = time.monotonic()
            await until(lambda: time.monotonic() > began + 0.4)  # longer than `remind`
            server.status, tries = 200, len(server.got)
            (incident,) = one.rules.incidents.values()
            await until(lambda: bool(incident.told["ops"].taken))
            taken = incident.told["ops"].taken
            await until(lambda: incident.told["ops"].at > taken)
            assert incident.told["ops"].at >= taken + 0.3
            await until(lambda: len(server.got) >= tries + 2)
        assert whats(server)[tries:][:2] == ["firing", "reminder"]


async def test_a_receiver_that_hangs_keeps_no_other_waiting() -> None:
    async with listening() as server:
        hanging = socket.create_server(("127.0.0.1", 0))  # connections are taken by the kernel, and by nobody else
        port = hanging.getsockname()[1]
        stage = Stage(webhook("slow", f"http://127.0.0.1:{port}/", timeout_s=2.0), webhook("ops", server.url))
        async with stage.begin() as one:
            await until(lambda: "ops" in one.couriers)
            stage.fall()
            await until(lambda: whats(server) == ["firing"])
            assert [letter.tries for letter in one.outbox.of("slow")] == [0], "it is under way still"
            await until(lambda: one.couriers["slow"].trouble == "no answer within 2s")
        hanging.close()


async def test_F5_a_store_that_cannot_be_written_keeps_nobody_from_being_told_and_is_told_everything_later() -> None:
    async with listening() as server:
        stage = Stage(webhook("ops", server.url))
        stage.store.broken = True
        async with stage.begin() as one:
            await until(lambda: "ops" in one.couriers)
            stage.fall()
            await until(lambda: whats(server) == ["firing"])
            with pytest.raises(errors.StoreError):
                await one.silence("edges", 60, "", "ops")
            assert one.silences() == []
            stage.store.broken = False
            stage.tell("store", "sqlite:///x", "unusable", "usable")
            await until(lambda: not len(one.outbox))
            await until(lambda: any(kind == "incident" for kind, _ in stage.store._papers))
        async with stage.begin() as one:
            await until(lambda: "ops" in one.couriers)
            await asyncio.sleep(0.3)
        assert whats(server) == ["firing"], "the next process knows that it was told"


async def test_F5_a_memory_that_cannot_be_read_at_the_start_is_read_when_it_can() -> None:
    async with listening() as server:
        stage = Stage(webhook("ops", server.url))
        server.status = 503
        async with stage.begin() as one:
            await until(lambda: "ops" in one.couriers)
            made = await one.silence("edges", 3600, "move", "ops")
            stage.tell("pool", "gone", "usable", "failed")
            await until(lambda: len(server.got) > 0)
        stage.store.broken = True
        async with stage.begin() as one:
            await until(lambda: "ops" in one.couriers)
            assert (len(one.outbox), one.silences()) == (0, [])
            stage.store.broken, server.status = False, 200
            await until(lambda: [silence.id for silence in one.silences()] == [made.id])
            await until(lambda: whats(server)[-2:] == ["firing", "resolved"])


async def test_what_will_never_be_taken_is_given_up_with_an_event() -> None:
    async with listening() as server:
        server.status = 404
        stage = Stage(webhook("ops", server.url))
        async with stage.begin() as one:
            await until(lambda: "ops" in one.couriers)
            stage.fall()
            await until(lambda: bool(stage.told))
        ((kind, name, _, after, cause),) = stage.told
        assert (kind, name, after) == ("alert", "ops", "given up")
        assert cause.startswith("localhost answered 404: ok: [ns1] ")
        assert one.counts == {("webhook", "given_up"): 1}


async def test_silences_outlive_the_process_and_end_on_time() -> None:
    async with listening() as server:
        stage = Stage(webhook("ops", server.url))
        async with stage.begin() as one:
            await until(lambda: "ops" in one.couriers)
            made = await one.silence("edges", 3600, "move", "ops")
            other = await one.silence("name:play.example.com", 0.7, "", "ops")
            assert not one.nameable("fra-*")
            assert one.nameable("ed*")
        async with stage.begin() as one:
            await until(lambda: "ops" in one.couriers)
            assert [silence.id for silence in one.silences()] == [made.id, other.id]
            stage.fall()
            await until(lambda: whats(server) == ["firing"])
            assert [silence.id for silence in one.silences()] == [made.id], "the name's silence was over"
            await until(lambda: ("silence", other.id) not in stage.store._papers)
            assert await one.unsilence(made.id, "ops")
            assert not await one.unsilence(made.id, "ops")
            assert ("silence", made.id) not in await stage.store.papers()
        assert [after for kind, _, _, after, _ in stage.told if kind == "alert"] == ["silenced", "silenced", ""]


async def test_a_reload_brings_couriers_and_takes_them_away() -> None:
    async with listening() as first, listening() as second:
        stage = Stage(webhook("a", first.url))
        async with stage.begin() as one:
            await until(lambda: "a" in one.couriers)
            stage.fall()
            await until(lambda: whats(first) == ["firing"])
            stage.take(webhook("b", second.url))
            stage.tell("config", "gtm.yaml", "old", "new")
            await until(lambda: whats(second) == ["firing"])
            assert list(one.couriers) == ["b"]
            stage.rise()
            await until(lambda: whats(second) == ["firing", "resolved"])
            stage.take()
            stage.tell("config", "gtm.yaml", "old", "new")
            await until(lambda: not one.couriers)
            assert one.shown()["receivers"] == []
        assert whats(first) == ["firing"]


async def test_papers_that_nobody_can_read_are_forgotten() -> None:
    async with listening() as server:
        stage = Stage(webhook("ops", server.url))
        await stage.store.keep_papers(
            {("incident", "a"): "{", ("letter", "b"): "[]", ("silence", "c"): '{"id": 1}', ("other", "d"): "x"}
        )
        async with stage.begin() as one:
            await until(lambda: "ops" in one.couriers)
            stage.fall()
            await until(lambda: whats(server) == ["firing"])
        assert {key for _, key in await stage.store.papers()} & {"a", "b", "c", "d"} == {"d"}


async def test_a_secret_that_is_missing_is_said_at_the_start_and_not_when_it_is_too_late() -> None:
    stage = Stage(
        model.Receiver("ops", "slack", options={"url_env": "NO_SUCH_VARIABLE", "url_file": None, "url": None})
    )
    async with stage.begin() as one:
        await until(lambda: "ops" in one.couriers)
        assert stage.told == [("alert", "ops", "", "unusable", "$NO_SUCH_VARIABLE is not set")]
        assert one.shown()["receivers"][0]["trouble"] == "$NO_SUCH_VARIABLE is not set"


async def test_a_test_says_what_each_receiver_answered() -> None:
    async with listening() as server:
        stage = Stage(webhook("ops", server.url), webhook("dead", "http://127.0.0.1:9/"))
        async with stage.begin() as one:
            await until(lambda: "ops" in one.couriers)
            good, bad = await one.test("")
            assert (good["receiver"], good["ok"], good["said"]) == ("ops", True, "200 ok")
            assert (bad["receiver"], bad["ok"]) == ("dead", False)
            assert whats(server) == ["test"]
            assert [found["receiver"] for found in await one.test("ops")] == ["ops"]
            assert await one.test("nobody") == []


async def test_G6_what_is_to_go_from_a_store_that_takes_nothing_is_bounded_and_nothing_alive_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(herald, "MOST_GONE", 50)
    stage = Stage()
    one = herald.Herald(stage.node)
    stage.store.broken = True
    message = words.Message("m", "i", "ns1", "firing", "pool/edges", "warning", 1.0, 1.0, "title", "text")
    for at in range(300):
        one.outbox.put("ops", replace(message, id=f"m{at}", incident=f"i{at}"), 1.0)
        await one._keep()
        if at % 100:  # some stay
            one.outbox.sent(next(letter for letter in one.outbox if letter.id == f"m{at}"))
            await one._keep()
        assert len(one._unkept) <= 50 + 3
    stage.store.broken = False
    await one._keep()
    assert set(await stage.store.papers()) == {(outbox.KIND, f"m{at}") for at in (0, 100, 200)}
