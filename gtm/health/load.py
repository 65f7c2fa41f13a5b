"""Signs of overload in, one result at a time, the share of its weight that an endpoint keeps out: not death, but less.

The weight is halved in steps, so that one bad minute neither empties a node nor floods the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gtm import model, seen

FACTORS = (1.0, 0.5, 0.25, 0.125, 0.0)
# The last step is for endpoints that say themselves that they take nobody: a standby then, but not down.
LEAST_BY_SIGNS = 3
HOT = 2  # signs in a row for a step down: one slow answer is nothing
COOL = 3  # quiet results in a row for a step back: slower up than down, as with health (A3)


@dataclass(frozen=True, slots=True)
class Load:
    """How far a check's endpoint has been eased. `why` is the newest sign, empty when it was never eased."""

    level: int = 0
    hot: int = 0
    cool: int = 0
    why: str = ""

    @property
    def factor(self) -> float:
        """The share of its weight that the endpoint keeps, 0 to 1."""
        return FACTORS[self.level]

    @property
    def text(self) -> str:
        """What people read: `weight 50%`."""
        return f"weight {self.factor * 100:g}%"

    @property
    def said(self) -> str:
        """What people read of an endpoint: `overloaded (status 503): weight 50%`."""
        return f"overloaded ({self.why}): {self.text}"


IDLE = Load()


def recalled(level: int, why: str) -> Load:
    """Return the load that was remembered over a restart."""
    return Load(max(0, min(level, len(FACTORS) - 1)), why=why)


def step(load: Load, ok: bool | None, profile: model.Profile, result: seen.ProbeResult) -> Load:
    """Return the load after one result that was judged `ok`. A bad one says nothing: who is down has no share."""
    if not ok:
        return load
    why, quiet = _sign(profile, result)
    if why:
        deepest = len(FACTORS) - 1 if result.overloaded else LEAST_BY_SIGNS
        if load.hot + 1 < HOT:
            return replace(load, hot=load.hot + 1, cool=0)
        return Load(max(load.level, min(load.level + 1, deepest)), why=why)
    if not quiet or not load.level:
        return replace(load, hot=0, cool=0) if load.hot or load.cool else load
    if load.cool + 1 < COOL:
        return replace(load, hot=0, cool=load.cool + 1)
    return Load(load.level - 1, why=load.why)


def _sign(profile: model.Profile, result: seen.ProbeResult) -> tuple[str, bool]:
    """Return why the endpoint has too much to do, or nothing; and whether it is quiet (not between the watermarks)."""
    if result.overloaded or result.warnings:
        return "; ".join(filter(None, (result.overloaded, *result.warnings))), False
    marks = profile.load
    value = result.measures.get(marks.measure) if marks else None
    if marks is None or value is None or isinstance(value, str | bool):
        return "", marks is None
    if value >= marks.high:
        return f"{marks.measure} ({value:g}) >= {marks.high:g}", False
    return "", value <= marks.low
