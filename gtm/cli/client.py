"""A path and parameters in, the running node's JSON out, with nothing but the standard library, so that it starts fast.

`--url` (or `$GTM_URL`) says where the node is, `$GTM_TOKEN` who asks; a token never stands on a command line, where
every user of the machine could read it.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar
from urllib import parse

import click

from gtm import errors

F = TypeVar("F", bound=Callable[..., Any])
Query = Mapping[str, str] | Sequence[tuple[str, str]]

DEFAULT_URL = "http://127.0.0.1:8053"
WAIT_S = 15.0  # an order waits until every worker has swapped; more than this and something is stuck
STREAM_WAIT_S = 45.0  # the node says something at least every 15 s
MAX_ANSWER_BYTES = 256 * 1024 * 1024  # a million names


class Unreachable(errors.GtmError):
    """The node does not answer."""


class NotDone(errors.GtmError):
    """The node answered with an error; `body` is the whole of it."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status, self.body = status, body
        said = body.get("error")
        error = said if isinstance(said, Mapping) else {}
        hint = f" ({error['hint']})" if error.get("hint") else ""
        super().__init__(f"{error.get('message') or f'HTTP status {status}'}{hint}")


class Client:
    """Speaks to one node."""

    def __init__(self, url: str, token: str = "") -> None:
        """Raises `UsageError` for what is not an http(s) URL."""
        try:
            found = parse.urlsplit(url if "://" in url else f"http://{url}")
            port = found.port
        except ValueError as wrong:
            raise click.UsageError(f"{url!r} is not a URL: {wrong}") from None
        if found.scheme not in {"http", "https"} or not found.hostname:
            raise click.UsageError(f"{url!r} is not a URL: write {DEFAULT_URL}")
        self.url = url
        self._host, self._port, self._base = found.hostname, port, found.path.rstrip("/")
        self._kind = http.client.HTTPSConnection if found.scheme == "https" else http.client.HTTPConnection
        self._headers = {"Accept": "application/json", "User-Agent": "gtm"}
        if token:
            if not token.isascii() or not token.isprintable():
                raise click.UsageError("$GTM_TOKEN has characters in it that no token has")
            self._headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, query: Query = ()) -> dict[str, Any]:
        """Return what `GET /api/v1/PATH` gives. Raises `Unreachable`, `NotDone`."""
        return self._ask("GET", path + ("?" + parse.urlencode(query) if query else ""))

    def post(self, path: str, body: Mapping[str, Any], wait_s: float = WAIT_S) -> dict[str, Any]:
        """Return what `POST /api/v1/PATH` gives. Raises `Unreachable`, `NotDone`."""
        return self._ask("POST", path, json.dumps(body), wait_s)

    def delete(self, path: str, last: str, query: Query = ()) -> dict[str, Any]:
        """Return what `DELETE /api/v1/PATH/LAST` gives. Raises `Unreachable`, `NotDone`."""
        asked = "?" + parse.urlencode(query) if query else ""
        return self._ask("DELETE", f"{path}/{parse.quote(last, safe='')}{asked}")

    def stream(self, after: int) -> Iterator[dict[str, Any]]:
        """Yield events as they happen, beginning after an id. Ends only by raising `Unreachable` or `NotDone`."""
        connection = self._kind(self._host, self._port, timeout=STREAM_WAIT_S)
        try:
            with closing(connection), closing(self._send(connection, "GET", f"stream?after={after}")) as response:
                if response.status != 200:
                    raise NotDone(response.status, _decoded(response.read(MAX_ANSWER_BYTES)))
                for line in response:
                    field, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(": ")
                    if field == "data":
                        yield json.loads(value)
        except (OSError, http.client.HTTPException, ValueError) as wrong:
            raise self._unreachable(wrong) from wrong
        raise Unreachable(f"{self.url} ended the stream of events")

    def _ask(self, method: str, path: str, body: str | None = None, wait_s: float = WAIT_S) -> dict[str, Any]:
        connection = self._kind(self._host, self._port, timeout=wait_s)
        try:
            with closing(connection), closing(self._send(connection, method, path, body)) as response:
                raw = response.read(MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as wrong:
            raise self._unreachable(wrong) from wrong
        if response.status >= 300:
            raise NotDone(response.status, _decoded(raw))
        found = _decoded(raw)
        if not found:
            raise Unreachable(f"what answers at {self.url} is no gtm node")
        return found

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None
    ) -> http.client.HTTPResponse:
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        connection.request(method, f"{self._base}/api/v1/{path}", body=body, headers=headers)
        return connection.getresponse()

    def _unreachable(self, wrong: Exception) -> Unreachable:
        if isinstance(wrong, TimeoutError):
            return Unreachable(f"{self.url} has not answered in time; what was asked may yet be done")
        why = (wrong.strerror if isinstance(wrong, OSError) else "") or str(wrong) or type(wrong).__name__
        return Unreachable(f"no node answers at {self.url}: {why} (is `gtm serve` running? see --url)")


def options(command: F) -> F:
    """Give a command `--url`."""
    says = "The node's web address.  [default: $GTM_URL or http://127.0.0.1:8053]"
    return click.option("--url", envvar="GTM_URL", default=DEFAULT_URL, metavar="URL", help=says)(command)


def on_this_machine(url: str) -> bool:
    """Say whether a node's address is one of loopback."""
    host = parse.urlsplit(url if "://" in url else f"http://{url}").hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def reach(url: str) -> Client:
    """Return a client for `url`, with the token of `$GTM_TOKEN`."""
    return Client(url, os.environ.get("GTM_TOKEN", "").strip())


def _decoded(raw: bytes) -> dict[str, Any]:
    """Return a JSON object; anything else, such as a proxy's page, is an empty one."""
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
