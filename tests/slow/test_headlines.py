"""What is wrong with a real node itself is said beside the headline, with since when and why, until it is over."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.node import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CONFIG = """
node: ns1
dns: {{listen: ["127.0.0.1:0"], workers: 1, tls: {{listen: "127.0.0.1:0", certificate: chain.pem, key: key.pem}}}}
web:
  listen: "127.0.0.1:0"
  tokens: [{{name: ops, role: operator, secret_file: ops.token}}, {{name: w, role: viewer, secret_file: nowhere.token}}]
store: sqlite://{folder}/gtm.db
geo: {{databases: [gone.mmdb]}}
checks:
  told: {{kind: push, every: 1s, timeout: 500ms, fall: 1, rise: 1}}
endpoints:
  e1: {{address: 192.0.2.11}}
  e2: {{address: 192.0.2.12}}
pools:
  edge: {{members: [e1, e2], check: told}}
alerts:
  - {{name: pager, kind: exec, command: ["false"], on: [endpoint], hold: 0s}}
zones:
  live.example.com:
    nameservers: {{ns1: [127.0.0.1]}}
    steer: {{play: edge}}
"""
OPS = {"Authorization": "Bearer sesame"}


def write_certificate(folder: Path, days: float) -> None:
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    made = trustme.CA().issue_cert("dns.example.com", not_after=end)
    (folder / "key.pem").write_bytes(made.private_key_pem.bytes())
    made.cert_chain_pems[0].write_to_path(folder / "chain.pem")


async def test_what_is_wrong_with_the_node_itself_is_said_and_is_over_when_it_is(tmp_path: Path) -> None:
    write_certificate(tmp_path, days=3)
    (tmp_path / "ops.token").write_text("sesame")
    async with running.node(CONFIG.format(folder=tmp_path), tmp_path, ready=False) as node:
        node.web = (await node.said_line(r"web on (http://\S+)/"))[1]

        async def said() -> list[dict[str, Any]]:
            found = (await node.get("/api/v1/board"))["summary"]
            return [found["headline"], *found["also"]]

        async def until(words: str, there: bool = True) -> dict[str, Any]:
            def fits(sentences: list[dict[str, Any]]) -> bool:
                return any(words in one["text"] for one in sentences) == there

            found = await node.until(said, fits)
            return next((one for one in found if words in one["text"]), {})

        assert (await until("Not ready."))["why"][-1] == "."
        for name, ok in (("e1", True), ("e2", False)):
            news = {"ok": ok, "reason": "no picture", "valid_for_s": 60}
            async with node.http.post(f"{node.web}/api/v1/checks/told/{name}", json=news, headers=OPS) as response:
                assert response.status == 202
        down = await until("e2 is down")
        assert (down["why"], down["level"]) == ("no picture.", "warn")
        assert down["since"]
        certificate = await until("The certificate of DNS over TLS: it runs out in 3 days.")
        assert certificate["why"].startswith("Renew it")
        assert "gone.mmdb" in (await until("A geography database cannot be used"))["why"]
        assert "nowhere.token" in (await until("A secret or certificate of the configuration"))["why"]
        pager = await until("Alerts do not reach pager.")
        assert "exit code 1" in pager["why"]
        assert pager["since"]
        with contextlib.closing(sqlite3.connect(tmp_path / "gtm.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")  # somebody else holds the file
            store = await until("The store cannot be used")
            assert "locked" in store["why"]
            assert store["since"]
            other.execute("ROLLBACK")
        await until("The store cannot be used", there=False)
        page = await node.get("/")
        assert "The certificate of DNS over TLS: it runs out in 3 days." in page  # without a script, too
        async with node.http.get(node.web + "/api/v1/board", headers={"X-Forwarded-For": "203.0.113.9"}) as response:
            assert response.status == 401  # and nobody else sees it
