"""Text with a unit in, plain numbers out: the one place where units are converted."""

from __future__ import annotations

import math
import re

from gtm import errors

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_BITS_PER_S = {"G": 1e9, "M": 1e6, "k": 1e3, "": 1.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([GMk]?)bit/s")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def seconds(value: str | int | float) -> float:
    """Return the duration `value` in seconds: `500ms`, `5s`, `2m`, `1h30m`, or a bare number of seconds.

    Raises `UnitError` when it is none of these, negative, or not finite.
    """
    if isinstance(value, bool):
        raise errors.UnitError(f"{value!r} is not a duration")
    if isinstance(value, (int, float)):
        if not math.isfinite(value) or value < 0:
            raise errors.UnitError(f"{value!r} is not a duration")
        return float(value)
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    end, total = 0, 0.0
    for part in _PART.finditer(text):
        if part.start() != end:
            break
        total += float(part[1]) * _UNITS_S[part[2]]
        end = part.end()
    if not text or end != len(text):
        raise errors.UnitError(f"{value!r} is not a duration: write 500ms, 5s, 2m or 1h30m")
    return total


def show_seconds(duration_s: float) -> str:
    """Return a duration in the shortest of the forms that `seconds` reads: 0.5 → `500ms`, 5400 → `1h30m`."""
    if math.isinf(duration_s):
        return "manual"
    total_ms = round(duration_s * 1000)
    if total_ms % 1000:
        return f"{total_ms}ms" if total_ms < 1000 else f"{total_ms / 1000:g}s"
    left, out = total_ms // 1000, ""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= size:
            out += f"{left // size}{unit}"
            left %= size
    return out or "0s"


def bits_per_s(text: str) -> float:
    """Return a rate in bits per second: `4.2 Mbit/s`, `800kbit/s`. Raises `UnitError`."""
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise errors.UnitError(f"{text!r} is not a rate: write 800 kbit/s or 4.2 Mbit/s")
    return float(found[1]) * _BITS_PER_S[found[2]]


def show_bits_per_s(rate: float) -> str:
    """Return a rate with two or three figures, as `bits_per_s` reads it: 4_213_377 → `4.21 Mbit/s`."""
    prefix, size = next(((one, of) for one, of in _BITS_PER_S.items() if abs(rate) >= of), ("", 1.0))
    return f"{round(rate / size, 0 if abs(rate) >= 100 * size else 2):.12g} {prefix}bit/s"


def percent(text: str) -> float:
    """Return `"50%"` as 0.5. Raises `UnitError` for anything that is not a percentage from 0 to 100."""
    body = text.strip()
    if not body.endswith("%") or not _NUMBER.fullmatch(body[:-1].strip()):
        raise errors.UnitError(f"{text!r} is not a percentage")
    share = float(body[:-1]) / 100
    if share > 1:
        raise errors.UnitError(f"{text!r} is more than 100%")
    return share
