"""The node's counts and gauges in, the text format of Prometheus out. The only door of prometheus_client.

The node hands over one plain snapshot (`gtm.web.node.Metrics`) when somebody scrapes; nothing is counted here, and
nothing is kept but which label values have been let in, so that a flood of new ones stays bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import prometheus_client
from prometheus_client import core
from prometheus_client import registry as registries

from gtm.web import node

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_SERIES = 2000  # for one metric; a scrape stays a few megabytes with every metric full
OTHER = "(other)"
PIECE = 250  # series written in one go, some three milliseconds: the loop that probes goes on between


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name without `gtm_`, its type, what it says, and its labels in order."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


METRICS = (
    Metric("dns_queries_total", "counter", "DNS queries received.", ("transport", "qtype")),
    Metric("dns_queries_with_subnet_total", "counter", "DNS queries that told a client subnet."),
    Metric("dns_responses_total", "counter", "DNS responses sent.", ("rcode",)),
    Metric("dns_dropped_total", "counter", "DNS packets that got no response.", ("reason",)),
    Metric("dns_truncated_total", "counter", "DNS responses cut short with TC set."),
    Metric("steered_answers_total", "counter", "Steered answers by name and serving pool.", ("name", "pool")),
    Metric("answers_total", "counter", "Steered answers that held an endpoint.", ("endpoint",)),
    Metric("pool_answers_total", "counter", "Steered answers of a pool that held an endpoint.", ("pool", "endpoint")),
    Metric("pool_answers_intended_total", "counter", "The same, had every ring been in balance.", ("pool", "endpoint")),
    Metric("answers_by_place_total", "counter", "Steered answers by name and client continent.", ("name", "place")),
    Metric("endpoint_up", "gauge", "Whether an endpoint is up (1), down (0) or unknown (NaN).", ("endpoint", "family")),
    Metric("endpoint_weight", "gauge", "Weight after orders and slow start.", ("endpoint", "family")),
    Metric("pool_up", "gauge", "Whether a pool is usable.", ("pool",)),
    Metric("pool_members_up", "gauge", "Members of a pool that are up and may be answered.", ("pool",)),
    Metric("probe_duration_seconds", "histogram", "How long probes took.", ("kind",)),
    Metric("probes_total", "counter", "Probes by kind and result.", ("kind", "result")),
    Metric("probe_late_seconds", "histogram", "How late probes left, from when each was due."),
    Metric("probe_lag_seconds", "gauge", "How late a probe left at most in the last minute or two."),
    Metric("stalled_seconds_total", "counter", "For how long the control process stood still, not asleep."),
    Metric("watched_connections", "gauge", "Connections held to endpoints whose checks say `watch: true`."),
    Metric(
        "check_measure", "gauge", "Numbers that a check measured.", ("check", "endpoint", "measure", "family", "name")
    ),
    Metric("failover_seconds", "histogram", "From the first bad probe to the new table in the workers."),
    Metric("config_reload_success", "gauge", "Whether the last configuration that came was accepted."),
    Metric("config_last_reload_timestamp_seconds", "gauge", "When a configuration was last accepted."),
    Metric("orders_active", "gauge", "Operator's orders in force."),
    Metric("events_total", "counter", "Events by kind.", ("kind",)),
    Metric("worker_restarts_total", "counter", "DNS workers that had to be started again."),
    Metric("worker_alive", "gauge", "Whether a DNS worker lives.", ("worker",)),
    Metric("table_revision", "gauge", "Revision of the answer table in force."),
    Metric("table_age_seconds", "gauge", "How old the answer table in force is."),
    Metric("geo_database_age_seconds", "gauge", "How old a geography database is.", ("database",)),
    Metric("store_up", "gauge", "Whether the store did what was last asked of it."),
    Metric("alerts_sent_total", "counter", "Attempts to send alerts, by what became of them.", ("kind", "result")),
    Metric("alerts_pending", "gauge", "Alerts that wait to be sent.", ("receiver",)),
    Metric("alerts_open", "gauge", "Alerts of which somebody was told, and not yet that they are over."),
    Metric("alert_silences", "gauge", "Silences in force."),
    Metric("samples_total", "counter", "Answers that were looked at for analytics, query log and dnstap."),
    Metric("samples_lost_total", "counter", "Samples of answers that did not fit on their way."),
    Metric("query_log_lines_total", "counter", "Lines written to the query log."),
    Metric("query_log_dropped_total", "counter", "Lines that were not written to the query log.", ("reason",)),
    Metric("dnstap_frames_total", "counter", "Frames sent to the dnstap reader."),
    Metric("dnstap_dropped_total", "counter", "Frames that the dnstap reader missed."),
    Metric("dnstap_connected", "gauge", "Whether a dnstap reader takes frames."),
    Metric("guard_active", "gauge", "Whether the guard holds the verdicts of before."),
    Metric("ready", "gauge", "Whether DNS is answered from a judged table."),
    Metric("build_info", "gauge", "The version that runs.", ("version",)),
)
BY_NAME = {metric.name: metric for metric in METRICS}
DROPPED = Metric("metric_series_dropped", "gauge", "Label values beyond the bound of a metric.", ("metric",))


class Collector(registries.Collector):
    """Turns one snapshot into metric families each time that it is asked."""

    def __init__(self, snapshot: Callable[[], node.Metrics]) -> None:
        self._snapshot = snapshot
        self._let_in: dict[str, dict[tuple[str, ...], None]] = {}

    def describe(self) -> list[core.Metric]:
        """Say nothing beforehand, so that registering asks the node nothing."""
        return []

    def collect(self) -> Iterator[core.Metric]:
        """Yield the families. Raises `ValueError` for a metric that is not in `METRICS`."""
        snapshot = self._snapshot()
        if unknown := set(snapshot) - {*BY_NAME, DROPPED.name}:
            raise ValueError(f"metrics that nobody declared: {sorted(unknown)}")
        dropped = dict(snapshot.get(DROPPED.name, {}))  # what the node has left out itself
        for metric in METRICS:
            if metric.name in snapshot:
                kept, lost = self._bounded(metric, snapshot[metric.name])
                yield _family(metric, kept)
                if lost:
                    dropped[(f"gtm_{metric.name}",)] = float(lost)
        yield _family(DROPPED, dropped)

    def _bounded(self, metric: Metric, samples: node.Samples) -> tuple[node.Samples, int]:
        """Let the first `MAX_SERIES` in, for as long as they are there; sum what counters count beyond them."""
        if not metric.labels:
            return samples, 0
        before, other = self._let_in.get(metric.name, {}), (OTHER,) * len(metric.labels)
        now = {labels: None for labels in before if labels in samples}
        for labels in samples:
            if len(now) >= MAX_SERIES:
                break
            if labels != other:  # what the node has summed itself
                now[labels] = None
        self._let_in[metric.name] = now
        lost = len(samples) - (other in samples) - len(now)
        if not lost:
            return samples, 0
        kept = {labels: samples[labels] for labels in now}
        if metric.type == "counter":
            kept[other] = _sum(samples) - _sum(kept)
        return kept, lost


class Exposition:
    """The text that a scrape gets."""

    def __init__(self, snapshot: Callable[[], node.Metrics]) -> None:
        """`snapshot` is asked anew at each scrape."""
        self._collector = Collector(snapshot)

    def pieces(self) -> Iterator[bytes]:
        """Yield all metrics in the text format 0.0.4, each piece some milliseconds of work."""
        for family in self._collector.collect():
            samples = family.samples
            for at in range(0, max(1, len(samples)), PIECE):
                family.samples = samples[at : at + PIECE]
                text = prometheus_client.generate_latest(_Alone(family))
                yield text.split(b"\n", 2)[2] if at else text  # what it is and says stands once, at its head

    def text(self) -> bytes:
        """Return all of it at once."""
        return b"".join(self.pieces())


class _Alone(registries.Collector):
    """One family, as a registry has many."""

    def __init__(self, family: core.Metric) -> None:
        self._family = family

    def collect(self) -> list[core.Metric]:
        return [self._family]


def _sum(samples: node.Samples) -> float:
    return sum(value for value in samples.values() if not isinstance(value, node.Histogram))


def _family(metric: Metric, samples: Mapping[tuple[str, ...], float | node.Histogram]) -> core.Metric:
    name = f"gtm_{metric.name}"
    for labels, value in samples.items():
        if isinstance(value, node.Histogram) != (metric.type == "histogram") or len(labels) != len(metric.labels):
            raise ValueError(f"{name} is a {metric.type} under {metric.labels}, not {value!r} under {labels}")
    if metric.type == "histogram":
        histogram = core.HistogramMetricFamily(name, metric.help, labels=metric.labels)
        for labels, value in samples.items():
            if isinstance(value, node.Histogram):
                buckets = [(repr(float(bound)), count) for bound, count in value.buckets]
                histogram.add_metric(labels, [*buckets, ("+Inf", value.count)], value.sum)
        return histogram
    family: core.CounterMetricFamily | core.GaugeMetricFamily
    if metric.type == "counter":
        family = core.CounterMetricFamily(name, metric.help, labels=metric.labels)
    else:
        family = core.GaugeMetricFamily(name, metric.help, labels=metric.labels)
    for labels, value in samples.items():
        if not isinstance(value, node.Histogram):
            family.add_metric(labels, value)
    return family
