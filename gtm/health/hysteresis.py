"""One result at a time in, what a check is held to be out (semantics A2, A3 and A7)."""

from __future__ import annotations

import dataclasses

from gtm import model, seen


def step(state: seen.HealthState, ok: bool | None, reason: str, profile: model.Profile, now: float) -> seen.HealthState:
    """Return the state after one judged result at `now` (monotonic seconds).

    `ok` None is a probe that could not run: the status stays and is marked stale. `first_bad_s` is when the fall
    began that led to the present doubt or to the present `down`; 0 while nothing is wrong.
    """
    if ok is None:
        # What is known of a failure is worth more than why it could not be looked at again.
        kept = state.reason if state.status == "down" or state.bad else reason
        return dataclasses.replace(state, stale=True, reason=kept)
    if ok:
        return _good(state, profile, now)
    return _bad(state, reason, profile, now)


def hurried(state: seen.HealthState) -> bool:
    """Say whether the next probe should come after `confirm` instead of a whole interval (A3).

    A check that is unknown and has failed is in a hurry too: it is about to be called down.
    """
    return state.in_doubt or (state.status == "unknown" and state.bad > 0)


def _good(state: seen.HealthState, profile: model.Profile, now: float) -> seen.HealthState:
    good = state.good + 1
    if state.status == "up":
        if state.bad and good < profile.rise:  # A2: fewer than `rise` good ones clear nothing
            return dataclasses.replace(state, good=good, last_s=now, stale=False)
        return dataclasses.replace(state, bad=0, good=0, first_bad_s=0.0, reason="", last_s=now, stale=False)
    if state.status == "down" and good < profile.rise:
        return dataclasses.replace(state, good=good, last_s=now, stale=False)
    return dataclasses.replace(
        state, status="up", bad=0, good=0, since_s=now, last_s=now, first_bad_s=0.0, reason="", stale=False
    )


def _bad(state: seen.HealthState, reason: str, profile: model.Profile, now: float) -> seen.HealthState:
    if state.status == "down":
        return dataclasses.replace(state, good=0, reason=reason, last_s=now, stale=False)
    bad, first_bad_s = state.bad + 1, state.first_bad_s if state.bad else now
    if bad < profile.fall:
        return dataclasses.replace(
            state, bad=bad, good=0, first_bad_s=first_bad_s, reason=reason, last_s=now, stale=False
        )
    return dataclasses.replace(
        state,
        status="down",
        bad=0,
        good=0,
        since_s=now,
        first_bad_s=first_bad_s,
        reason=reason,
        last_s=now,
        stale=False,
    )
