"""A real Alertmanager and a real SMTP server get what they should, once, though the control process is killed twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.node import running
from tests.node.test_node import CONFIG, ONE, TWO
from tests.notify import mailing, receiving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ALERTMANAGER = """
route: {{receiver: people, group_by: ["..."], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers: [{{name: people, webhook_configs: [{{url: "{url}/people", send_resolved: true}}]}}]
"""
ALERTS = """
alerts:
  - {{kind: alertmanager, url: "http://127.0.0.1:{manager}", on: [endpoint, pool, name]}}
  - {{kind: email, server: localhost, port: {mail}, ca: {folder}/ca.pem, from: gtm@example.com, to: ops@example.com,
      on: [endpoint, pool, name]}}
  - {{kind: webhook, url: "{url}/hook", on: [endpoint, pool, name]}}
"""
QUIET_S = 5.0  # longer than anything that would still come needs


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def alertmanager(folder: Path, port: int, url: str) -> AsyncIterator[str]:
    (folder / "alertmanager.yml").write_text(ALERTMANAGER.format(url=url))
    process = await asyncio.create_subprocess_exec(
        "prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/manager",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=error",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}/api/v2/alerts"
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def alerts_at(http: aiohttp.ClientSession, url: str) -> list[dict[str, Any]]:
    """Return the alerts that the Alertmanager holds to be active."""
    try:
        async with http.get(url) as reply:
            found: list[dict[str, Any]] = await reply.json() if reply.status == 200 else []
            return [one for one in found if one["status"]["state"] == "active"]
    except aiohttp.ClientError:
        return []


async def kill(node: running.Node) -> None:
    """Kill the control process, and wait for the next one."""
    status = await node.get("/api/v1/status")
    node.said.clear()
    os.kill(next(row["pid"] for row in status["processes"] if row["role"] == "control"), signal.SIGKILL)
    node.web = (await node.said_line(r"web on (http://\S+)/"))[1]
    await node.until(lambda: running._status(node, "/readyz"), lambda status: status == 200)


def settled(seen: dict[str, Any], waiting: int) -> bool:
    """Say whether so many messages wait, and that is written: what is taken in the moment of a crash comes twice."""
    return (seen["waiting"], seen["unwritten"]) == (waiting, 0)


async def value(of: Any) -> Any:
    return of


async def test_each_receiver_gets_each_message_once_though_the_control_process_is_killed(tmp_path: Path) -> None:
    server = await receiving.Receiver().start()
    server.status = 503
    one, two = running.Edge(ONE), running.Edge(TWO)
    await one.start()
    await two.start(one.port)
    mail, manager, edge = free_port(), free_port(), one.port
    # Slower looks than the other tests': a busy machine that misses a tenth of a second is no news for anybody.
    config = CONFIG.replace("every: 200ms, timeout: 100ms", "every: 3s, timeout: 2500ms")
    text = config.format(folder=tmp_path, port=one.port)
    text += ALERTS.format(folder=tmp_path, mail=mail, manager=manager, url=server.url)

    def hooked() -> list[str]:
        return [body["what"] for path, _, body in server.got if path == "/hook" and body is not None]

    def told() -> list[str]:
        return [body["status"] for path, _, body in server.got if path == "/people"]

    # The mail server's certificate is made when it starts: until then there is none to trust, and nobody to talk to.
    async with running.node(text, tmp_path) as node:
        await one.stop()
        waiting = await node.until(lambda: node.get("/api/v1/alerts"), lambda seen: settled(seen, 3))
        assert {letter["what"] for letter in waiting["outbox"]} == {"firing"}
        await kill(node)
        again = await node.until(lambda: node.get("/api/v1/alerts"), lambda seen: settled(seen, 3))
        assert sorted(letter["id"] for letter in again["outbox"]) == sorted(one["id"] for one in waiting["outbox"])
        server.got.clear()
        server.status = 200
        async with mailing.mailbox(tmp_path, port=mail) as box, alertmanager(tmp_path, manager, server.url) as url:
            await node.until(lambda: node.get("/api/v1/alerts"), lambda seen: settled(seen, 0))
            (alert,) = await node.until(lambda: alerts_at(node.http, url), lambda seen: len(seen) == 1)
            assert alert["labels"]["group"] == "pool:edges"
            assert "one is down" in alert["annotations"]["summary"]
            await node.until(lambda: value(told()), lambda seen: seen == ["firing"])
            await kill(node)
            await asyncio.sleep(QUIET_S)  # that nothing comes can only be seen by waiting for it
            assert (len(box.mails), hooked(), told()) == (1, ["firing"], ["firing"])
            assert len(await alerts_at(node.http, url)) == 1
            node.said.clear()
            assert (await node.post("/api/v1/replace", {"within_s": 60}))[0] == 200
            node.web = (await node.said_line(r"web on (http://\S+)/"))[1]
            await asyncio.sleep(QUIET_S)
            assert (len(box.mails), hooked(), told()) == (1, ["firing"], ["firing"]), "nor does another version"
            back = running.Edge(ONE)
            await back.start(edge)
            await node.until(
                lambda: value((len(box.mails), hooked())), lambda seen: seen == (2, ["firing", "resolved"])
            )
            await node.until(lambda: alerts_at(node.http, url), lambda seen: seen == [])
            await node.until(lambda: value(told()), lambda seen: seen == ["firing", "resolved"])
            await node.until(lambda: node.get("/api/v1/alerts"), lambda seen: settled(seen, 0))
            await kill(node)
            await asyncio.sleep(QUIET_S)
            assert (len(box.mails), hooked(), told()) == (2, ["firing", "resolved"], ["firing", "resolved"])
            await back.stop()
    first, last = box.mails
    assert "one is down" in first["Subject"]
    assert "RESOLVED" in last["Subject"]
    assert first["References"] == last["References"]
    await server.stop()
    await two.stop()
