"""A check's returns from down in, how long it is held back after the last of them out (semantics A10)."""

from __future__ import annotations

import dataclasses

from gtm import model, seen

MAX_DOUBLINGS = 32  # beyond any cap that makes sense; keeps the power of two small
MAX_RETURNS = 64  # remembered at most: far past the cap, so forgetting older ones changes nothing


def returned(state: seen.HealthState, settings: model.FlapSettings, now: float) -> seen.HealthState:
    """Return the state after a return from down at `now`: with a hold-down when it came back too often."""
    if not settings.returns:
        return state
    recent = (*(at for at in state.returns if at > now - settings.window_s), now)[-MAX_RETURNS:]
    further = len(recent) - settings.returns
    held_until_s = 0.0
    if further >= 0:
        held_until_s = now + min(settings.hold_s * 2.0 ** min(further, MAX_DOUBLINGS), settings.max_s)
    return dataclasses.replace(state, returns=recent, held_until_s=held_until_s)


def released(state: seen.HealthState) -> seen.HealthState:
    """Return the state with its hold-down lifted and its returns forgotten."""
    return dataclasses.replace(state, returns=(), held_until_s=0.0)
