"""A path in, the playlist or manifest there out: asked for with the validators of the last answer, within bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gtm.probes import dates, fetch, prober, progress

Read = TypeVar("Read")


@dataclass(slots=True)
class Known(Generic[Read]):
    """What is remembered of one address: the validators of what was there, what they stand for, and how it moves."""

    etag: str = ""
    modified: str = ""
    found: Read | None = None
    moves: progress.Progress = field(default_factory=progress.Progress)

    def validators(self) -> dict[str, str]:
        """Return the headers that ask for news only (RFC 9110 section 13.1)."""
        if self.found is None:
            return {}
        if self.etag:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.modified} if self.modified else {}


@dataclass(frozen=True, slots=True)
class Sight(Generic[Read]):
    """A playlist or manifest as it was seen just now. `status` is 200 where a 304 says that it still is."""

    path: str
    found: Read
    headers: Mapping[str, str]
    known: Known[Read]
    status: int
    first_byte_s: float


async def see(
    trial: prober.Trial,
    visit: fetch.Visit,
    path: str,
    known: Known[Read],
    read: Callable[[bytes], Read],
    *,
    what: str = "playlist",
) -> Sight[Read]:
    """Fetch and read a playlist. Raises `Failed` with its status, or with the `ValueError` of `read`.

    A server that has too much to do for it just now is no dead stream: what was there stands, and its age tells.
    """
    headers = {**trial.headers(), **known.validators()}
    page = await visit.get(path, trial.number("max_bytes"), headers=headers, what=what)
    if page.status == 304 and known.found is not None:
        trial.measures["status"] = 200
        return Sight(path, known.found, page.headers, known, 200, page.first_byte_s)
    trial.measures["status"] = page.status
    refused = fetch.overload(page)
    trial.overloaded = trial.overloaded or refused
    if refused and known.found is not None:
        return Sight(path, known.found, page.headers, known, page.status, page.first_byte_s)
    known.found = None
    if page.status != 200:
        raise prober.Failed(f"the {what} answers {page.status}{_more(page)}")
    if page.cut:
        raise prober.Failed(f"the {what} is longer than {trial.number('max_bytes')} bytes (max_bytes)")
    try:
        found = known.found = read(page.body)
    except ValueError as error:
        raise prober.Failed(str(error)) from None
    known.etag = page.headers.get("ETag", "")[:200]
    known.modified = page.headers.get("Last-Modified", "")[:64]
    return Sight(path, found, page.headers, known, page.status, page.first_byte_s)


def _more(page: fetch.Page) -> str:
    if 300 <= page.status < 400 and page.headers.get("Location"):
        return f" (to {page.headers['Location'][:200]}, not followed)"
    # The origins of some packagers answer so for what has stopped, so that players move on.
    return " (X-Object-Too-Old: it stands still)" if "X-Object-Too-Old" in page.headers else ""


def first_age_s(headers: Mapping[str, str], ends_at: float | None, wall: float) -> float:
    """Return how old the edge is at first sight, by the stream's own dates; where there are two, by the kinder.

    These are the wall-clock time at which the newest segment ends, against the server's clock where it tells, and
    Date - Last-Modified, which needs no other clock.
    """
    server_s, modified_s = dates.server_clock(headers), dates.http_date(headers, "Last-Modified")
    ages_s = []
    if ends_at is not None:
        ages_s.append((wall if server_s is None else server_s) - ends_at)
    if server_s is not None and modified_s is not None:
        ages_s.append(server_s - modified_s)
    return max(0.0, min(ages_s, default=0.0))
