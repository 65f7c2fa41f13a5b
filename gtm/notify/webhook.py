"""A message in, one signed POST of JSON out.

The signature is HMAC-SHA256 over `TIMESTAMP.BODY`: who receives it can tell that it comes from here, and is not old.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from gtm import model
from gtm.notify import http, sender

KIND = model.Kind(
    name="webhook",
    doc="a program that takes JSON over HTTP",
    options=(
        model.Option("url", "secret", "where to post", required=True),
        model.Option("secret", "secret", "key of the signature"),
        model.Option("token", "secret", "bearer token for the Authorization header"),
        sender.CA,
    ),
)
ID, TIMESTAMP, SIGNATURE = "X-GTM-Id", "X-GTM-Timestamp", "X-GTM-Signature"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a body, `sha256=` and hexadecimal digits."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


async def send(trial: sender.Trial) -> str:
    """Post it. `X-GTM-Id` stays the same over all attempts."""
    body = json.dumps(sender.plain(trial.message), ensure_ascii=False).encode()
    timestamp = str(int(trial.now))
    headers = {ID: trial.message.id, TIMESTAMP: timestamp}
    if secret := trial.found("secret"):
        headers[SIGNATURE] = signature(secret, timestamp, body)
    if token := trial.found("token"):
        headers["Authorization"] = f"Bearer {token}"
    status, said = await http.post(trial, http.url_of(trial, trial.found("url")), body, headers)
    return f"{status} {said}".strip()
