"""A message in, one PagerDuty event (Events API v2) out: `trigger` while something is wrong, `resolve` when it is over.

The `dedup_key` is the incident's, so what is sent twice is one incident there too.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

from gtm import model
from gtm.notify import http, sender

KIND = model.Kind(
    name="pagerduty",
    doc="a PagerDuty service, by Events API v2; news that nobody can resolve (`order`, `worker`, `node`) are left out",
    options=(
        model.Option("key", "secret", "the integration's routing key", required=True),
        model.Option("url", "text", "where events go", "https://events.pagerduty.com/v2/enqueue"),
        sender.CA,
    ),
)
MOST_SUMMARY = 1024  # the API refuses a longer one
MOST_DETAILS = 20_000


async def send(trial: sender.Trial) -> str:
    """Trigger or resolve; a test does both, one after the other."""
    message = trial.message
    if message.what == "news":
        return "left out: it would stay open for ever"
    if message.what == "test":
        await _enqueue(trial, "trigger")
    return await _enqueue(trial, "resolve" if message.over else "trigger")


async def _enqueue(trial: sender.Trial, action: str) -> str:
    message = trial.message
    event: dict[str, Any] = {
        "routing_key": trial.found("key"),
        "event_action": action,
        "dedup_key": f"gtm-{message.incident}",
    }
    if action == "trigger":
        event |= {
            "client": f"GTM on {message.node}",
            "payload": {
                "summary": message.title[:MOST_SUMMARY],
                "source": message.node,
                "severity": message.severity,
                "timestamp": datetime.datetime.fromtimestamp(message.since, datetime.UTC).isoformat(),
                "component": message.group,
                "custom_details": {"text": message.text[:MOST_DETAILS]},
            },
        }
        if message.look:
            event |= {"client_url": message.look, "links": [{"href": message.look, "text": "status page"}]}
    status, said = await http.post(trial, http.url_of(trial, trial.text("url")), json.dumps(event).encode(), {})
    return f"{status} {said}".strip()
