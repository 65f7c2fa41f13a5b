"""Other people's tools read what a running node shows: promtool its metrics and rules, fstrm and dnstap its answers."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.node import running, test_node

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "examples" / "monitoring"
PLAY = test_node.PLAY
WATCHED = "workers: 2, query_log: {{path: queries.json, sample: 100%}}, dnstap: {{tcp: '127.0.0.1:PORT'}}"
QUESTIONS = 21_000


def promtool(*arguments: str, text: str = "") -> str:
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def test_the_alert_rules_are_right_and_say_what_they_should() -> None:
    promtool("check", "rules", str(MONITORING / "gtm.rules.yml"))
    assert "SUCCESS" in promtool("test", "rules", str(MONITORING / "gtm.rules.test.yml"))


def test_the_scrape_example_is_right(tmp_path: Path) -> None:
    for name in ("prometheus.yml", "gtm.rules.yml"):
        (tmp_path / name).write_text((MONITORING / name).read_text())
    (tmp_path / "gtm-viewer.token").write_text("secret")
    promtool("check", "config", str(tmp_path / "prometheus.yml"))


@contextlib.asynccontextmanager
async def capture(folder: Path, port: int) -> AsyncIterator[Path]:
    """Run fstrm_capture, and yield the file that it writes."""
    out = folder / "out.fstrm"
    process = await asyncio.create_subprocess_exec(
        "fstrm_capture", "-t", "protobuf:dnstap.Dnstap", "-a", "127.0.0.1", "-p", str(port), "-w", str(out)
    )
    try:
        yield out
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_a_real_nodes_metrics_query_log_and_dnstap_are_read_by_other_peoples_tools(tmp_path: Path) -> None:
    port = free_port()
    config = test_node.CONFIG.replace("workers: 2", WATCHED.replace("PORT", str(port)))
    one, two = running.Edge(test_node.ONE), running.Edge(test_node.TWO)
    await one.start()
    await two.start(one.port)
    async with (
        capture(tmp_path, port) as out,
        running.node(config.format(folder=tmp_path, port=one.port), tmp_path) as node,
    ):
        await node.until(lambda: counter(node, "gtm_dnstap_connected"), lambda value: value == 1)
        unseen = await sampled(node)
        for number in range(50):
            await node.ask(PLAY, subnet="198.51.100.0/24" if number % 2 else "", tcp=number == 7)
        await flood(node, tmp_path)

        async def accounted() -> float:
            """What was sent, what was missed on the way here, and what the reader missed: of everything, two frames."""
            frames = await counter(node, "gtm_dnstap_frames_total") + await counter(node, "gtm_dnstap_dropped_total")
            return frames + 2 * await counter(node, "gtm_samples_lost_total")

        questions = await node.until(lambda: counter(node, "gtm_dns_queries_total"), lambda value: value >= QUESTIONS)
        counted = await node.until(accounted, lambda value: value >= 2 * (questions - unseen))
        assert counted <= 2 * await counter(node, "gtm_dns_queries_total")
        promtool("check", "metrics", text=await node.get("/metrics"))
        sent = await counter(node, "gtm_dnstap_frames_total")
    shown = await asyncio.to_thread(read, out)
    assert len(shown) >= sent > 0
    assert {re.split(r"\s+", line)[2] for line in shown} == {"AQ", "AR"}
    assert any(f'"{PLAY}." IN A' in line and " TCP " in line for line in shown)
    await one.stop()
    await two.stop()


def read(path: Path) -> list[str]:
    return subprocess.run(
        ["dnstap-ldns", "-r", str(path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def counter(node: running.Node, name: str) -> float:
    """Return the sum of a metric over its labels."""
    text = await node.get("/metrics")
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


async def sampled(node: running.Node) -> int:
    """Ask until answers are looked at, which begins a second after the start; return how often was asked."""
    asked = 0

    async def look() -> float:
        nonlocal asked
        for _ in range(4):
            await node.ask(PLAY)
            asked += 1
        return await counter(node, "gtm_samples_total")

    await node.until(look, lambda value: value > 0)
    return asked


async def flood(node: running.Node, folder: Path) -> None:
    """Ask much with dnsperf; nothing may be lost by those who ask."""
    (folder / "questions").write_text(f"{PLAY} A\n{PLAY} AAAA\nwww.live.example.com A\n")
    process = await asyncio.create_subprocess_exec(
        "dnsperf", "-s", node.dns[0], "-p", str(node.dns[1]), "-d", str(folder / "questions"), "-c", "20",
        "-n", str(QUESTIONS // 3), "-l", "20", "-Q", "10000", stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert b"Queries lost:         0 " in out, out.decode()
