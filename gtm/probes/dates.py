"""What servers say of time in, seconds out: HTTP's dates, and ISO 8601's dates and durations."""

from __future__ import annotations

import datetime
import email.utils
import re
from collections.abc import Mapping

_DURATION = re.compile(
    r"P(?=.)(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,6})D)?"
    r"(?:T(?=.)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,18})?)S)?)?"
)
# Years and months have no length of their own; a manifest that says them means "very long" (xs:duration, XML Schema 2).
_UNITS_S = (365 * 86400.0, 30 * 86400.0, 86400.0, 3600.0, 60.0, 1.0)


def http_date(headers: Mapping[str, str], name: str) -> float | None:
    """Return a header's date as wall-clock seconds (RFC 9110 section 5.6.7), None when there is none."""
    said = headers.get(name, "")[:64]
    if not said:
        return None
    try:
        return email.utils.parsedate_to_datetime(said).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def held_s(headers: Mapping[str, str]) -> float | None:
    """Return for how long caches have held an answer (Age, RFC 9111 section 5.1), None when none says so."""
    said = headers.get("Age", "")
    return float(said) if said.isascii() and said.isdecimal() and len(said) < 10 else None


def server_clock(headers: Mapping[str, str]) -> float | None:
    """Return the server's present time: Date, and Age where a cache has held the answer."""
    date_s = http_date(headers, "Date")
    return None if date_s is None else date_s + (held_s(headers) or 0.0)


def moment(text: str) -> float | None:
    """Return an ISO 8601 date with time as wall-clock seconds; one without a zone is UTC, as in DASH.

    None when it is not one.
    """
    try:
        when = datetime.datetime.fromisoformat(text.strip()[:64])
        return (when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def duration_s(text: str) -> float | None:
    """Return an ISO 8601 duration (`PT1M2.5S`) in seconds, None when it is not one."""
    found = _DURATION.fullmatch(text.strip()[:64])
    if not found:
        return None
    return sum(float(number) * unit_s for number, unit_s in zip(found.groups(), _UNITS_S, strict=True) if number)
