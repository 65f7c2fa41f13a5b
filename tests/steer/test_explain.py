"""Why an answer is given, in the shape of the interface contract and as text."""

from __future__ import annotations

import json

import pytest

from gtm import model
from gtm.steer import explain
from tests.steer import world
from tests.steer.world import policy


def failed_over() -> world.World:
    w = world.World()
    w.pool("edge-eu", "fra-1:3 ams-1")
    w.pool("edge-us", "nyc-1:3 sjc-1 old-1")
    w.down("fra-1", "ams-1")
    w.think("old-1", eligible=False, state="up", barred=True, order="drain", why="drained by ops: new disks")
    return w


def explained(w: world.World) -> dict[str, object]:
    return explain.explanation(
        w.decide(policy("edge-eu", "edge-us")),
        name="live.example.com.",
        qtype="A",
        client="192.0.2.0/24",
        place="EU-DE",
        ecs_scope=20,
    )


def test_an_explanation_has_the_shape_of_the_interface_contract() -> None:
    found = json.loads(json.dumps(explained(failed_over())))
    assert {key: found[key] for key in ("name", "type", "client", "place", "rule", "rung", "pool", "ttl")} == {
        "name": "live.example.com.", "type": "A", "client": "192.0.2.0/24", "place": "EU-DE", "rule": 1,
        "rung": "fallback", "pool": "edge-us", "ttl": 10,
    }  # fmt: skip
    assert (found["ecs_scope"], found["rcode"]) == (20, "NOERROR")
    assert found["answers"] == ["192.0.2.3", "192.0.2.4"]
    assert found["shares"] == {"192.0.2.3": 0.75, "192.0.2.4": 0.25}
    assert [(one["pool"], one["usable"], one["reason"]) for one in found["tried"]] == [
        ("edge-eu", False, "0 of 2 up"),
        ("edge-us", True, "2 of 3 up"),
    ]
    drained = found["tried"][1]["members"][2]
    assert {key: drained[key] for key in ("endpoint", "eligible", "state", "weight", "reason")} == {
        "endpoint": "old-1", "eligible": False, "state": "up", "weight": 1.0, "reason": "drained by ops: new disks",
    }  # fmt: skip


def test_text_for_people_says_the_same() -> None:
    text = explain.text(explained(failed_over()))
    assert text.splitlines()[0] == "live.example.com A for 192.0.2.0/24 in EU-DE"
    assert "  rule 1, pool edge-us: a later pool of the rule" in text
    assert "  - edge-eu: 0 of 2 up" in text
    assert "      out  old-1  up  weight 1  [drain]  drained by ops: new disks" in text
    assert "  answers: 192.0.2.3, 192.0.2.4  (ttl 10s)" in text
    assert "  first:   192.0.2.3 75.0%, 192.0.2.4 25.0%" in text
    assert text.splitlines()[-1] == "  because: rule 1; pool edge-us; edge-eu failed: 0 of 2 up; ttl 10"
    assert all(line == line.rstrip() for line in text.splitlines())


def test_a_slot_shows_the_one_reply_that_it_holds() -> None:
    w = world.World()
    w.pool("eu", "a b c", answers=1, balance="sticky")
    decision = w.decide(policy("eu"))
    found = explain.explanation(decision, name="x.", qtype="A", slot=17)
    assert found["answers"] == [decision.replies[decision.slots[17]][0].value]
    assert found["sticky"] == [24, 56]


@pytest.mark.parametrize(("kind", "rcode"), [("nodata", "NOERROR"), ("servfail", "SERVFAIL")])
def test_C7_no_records_keep_their_scope_and_say_why(kind: str, rcode: str) -> None:
    w = world.World()
    w.pool("eu", "a")
    w.down("a")
    decision = w.decide(policy("eu", when_all_down=model.LastResort(kind)))  # type: ignore[arg-type]
    found = explain.explanation(decision, name="x.", qtype="A", client="192.0.2.1", ecs_scope=24)
    assert (found["answers"], found["ecs_scope"], found["rcode"]) == ([], 24, rcode)
    assert f"  answers: no records, {rcode}" in explain.text(found)
    assert found["why"] == f"rule 1; last resort {kind}; eu failed: 0 of 1 up"


def test_a_name_that_is_not_steered_can_be_shown_too() -> None:
    fixed = {
        "name": "www.example.com.", "type": "A", "client": "", "place": "", "rule": None, "rung": None, "pool": None,
        "tried": [], "answers": ["192.0.2.80"], "ttl": 300, "ecs_scope": 0, "rcode": "NOERROR", "why": "not steered",
    }  # fmt: skip
    assert explain.text(fixed).splitlines() == [
        "www.example.com A for anybody",
        "  answers: 192.0.2.80  (ttl 300s)",
        "  client subnet scope: /0",
        "  because: not steered",
    ]
