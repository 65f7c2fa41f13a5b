"""A node that starts without its configuration or its store answers what it answered last, and says so."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gtm import errors, model
from gtm.app import last
from gtm.serve import journal
from tests.node import running
from tests.node.test_node import CONFIG, ONE, PLAY, TWO

SETTINGS = last.Settings(
    "/etc/gtm/gtm.yaml", "ns1", "abc", (("127.0.0.1", 53), ("::1", 53)), 2, (9, 8, 7.0), (5.0, 2), ("::1", 8053),
    (model.Token("ops", "operator", "OPS"),),
)  # fmt: skip


@contextlib.asynccontextmanager
async def after_a_crash(folder: Path) -> AsyncIterator[running.Edge]:
    """Run a node, let edge `one` die, wait until that is kept, kill everything."""
    one, two = running.Edge(ONE), running.Edge(TWO)
    await one.start()
    await two.start(one.port)
    try:
        async with running.node(CONFIG.format(folder=folder, port=one.port), folder) as node:
            port = one.port
            await one.stop()
            await node.until(lambda: node.answers(PLAY), lambda seen: seen == {TWO})

            async def kept() -> bool:
                found = last.find(str(node.path))
                return found is not None and b"\x7f\x00\x00\x0b" not in b"".join(
                    reply.body for ring in found.table().rings if ring.slots for reply in ring.replies
                )

            await node.until(kept, bool)
            node.process.kill()
            await node.process.wait()
        one = running.Edge(ONE)
        one.port = port
        yield one
    finally:
        await two.stop()


async def started(node: running.Node) -> None:
    node.web = (await node.said_line(r"web on (http://\S+)/"))[1]
    host, _, port = (await node.get("/api/v1/status"))["listen"]["dns"][0].rpartition(":")
    node.dns = host, int(port)


async def test_G2_a_node_with_a_broken_configuration_answers_its_last_table_and_says_how_old_it_is(
    tmp_path: Path,
) -> None:
    async with after_a_crash(tmp_path) as one:
        good = (tmp_path / "gtm.yaml").read_text()
        async with running.node(good.replace("[edges]", "[edgse]"), tmp_path, ready=False) as node:
            await started(node)
            await node.until(lambda: node.answers(PLAY), lambda seen: seen == {TWO})
            status = await node.get("/api/v1/status")
            assert not status["config"]["accepted"]
            assert "edgse" in str(status["problems"])
            assert 0 < status["last_table"]["age_s"] < 120
            async with node.http.get(f"{node.web}/readyz") as reply:
                assert reply.status == 503
                assert "only the last table is answered" in await reply.text()
            metrics = await node.get("/metrics")
            age = next(line for line in metrics.splitlines() if line.startswith("gtm_table_age_seconds "))
            assert 0 < float(age.split()[1]) < 120
            said = [row["after"] for row in (await node.get("/api/v1/events"))["events"]]
            assert said == ["refused", "in force"]
            assert (await node.get(f"/api/v1/explain?name={PLAY}"))["answers"] == [TWO]
            headline = (await node.get("/api/v1/board"))["summary"]["headline"]
            assert headline["text"] == "The configuration is refused: what is answered is the last table of before."
            assert headline["since"] == status["last_table"]["at"]
            for path in ("/", "/api/v1/names", "/api/v1/orders"):
                assert await node.get(path)
            status_code, _ = await node.post("/api/v1/orders", {"target": "two", "order": "drain"})
            assert status_code == 503

            node.process.send_signal(signal.SIGHUP)  # still broken
            await node.said_line("reload by SIGHUP")
            assert await node.answers(PLAY) == {TWO}

            node.path.write_text(good)
            await one.start(one.port)
            status_code, body = await node.post("/api/v1/reload", {})
            assert (status_code, body["accepted"]) == (200, True)
            await node.until(lambda: node.answers(PLAY), lambda seen: seen == {ONE, TWO})
        await one.stop()


async def test_A1_a_node_whose_store_is_corrupt_does_not_hand_out_the_dead_edge_again(tmp_path: Path) -> None:
    async with after_a_crash(tmp_path):
        for name in ("gtm.db", "gtm.db-wal", "gtm.db-shm"):
            (tmp_path / name).write_bytes(b"not a database at all")
        async with running.node((tmp_path / "gtm.yaml").read_text(), tmp_path, ready=False) as node:
            await started(node)
            seen: set[str] = set()
            while await running._status(node, "/readyz") != 200:
                seen |= await node.answers(PLAY, times=3)
            seen |= await node.answers(PLAY)
            assert seen == {TWO}
            await node.said_line("last table:  -> in force")


async def test_A1_a_node_that_is_killed_in_the_moment_after_a_death_remembers_it(tmp_path: Path) -> None:
    one, two = running.Edge(ONE), running.Edge(TWO)
    await one.start()
    await two.start(one.port)
    text = CONFIG.format(folder=tmp_path, port=one.port)
    async with running.node(text, tmp_path) as node:
        await one.stop()
        await node.until(lambda: node.answers(PLAY), lambda seen: seen == {TWO})
        await asyncio.sleep(0.3)  # the disk has this long
        node.process.kill()
        await node.process.wait()
    async with running.node(text, tmp_path, ready=False) as node:
        await started(node)
        seen: set[str] = set()
        while await running._status(node, "/readyz") != 200:
            seen |= await node.answers(PLAY, times=3)
        assert seen | await node.answers(PLAY) == {TWO}
    await two.stop()


def records() -> bytes:
    return journal.Writer(b"table", 3).copy()()


def test_what_is_written_is_read_again_and_anything_damaged_is_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / last.NAME)
    assert last.read(path) is None
    last.write(path, SETTINGS, records())
    found = last.read(path)
    assert found is not None
    assert (found.settings, list(journal.records(found.kept))) == (SETTINGS, [(journal.TABLE, 3, b"table")])
    with pytest.raises(errors.TableError):
        found.table()
    whole = Path(path).read_bytes()
    for cut in range(0, len(whole), 7):
        Path(path).write_bytes(whole[:cut])
        assert last.read(path) is None
    Path(path).write_bytes(whole.replace(b"ns1", b"ns2"))
    assert last.read(path) is None


def test_the_file_is_looked_for_where_even_a_broken_configuration_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    config = tmp_path / "gtm.yaml"
    (tmp_path / "state").mkdir()
    config.write_text(f"store: sqlite://{tmp_path}/state/gtm.db  # here\nzones: [")
    settings = last.Settings(str(config), *tuple(getattr(SETTINGS, name) for name in last.Settings.__slots__[1:]))
    last.write(str(tmp_path / "state" / last.NAME), settings, records())
    assert last.find(str(config)) is not None
    assert last.find(str(tmp_path / "other.yaml")) is None
    assert last.folder("memory:") is None
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert last.folder("memory:") is None
    assert last.folder("sqlite:///elsewhere/gtm.db") == tmp_path
    assert last.find(str(config)) is None
    last.write(str(tmp_path / last.NAME), settings, records())
    assert last.find(str(config)) is not None


async def test_a_disk_that_takes_nothing_is_told_once_and_again_when_it_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last, "GATHER_S", 0.0)
    monkeypatch.setattr(last, "CONFIRM_S", 0.02)
    said: asyncio.Queue[str] = asyncio.Queue()
    writer = journal.Writer(b"table", 3)
    folder = tmp_path / "later"
    keeper = last.Keeper(str(folder / last.NAME), writer.copy, said.put_nowait)
    keeper.changed(SETTINGS)
    async with asyncio.timeout(10):
        assert "cannot be written: No such file" in await said.get()
        folder.mkdir()
        assert await said.get() == ""
    writer.rings(b"rings", 4)
    keeper.changed(SETTINGS)
    await keeper.close()
    found = last.read(str(folder / last.NAME))
    assert found is not None
    assert [body for *_, body in journal.records(found.kept)] == [b"table", b"rings"]


def test_G2_a_last_table_of_the_packed_form_before_is_read() -> None:
    vectors = Path(__file__).resolve().parents[1] / "vectors"
    writer = journal.Writer(bytes.fromhex((vectors / "table-version-1.hex").read_text()), 7)
    kept = writer.copy()()
    writer.close()
    assert last.Last("last.table", SETTINGS, 0.0, kept).table().revision == 7
