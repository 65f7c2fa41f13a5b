"""An HTTP check in, status, headers, body, JSON values and timings out (RFC 9110)."""

from __future__ import annotations

import json

from gtm import model
from gtm.probes import dial, fetch, prober

KIND = model.Kind(
    name="http",
    doc="one HTTP or HTTPS request to the endpoint's address; redirects are judged, not followed",
    options=(
        dial.HOST,
        dial.TLS,
        dial.WATCH,
        model.Option("path", "path", "path and query to ask for", "/", fills=True),
        model.Option("method", "choice", "request method", "GET", choices=("GET", "HEAD", "POST", "PUT", "OPTIONS")),
        model.Option("headers", "headers", "headers to send beside Host and User-Agent", fills=True),
        model.Option("body", "text", "body to send", "", fills=True),
        # semantics G6
        model.Option("max_bytes", "bytes", "how much of the body is read, before and after decompression", 256 * 1024),
    ),
    measures=(
        fetch.STATUS,
        fetch.HEADER,
        model.Measure("body", "text", "the body's text, up to max_bytes"),
        model.Measure("body.bytes", "bytes", "length of the decompressed body, up to max_bytes"),
        model.Measure(
            "json.*",
            "text",
            "a value in a JSON body by its dotted path, as in `json.load.cpu`, `json.nodes.0.ok`; of lists the text",
        ),
        *fetch.MEASURES,
    ),
    expect=("status in 200..299 unless overloaded",),
    warn=("cmsd.mqcs >= 50",),
    port=80,
    tls_port=443,
)

MAX_VALUES = 5000  # in a list or mapping that becomes text: what is measured is a number somewhere in it
_MAX_NUMBER = 2**63  # beyond it a number is no measurement, and would not fit where numbers are compared


async def look(trial: prober.Trial) -> str:
    """Ask once, and measure what the conditions mention."""
    async with fetch.visit(trial) as visit:
        page = await visit.get(
            trial.text("path"),
            trial.number("max_bytes"),
            method=trial.text("method"),
            headers=trial.headers(),
            body=trial.text("body"),
        )
    trial.measures["status"] = page.status
    trial.overloaded = trial.overloaded or fetch.overload(page)
    trial.measures["body.bytes"] = len(page.body)
    asked = trial.asked()
    for name in asked:
        if name.startswith("header.") and name[7:] in page.headers:
            trial.measures[name] = page.headers[name[7:]]
    if "body" in asked:
        trial.measures["body"] = page.body.decode("utf-8", "replace")
    paths = [name[5:] for name in asked if name.startswith("json.")]
    if paths:
        if page.cut:
            raise prober.Failed(f"the body is longer than the {len(page.body)} bytes that are read, so no whole JSON")
        try:
            whole = parsed(page.body)
        except ValueError:
            raise prober.Failed(f"the body is not JSON (status {page.status})") from None
        for path in paths:
            value = at(whole, path)
            if value is not None:
                trial.measures[f"json.{path}"] = value
    location = page.headers.get("Location", "") if 300 <= page.status < 400 else ""
    return f"redirects to {location[:200]}" if location else ""


def parsed(body: bytes) -> object:
    """Return what a JSON text says. Raises `ValueError` for what is none."""
    try:
        return json.loads(body, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _refuse(word: str) -> object:
    raise ValueError(f"{word} is not JSON")  # RFC 8259 section 6


def at(value: object, path: str) -> model.Value | None:
    """Return what stands at a dotted path: plain values as they are, small lists and mappings as JSON text."""
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    if isinstance(value, int) and abs(value) > _MAX_NUMBER:
        return str(value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return json.dumps(value) if _is_small(value) else None


def _is_small(value: object) -> bool:
    """Say whether a list or mapping may become text."""
    rest, seen = [value], 0
    while rest and seen + len(rest) <= MAX_VALUES:
        one, seen = rest.pop(), seen + 1
        if isinstance(one, dict):
            rest.extend(one.values())
        elif isinstance(one, list):
            rest.extend(one)
    return not rest
