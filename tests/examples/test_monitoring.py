"""The dashboard and the alert rules ask for nothing but what GTM exports, and the contract's metrics are all there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gtm.app import gauges
from gtm.web import metrics

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "monitoring"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
RULES = [rule for group in yaml.safe_load((FOLDER / "gtm.rules.yml").read_text())["groups"] for rule in group["rules"]]
_SERIES = re.compile(r"\b(gtm_[a-z_]+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_BY = re.compile(r"\b(?:by|on|group_left|group_right|ignoring)\s*\(([^)]*)\)")
TARGET = {"instance", "job"}  # what Prometheus adds

# interfaces.md, "Metrics": the contract.
CONTRACT = {
    "dns_queries_total": {"transport", "qtype"}, "dns_responses_total": {"rcode"}, "dns_dropped_total": {"reason"},
    "steered_answers_total": {"name", "pool"}, "answers_total": {"endpoint"},
    "answers_by_place_total": {"name", "place"}, "endpoint_up": {"endpoint", "family"}, "endpoint_weight": {"endpoint"},
    "pool_up": {"pool"}, "pool_members_up": {"pool"}, "probe_duration_seconds": {"kind"},
    "probes_total": {"kind", "result"}, "check_measure": {"check", "endpoint", "measure"}, "failover_seconds": set(),
    "config_reload_success": set(), "config_last_reload_timestamp_seconds": set(), "orders_active": set(),
    "events_total": {"kind"}, "worker_restarts_total": set(), "build_info": {"version"},
}  # fmt: skip


def exported() -> dict[str, set[str]]:
    """Return every series that a scrape may have, with its labels."""
    found: dict[str, set[str]] = {}
    for metric in (*metrics.METRICS, metrics.DROPPED):
        labels = set(metric.labels) | TARGET
        if metric.type == "histogram":
            found |= {f"gtm_{metric.name}_bucket": labels | {"le"}}
            found |= {f"gtm_{metric.name}_{part}": labels for part in ("sum", "count")}
        else:
            found[f"gtm_{metric.name}"] = labels
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for note in DASHBOARD["annotations"]["list"]:
        yield note["name"], note["expr"]
    yield "variable", DASHBOARD["templating"]["list"][1]["definition"]


EXPRESSIONS = dict(expressions())


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_an_expression_names_exported_metrics_and_labels_that_they_have(where: str) -> None:
    expression, known = EXPRESSIONS[where], exported()
    series = _SERIES.findall(expression)
    assert series or expression.startswith("up{")
    labels: set[str] = set(TARGET)
    for name, selectors in series:
        assert name in known
        assert set(_LABEL.findall(selectors)) <= known[name]
        labels |= known[name]
    for group in _BY.findall(expression):
        assert {word.strip() for word in group.split(",") if word.strip()} <= labels


def shown(text: str) -> set[str]:
    return set(re.findall(r"\$labels\.(\w+)", text)) | set(re.findall(r"\{\{(\w+)\}\}", text))


def test_alerts_say_who_is_woken_and_what_for_in_labels_that_there_are() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        named = shown(json.dumps(rule["annotations"]))
        labels = set(TARGET).union(*(exported().get(name, set()) for name, _ in _SERIES.findall(rule["expr"])))
        assert named <= labels, rule["alert"]


def test_every_alert_is_in_the_test_of_the_rules() -> None:
    text = (FOLDER / "gtm.rules.test.yml").read_text()
    assert [rule["alert"] for rule in RULES if rule["alert"] not in text] == []


def test_the_dashboard_has_its_rows_a_choice_of_data_source_and_failovers_as_marks() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Traffic", "Pools", "Probes", "Node"]
    variables = {one["name"]: one["type"] for one in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource": "datasource", "node": "query"}
    assert any("gtm_pool_up" in note["expr"] for note in DASHBOARD["annotations"]["list"])
    assert all(uid == "${datasource}" for uid in _sources(DASHBOARD))
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def _sources(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "datasource" in node and isinstance(node["datasource"], dict):
            yield node["datasource"]["uid"]
        for one in node.values():
            yield from _sources(one)
    elif isinstance(node, list):
        for one in node:
            yield from _sources(one)


def test_the_contracts_metrics_are_exported_with_their_labels() -> None:
    for name, labels in CONTRACT.items():
        assert labels <= set(metrics.BY_NAME[name].labels), name


def test_every_count_of_the_workers_has_its_metric() -> None:
    assert {metrics.BY_NAME[name].type for name in gauges.COUNTED.values()} == {"counter"}


def test_names_and_types_of_metrics_are_as_prometheus_wants_them() -> None:
    for metric in metrics.METRICS:
        assert (metric.type == "counter") == metric.name.endswith("_total"), metric.name
        assert not re.search(r"_(ms|milliseconds|minutes|kb)\b", metric.name)
        assert metric.help.endswith(".")
