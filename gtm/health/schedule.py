"""Checks and the clock in, which of them to run now out (semantics A3 and A8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gtm import model
from gtm.health import alarms

JITTER = 0.05  # of an interval, taken off: enough to drift apart, and `detects_within_s` stays a bound
# A first look comes within this, however long the interval: half of the bounded warm-up (semantics A1), after which
# whoever is unknown ranks behind the few that were looked at and would leave them all the viewers.
FIRST_WITHIN_S = 5.0
# After a watched connection broke a fall is confirmed so much faster than `confirm`: the break itself is evidence. The
# counters rule all the same (A2).
BROKEN_SHARE = 0.1
TELLS_LATE_S = 0.05  # behind the moment itself, so that no clock's grain brings the look before it
LOST_AFTER_S = 5.0  # a probe that is this much over its interval and time-out will never answer: run it again


def confirm_s(profile: model.Profile) -> float:
    """Return the pause before a repeated probe, never longer than the interval itself."""
    return min(profile.confirm_s, profile.every_s)


def refused_detection_s(profile: model.Profile) -> float:
    """Return how long an endpoint that refuses at once goes unseen at worst: no time-out is waited for (A3)."""
    return profile.every_s + confirm_s(profile) * (profile.fall - 1)


@dataclass(slots=True)
class _Slot:
    profile: model.Profile
    started_s: float | None = None
    in_flight: bool = False
    first: bool = True
    broken: bool = False
    again: bool = False


class Schedule:
    """When each check is due; never is more than one probe of a check out."""

    def __init__(self) -> None:
        self._slots: dict[model.CheckKey, _Slot] = {}
        self._alarms: alarms.Alarms[model.CheckKey] = alarms.Alarms()
        self._new: list[model.CheckKey] = []
        self._new_s = 0.0
        self._dice: Callable[[], float] = lambda: 0.0

    def configure(
        self, profiles: Mapping[model.CheckKey, model.Profile], now: float, dice: Callable[[], float]
    ) -> None:
        """Take the checks to run. Those that were there keep their time; new ones have theirs from the next `due`.

        With thousands of checks the rest of a configuration takes a tenth of a second. First looks that came due in it
        would leave all at once behind it, and so again after each interval.
        A changed interval counts from when the last probe began, so no reload brings a probe forward beyond it.
        """
        self._new, self._new_s, self._dice = [], now, dice
        slots: dict[model.CheckKey, _Slot] = {}
        times: dict[model.CheckKey, float] = {}
        for key, profile in profiles.items():
            slot, due_s = self._slots.get(key), self._alarms.at(key)
            if slot is None or due_s is None:
                slots[key] = _Slot(profile)
                self._new.append(key)
                continue
            if slot.profile.every_s != profile.every_s and not slot.in_flight:
                began_s = now if slot.started_s is None else slot.started_s
                due_s = max(now, began_s + profile.every_s)
            slot.profile = profile
            slots[key], times[key] = slot, due_s
        self._slots, self._alarms = slots, alarms.Alarms(times)

    def due(self, now: float) -> list[model.CheckKey]:
        """Return the checks to run now and hold them to be in flight, each until `done`."""
        self._begin_new(now)
        found = self._alarms.rang(now)
        for key in found:
            slot = self._slots[key]
            slot.in_flight, slot.started_s = True, now
            self._alarms.set(key, now + slot.profile.every_s + slot.profile.timeout_s + LOST_AFTER_S)
        return found

    def _begin_new(self, now: float) -> None:
        """Spread first looks over what is left of the time in which they were to come."""
        for key in self._new:
            if self._alarms.at(key) is None:
                within_s = min(self._slots[key].profile.every_s, FIRST_WITHIN_S)
                self._alarms.set(key, now + self._dice() * max(0.0, self._new_s + within_s - now))
        self._new = []

    def done(
        self,
        key: model.CheckKey,
        hurry: bool,
        now: float,
        dice: Callable[[], float],
        tells_in_s: float | None = None,
    ) -> None:
        """Take note that a probe ended; `hurry` says that a change is in doubt. Unknown checks are ignored.

        `tells_in_s` is when a look will tell more than now, if that is before its turn.
        """
        slot = self._slots.get(key)
        if slot is None:
            return
        slot.in_flight = False
        again, slot.again = slot.again, False
        pause_s = confirm_s(slot.profile) * (BROKEN_SHARE if slot.broken else 1.0)
        slot.broken = slot.broken and (hurry or again)
        began_s = now if slot.started_s is None else slot.started_s
        # First looks come close together; the second ones are what spreads long intervals (A8).
        share = dice() if slot.first and slot.profile.every_s > FIRST_WITHIN_S else 1.0 - JITTER * dice()
        slot.first = False
        whole_s = began_s + slot.profile.every_s * share
        if tells_in_s is not None:
            whole_s = min(whole_s, now + max(tells_in_s + TELLS_LATE_S, pause_s))
        if again:  # it began before the break, so it says little
            self._alarms.set(key, now)
        else:
            self._alarms.set(key, now + pause_s if hurry else max(now, whole_s))

    def hasten(self, keys: Iterable[model.CheckKey], now: float) -> None:
        """Have checks look now, because their endpoint may just have died; those in flight once more behind that.

        What they find is confirmed fast. Unknown checks are ignored.
        """
        for key in keys:
            slot = self._slots.get(key)
            if slot is None:
                continue
            slot.broken, slot.again = True, slot.in_flight
            if not slot.in_flight:
                self._alarms.set(key, now)

    def in_flight(self, key: model.CheckKey) -> bool:
        """Say whether a probe of this check is out."""
        slot = self._slots.get(key)
        return slot is not None and slot.in_flight

    def next_at(self) -> float | None:
        """Return when to ask for those that are `due`; None when there is no check."""
        return self._new_s if self._new else self._alarms.next_at()


def recovery_s(profile: model.Profile) -> float:
    """Return how long a check that is fine again may take to be up, in seconds."""
    return profile.every_s + profile.timeout_s + (profile.rise - 1) * (confirm_s(profile) + profile.timeout_s)
