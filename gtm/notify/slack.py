"""A message in, one post to a Slack incoming webhook out."""

from __future__ import annotations

import json

from gtm import model
from gtm.notify import http, sender

KIND = model.Kind(
    name="slack",
    doc="a Slack channel, by an incoming webhook",
    options=(model.Option("url", "secret", "the incoming webhook's URL", required=True), sender.CA),
)
_COLORS = {"info": "#439fe0", "warning": "#e8a317", "error": "#d00000", "critical": "#8b0000"}
_OVER = "#2eb886"
MOST_CHARACTERS = 3000  # Slack refuses a block's text beyond this


def escaped(text: str) -> str:
    """Return text in which Slack sees no markup and nobody is called: names and reasons come from outside."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


async def send(trial: sender.Trial) -> str:
    """Post it."""
    message = trial.message
    title, text = escaped(message.title), escaped(message.text)[:MOST_CHARACTERS]
    body = {
        "text": title,  # what notifications and screen readers show
        "attachments": [
            {
                "color": _OVER if message.over else _COLORS[message.severity],
                "fallback": title,
                "text": text,
                "mrkdwn_in": [],
            }
        ],
    }
    status, said = await http.post(trial, http.url_of(trial, trial.found("url")), json.dumps(body).encode(), {})
    return f"{status} {said}".strip()
