"""A message in, alerts for the Alertmanager's API v2 out: told again before `endsAt`, and ended by it.

An alert is what its labels are: node, group and severity. When an incident grows worse, the milder alert is ended in
the same request.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

from gtm import model
from gtm.notify import http, sender

KIND = model.Kind(
    name="alertmanager",
    doc="a Prometheus Alertmanager, by its API v2; write one receiver for each member of a cluster",
    options=(
        model.Option("url", "url", "its address, such as http://127.0.0.1:9093", required=True),
        model.Option("token", "secret", "bearer token for the Authorization header"),
        sender.CA,
    ),
)
REFRESH_S = 60.0  # as Prometheus does: an alert that nobody repeats is over
LASTS_S = 4 * REFRESH_S  # three lost repetitions do not end it
NEWS_LASTS_S = 300.0


def alerts(trial: sender.Trial) -> list[dict[str, Any]]:
    """Return what the API is told."""
    message = trial.message
    labels = {"alertname": "GTM", "node": message.node, "group": message.group, "severity": message.severity}
    annotations = {"summary": message.title, "description": message.text, "incident": message.incident}
    ends = trial.now + (NEWS_LASTS_S if message.what in {"news", "test"} else LASTS_S)
    if message.what == "resolved":
        ends = message.at
    if message.what in {"news", "test"}:
        labels["id"] = message.id  # each is one of its own
    told = {
        "labels": labels,
        "annotations": annotations,
        "startsAt": _moment(message.since),
        "endsAt": _moment(ends),
    } | ({"generatorURL": message.look} if message.look else {})
    before = message.severity_before
    if message.what == "update" and before and before != message.severity:
        milder = told | {"labels": labels | {"severity": before}, "endsAt": _moment(trial.now)}
        return [milder, told]
    return [told]


async def send(trial: sender.Trial) -> str:
    """Post them."""
    token = trial.found("token")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = http.url_of(trial, trial.found("url").rstrip("/") + "/api/v2/alerts")
    status, said = await http.post(trial, url, json.dumps(alerts(trial)).encode(), headers)
    return f"{status} {said}".strip()


def _moment(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat()
