"""A check and a path in, a bounded page out: HTTP pinned to the one address that is checked (semantics A11, G6, G7).

One `Visit` is one fresh connection to one address with its own session: no cookies, no proxies from the environment,
no redirects followed, no decompression beyond the bound. aiohttp speaks HTTP; where it connects to is decided by
`dial` alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

import aiohttp
import multidict
import yarl
from aiohttp import client_proto

import gtm
from gtm import model
from gtm.probes import cmsd, dial, prober

TIME_FIRST_BYTE = model.Measure("time.first_byte", "s", "from the request to the head of the answer")
# What every kind that asks over HTTP measures beside what it came for.
MEASURES = (
    *cmsd.MEASURES, dial.TIME_DNS, dial.TIME_CONNECT, dial.TIME_TLS, TIME_FIRST_BYTE, prober.TIME_TOTAL, dial.DAYS_LEFT,
)  # fmt: skip
STATUS = model.Measure("status", "", "HTTP status; a redirect is judged as what it is, not followed")
HEADER = model.Measure("header.*", "text", "a header of the answer, as in `header.Cache-Control`")

# Room for what answers say in their heads, and not for much more: aiohttp refuses longer lines.
HEAD_LINE_BYTES, HEAD_LINES = 8190, 128
# zlib's window sizes: 47 finds gzip or zlib by itself; -15 is deflate without a head, which some servers send.
_GZIP_OR_ZLIB, _BARE = 47, -15
BUSY_S = 60  # a server that sheds load hopes to be better in seconds
_NO_TIMEOUT = aiohttp.ClientTimeout()  # the probe's own deadline holds, over all phases together


@dataclass(frozen=True, slots=True)
class Page:
    """An answer. `body` is decompressed and never over the bound; `cut` says that there was more.

    `first_byte_s` and `transfer_s` are the waits for its head and from there to the end of what was read, `received`
    the bytes that came over the wire.
    """

    status: int
    headers: multidict.CIMultiDictProxy[str]
    body: bytes
    cut: bool
    received: int
    first_byte_s: float
    transfer_s: float


class _Pinned(aiohttp.BaseConnector):
    """A connector that knows one address, and refuses any other host or port than the check's own."""

    def __init__(self, trial: prober.Trial, *, again: bool) -> None:
        super().__init__(force_close=not again, limit=0)
        self._trial = trial
        self.dialled_s = 0.0
        self.what = "answer"

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[aiohttp.tracing.Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the base class says so
    ) -> client_proto.ResponseHandler:
        trial = self._trial
        if req.url.raw_host != yarl.URL.build(host=trial.host).raw_host or req.url.port != trial.check.port:
            raise prober.NotRun(f"a probe of {trial.host} does not go to {req.url.host}:{req.url.port}")
        loop = asyncio.get_running_loop()
        _, protocol = await dial.reach(
            trial, lambda: client_proto.ResponseHandler(loop), trial.tls(), alpn=("http/1.1",)
        )
        trial.awaiting = self.what
        self.dialled_s = trial.monotonic()
        return protocol


class Visit:
    """One connection's worth of requests; made by `visit`."""

    def __init__(self, trial: prober.Trial, connector: _Pinned, session: aiohttp.ClientSession) -> None:
        self._trial = trial
        self._connector = connector
        self._session = session
        scheme = "https" if trial.tls() else "http"
        try:
            self._base = yarl.URL.build(scheme=scheme, host=trial.host, port=trial.check.port, path="/")
        except ValueError as error:
            raise prober.NotRun(f"{trial.host!r} is not a host: {error}") from None

    async def get(
        self,
        path: str,
        limit_bytes: int,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str = "",
        what: str = "answer",
        headed: Callable[[int, Mapping[str, str]], object] = lambda *_: None,
    ) -> Page:
        """Fetch `path` (with its query) and read at most `limit_bytes`. Raises `Failed`, `NotRun` or `OSError`.

        `what` is its word in reasons: `no complete segment within 2s`. `headed` hears status and headers before the
        body comes.
        """
        trial = self._trial
        trial.awaiting = self._connector.what = what
        started_s = trial.monotonic()
        try:
            async with self._session.request(
                method, self._url(path), headers=headers, data=body.encode() or None, allow_redirects=False
            ) as answer:
                headed_s = trial.monotonic()
                trial.reached = True
                first_byte_s = headed_s - max(started_s, self._connector.dialled_s)
                trial.measures.setdefault(TIME_FIRST_BYTE.name, first_byte_s)
                self._take_cmsd(answer.headers)
                headed(answer.status, answer.headers)
                trial.awaiting = f"complete {what}"
                raw, cut = await _read(answer, limit_bytes)
                transfer_s = trial.monotonic() - headed_s
        except aiohttp.ClientError as error:
            raise _blame(error) from None
        except ValueError as error:  # a header or method that cannot be written
            raise prober.NotRun(f"the request cannot be made: {error}") from None
        plain, more = _decompressed(raw, answer.headers.get("Content-Encoding", ""), limit_bytes)
        return Page(
            status=answer.status,
            headers=answer.headers,
            body=plain,
            cut=cut or more,
            received=len(raw),
            first_byte_s=first_byte_s,
            transfer_s=transfer_s,
        )

    def _take_cmsd(self, headers: multidict.CIMultiDictProxy[str]) -> None:
        """Measure what the server says of itself; duress is a word about its load, whatever else it answers."""
        measures = cmsd.read(headers, self._trial.wall())
        self._trial.measures.update(measures)
        if measures.get(cmsd.DURESS):
            self._trial.overloaded = self._trial.overloaded or "under duress, it says (CMSD)"

    def _url(self, path: str) -> yarl.URL:
        """Return the whole address of `path`, left as written where it can be: signed URLs break when requoted."""
        clean = path.isascii() and path.isprintable() and " " not in path
        try:
            where = yarl.URL(path.partition("#")[0], encoded=clean)
            return self._base.join(where) if not where.absolute else where
        except ValueError:
            raise prober.Failed(f"{path[:80]!r} is not a path") from None


@contextlib.asynccontextmanager
async def visit(trial: prober.Trial, *, again: bool = False) -> AsyncIterator[Visit]:
    """Give a `Visit`, and close its connection at the end. `again` keeps it open for a further request."""
    headers = {"User-Agent": f"gtm/{gtm.__version__} (health check)", "Accept-Encoding": "gzip, deflate"}
    connector = _Pinned(trial, again=again)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        timeout=_NO_TIMEOUT,
        auto_decompress=False,
        trust_env=False,
        max_line_size=HEAD_LINE_BYTES,
        max_field_size=HEAD_LINE_BYTES,
        max_headers=HEAD_LINES,
    ) as session:
        yield Visit(trial, connector, session)


async def _read(answer: aiohttp.ClientResponse, limit_bytes: int) -> tuple[bytes, bool]:
    """Return the body as it came, up to the bound, and whether there was more; then the connection is dropped."""
    chunks, size = [], 0
    while chunk := await answer.content.readany():
        chunks.append(chunk)
        size += len(chunk)
        if size > limit_bytes:
            answer.close()
            return b"".join(chunks)[:limit_bytes], True
    return b"".join(chunks), False


def _decompressed(raw: bytes, encoding: str, limit_bytes: int) -> tuple[bytes, bool]:
    """Return the plain body up to the bound, and whether there was more. Raises `Failed` for what is not gzip."""
    if encoding.strip().lower() not in {"gzip", "x-gzip", "deflate"} or not raw:
        return raw, False
    # RFC 9110 section 8.4.1.2: deflate is the zlib format, and some send the bare one; zlib's first byte ends in 8
    bare = encoding.strip().lower() == "deflate" and raw[0] & 0x0F != 8
    inflate = zlib.decompressobj(_BARE if bare else _GZIP_OR_ZLIB)
    try:
        plain = inflate.decompress(raw, limit_bytes)
    except zlib.error:
        raise prober.Failed(f"the answer says that it is {encoding}, and is not") from None
    return plain, bool(inflate.unconsumed_tail)


def overload(page: Page) -> str:
    """Return in a few words that a server says it has too much to do, else nothing.

    429 says it by itself (RFC 6585 section 4), 503 with a Retry-After of some seconds (RFC 9110 section 15.6.4).
    Without one it is broken, and who says to come back in an hour, or at a date, is closed: maintenance pages do.
    """
    after = page.headers.get("Retry-After", "")[:40]
    if page.status == 429 or (page.status == 503 and after.isascii() and after.isdigit() and int(after) <= BUSY_S):
        return f"status {page.status}" + (f", retry after {after}" if after else "")
    return ""


def _blame(error: aiohttp.ClientError) -> Exception:
    """Return the plain words for what aiohttp met."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return prober.Failed("connection closed without an answer")
    if isinstance(error, aiohttp.ClientPayloadError):
        return prober.Failed("connection closed in the middle of the answer")
    if isinstance(error, aiohttp.ClientResponseError):
        return prober.Failed(f"not an HTTP answer: {error.message.partition(chr(10))[0].rstrip(' :')}")
    if isinstance(error, ConnectionResetError):
        return prober.Failed("connection reset")
    if isinstance(error, OSError):
        return prober.blame(error)
    return prober.NotRun(f"the request cannot be made: {error}")
