"""What the contracts promise, asked of a whole running node from outside: dig's questions, curl's, and gtm's own."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.edns
import dns.exception
import dns.message
import dns.rcode
import dns.rdataclass
import pytest
import pytest_asyncio

from tests import test_files
from tests.node import running

CONFIG = """
node: black-box
dns: {{listen: ["127.0.0.1:0"], workers: 2}}
web: {{listen: "127.0.0.1:0"}}
store: sqlite://{folder}/gtm.db
geo:
  databases: [city.mmdb]
  regions: {{office: [10.9.0.0/16]}}
flap: off
checks:
  told: {{kind: push, every: 1s, timeout: 500ms, fall: 1, rise: 1, on_stale: down}}
endpoints:
  e1: {{address: [192.0.2.11, "2001:db8:f::11"], site: fra}}
  e2: {{address: 192.0.2.12, site: fra}}
  u1: {{address: 198.51.100.11, site: nyc}}
  cdn: {{hostname: live.cdn.example.net., check: none}}
sites:
  fra: {{lat: 50.11, lon: 8.68}}
  nyc: {{lat: 40.71, lon: -74.01}}
pools:
  eu: {{members: {{e1: 3, e2: 1}}, answers: 1, check: told}}
  us: {{members: [u1], check: told}}
  cdn: {{members: [cdn]}}
  sticky: {{members: [e1, e2, u1], balance: sticky, answers: 1, check: told}}
  nearest: {{members: [e1, u1], balance: nearest, answers: 1, check: told}}
  manual: {{members: [e2], check: told, failback: manual}}
zones:
  live.example.com:
    nameservers: {{ns1: [127.0.0.1]}}
    hostmaster: ops@example.com
    records: {{"@": {{TXT: hello}}}}
    steer:
      geo: {{rules: [{{for: [office, EU], try: [eu, us]}}, {{try: [us, cdn]}}]}}
      sticky: sticky
      nearest: nearest
      manual: {{try: [manual, us]}}
      last: {{try: [eu], when_all_down: nodata}}
"""
ZONE = "live.example.com"
pytestmark = pytest.mark.asyncio(loop_scope="module")
CONTRACT_METRICS = {
    "gtm_dns_queries_total": {"transport", "qtype"},
    "gtm_dns_responses_total": {"rcode"},
    "gtm_dns_dropped_total": {"reason"},
    "gtm_steered_answers_total": {"name", "pool"},
    "gtm_answers_total": {"endpoint"},
    "gtm_answers_by_place_total": {"name", "place"},
    "gtm_endpoint_up": {"endpoint", "family"},
    "gtm_endpoint_weight": {"endpoint"},
    "gtm_pool_up": {"pool"},
    "gtm_pool_members_up": {"pool"},
    "gtm_probe_duration_seconds_count": {"kind"},
    "gtm_probes_total": {"kind", "result"},
    "gtm_check_measure": {"check", "endpoint", "measure"},
    "gtm_failover_seconds_count": set[str](),
    "gtm_config_reload_success": set[str](),
    "gtm_config_last_reload_timestamp_seconds": set[str](),
    "gtm_orders_active": set[str](),
    "gtm_events_total": {"kind"},
    "gtm_worker_restarts_total": set[str](),
    "gtm_build_info": {"version"},
}


def configuration(folder: Path) -> str:
    """Write the geography that the configuration names, and return the configuration."""
    test_files.database(
        folder / "city.mmdb",
        {
            "192.0.2.0/24": {"continent": {"code": "EU"}, "location": {"latitude": 50.1, "longitude": 8.6}},
            "198.51.100.0/24": {"continent": {"code": "NA"}, "location": {"latitude": 40.7, "longitude": -74.0}},
        },
    )
    return CONFIG.format(folder=folder)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running_node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[running.Node]:
    folder = tmp_path_factory.mktemp("black-box")
    async with running.node(configuration(folder), folder) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def node(running_node: running.Node) -> AsyncIterator[running.Node]:
    """Return the node that the tests share; after each it is as one without orders, and nothing is held back."""
    yield running_node
    for order in (await running_node.get("/api/v1/orders"))["orders"]:
        async with running_node.http.delete(f"{running_node.web}/api/v1/orders/{order['id']}") as reply:
            assert reply.status == 200


async def tell(node: running.Node, *endpoints: str, ok: bool = True, valid_for_s: float = 600) -> None:
    """Push a result for each endpoint."""
    for endpoint in endpoints:
        body = {"ok": ok, "reason": "said so", "valid_for_s": valid_for_s, "measures": {"load": 0.5}}
        status, said = await node.post(f"/api/v1/checks/told/{endpoint}", body)
        assert status == 202, said


async def gtm(node: running.Node, *words: str) -> tuple[int, Any, str]:
    """Run a `gtm` command against the node; return its exit status, its output (JSON read) and its complaints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gtm.cli.main", *words, env=os.environ | {"GTM_URL": node.web},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, complaints = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out) if "--json" in words and out else out.decode(), complaints.decode()


async def state(node: running.Node, endpoint: str) -> Any:
    rows = (await node.get("/api/v1/status"))["endpoints"]
    return next(row for row in rows if row["endpoint"] == endpoint)


def values(answer: dns.message.Message) -> set[str]:
    return {rdata.to_text() for rrset in answer.answer for rdata in rrset}


async def test_explain_says_what_dns_answers_whoever_asks_for_whatever(node: running.Node) -> None:
    subnets = (
        "192.0.2.0/24", "198.51.100.7/32", "203.0.113.0/24", "10.9.1.0/24", "10.8.1.0/24", "127.0.0.1/32",
        "2001:db8:e::/48", "fd00::/48", "0.0.0.0/0",
    )  # fmt: skip
    await tell(node, "e1", "e2", "u1")
    for name, rtype, subnet in itertools.product(("geo", "sticky", "nearest", "last"), ("A", "AAAA", "TXT"), subnets):
        answer = await node.ask(f"{name}.{ZONE}", rtype, subnet=subnet)
        (scope,) = (one.scopelen for one in answer.options if isinstance(one, dns.edns.ECSOption))
        why = await node.get(f"/api/v1/explain?name={name}.{ZONE}&type={rtype}&client={subnet}")
        seen = (dns.rcode.to_text(answer.rcode()), scope, bool(values(answer)))
        assert seen == (why["rcode"], why["ecs_scope"], bool(why["answers"])), (name, rtype, subnet)
        assert values(answer) <= set(why["answers"])


async def test_dig_is_told_who_answers_and_why(node: running.Node) -> None:
    await tell(node, "e1", "e2", ok=False)
    await tell(node, "u1")
    query = dns.message.make_query(f"geo.{ZONE}", "A", options=[dns.edns.NSIDOption(b"")])
    query.use_edns(options=[dns.edns.NSIDOption(b""), dns.edns.ECSOption("192.0.2.0", 24)])

    async def ask() -> dns.message.Message:
        return await dns.asyncquery.udp(query, node.dns[0], port=node.dns[1], timeout=5)

    answer = await node.until(ask, lambda seen: values(seen) == {"198.51.100.11"})
    said = {type(one): one for one in answer.options}
    assert said[dns.edns.NSIDOption].nsid == b"black-box"
    assert re.fullmatch(r"rule 1; pool us; eu failed: 0 of 2 up; ttl \d+", str(said[dns.edns.EDEOption].text)), said
    chaos = dns.message.make_query("id.server", "TXT", dns.rdataclass.CH)
    named = await dns.asyncquery.udp(chaos, node.dns[0], port=node.dns[1], timeout=5)
    assert values(named) == {'"black-box"'}
    chaos = dns.message.make_query("digest.server", "TXT", dns.rdataclass.CH)
    named = await dns.asyncquery.udp(chaos, node.dns[0], port=node.dns[1], timeout=5)
    assert values(named) == {f'"{(await node.get("/api/v1/status"))["digest"]}"'}


async def test_a_node_tells_its_doctor_what_it_serves_and_how_its_machine_is(node: running.Node) -> None:
    told = await node.get(f"/api/v1/doctor?zone={ZONE}")
    assert [one["name"] for one in told["zones"]] == [f"{ZONE}."]
    assert told["digest"] == (await node.get("/api/v1/status"))["digest"]
    found = {one["about"]: one["level"] for one in told["findings"]}
    assert found["ports"] == "warning", "a trial's port is not 53"
    assert found["file limits"] == "ok"
    assert (await node.get("/api/v1/doctor?zone=elsewhere.example"))["error"]["code"] == "no-match"


async def test_A7_what_was_pushed_runs_out_and_on_stale_decides(node: running.Node) -> None:
    await tell(node, "u1", "e2")
    await tell(node, "e1", valid_for_s=0.3)
    assert (await state(node, "e1"))["state"] == "up"
    await node.until(
        lambda: state(node, "e1"), lambda row: (row["stale"], row["state"], row["serving"]) == (True, "down", False)
    )
    await tell(node, "e1")
    await node.until(lambda: state(node, "e1"), lambda row: (row["state"], row["stale"]) == ("up", False))
    status, said = await node.post("/api/v1/checks/told/nobody", {"ok": True})
    assert (status, said["error"]["code"]) == (404, "no-such-check")


async def test_B11_a_manual_failback_waits_for_the_release(node: running.Node) -> None:
    manual = f"manual.{ZONE}"
    await tell(node, "e1", "u1")
    await tell(node, "e2", ok=False)
    await node.until(lambda: node.answers(manual, times=2), lambda seen: seen == {"198.51.100.11"})
    await tell(node, "e2")
    await node.until(lambda: state(node, "e2"), lambda row: row["state"] == "up")
    why = await node.get(f"/api/v1/explain?name={manual}")
    assert (why["rung"], why["tried"][0]["reason"]) == ("fallback", "0 of 1 up, 1 held")
    assert (await gtm(node, "release", "e2"))[0] == 0
    assert await node.answers(manual, times=4) == {"192.0.2.12"}


async def test_commands_do_what_they_say_and_their_exit_status_is_honest(node: running.Node) -> None:
    await tell(node, "e1", "e2", "u1")
    code, said, _ = await gtm(node, "drain", "site:fra", "--for", "10m", "--why", "works", "--json")
    assert (code, said["order"]["endpoints"], said["order"]["unconfirmed"]) == (0, ["e1", "e2"], [])
    first_safe_at = said["order"]["safe_at"]
    assert await node.answers(f"last.{ZONE}", times=4) == set()  # B5: drained members stay out of everything
    code, said, _ = await gtm(node, "drain", "e1", "--json")
    assert (code, said["order"]["safe_at"]) == (0, first_safe_at)  # D3: its last answer left before this order
    (code, _, complaint), (missing, *_), (assumed, why, _) = await asyncio.gather(
        gtm(node, "drain", "nobody"),
        gtm(node, "drain"),
        gtm(node, "explain", f"geo.{ZONE}", "--client", "8.8.8.8", "--assume", "u*=down", "--json"),
    )
    assert (code, missing, assumed) == (1, 2, 0)
    assert "matches no endpoint" in complaint
    assert why["answers"] == ["live.cdn.example.net."]
    assert (await gtm(node, "release", "site:fra"))[0] == 0


async def test_a_node_without_an_answer_to_a_command_is_told_from_wrong_usage(tmp_path: Path) -> None:
    nobody = running.Node.__new__(running.Node)
    nobody.web = "http://127.0.0.1:1"
    (gone, _, complaint), (wrong, *_) = await asyncio.gather(gtm(nobody, "status"), gtm(nobody, "force", "side", "x"))
    assert (gone, wrong) == (1, 2)
    assert "no node answers" in complaint


async def test_every_metric_of_the_contract_is_there_under_its_labels(node: running.Node) -> None:
    await tell(node, "e1", "e2", "u1")
    await node.ask(f"geo.{ZONE}", subnet="192.0.2.0/24")
    async with asyncio.timeout(5):
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=node.dns
        )
        transport.sendto(b"short")
        transport.close()

    async def missing() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for line in (await node.get("/metrics")).splitlines():
            name, _, rest = line.partition(" ")[0].partition("{")
            found.setdefault(name, set(re.findall(r'(\w+)="', rest)))
        return {
            name: labels for name, labels in CONTRACT_METRICS.items() if not labels <= found.get(name, {"absent"})
            or name not in found
        }  # fmt: skip

    await node.until(missing, lambda rest: not rest)


async def test_G3_a_reload_says_what_it_cannot_take_before_a_restart_and_waits_for_a_yes(tmp_path: Path) -> None:
    async with running.node(configuration(tmp_path), tmp_path) as node:
        good = node.path.read_text()
        node.path.write_text(good.replace("workers: 2", "workers: 1"))
        status, body = await node.post("/api/v1/reload", {})
        assert (status, body["plan"][-1]) == (200, "not before a restart: dns.workers")
        node.path.write_text(good.split("    steer:")[0] + "    steer: {only: us}\n")
        status, body = await node.post("/api/v1/reload", {})
        assert (status, body["needs_yes"], body["accepted"]) == (409, True, False)
        assert (await node.ask(f"geo.{ZONE}")).rcode() == dns.rcode.NOERROR
        status, body = await node.post("/api/v1/reload", {"yes": True})
        assert (status, body["accepted"]) == (200, True)
        assert (await node.ask(f"geo.{ZONE}")).rcode() == dns.rcode.NXDOMAIN


async def test_orders_outlive_a_restart_and_still_say_when_they_are_safe(tmp_path: Path) -> None:
    text = configuration(tmp_path)
    async with running.node(text, tmp_path) as node:
        await tell(node, "e1", "e2", "u1")
        _, given = await node.post("/api/v1/orders", {"target": "e1", "order": "drain", "why": "disk"})
    async with running.node(text, tmp_path) as node:
        assert await node.answers(f"last.{ZONE}", times=4) == {"192.0.2.12"}
        (order,) = (await node.get("/api/v1/orders"))["orders"]
        assert (order["target"], order["why"]) == ("e1", "disk")
        assert order["safe_at"] == given["order"]["safe_at"] < order["at"] + 30  # proven, and not lost
        assert (await state(node, "e1"))["order"] == "drain"
        happened = [row["kind"] for row in (await node.get("/api/v1/events"))["events"]]
        assert (happened.count("order"), happened.count("node")) == (1, 3)  # started, stopped, started


async def test_G5_a_corrupt_store_is_set_aside_and_said_and_a_locked_one_is_done_without(tmp_path: Path) -> None:
    text = configuration(tmp_path)
    (tmp_path / "gtm.db").write_bytes(b"this is no database " * 100)
    async with running.node(text, tmp_path) as node:
        assert any("corrupt" in line for line in node.said)
        said = [(row["kind"], row["after"]) for row in (await node.get("/api/v1/events"))["events"]]
        assert ("store", "begun anew") in said
        assert "gtm_store_up 1.0" in await node.get("/metrics")
    lock = sqlite3.connect(tmp_path / "gtm.db", isolation_level=None)
    try:
        lock.execute("PRAGMA locking_mode = EXCLUSIVE")
        lock.execute("BEGIN EXCLUSIVE")
        async with running.node(text, tmp_path) as node:
            assert (await node.ask(f"geo.{ZONE}")).answer
            assert "gtm_store_up 0.0" in await node.get("/metrics")
            assert any("nothing will be remembered" in line for line in node.said)
    finally:
        lock.close()


async def test_tokens_decide_who_may_order_and_who_may_look(tmp_path: Path) -> None:
    (tmp_path / "ops").write_text("secret-of-ops\n")
    (tmp_path / "wall").write_text("secret-of-wall\n")
    tokens = (
        'web: {listen: "127.0.0.1:0", tokens: '
        "[{name: ops, role: operator, secret_file: ops}, {name: wall, role: viewer, secret_file: wall}]}"
    )
    text = configuration(tmp_path).replace('web: {listen: "127.0.0.1:0"}', tokens)
    async with running.node(text, tmp_path) as node:

        async def order(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            body = {"target": "e1", "order": "drain"}
            async with node.http.post(f"{node.web}/api/v1/orders", json=body, headers=headers) as reply:
                return reply.status

        statuses = [await order(token) for token in ("", "secret-of-wall", "wrong", "secret-of-ops")]
        assert statuses == [403, 403, 401, 201]
        (given,) = (await node.get("/api/v1/orders"))["orders"]
        assert given["by"] == "ops"
        assert not any("secret-of" in line for line in node.said)


async def test_a_node_listens_on_everything_and_answers_from_the_address_that_was_asked(tmp_path: Path) -> None:
    text = configuration(tmp_path).replace('["127.0.0.1:0"]', '["0.0.0.0:0", "[::1]:0"]')
    text = text.replace('web: {listen: "127.0.0.1:0"}', 'web: {listen: "[::1]:0"}')
    async with running.node(text, tmp_path) as node:
        everywhere, six = (await node.get("/api/v1/status"))["listen"]["dns"]
        query = dns.message.make_query(f"geo.{ZONE}", "A")
        for where, at in (("127.0.0.1", everywhere), ("127.9.9.9", everywhere), ("::1", six)):
            # The witness refuses an answer that comes from another address.
            answer = await dns.asyncquery.udp(query, where, port=int(at.rpartition(":")[2]), timeout=5)
            assert answer.answer


async def test_without_the_web_dns_is_answered_and_a_taken_port_ends_the_second_node(tmp_path: Path) -> None:
    text = configuration(tmp_path).replace('web: {listen: "127.0.0.1:0"}', "web: {listen: off}")
    async with running.node(text, tmp_path, ready=False) as node:
        port = int((await node.said_line(r"DNS on 127\.0\.0\.1:(\d+)"))[1])
        node.dns = "127.0.0.1", port
        await node.until(lambda: asyncio.wait_for(_answers(node), 5), lambda seen: seen == {"192.0.2.11", "192.0.2.12"})
        other = tmp_path / "other"
        other.mkdir()
        taken = configuration(other).replace("127.0.0.1:0", f"127.0.0.1:{port}", 1)
        async with running.node(taken, other, ready=False) as second:
            assert await second.process.wait() == 1
        assert f"gtm: cannot listen on 127.0.0.1:{port}: Address already in use" in second.said


async def _answers(node: running.Node) -> set[str]:
    try:
        return await node.answers(f"last.{ZONE}", times=8)
    except (TimeoutError, OSError, dns.exception.DNSException):  # not every worker has the table yet
        return set()
