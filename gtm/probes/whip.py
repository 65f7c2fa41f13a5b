"""A WHIP or WHEP check in, whether WebRTC can be sent to or had from an endpoint out (RFC 9725; WHEP is a draft).

By default one OPTIONS, which changes nothing. With `session` an offer is posted, and what it made is deleted again:
also when its answer is no good, and when the time is nearly over.
"""

from __future__ import annotations

import asyncio

import yarl

from gtm import model
from gtm.probes import dial, fetch, prober, sdp

OPTIONS = (
    dial.HOST,
    dial.TLS,
    dial.WATCH,
    model.Option("path", "path", "path and query of the endpoint", required=True, fills=True),
    model.Option("headers", "headers", "headers to send, such as `Authorization: Bearer TOKEN`", fills=True),
    model.Option(
        "session", "bool", "make a session with a small offer, and delete it again; it costs the server something, "
        "so once a minute is often", False,
    ),
)  # fmt: skip
MEASURES = (
    fetch.STATUS,
    model.Measure("time.answer", "s", "from the offer to its whole answer; with `session`"),
    model.Measure("answer.media", "", "streams that the answer accepts; with `session`"),
    model.Measure("ended", "", "whether the session was deleted; with `session`"),
    model.Measure("redirect", "text", "where the server sends its clients"),
    *fetch.MEASURES,
)
# Servers differ in what they say to OPTIONS. A 401 or 405 lives, a 307 sends its clients on (RFC 9725 section 4.5),
# and 503 has too much to do, which is another matter than being down.
EXPECT = ("status in [200, 201, 204, 307, 308, 401, 403, 405, 429, 503]",)

WHIP = model.Kind(
    name="whip",
    doc="WebRTC ingest over HTTP (WHIP): OPTIONS, or a whole session that is made and deleted",
    options=OPTIONS,
    measures=MEASURES,
    expect=EXPECT,
    port=80,
    tls_port=443,
)
WHEP = model.Kind(
    name="whep",
    doc="WebRTC playback over HTTP (WHEP): OPTIONS, or a whole session that is made and deleted",
    options=OPTIONS,
    measures=MEASURES,
    expect=EXPECT,
    port=80,
    tls_port=443,
)

_PAGE_BYTES = sdp.MAX_BYTES
_ANSWER_SHARE = 0.6  # of the time that is left: the rest is for deleting what was made
_CREATED = 201


async def look_whip(trial: prober.Trial) -> str:
    """Look as an encoder would."""
    return await _look(trial, "sendonly")


async def look_whep(trial: prober.Trial) -> str:
    """Look as a player would."""
    return await _look(trial, "recvonly")


async def _look(trial: prober.Trial, direction: str) -> str:
    async with fetch.visit(trial, again=True) as visit:
        if trial.flag("session"):
            return await _session(trial, visit, direction)
        page = await visit.get(trial.text("path"), _PAGE_BYTES, method="OPTIONS", headers=trial.headers())
        return _told(trial, page.status, page)


async def _session(trial: prober.Trial, visit: fetch.Visit, direction: str) -> str:
    """Post an offer, judge the answer, and delete the session whatever the answer was."""
    headers = {**trial.headers(), "Content-Type": "application/sdp", "Accept": "application/sdp"}
    made: list[str] = []  # where the session is, known with the head of the answer
    began_s = trial.monotonic()
    what, failed = "answer to the offer", prober.Failed
    try:
        async with asyncio.timeout(trial.left_s() * _ANSWER_SHARE):
            page = await visit.get(
                trial.text("path"),
                _PAGE_BYTES,
                method="POST",
                headers=headers,
                body=sdp.offer(direction).decode(),
                what=what,
                headed=lambda status, answered: made.extend([answered.get("Location", "")] * (status == _CREATED)),
            )
        trial.measures["time.answer"] = trial.monotonic() - began_s
        why, remark = _answer(trial, page), _told(trial, page.status, page)
    except TimeoutError:
        why, remark, failed = f"no {what} in {_ANSWER_SHARE:.0%} of the time", "", prober.Silent
    if made:
        trial.measures["ended"] = False
        why = await _end(trial, visit, made[0]) or why
    if why:
        raise failed(why)
    return remark


def _answer(trial: prober.Trial, page: fetch.Page) -> str:
    """Return what is wrong with the answer to an offer, else nothing. Measures `answer.media`."""
    if page.status != _CREATED:
        return ""  # which the conditions judge
    try:
        found = sdp.read(page.body)
    except ValueError as error:
        return f"the answer is no session description: {error}"
    trial.measures["answer.media"] = len(found.media)
    if not found.media:
        return "the answer accepts no stream"
    if not (found.ice and found.fingerprint):
        return "the answer has no ICE credentials or no fingerprint, so that nobody can connect"
    return ""


async def _end(trial: prober.Trial, visit: fetch.Visit, location: str) -> str:
    """Delete a session at the address that was probed (RFC 9725 section 4.3); return what went wrong."""
    if not location:
        return "status 201 without a Location: the session cannot be ended"
    try:
        where = yarl.URL(trial.text("path"), encoded=True).join(yarl.URL(location, encoded=True))
    except ValueError:
        return f"the session's Location {location[:80]!r} is no address"
    page = await visit.get(where.raw_path_qs, _PAGE_BYTES, method="DELETE", headers=trial.headers(), what="goodbye")
    trial.measures["ended"] = page.status in range(200, 300)
    return "" if trial.measures["ended"] else f"the session could not be ended: status {page.status}"


def _told(trial: prober.Trial, status: int, page: fetch.Page) -> str:
    """Measure the status and what the server says beside it; return the remark."""
    trial.measures["status"] = status
    # Here 503 means overload even without Retry-After (RFC 9725 section 4.5).
    trial.overloaded = trial.overloaded or fetch.overload(page) or ("status 503" if status == 503 else "")
    location = page.headers.get("Location", "")[:200] if 300 <= status < 400 else ""
    if location:
        trial.measures["redirect"] = location
    return f"redirects to {location}" if location else ""
