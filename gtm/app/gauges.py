"""A running control process in, every metric of the interface contract out, as plain numbers."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping

from gtm import __version__, model, view
from gtm.app import node as nodes
from gtm.app import watching as watchers
from gtm.web import metrics
from gtm.web import node as desk

# What the workers count, by the metric that shows it.
COUNTED = {
    "queries": "dns_queries_total",
    "subnets": "dns_queries_with_subnet_total",
    "responses": "dns_responses_total",
    "dropped": "dns_dropped_total",
    "truncated": "dns_truncated_total",
    "steered": "steered_answers_total",
    "answers": "answers_total",
    "drawn": "pool_answers_total",
    "places": "answers_by_place_total",
    "events": "events_total",
}


def counted(counts: Mapping[str, Mapping[tuple[str, ...], int]]) -> dict[str, desk.Samples]:
    """Return what was counted under the names of its metrics."""
    return {
        metric: dict(counts.get(kind, {}))  # a copy: it is written out bit by bit while counting goes on
        for kind, metric in COUNTED.items()
    }


def observed(watching: watchers.Watching) -> dict[str, desk.Samples]:
    """Return what became of the samples of the workers' answers."""
    found: dict[str, desk.Samples] = {
        "samples_total": {(): float(watching.taken)},
        "samples_lost_total": {(): float(watching.lost)},
    }
    if watching.log is not None:
        found["query_log_lines_total"] = {(): float(watching.log.written)}
        found["query_log_dropped_total"] = {(why,): float(count) for why, count in watching.log.dropped.items()}
    if watching.sender is not None:
        found["dnstap_frames_total"] = {(): float(watching.sender.sent)}
        found["dnstap_dropped_total"] = {(): float(watching.sender.dropped)}
        found["dnstap_connected"] = {(): float(watching.sender.connected)}
    return found


def measured(measures: Mapping[model.CheckKey, Mapping[str, model.Value]]) -> dict[str, desk.Samples]:
    """Return what checks measured, and how much of it is too much to show: of 2,000 checks that is most."""
    numbers = (
        (key, name, value)
        for key, found in measures.items()
        for name, value in found.items()
        if isinstance(value, (int, float))
    )
    shown: dict[tuple[str, ...], float] = {
        (key.profile, key.endpoint, name, key.family, key.name): float(value)
        for key, name, value in itertools.islice(numbers, metrics.MAX_SERIES)
    }
    left_out = sum(1 for _ in numbers)  # counted, and no label made: forty thousand of them hold up the loop
    dropped: desk.Samples = {("gtm_check_measure",): float(left_out)} if left_out else {}
    return {"check_measure": shown, metrics.DROPPED.name: dropped}


def collect(node: nodes.Node) -> desk.Metrics:
    """Return all counts and gauges as they are now."""
    mind, now, wall = node.brain, time.monotonic(), time.time()
    found = counted(node.measuring.counts)
    up: dict[model.Status, float] = {"up": 1.0, "down": 0.0, "unknown": math.nan}
    worths, pools = list(view.worths(mind, now)), mind.pools_so_far.items()
    found["endpoint_up"] = {(endpoint, family): up[status] for endpoint, family, status, _ in worths}
    found["endpoint_weight"] = {(endpoint, family): weight for endpoint, family, _, weight in worths}
    found["pool_up"] = {(name,): float(tried.usable) for name, tried in pools}
    found["pool_members_up"] = {(name,): float(tried.up) for name, tried in pools}
    found["probe_duration_seconds"] = {(kind,): meter.histogram() for kind, meter in node.measuring.probe_times.items()}
    found["probes_total"] = {labels: float(count) for labels, count in node.measuring.probe_counts.items()}
    found["probe_late_seconds"] = {(): node.measuring.departures.histogram()}
    found["probe_lag_seconds"] = {(): node.runner.lag_s}
    found["stalled_seconds_total"] = {(): node.runner.stalled_s}
    found["watched_connections"] = {(): float(node.runner.watched)}
    found |= measured(node.measuring.measures)
    intended = node.measuring.counts["intended"]
    found["pool_answers_intended_total"] = {labels: count / 1000 for labels, count in intended.items()}
    found |= observed(node.measuring.watching)
    found["failover_seconds"] = {(): node.failovers.histogram()}
    found["config_reload_success"] = {(): float(node.config_accepted)}
    found["config_last_reload_timestamp_seconds"] = {(): node.config_at}
    found["orders_active"] = {(): float(len(node.in_force()))}
    found["worker_restarts_total"] = {(): float(node.restarts.get("worker", 0))}
    found["worker_alive"] = {
        (str(at),): float(pid > 0) for at, pid in enumerate(pid for role, pid in node.processes if role == "worker")
    }
    found["table_revision"] = {(): float(mind.revision)}
    found["table_age_seconds"] = {(): max(0.0, wall - node.last_at) if node.last_at else 0.0}
    found["geo_database_age_seconds"] = {(path,): wall - at for path, at in node.atlas.built_at().items()}
    found["store_up"] = {(): float(node.book.works)}
    found["guard_active"] = {(): float(mind.health.guard_tripped)}
    found["ready"] = {(): float(mind.judged() and node.answering())}
    found["build_info"] = {(__version__,): 1.0}
    return found
