"""The metrics: every one of the contract, written as Prometheus wants it, and bounded."""

from __future__ import annotations

import re

import aiohttp
import pytest
from prometheus_client import parser

from gtm import model
from gtm.app import gauges
from gtm.web import metrics, node
from tests.web import fake_node

# The list of the interface contract, name and labels.
CONTRACT = {
    "dns_queries_total": ("transport", "qtype"),
    "dns_responses_total": ("rcode",),
    "dns_dropped_total": ("reason",),
    "steered_answers_total": ("name", "pool"),
    "answers_total": ("endpoint",),
    "answers_by_place_total": ("name", "place"),
    "endpoint_up": ("endpoint", "family"),
    "endpoint_weight": ("endpoint", "family"),
    "pool_up": ("pool",),
    "pool_members_up": ("pool",),
    "probe_duration_seconds": ("kind",),
    "probes_total": ("kind", "result"),
    "check_measure": ("check", "endpoint", "measure", "family", "name"),
    "failover_seconds": (),
    "config_reload_success": (),
    "config_last_reload_timestamp_seconds": (),
    "orders_active": (),
    "events_total": ("kind",),
    "worker_restarts_total": (),
    "build_info": ("version",),
}
HISTOGRAM = node.Histogram(((0.005, 1.0), (0.1, 3.0), (2.5, 4.0)), 5.0, 9.25)


def full() -> dict[str, node.Samples]:
    return {
        metric.name: {tuple("x" for _ in metric.labels): HISTOGRAM if metric.type == "histogram" else 1.0}
        for metric in metrics.METRICS
    }


def text(snapshot: node.Metrics) -> str:
    return metrics.Exposition(lambda: snapshot).text().decode()


@pytest.mark.parametrize("name", CONTRACT)
def test_every_metric_of_the_contract_is_there_with_its_labels(name: str) -> None:
    assert metrics.BY_NAME[name].labels == CONTRACT[name]


@pytest.mark.parametrize("metric", metrics.METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_named_and_described_as_prometheus_wants_it(metric: metrics.Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
    assert metric.help.endswith(".")
    assert metric.name.endswith("_total") == (metric.type == "counter")
    assert not re.search(r"_(ms|milliseconds|minutes|kib|mb|percent|count|sum|bucket|created)(_|$)", metric.name)
    assert not re.search(r"^gtm_|gauge|counter|histogram", metric.name)
    assert not set(metric.labels) & {"le", "quantile", "job", "instance"}
    if metric.type == "histogram":
        assert metric.name.endswith("_seconds")


def test_what_is_written_reads_back_with_types_and_help_and_without_created_series() -> None:
    written = text(full())
    families = {family.name: family for family in parser.text_string_to_metric_families(written)}
    for metric in metrics.METRICS:
        family = families[f"gtm_{metric.name}".removesuffix("_total")]
        assert family.type == metric.type
        assert family.documentation == metric.help
        assert all(set(sample.labels) - {"le"} == set(metric.labels) for sample in family.samples)
    assert "_created" not in written


def test_a_histogram_keeps_its_buckets_count_and_sum() -> None:
    lines = text({"probe_duration_seconds": {("http",): HISTOGRAM}}).splitlines()
    assert [line for line in lines if line.startswith("gtm_probe")] == [
        'gtm_probe_duration_seconds_bucket{kind="http",le="0.005"} 1.0',
        'gtm_probe_duration_seconds_bucket{kind="http",le="0.1"} 3.0',
        'gtm_probe_duration_seconds_bucket{kind="http",le="2.5"} 4.0',
        'gtm_probe_duration_seconds_bucket{kind="http",le="+Inf"} 5.0',
        'gtm_probe_duration_seconds_count{kind="http"} 5.0',
        'gtm_probe_duration_seconds_sum{kind="http"} 9.25',
    ]


def test_hostile_label_values_stay_inside_their_quotes() -> None:
    hostile = 'a"} 1\ngtm_evil 666\n\\'
    written = text({"answers_total": {(hostile,): 1.0}})
    assert not any(line.startswith("gtm_evil") for line in written.splitlines())
    (family,) = (one for one in parser.text_string_to_metric_families(written) if one.name == "gtm_answers")
    assert family.samples[0].labels == {"endpoint": hostile}


def test_a_flood_of_label_values_is_bounded_and_counters_keep_their_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_SERIES", 2)
    counts: dict[str, dict[tuple[str, ...], float]] = {"answers_total": {("b",): 1, ("c",): 2}}
    exposition = metrics.Exposition(lambda: counts)
    exposition.text()
    counts["answers_total"] = {("a",): 5, ("b",): 10, ("c",): 20, ("d",): 7, ("(other)",): 100}
    lines = exposition.text().decode().splitlines()
    # Who was let in stays in, so that no series goes backwards.
    assert 'gtm_answers_total{endpoint="b"} 10.0' in lines
    assert 'gtm_answers_total{endpoint="c"} 20.0' in lines
    assert 'gtm_answers_total{endpoint="(other)"} 112.0' in lines
    assert not any('endpoint="a"' in line for line in lines)
    assert 'gtm_metric_series_dropped{metric="gtm_answers_total"} 2.0' in lines


def test_a_large_metric_is_written_in_pieces_with_one_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "PIECE", 3)
    counts: node.Metrics = {
        "answers_total": {(f"e{one}",): float(one) for one in range(10)},
        "orders_active": {(): 1.0},
    }
    exposition = metrics.Exposition(lambda: counts)
    pieces = list(exposition.pieces())
    assert [piece.count(b"\ngtm_answers_total{") + piece.startswith(b"gtm_answers") for piece in pieces][:4] == [
        3,
        3,
        3,
        1,
    ]
    lines = b"".join(pieces).decode().splitlines()
    assert sum(line.startswith("# TYPE gtm_answers_total ") for line in lines) == 1
    assert [line for line in lines if line.startswith("gtm_answers")] == [
        f'gtm_answers_total{{endpoint="e{one}"}} {one}.0' for one in range(10)
    ]
    assert exposition.text() == b"".join(pieces)


def test_what_checks_measured_is_bounded_where_it_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_SERIES", 3)
    key = [model.CheckKey("hls", f"e{one}", "ipv4") for one in range(2)]
    found = gauges.measured({one: {"status": 200, "remark": "text", "playlist.age": 1.5} for one in key})
    lines = metrics.Exposition(lambda: found).text().decode().splitlines()
    shown = [line for line in lines if line.startswith("gtm_check_measure{")]
    assert [line.rsplit(" ", 1)[1] for line in shown] == ["200.0", "1.5", "200.0"]
    assert 'gtm_metric_series_dropped{metric="gtm_check_measure"} 1.0' in lines


def test_a_gauge_that_went_away_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_SERIES", 1)
    gauges: dict[str, dict[tuple[str, ...], float]] = {"pool_up": {("old",): 1, ("new",): 1}}
    exposition = metrics.Exposition(lambda: gauges)
    assert 'gtm_pool_up{pool="old"} 1.0' in exposition.text().decode()
    gauges["pool_up"] = {("new",): 0}
    written = exposition.text().decode()
    assert 'gtm_pool_up{pool="new"} 0.0' in written
    assert "(other)" not in written


@pytest.mark.parametrize(
    "snapshot",
    [
        {"no_such_metric": {(): 1.0}},
        {"orders_active": {("label",): 1.0}},
        {"orders_active": {(): HISTOGRAM}},
        {"failover_seconds": {(): 1.0}},
        {"failover_seconds": {("label",): HISTOGRAM}},
    ],
)
def test_a_metric_that_nobody_declared_is_an_error(snapshot: node.Metrics) -> None:
    with pytest.raises(ValueError, match=r"gtm_|nobody declared"):
        text(snapshot)


async def test_a_scrape_asks_the_node_anew(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    fake.numbers = {"orders_active": {(): 3.0}}
    async with http.get("/metrics") as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "gtm_orders_active 3.0" in await response.text()
    fake.numbers = {"orders_active": {(): 4.0}}
    async with http.get("/metrics") as response:
        assert "gtm_orders_active 4.0" in await response.text()
