"""Plain data or an exception in, a JSON response out: one shape for answers and one for errors."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from gtm import errors
from gtm.web import node

SLICE_ROWS = 1000  # some milliseconds; 100,000 at once would hold up the loop that probes for 300
LOG = logging.getLogger("gtm.web")

STATUS_OF: dict[node.Code, int] = {
    "bad-value": 400,
    "no-match": 404,
    "no-such-name": 404,
    "no-such-check": 404,
    "conflict": 409,
    "below-floor": 409,
    "too-many-orders": 409,
    "refused": 409,
    "unavailable": 503,
}
HTTP_CODES = {
    400: ("bad-request", "see /api/v1/openapi.json"),
    404: ("not-found", "see /api/v1/openapi.json for what there is"),
    405: ("method-not-allowed", "see /api/v1/openapi.json"),
    413: ("too-large", "a body has at most 64 KiB"),
}


class Denied(errors.GtmError):
    """A request that never reaches its handler."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        self.status, self.code, self.hint = status, code, hint
        super().__init__(message)


def ok(body: Mapping[str, Any], status: int = 200) -> web.Response:
    """Return `body` as JSON."""
    return web.Response(body=_bytes(body), status=status, content_type="application/json")


def tagged(request: web.Request, body: Mapping[str, Any]) -> web.Response:
    """Return `body` as JSON with an entity tag, or 304 when the client has it already (RFC 9110 section 13.1.2)."""
    return _if_new(request, _bytes(body))


async def tagged_in_slices(request: web.Request, body: Mapping[str, Any]) -> web.Response:
    """Do as `tagged` with a body of very many rows, and let the loop turn between some of them and the next."""
    parts: list[bytes] = []
    for key, value in body.items():
        parts.append(b"," if parts else b"{")
        parts.append(_bytes(key) + b":")
        if not isinstance(value, list) or len(value) <= SLICE_ROWS:
            parts.append(_bytes(value))
            continue
        for at in range(0, len(value), SLICE_ROWS):
            parts.append((b"," if at else b"[") + _bytes(value[at : at + SLICE_ROWS])[1:-1])
            await asyncio.sleep(0)
        parts.append(b"]")
    return _if_new(request, b"".join(parts) + (b"}" if parts else b"{}"))


def _if_new(request: web.Request, data: bytes) -> web.Response:
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    asked = [one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")]
    if tag in asked:
        return web.Response(status=304, headers={"ETag": tag})
    return web.Response(body=data, content_type="application/json", headers={"ETag": tag})


def error(status: int, code: str, message: str, hint: str = "", **more: Any) -> web.Response:
    """Return an error in the one shape that errors have; `more` are keys beside `error`."""
    return ok({"error": {"code": code, "message": message, "hint": hint}, **more}, status)


def failure(request: web.Request, wrong: Exception, may_log: Callable[[], bool]) -> web.Response:
    """Turn what a handler raised into its response; what nobody meant to raise is logged and stays inside.

    `may_log` is asked before each line: what anybody can bring about may not fill the log.
    """
    if isinstance(wrong, Denied):
        response = error(wrong.status, wrong.code, str(wrong), wrong.hint)
        if wrong.status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="gtm"'
        if wrong.status in {429, 503}:
            response.headers["Retry-After"] = "1"
        return response
    if isinstance(wrong, node.Refused):
        return error(STATUS_OF[wrong.code], wrong.code, str(wrong), wrong.hint)
    if isinstance(wrong, errors.StoreError):
        return error(503, "store", str(wrong), "answering goes on; orders and history wait for the store")
    if isinstance(wrong, errors.GtmError):
        reads = request.method in {"GET", "HEAD"} or isinstance(wrong, ValueError)
        return error(400 if reads else 409, "bad-value" if reads else "refused", str(wrong))
    if isinstance(wrong, web.HTTPException):
        code, hint = HTTP_CODES.get(wrong.status, (f"http-{wrong.status}", ""))
        response = error(wrong.status, code, f"{request.method} {request.path}: {wrong.reason}", hint)
        if "Allow" in wrong.headers:
            response.headers["Allow"] = wrong.headers["Allow"]
        return response
    if isinstance(wrong, ConnectionError) and (request.transport is None or request.transport.is_closing()):
        return error(400, "gone", "the client hung up before its request was whole")  # which nobody will read
    if may_log():
        LOG.error("%s %s failed", request.method, request.path, exc_info=wrong)
    return error(500, "internal", "something went wrong inside; the node's log has it")


def _bytes(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
