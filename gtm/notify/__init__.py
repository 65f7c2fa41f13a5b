"""A message in, whether a receiver took it out: one file a sender, and this plain dictionary of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gtm.notify import alertmanager, email, exec, pagerduty, sender, slack, webhook

SENDERS: Final[Mapping[str, sender.Sender]] = {
    "webhook": sender.Sender(webhook.KIND, webhook.send),
    "slack": sender.Sender(slack.KIND, slack.send),
    "pagerduty": sender.Sender(pagerduty.KIND, pagerduty.send),
    "alertmanager": sender.Sender(alertmanager.KIND, alertmanager.send, refresh_s=alertmanager.REFRESH_S),
    "email": sender.Sender(email.KIND, email.send),
    "exec": sender.Sender(exec.KIND, exec.send),
}
