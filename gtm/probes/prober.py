"""A kind's own look in, a Prober with deadline, clock and reasons out: what all probe kinds have in common.

A kind is a `model.Kind` and one coroutine, `look(trial)`. It fills `trial.measures` as it goes, so that what was
measured before a failure is kept, and returns a remark (mostly empty) when it got far enough for the conditions to be
judged. It raises `Failed` when the endpoint failed, `NotRun` when the fault is on this side (semantics A7); an
`OSError` is told apart by `blame`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gtm import errors, model, seen, units

# Of a reason, which may quote what an endpoint said: it is kept with every event.
REASON_CHARS = 500
TIME_TOTAL = model.Measure("time.total", "s", "the whole probe")

# Errors that come from this machine, not from the endpoint: out of files, ports or memory, a local firewall, a
# family or network that this machine has no way to (Linux keeps ICMP's "network unreachable" soft while connecting,
# so ENETUNREACH is our own routing table speaking).
OURS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EACCES,
        errno.EPERM,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.EPROTONOSUPPORT,
        errno.ENETUNREACH,
        errno.ENETDOWN,
    }
)
NO_WAY = frozenset({errno.ENETUNREACH, errno.ENETDOWN})
WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ECONNABORTED: "connection closed",
    errno.EHOSTUNREACH: "no route to host",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files on this machine",
    errno.EADDRNOTAVAIL: "no local address or port to probe from",
    errno.EAFNOSUPPORT: "this machine does not speak this address family",
    errno.ENETUNREACH: "this machine has no route to the endpoint's network",
    errno.EPERM: "this machine forbids it",
    errno.EACCES: "this machine forbids it",
}


class Failed(errors.GtmError):
    """The endpoint failed; the message says how."""


class Silent(Failed):
    """The endpoint failed because no answer came in time, which may be the fault of a machine that has none."""


class NotRun(errors.GtmError):
    """The probe could not run, which says nothing about the endpoint; the message says why."""


class CutOff(NotRun):
    """This machine has no way to the endpoint's network."""


def blame(error: OSError) -> errors.GtmError:
    """Return `NotRun` when the error is this machine's own, else `Failed`, each in plain words."""
    reason = WORDS.get(error.errno or 0) or (os.strerror(error.errno).lower() if error.errno else str(error))
    if error.errno in NO_WAY:
        return CutOff(reason)
    return NotRun(reason) if error.errno in OURS else Failed(reason or type(error).__name__)


@dataclass(slots=True)
class Trial:
    """One probe under way. `awaiting` names what a deadline would find missing (`no connection within 2s`).

    `overloaded` is for an endpoint that lives and says that it has too much to do, `reached` for one whose server has
    answered at all (`seen.ProbeResult`).
    """

    check: model.Check
    memory: dict[str, Any]
    defaults: Mapping[str, model.OptionValue]
    monotonic: Callable[[], float]
    wall: Callable[[], float]
    ends_s: float
    measures: dict[str, model.Value] = field(default_factory=dict)
    awaiting: str = "answer"
    overloaded: str = ""
    reached: bool = False

    def option(self, name: str) -> model.OptionValue:
        """Return a setting, or the kind's default."""
        value = self.check.options.get(name)
        return self.defaults.get(name) if value is None else value

    def text(self, name: str) -> str:
        """Return a setting as text, empty when absent."""
        value = self.option(name)
        return "" if value is None else str(value)

    def number(self, name: str) -> int:
        """Return a setting as a whole number, 0 when absent."""
        value = self.option(name)
        return int(value) if isinstance(value, (int, float)) else 0

    def flag(self, name: str) -> bool:
        """Return a setting as yes or no."""
        return self.option(name) is True

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a setting as several texts; one text is a list of one."""
        value = self.option(name)
        if isinstance(value, (tuple, list)):
            return tuple(value)
        return () if value is None else (str(value),)

    def headers(self) -> Mapping[str, str]:
        """Return the headers to send."""
        value = self.option("headers")
        return value if isinstance(value, Mapping) else {}

    def tls(self) -> model.Tls | None:
        """Return how to speak TLS, or None for plain."""
        value = self.option("tls")
        if isinstance(value, model.Tls):
            return value
        return model.Tls() if value is True else None

    @property
    def host(self) -> str:
        """The name for SNI and Host, without a last dot (RFC 6066 section 3)."""
        return (self.check.host or self.check.address).rstrip(".")

    def asked(self) -> set[str]:
        """Return the measures that the profile mentions: in conditions, as a watermark, as a count of publishers."""
        profile = self.check.profile
        named = {name for line in (*profile.expect, *profile.warn) for name in (line.measure, line.other)}
        return (named | {profile.publishers, profile.load.measure if profile.load else ""}) - {""}

    def left_s(self) -> float:
        """Return the seconds until the deadline, never below zero."""
        return max(0.0, self.ends_s - self.monotonic())


Look = Callable[[Trial], Awaitable[str]]


class Prober:
    """A kind at work: satisfies `ports.Prober`. The clocks are arguments so that tests can turn them."""

    def __init__(
        self,
        kind: model.Kind,
        look: Look,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.kind = kind
        self._look = look
        self._monotonic = monotonic
        self._wall = wall
        self._defaults: dict[str, model.OptionValue] = {option.name: option.default for option in kind.options}

    async def run(self, check: model.Check, memory: dict[str, Any]) -> seen.ProbeResult:
        """Look once, within the profile's timeout. `vantage` is left empty for the runner to fill in.

        Raises only what is a mistake of the kind's own code.
        """
        started_s = self._monotonic()
        timeout_s = check.profile.timeout_s
        trial = Trial(check, memory, self._defaults, self._monotonic, self._wall, started_s + timeout_s)
        ok: bool | None = False
        cut_off = silent = False
        try:
            async with asyncio.timeout(timeout_s):
                reason = await self._look(trial)
                ok = True
        except TimeoutError:
            silent, reason = True, f"no {trial.awaiting} within {units.show_seconds(timeout_s)}"
        except (Failed, NotRun, OSError) as error:
            verdict = blame(error) if isinstance(error, OSError) else error
            ok, reason = None if isinstance(verdict, NotRun) else False, str(verdict)
            cut_off, silent = isinstance(verdict, CutOff), isinstance(verdict, Silent)
        ended_s = self._monotonic()
        trial.measures[TIME_TOTAL.name] = ended_s - started_s
        return seen.ProbeResult(
            check=check.key,
            vantage="",
            at_s=ended_s,
            ok=ok,
            reason=reason[:REASON_CHARS],
            took_ms=(ended_s - started_s) * 1000,
            measures=trial.measures,
            cut_off=cut_off,
            overloaded=trial.overloaded[:REASON_CHARS],
            reached=ok is True or trial.reached,
            silent=silent,
        )
