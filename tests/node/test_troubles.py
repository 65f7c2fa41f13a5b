"""What is wrong with a node itself, read off it: uneven shares, workers, certificates of endpoints, late probes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gtm import events, model
from gtm.app import troubles

KEY = model.CheckKey("web", "fra-1", "ipv4", "")
UNEVEN = {
    "pool": "edge", "endpoint": "fra-1", "intended": 0.5, "delivered": 0.81, "answers": 12_000, "uneven": True,
    "differs_s": 240.0,
}  # fmt: skip


class Desk:
    """A node that is well but for what the test makes wrong."""

    def __init__(self, snapshot: model.Snapshot) -> None:
        self.now_s = 100.0
        self.receivers: list[dict[str, Any]] = []
        self.shares: list[dict[str, Any]] = []
        self.measures: dict[model.CheckKey, dict[str, model.Value]] = {}
        self.node = SimpleNamespace(
            snapshot=snapshot,
            listeners=set(),
            processes=(("worker", 1), ("worker", 2)),
            book=SimpleNamespace(works=True),
            vault=SimpleNamespace(troubles=()),
            atlas=SimpleNamespace(troubles=()),
            runner=SimpleNamespace(lag_s=0.0),
            measuring=SimpleNamespace(
                measures=self.measures, analytics=SimpleNamespace(delivered=lambda: list(self.shares))
            ),
        )
        crier = SimpleNamespace(receivers=lambda: self.receivers)
        self.troubles = troubles.Troubles(self.node, crier, lambda: self.now_s)  # type: ignore[arg-type]

    def said(self) -> list[tuple[str, str, str, float | None]]:
        return [(one["kind"], one["text"], one["why"], one["since"]) for one in self.troubles.now()]


def desk() -> Desk:
    settings = model.DnsSettings(), model.WebSettings()
    return Desk(model.Snapshot("ns1", "", *settings, "", (), {}, {}, {}, {}, {}, policies=(), zones=(), checks={}))


def test_a_node_that_is_well_says_nothing() -> None:
    assert desk().said() == []


def test_shares_that_are_not_as_intended_are_said_since_they_were_noticed() -> None:
    one = desk()
    one.shares = [UNEVEN, UNEVEN | {"endpoint": "ams-1", "uneven": False}]
    for listener in one.node.listeners:
        listener(events.Event(7.0, "pool", "edge/fra-1", "as intended", "uneven", "81%"))
    said = "fra-1 gets 81% of the answers of edge; 50% are intended."
    assert one.said() == [("shares", said, "Of 12,000 answers in ten minutes.", 7.0)]
    one.shares = []
    assert len(one.said()) == 1  # looked at seldom
    one.now_s += troubles.SHARES_S
    assert one.said() == []


def test_a_worker_that_is_gone_and_probes_that_are_late_are_said() -> None:
    one = desk()
    one.node.processes = (("worker", 1), ("worker", 0))
    one.node.runner.lag_s = 2.34
    assert [text for _, text, _, _ in one.said()] == [
        "1 of 2 workers is not running.",
        "Probes leave 2.3 s late: there are too many for this machine.",
    ]


def test_the_certificate_of_an_endpoint_is_said_a_week_before_its_end() -> None:
    one = desk()
    one.measures[KEY] = {"certificate.days_left": 8.0}
    assert one.said() == []
    one.now_s += troubles.CERTIFICATES_S
    one.measures[KEY] = {"certificate.days_left": 2.5}
    one.measures[model.CheckKey("web", "ams-1", "ipv4", "")] = {"certificate.days_left": 6.0}
    (said,) = one.said()
    assert said[1] == "The certificate of fra-1 ends in 2.5 days, and 1 more within a week."


def test_a_receiver_that_is_not_reached_is_said_by_name() -> None:
    one = desk()
    one.receivers = [{"name": "pager", "trouble": "connection refused"}, {"name": "chat", "trouble": ""}]
    assert one.said() == [("alert", "Alerts do not reach pager.", "connection refused.", None)]
