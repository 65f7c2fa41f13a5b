"""What a machine says of itself over the API in, a probe result out: the passive kind, told and never run."""

from __future__ import annotations

from collections.abc import Mapping

from gtm import errors, model, seen
from gtm.probes import prober

KIND = model.Kind(
    name="push",
    doc="the endpoint, or an agent beside it, tells its own health to the API; news that ran out is stale",
    measures=(model.Measure("*", "", "whatever is pushed along: numbers, texts, truths"),),
    passive=True,
)

KEYS = ("ok", "reason", "valid_for_s", "measures", "overloaded")
MAX_VALID_FOR_S = 86400.0  # a day: news that holds longer is no health but a setting
# More is no measurement but a dump; all of it is kept for each check, and is a line of /metrics each.
MAX_MEASURES, NAME_CHARS, TEXT_CHARS, MAX_NUMBER = 64, 100, 1000, 1e300


class PushError(errors.GtmError, ValueError):
    """A pushed report is not one; the message says what is wrong with it."""


async def look(trial: prober.Trial) -> str:
    """Say that there is nothing to run."""
    raise prober.NotRun(f"{trial.check.key} is pushed, not probed")


def result(check: model.Check, payload: object, vantage: str, now: float) -> seen.ProbeResult:
    """Read `{"ok": bool, "reason": text, "valid_for_s": seconds, "measures": {name: value}, "overloaded": text}`.

    Only `ok` is needed.

    `valid_for_s` 0 leaves to the profile how long the news holds; `now` is the monotonic clock. Raises `PushError`.
    """
    if not isinstance(payload, Mapping):
        raise PushError("a report is a JSON object")
    unknown = sorted(str(key) for key in set(payload) - set(KEYS))
    if unknown:
        raise PushError(f"unknown key {unknown[0][:NAME_CHARS]!r}: a report has {', '.join(KEYS)}")
    ok, reason, overloaded = payload.get("ok"), payload.get("reason", ""), payload.get("overloaded", "")
    if not isinstance(ok, bool):
        raise PushError("`ok` must be true or false")
    if not isinstance(reason, str) or not isinstance(overloaded, str):
        raise PushError("`reason` and `overloaded` must be text")
    return seen.ProbeResult(
        check=check.key,
        vantage=vantage,
        at_s=now,
        ok=ok,
        reason=" ".join(reason.split())[: prober.REASON_CHARS],
        measures=_measures(payload.get("measures", {})),
        valid_for_s=_valid_for(payload.get("valid_for_s", 0.0)),
        overloaded=" ".join(overloaded.split())[: prober.REASON_CHARS],
    )


def _valid_for(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MAX_VALID_FOR_S:
        raise PushError(f"`valid_for_s` must be a number of seconds from 0 to {MAX_VALID_FOR_S:g}")
    return float(value)


def _measures(value: object) -> dict[str, model.Value]:
    if not isinstance(value, Mapping) or len(value) > MAX_MEASURES:
        raise PushError(f"`measures` must be an object with up to {MAX_MEASURES} values")
    found: dict[str, model.Value] = {}
    for name, one in value.items():
        if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARS:
            raise PushError(f"a measure's name must be text of up to {NAME_CHARS} characters")
        plain = isinstance(one, (bool, int, float)) and -MAX_NUMBER < one < MAX_NUMBER  # not NaN either
        if not plain and not (isinstance(one, str) and len(one) <= TEXT_CHARS):
            raise PushError(f"measure {name!r} must be a number, true, false, or text of up to {TEXT_CHARS} characters")
        found[name] = one
    return found
