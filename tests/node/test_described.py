"""What a real node answers is what its OpenAPI description says: every route, every status that is described, each
shape closed, so that a key too many fails as well as one too few.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # comes with check-jsonschema

from tests.node import running

CONFIG = """
node: ns1
dns: {{listen: ["127.0.0.1:0"], workers: 1}}
web: {{listen: "127.0.0.1:0"}}
store: sqlite://{folder}/gtm.db
orders: {{default_for: 4h, keep_up: {{pool: 1, site: 0}}}}
checks:
  told: {{kind: push, every: 1s, timeout: 500ms, fall: 1, rise: 1}}
endpoints:
  e1: {{address: [192.0.2.11, "2001:db8:f::11"], site: fra}}
  e2: {{address: 192.0.2.12, site: fra}}
  u1: {{address: 198.51.100.11, site: nyc}}
  cdn: {{hostname: live.cdn.example.net., check: none}}
sites: {{fra: {{at: EU-DE, lat: 50.11, lon: 8.68}}, nyc: {{at: NA-US}}}}
pools:
  eu: {{members: {{e1: 3, e2: 1}}, answers: 1, balance: sticky, check: told}}
  us: {{members: [u1], check: told}}
  cdn: {{members: [cdn]}}
alerts:
  - {{name: taken, kind: exec, command: ["true"]}}
  - {{name: lost, kind: exec, command: ["false"], on: [endpoint], hold: 0s}}
zones:
  live.example.com:
    nameservers: {{ns1: [127.0.0.1]}}
    records: {{old: {{A: 203.0.113.80}}}}
    steer:
      play: {{try: [eu, us, cdn], ttl: 1s}}
"""
PLAY = "play.live.example.com"
# Without an end, so without an answer that could be closed; and what the page loads.
UNENDING = {"/api/v1/live", "/api/v1/stream", "/static/{build}/{file}"}


def closed(shape: Any) -> Any:
    """Return a schema in which no object has keys that it does not name."""
    if isinstance(shape, list):
        return [closed(one) for one in shape]
    if not isinstance(shape, dict):
        return shape
    inside = {key: closed(one) for key, one in shape.items()}
    return inside | {"additionalProperties": False} if "properties" in shape else inside


class Description:
    """A node's description, and what was held against it."""

    def __init__(self, node: running.Node, document: Any) -> None:
        self.node, self.paths = node, document["paths"]
        self._components = closed(document["components"])
        self.seen: set[tuple[str, str, str]] = set()

    def described(self) -> set[tuple[str, str, str]]:
        """Return every answer that the description has a shape for."""
        return {
            (method, path, status)
            for path, methods in self.paths.items()
            for method, operation in methods.items()
            for status in operation["responses"]
            if path not in UNENDING and status[1:] != "XX"
        }

    async def holds(self, method: str, path: str, asked: str = "", body: Any = None, status: int = 200) -> Any:
        """Ask, and fail when what comes back is not what is described; return it."""
        async with self.node.http.request(method, self.node.web + (asked or path), json=body) as response:
            text = await response.text()
            assert response.status == status, text
            media = response.content_type
        answers = self.paths[path][method]["responses"]
        known = answers.get(str(status)) or answers[f"{status // 100}XX"]
        found = json.loads(text) if "json" in media else text
        shape = closed(known["content"][media]["schema"]) | {"components": self._components}
        jsonschema.Draft202012Validator(shape).validate(found)
        self.seen.add((method, path, str(status)))
        return found


async def test_every_answer_is_as_the_description_says(tmp_path: Path) -> None:
    async with running.node(CONFIG.format(folder=tmp_path), tmp_path, ready=False) as node:
        node.web = (await node.said_line(r"web on (http://\S+)/"))[1]
        one = Description(node, await node.get("/api/v1/openapi.json"))
        await one.holds("get", "/readyz", status=503)
        await ready(one)
        await look(one)
        await order(one)
        await speak(one)
        await prove(one)
        await change(one, tmp_path)
        assert one.described() - one.seen == {("post", "/api/v1/replace", "200")}  # test_replace waits for that one


async def ready(one: Description) -> None:
    for check in ("told/e1", "told/u1"):
        news = {"ok": True, "valid_for_s": 60, "measures": {"viewers": 3}}
        path = "/api/v1/checks/{name}/{endpoint}"
        await one.holds("post", path, f"/api/v1/checks/{check}", news, 202)
    await one.holds("post", path, "/api/v1/checks/told/e2", {"ok": False, "reason": "no"}, 202)
    await one.holds("post", path, "/api/v1/checks/none/e2", {"ok": False}, 404)

    async def judged() -> int:
        async with one.node.http.get(one.node.web + "/readyz") as response:
            return response.status

    await one.node.until(judged, lambda status: status == 200)
    host, _, port = (await one.node.get("/api/v1/status"))["listen"]["dns"][0].rpartition(":")
    one.node.dns = host, int(port)

    async def counted() -> Any:
        await one.node.ask(PLAY, subnet="198.51.100.0/24")
        return await one.node.get("/api/v1/analytics")

    await one.node.until(counted, lambda found: found["resolvers"] and found["shares"])


async def look(one: Description) -> None:
    for path in ("/", "/healthz", "/readyz", "/metrics", "/api/v1/status", "/api/v1/board", "/api/v1/places"):
        await one.holds("get", path)
    for word in ("endpoints", "pools", "sites", "names"):
        assert (await one.holds("get", f"/api/v1/{word}"))[word]
        assert (await one.holds("get", f"/api/v1/{word}", f"/api/v1/{word}?limit=5"))["total"]
        await one.holds("get", f"/api/v1/{word}", f"/api/v1/{word}?limit=x", status=400)
    for asked in (f"name={PLAY}", f"name={PLAY}&type=AAAA&client=192.0.2.0/24", "name=old.live.example.com"):
        await one.holds("get", "/api/v1/explain", f"/api/v1/explain?{asked}&assume=u1=down")
    for kind in ("answers", "queries", "probe_ms"):
        await one.holds("get", "/api/v1/series", f"/api/v1/series?kind={kind}&by={by(kind)}")
    for path in ("events", "analytics", "doctor", "openapi.json", "alerts"):
        await one.holds("get", f"/api/v1/{path}")


def by(kind: str) -> str:
    return {"answers": "pool", "queries": "subnet"}.get(kind, "endpoint")


async def order(one: Description) -> None:
    path, wanted = "/api/v1/orders", {"target": "u1", "order": "drain", "why": "disk"}
    await one.holds("post", path, body=wanted, status=409)  # the floor of its pool
    assert (await one.holds("post", path, body=wanted | {"dry_run": True}))["refused"]
    await one.holds("post", path, body=wanted | {"break_glass": True}, status=201)
    given = (await one.holds("get", path))["orders"]
    await one.holds("get", "/api/v1/status")
    await one.node.until(lambda: one.holds("get", "/api/v1/board"), lambda found: found["summary"]["orders"])
    release = "/api/v1/orders/{id}"
    await one.holds("delete", release, f"/api/v1/orders/{given[0]['id']}?dry_run=true")
    await one.holds("delete", release, f"/api/v1/orders/{given[0]['id']}")
    await one.holds("delete", release, "/api/v1/orders/nobody", status=404)
    await one.node.until(lambda: one.node.get("/api/v1/analytics"), lambda found: found["movements"])
    await one.holds("get", "/api/v1/analytics")


async def speak(one: Description) -> None:
    path = "/api/v1/alerts/test"
    assert (await one.holds("post", path, body={"to": "taken"}))["results"][0]["ok"]
    await one.holds("post", path, body={}, status=502)
    await one.node.until(lambda: one.node.get("/api/v1/alerts"), lambda found: found["open"] and found["outbox"])
    await one.holds("get", "/api/v1/alerts")
    silences = "/api/v1/alerts/silences"
    made = await one.holds("post", silences, body={"target": "e2", "for_s": 60}, status=201)
    assert (await one.holds("get", silences))["silences"]
    await one.holds("delete", silences + "/{id}", f"{silences}/{made['silence']['id']}")


async def prove(one: Description) -> None:
    path = "/api/v1/acme"
    await one.holds("post", path, body={"name": "live.example.com", "value": "x" * 43}, status=201)
    assert (await one.holds("get", path))["challenges"]
    await one.holds("delete", path + "/{name}", f"{path}/live.example.com")


async def change(one: Description, folder: Path) -> None:
    path, text = "/api/v1/reload", (folder / "gtm.yaml").read_text()
    (folder / "gtm.yaml").write_text(text.replace("try: [eu, us, cdn]", "try: [cdn]"))
    await one.holds("post", path, body={}, status=409)
    (folder / "gtm.yaml").write_text(text.replace("balance: sticky", "balance: stciky"))
    await one.holds("post", path, body={}, status=422)
    await one.holds("post", "/api/v1/replace", body={}, status=409)
    await one.holds("get", "/api/v1/board")
    (folder / "gtm.yaml").write_text(text)
    await one.holds("post", path, body={})
