"""A node is replaced by another version of itself under a stream of questions, or is not when that is no good."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import gtm
from tests.node import exec_reload, running, stream
from tests.node.test_node import CONFIG, ONE, PLAY, TWO

GTM = Path(__file__).resolve().parents[2] / "gtm"


class Installed:
    """A folder with GTM in it, and in which another version may be put."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "installed"
        self.path.mkdir()
        # Not the working tree itself: what is edited or merged there meanwhile would be the version that is tried.
        # What is compiled comes along, or each version would be compiled by each of its processes.
        self._whole = folder / "whole"
        shutil.copytree(GTM, self._whole)
        (self.path / "gtm").symlink_to(self._whole)

    def put(self, file: str, text: str, instead_of: str) -> None:
        """Install a version in which one file differs."""
        copy = self.path / f"next-{len(list(self.path.iterdir()))}"
        whole = (self._whole / file).read_text()
        assert instead_of in whole
        shutil.copytree(self._whole, copy)
        (copy / file).unlink()
        (copy / file).write_text(whole.replace(instead_of, text))
        (self.path / "gtm").unlink()
        (self.path / "gtm").symlink_to(copy)


@contextlib.asynccontextmanager
async def world(folder: Path, **environment: str) -> AsyncIterator[tuple[running.Node, running.Edge, Installed]]:
    one, two = running.Edge(ONE), running.Edge(TWO)
    await one.start()
    await two.start(one.port)
    installed = Installed(folder)
    try:
        text = CONFIG.format(folder=folder, port=one.port)
        async with running.node(text, folder, environment={"PYTHONPATH": str(installed.path), **environment}) as node:
            yield node, one, installed
    finally:
        await one.stop()
        await two.stop()


async def workers(node: running.Node) -> set[int]:
    found = await node.get("/api/v1/status")
    return {one["pid"] for one in found["processes"] if one["role"] != "supervisor"}


async def found_again(node: running.Node) -> None:
    """The web's port is another one after a replacement, for it is 0 in the configuration.

    What was said before must be forgotten before the replacement: the new one may speak before its answer is read.
    """
    node.web = (await node.said_line(r"web on (http://\S+)/"))[1]


async def test_G12_a_node_is_replaced_without_a_lost_question_and_forgets_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as (node, one, _):
        await one.stop()
        await node.until(lambda: node.answers(PLAY), lambda seen: seen == {TWO})
        status, _ = await node.post("/api/v1/orders", {"target": "one", "order": "drain"})
        assert status == 201
        before = await workers(node)
        async with stream.asking(node.dns, PLAY, 400) as asked:
            for _ in range(2):
                node.said.clear()
                status, body = await node.post("/api/v1/replace", {"within_s": 20})
                assert (status, body) == (200, {"replaced": True})
                await found_again(node)
        assert (asked.sent, asked.answers()) == ({}, {TWO})
        assert asked.silence_s < 0.2  # a shared machine; tests/slow measures
        assert not before & await workers(node)
        assert len((await node.get("/api/v1/orders"))["orders"]) == 1
        assert node.process.returncode is None
        said = [row["after"] for row in (await node.get("/api/v1/events"))["events"] if row["kind"] == "node"]
        assert said.count("replaced") == 2
        node.process.send_signal(signal.SIGHUP)  # the supervisor is another program, and obeys
        await node.said_line("reloaded by SIGHUP")
        assert await node.answers(PLAY) == {TWO}


async def test_the_units_reload_lets_another_installed_version_take_over_or_says_why_it_does_not(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    async with world(tmp_path, RUNTIME_DIRECTORY=str(run)) as (node, _, installed):
        this, before = f'__version__ = "{gtm.__version__}"', await workers(node)
        assert await exec_reload.of(node, run, installed.path) == (0, "")
        assert await workers(node) == before, "the version that runs is the one that is installed"
        fails = 'import os\n\n__version__ = "98.0"\nif "GTM_TRIAL" in os.environ:\n    raise SystemExit(9)'
        installed.put("__init__.py", fails, this)
        async with stream.asking(node.dns, PLAY, 200) as asked:
            status, said = await exec_reload.of(node, run, installed.path)
            assert status == 1
            assert said.startswith(f"gtm: gtm 98.0 does not take over, and {gtm.__version__} goes on: the new control ")
            assert "ended with status 9" in said
            node.path.write_text(node.path.read_text().replace("steer:", "stear:"))
            status, said = await exec_reload.of(node, run, installed.path)
            assert (status, "configuration was refused" in said) == (1, True)
            assert await workers(node) == before
            node.path.write_text(node.path.read_text().replace("stear:", "steer:"))
            installed.put("__init__.py", '__version__ = "99.0"', this)
            node.said.clear()
            assert await exec_reload.of(node, run, installed.path) == (0, "")
            await found_again(node)
        assert (asked.sent, asked.answers()) == ({}, {ONE, TWO})
        assert (await node.get("/api/v1/status"))["version"] == "99.0"
        assert not before & await workers(node)
        after = await workers(node)
        assert await exec_reload.of(node, run, installed.path) == (0, "")
        assert await workers(node) == after
        assert list(run.iterdir()) == []


# Each is a whole generation of processes more; the judge's case is the one that every change is held to.
@pytest.mark.parametrize(
    ("fault", "within_s", "why"),
    [
        pytest.param(
            ("app/node.py", "    async def start(self)", "    raise SystemExit(9)\n\n    async def start(self)"), 20,
            "the new control ended with status 9", marks=pytest.mark.slow,
        ),
        pytest.param(
            ("app/__main__.py", "    loaded = app.load", "    signal.pause()\n    loaded = app.load"), 1.5,
            "it was not ready within 1.5 s", marks=pytest.mark.slow,
        ),
        pytest.param(
            ("serve/worker.py", "    privileges.give_up()\n", "    signal.pause()\n"), 3,
            "it was not ready within 3 s", marks=pytest.mark.slow,
        ),
        pytest.param(
            ("serve/worker.py", "    privileges.give_up()\n", "    sys.exit(5)\n"), 20,
            "the new worker", marks=pytest.mark.slow,
        ),
        (("wire/compile.py", "ipaddress.ip_address(address).packed", "bytes([9, 9, 9, 9])"), 20,
         "was answered with NOERROR A 9.9.9.9"),
        pytest.param(
            ("serve/generation.py", "        return one\n", "        raise RuntimeError\n"), 20,
            "does not understand", marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
async def test_a_version_that_crashes_hangs_or_answers_wrongly_never_gets_the_sockets(
    tmp_path: Path, fault: tuple[str, str, str], within_s: float, why: str
) -> None:
    file, instead_of, text = fault
    async with world(tmp_path) as (node, _, installed):
        before = await workers(node)
        installed.put(file, text, instead_of)
        async with stream.asking(node.dns, PLAY, 200) as asked:
            status, body = await node.post("/api/v1/replace", {"within_s": within_s})
        assert status == 409
        assert why in body["error"]["message"]
        assert (asked.sent, asked.answers()) == ({}, {ONE, TWO})
        assert await workers(node) == before


@pytest.mark.slow
async def test_a_configuration_that_is_not_the_one_in_force_is_not_slipped_in(tmp_path: Path) -> None:
    async with world(tmp_path) as (node, *_):
        good = node.path.read_text()
        node.path.write_text(good.replace("ttl: 1s..5s", "ttl: 2s..5s"))
        status, body = await node.post("/api/v1/replace", {})
        assert (status, body["needs_yes"]) == (409, True)
        node.path.write_text(good.replace("[edges]", "[edgse]"))
        status, body = await node.post("/api/v1/replace", {"yes": True})
        assert (status, body["needs_yes"]) == (409, False)
        node.path.write_text(good.replace("ttl: 1s..5s", "ttl: 2s..5s"))
        node.process.send_signal(signal.SIGUSR2)
        await node.said_line("not replaced: the configuration on disk is not the one in force")
        status, body = await node.post("/api/v1/replace", {"yes": True})
        assert (status, body) == (200, {"replaced": True})
