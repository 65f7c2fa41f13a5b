"""ACME challenges on a running node: what docs/operations.md says, typed and looked at; ends, limits, restarts."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gtm import errors, events, seen
from gtm.app import challenges
from gtm.store import memory
from gtm.web import node as desk
from tests.node import running
from tests.node.test_black_box import gtm

OPERATIONS = running.ROOT / "docs/operations.md"
CONFIG = """
node: ns1
dns: {{listen: ["127.0.0.1:0"], workers: 2}}
web: {{listen: "127.0.0.1:0"}}
store: sqlite://{folder}/gtm.db
endpoints: {{fra-1: {{address: 192.0.2.11}}}}
pools: {{eu: {{members: [fra-1], check: none}}}}
zones:
  live.example.com:
    nameservers: {{ns1: [127.0.0.1]}}
    steer: {{"@": eu, "*": eu}}
"""
ZONE = "live.example.com"
WHERE = f"_acme-challenge.{ZONE}"


def commands() -> list[tuple[list[str], str]]:
    """Return the `gtm` commands of the section on certificates, each with its comment."""
    section = OPERATIONS.read_text().partition("### Certificates by ACME")[2].partition("\n## ")[0]
    lines = [line.strip().partition("#") for line in section.splitlines() if line.startswith("    gtm acme")]
    return [(shlex.split(words)[1:], comment.strip()) for words, _, comment in lines]


async def test_what_the_guide_to_certificates_tells_to_type_does_what_it_says(tmp_path: Path) -> None:
    assert len(commands()) >= 4
    async with running.node(CONFIG.format(folder=tmp_path), tmp_path) as node:
        for words, comment in commands():
            code, _, complaint = await gtm(node, *words)
            assert code == int(comment.startswith("refused")), (words, complaint)
            name = words[2].removeprefix("*.") if len(words) > 2 else ZONE
            found = await node.answers(f"_acme-challenge.{name}", "TXT") if name.endswith(ZONE) else set()
            if words[1] == "set" and not code:
                assert f'"{words[3]}"' in found
            if words[1] == "clear":
                assert words[2:3] != [ZONE] or found == ({'"second-token"'} if len(words) > 3 else set())
            assert await node.answers(ZONE) == {"192.0.2.11"}
        told = [one for one in (await node.get("/api/v1/events"))["events"] if one["subject"].startswith("_acme")]
        assert {(one["before"], one["after"]) for one in told} >= {("", "challenge"), ("challenge", "")}


async def test_challenges_survive_a_reload_and_the_death_of_the_control_process_and_end_by_themselves(
    tmp_path: Path,
) -> None:
    async with running.node(CONFIG.format(folder=tmp_path), tmp_path) as node:
        assert (await node.post("/api/v1/acme", {"name": ZONE, "value": "long"}))[0] == 201
        assert (await node.post("/api/v1/acme", {"name": f"x.{ZONE}", "value": "other", "for_s": 600}))[0] == 201
        node.path.write_text(node.path.read_text().replace("192.0.2.11", "192.0.2.12"))
        assert (await node.post("/api/v1/reload", {"yes": True}))[0] == 200
        assert await node.answers(WHERE, "TXT") == {'"long"'}
        assert await node.answers(f"x.{ZONE}") == {"192.0.2.12"}
        pids = (await node.get("/api/v1/status"))["processes"]
        os.kill(next(one["pid"] for one in pids if one["role"] == "control"), signal.SIGKILL)
        assert await node.answers(WHERE, "TXT") == {'"long"'}  # the workers need nobody
        node.said.clear()
        node.web = (await node.said_line(r"web on (http://\S+)/"))[1]
        held = (await node.get("/api/v1/acme"))["challenges"]
        assert [(one["value"], one["by"], one["problem"]) for one in held] == [
            ("long", "loopback", ""), ("other", "loopback", ""),
        ]  # fmt: skip
        assert (await node.post("/api/v1/acme", {"name": ZONE, "value": "short", "for_s": 0.3}))[0] == 201
        assert await node.answers(WHERE, "TXT") == {'"long"', '"short"'}
        await node.until(lambda: node.answers(WHERE, "TXT"), lambda found: found == {'"long"'})
        assert await node.answers(f"_acme-challenge.x.{ZONE}", "TXT") == {'"other"'}
        status, said = await node.post("/api/v1/acme", {"name": "example.net", "value": "x"})
        assert (status, said["error"]["code"]) == (409, "refused")
    with sqlite3.connect(tmp_path / "gtm.db") as db:
        papers = db.execute("SELECT count(*) FROM papers WHERE kind = 'acme'").fetchone()
    db.close()
    assert papers == (2,)


# --- the keeper alone ---


class Told:
    """What the keeper told: challenges to the brain, events to people."""

    def __init__(self) -> None:
        self.brain, self.store = Over(), memory.MemoryStore(now=time.time)
        self.in_charge = asyncio.Event()
        self.in_charge.set()
        self.now: tuple[seen.Challenge, ...] = ()
        self.events: list[tuple[str, ...]] = []

    def feed(self, change: events.Change) -> None:
        assert isinstance(change, events.ChallengesCame)
        self.now = change.challenges

    def happened(self, *what: str) -> None:
        self.events.append(what)


class Broken(memory.MemoryStore):
    """A store whose disk is gone."""

    async def papers(self) -> dict[tuple[str, str], str]:
        raise errors.StoreError("gone")

    async def keep_papers(self, changes: object) -> None:
        raise errors.StoreError("gone")


class Over:
    """A brain that knows of one zone."""

    def why_not(self, owner: bytes) -> str:
        return "" if b"ours" in owner else "no zone"

    @property
    def overlay(self) -> Over:
        return self


def keeper(told: Told, store: memory.MemoryStore | None = None) -> challenges.Challenges:
    told.store = store or memory.MemoryStore(now=time.time)
    return challenges.Challenges(told)  # type: ignore[arg-type]  # its brain has nothing but an overlay


async def refused(job: Callable[[], Awaitable[object]]) -> desk.Refused:
    with pytest.raises(desk.Refused) as caught:
        await job()
    return caught.value


async def test_a_domain_is_named_in_any_of_the_ways_that_clients_know() -> None:
    for name in ("ours.example", "OURS.example.", "*.ours.example", "_acme-challenge.ours.example"):
        assert challenges.owner(name) == "_acme-challenge.ours.example."
    for bad in ("a..b", "x" * 64 + ".example", "ö.example"):
        with pytest.raises(desk.Refused):
            challenges.owner(bad)


async def test_G6_there_is_an_end_to_how_many_are_held_and_what_is_refused_is_written_down() -> None:
    told = Told()
    one = keeper(told)
    for number in range(challenges.MOST_A_NAME):
        await one.put("ours.example", f"v{number}", 60, "test")
    assert (await refused(lambda: one.put("ours.example", "more", 60, "test"))).code == "refused"
    again = await one.put("ours.example", "v0", 0, "test")  # which is there already: it lasts longer now
    assert again.until - again.at == challenges.DEFAULT_S
    for number in range(challenges.MOST - challenges.MOST_A_NAME):
        await one.put(f"n{number}.ours.example", "v", 1e9, "test")
    assert max(held.until - held.at for held in one.all()) == challenges.LONGEST_S
    assert (await refused(lambda: one.put("last.ours.example", "v", 60, "test"))).hint
    for value in ("", "x" * 256, "a\nb", "ö"):
        assert (await refused(lambda value=value: one.put("new.ours.example", value, 60, "test"))).code == "bad-value"  # type: ignore[misc]
    assert "no zone" in str(await refused(lambda: one.put("foreign.example", "v", 60, "test")))
    assert len(told.now) == len(one.all()) == challenges.MOST
    assert sum(what[3] == "refused" for what in told.events) == 7
    assert [held.value for held in await one.drop("ours.example", "v3", "test")] == ["v3"]
    assert len(await one.drop("ours.example", "", "test")) == challenges.MOST_A_NAME - 1
    assert await one.drop("ours.example", "", "test") == []
    one.close()


async def test_what_the_store_holds_is_taken_up_again_but_not_what_has_run_out() -> None:
    store, told = memory.MemoryStore(now=time.time), Told()
    first = keeper(told, store)
    await first.put("ours.example", "long", 60, "test")
    await first.put("ours.example", "short", 0.02, "test")
    first.close()
    await store.keep_papers({("acme", "rubbish"): "{", ("safe", "other"): "1.0"})
    await asyncio.sleep(0.03)
    second = keeper(told, store)
    await second.recall()
    assert [one.value for one in told.now] == ["long"]
    assert dict(list(await store.papers())) == {
        "acme": "_acme-challenge.ours.example. long",
        "safe": "other",
    }
    told.in_charge.clear()
    await store.keep_papers({("acme", "rubbish"): "{"})
    await second.recall()
    assert ("acme", "rubbish") in await store.papers()  # on trial nothing is written
    told.in_charge.set()
    new = memory.MemoryStore(now=time.time)
    told.store = new
    await second.returned(begun_anew=True)
    assert len(await new.papers()) == 1
    second.close()


async def test_G5_without_a_store_nothing_new_is_promised_and_nothing_old_is_kept_on() -> None:
    told = Told()
    one = keeper(told, Broken(now=time.time))
    await one.recall()
    with pytest.raises(errors.StoreError):
        await one.put("ours.example", "v", 60, "test")
    assert one.all() == []
    told.store = memory.MemoryStore(now=time.time)
    await one.put("ours.example", "v", 60, "test")
    told.store = Broken(now=time.time)
    assert len(await one.drop("ours.example", "", "test")) == 1
    assert told.now == ()
    one.close()
