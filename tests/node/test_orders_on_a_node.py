"""Orders on a whole running node, the way an operator gives them: what docs/operations.md says, typed and looked at."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
from pathlib import Path
from typing import Any

from tests.node import running
from tests.node.test_black_box import gtm

OPERATIONS = running.ROOT / "docs/operations.md"
CONFIG = """
node: ns1
dns: {{listen: ["127.0.0.1:0"], workers: 2}}
web: {{listen: "127.0.0.1:0"}}
store: sqlite://{folder}/gtm.db
orders: {{default_for: 4h, keep_up: {{pool: 1, site: 1}}}}
endpoints:
  fra-1: {{address: 192.0.2.11, site: fra}}
  fra-2: {{address: 192.0.2.12, site: fra}}
  ams-1: {{address: 192.0.2.13, site: ams}}
pools:
  eu: {{members: [fra-1, fra-2, ams-1], answers: 1, check: none}}
sites: {{fra: {{}}, ams: {{}}}}
zones:
  live.example.com:
    nameservers: {{ns1: [127.0.0.1]}}
    steer:
      play: {{try: [eu], ttl: 1s}}
"""
PLAY = "play.live.example.com"


def examples() -> list[tuple[list[str], str]]:
    """Return the commands of the section on drains and safety, each with its comment."""
    section = OPERATIONS.read_text().partition("### Drains and safety")[2].partition("\n## ")[0]
    lines = [line.strip().partition("#") for line in section.splitlines() if line.startswith("    gtm ")]
    return [(shlex.split(words)[1:], comment.strip()) for words, _, comment in lines]


async def test_D3_what_the_guide_to_drains_tells_to_type_does_what_it_says(tmp_path: Path) -> None:
    assert len(examples()) >= 7
    async with running.node(CONFIG.format(folder=tmp_path), tmp_path) as node:
        for words, comment in examples():
            begun = asyncio.get_running_loop().time()
            code, said, complaint = await gtm(node, *words, "--json")
            assert code == int(comment.startswith("refused")), (words, said, complaint)
            if code:
                assert comment.partition(": ")[2] in complaint
                assert "--break-glass" in complaint
            if "--wait" in words:
                assert said["order"]["safe"]
                assert asyncio.get_running_loop().time() - begun >= 1  # the TTL
                assert "192.0.2.11" not in await node.answers(PLAY)
            if "--dry-run" in words:
                assert said["dry_run"] is True
                assert {"endpoints", "names", "names_total", "share", "refused"} <= set(said)
        assert (await node.get("/api/v1/orders"))["orders"] == []
        told = [(one["subject"], one["before"], one["after"]) for one in (await node.get("/api/v1/events"))["events"]]
        assert [one for one in told if "fra" in one[0]] == [
            ("fra-1", "", "drain"), ("site:fra", "", "refused"), ("site:fra", "", "drain"),
            ("fra-1", "drain", ""), ("site:fra", "drain", ""),
        ]  # fmt: skip


async def test_of_two_drains_at_once_that_would_empty_a_site_one_is_refused(tmp_path: Path) -> None:
    async with running.node(CONFIG.format(folder=tmp_path), tmp_path) as node:
        body = {"order": "drain", "why": "race"}
        both = await asyncio.gather(
            *(node.post("/api/v1/orders", body | {"target": target}) for target in ("fra-1", "fra-2"))
        )
        assert sorted(status for status, _ in both) == [201, 409]
        refused = next(said for status, said in both if status == 409)
        assert refused["error"]["code"] == "below-floor"
        assert len(await node.answers(PLAY, times=30)) == 2


async def test_D3_a_proof_survives_the_death_of_the_control_process(tmp_path: Path) -> None:
    async with running.node(CONFIG.format(folder=tmp_path).replace("ttl: 1s", "ttl: 60s"), tmp_path) as node:
        _, given = await node.post("/api/v1/orders", {"target": "fra-1", "order": "drain"})
        assert (given["order"]["until"] - given["order"]["at"], given["order"]["safe"]) == (4 * 3600, False)

        async def control() -> int:
            found = (await node.get("/api/v1/status"))["processes"]
            return int(next(one["pid"] for one in found if one["role"] == "control"))

        old = await control()
        os.kill(old, signal.SIGKILL)
        node.web = (await _web_again(node))[1]
        (order,) = (await node.get("/api/v1/orders"))["orders"]
        assert await control() != old
        assert order["safe_at"] == given["order"]["safe_at"]
        assert "192.0.2.11" not in await node.answers(PLAY)


async def _web_again(node: running.Node) -> re.Match[str]:
    """Wait for the second time that the web is said to be there."""

    async def said() -> list[Any]:
        return [found for line in node.said if (found := re.search(r"web on (http://\S+)/", line))]

    found: list[re.Match[str]] = await node.until(said, lambda lines: len(lines) > 1)
    return found[1]
