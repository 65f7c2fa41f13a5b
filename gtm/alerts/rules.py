"""Events, silences and the time in; which message goes to which receiver out: the room's one stateful object.

What is wrong for one cause is one incident and one message. A receiver is told when something it asked for has been
wrong for its `hold` and for as long as the probes need to find all of it; again when it grows worse, at most every
few minutes when it only grows, and at its `remind`; and when it is over, once that has lasted as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from gtm import events, model
from gtm.alerts import facts, text, topology, words

KIND = "incident"  # of the store's papers
TICK_S = 1.0  # so often it is looked whether a hold, a reminder or an end is due, while anything goes on
NEWS_S = 2.0  # so long news are gathered, so that a drain of forty nodes is one message
LEAST_GATHER_S, MOST_GATHER_S = 1.0, 15.0  # bounds of the time in which the slowest check finds one fall everywhere
GROWS_S = 300.0  # an incident that only grows is told again this often at most
CALM_WINDOW_S = 900.0  # trouble that comes back within this time is the same one, and its end is believed later
LONGEST_CALM_S = 600.0
MOST_FACTS = 10_000  # as many endpoints as a node may have; beyond it, what comes is not told
_GATHERED = frozenset({"endpoint", "check", "pool", "name", "guard"})  # what is found by probes, one after the other

Out = tuple[str, words.Message]


class Rules:
    """Who is told what. `now` is one clock for all calls that goes on over restarts, in seconds.

    `fresh_id` gives a new identity, `waits` says whether a receiver has yet to take something about an incident. What
    has changed is handed out by `written`, as the store wants it.
    """

    def __init__(self, fresh_id: Callable[[], str], waits: Callable[[str, str], bool]) -> None:
        self.incidents: dict[str, words.Incident] = {}
        self.silences: dict[str, words.Silence] = {}
        self._changes: set[str] = set()
        self._ended: list[str] = []
        self._fresh_id, self._waits = fresh_id, waits
        self._receivers: tuple[model.Receiver, ...] = ()
        self._refresh_s: Mapping[str, float] = {}
        self._refreshed: dict[tuple[str, str], float] = {}
        self._gather_s = LEAST_GATHER_S
        self._round_s: Mapping[str, float] = {}  # so long a check needs to see that it is good again
        self._dirty = True
        self.world: topology.Topology
        self._sight: words.Sight

    def configure(self, snapshot: model.Snapshot, sight: words.Sight, refresh_s: Mapping[str, float]) -> None:
        """Take a configuration. `refresh_s` are receivers, by name, that forget what they are not told again."""
        self.world, self._sight, self._refresh_s = topology.Topology(snapshot), sight, refresh_s
        self._receivers = snapshot.alerts
        names = {one.name for one in self._receivers}
        profiles = {check.key.profile: check.profile for check in snapshot.checks.values()}
        self._round_s = {
            name: one.every_s + one.timeout_s + (one.rise - 1) * one.confirm_s for name, one in profiles.items()
        }
        spread_s = (one.every_s + one.timeout_s + (one.fall - 1) * one.confirm_s for one in profiles.values())
        self._gather_s = min(MOST_GATHER_S, max(LEAST_GATHER_S, *spread_s, 0.0))
        for incident in self.incidents.values():
            if incident.told.keys() - names:
                incident.told = {name: told for name, told in incident.told.items() if name in names}
                self._changed(incident)
        self._dirty = True

    def recall(self, incidents: Iterable[words.Incident]) -> None:
        """Take what was known before; what has been found anew since then is known better."""
        groups = {one.group for one in self.incidents.values()}
        for one in incidents:
            if one.group not in groups:
                self.incidents[one.id] = one
            else:
                self._changes.add(one.id)  # and so is forgotten
        self._dirty = True

    # --- in -------------------------------------------------------------------------------------------------------

    def hear(self, event: events.Event, now: float) -> None:
        """Take an event."""
        said = facts.read(event)
        if said is None:
            return
        word, fact = said
        if word == "wrong":
            self._open(fact, now)
        elif word == "once":
            # Each piece of news is one of its own; nothing ever ends it.
            number = sum(len(one.facts) for one in self.incidents.values() if one.group.startswith("news:"))
            self._open(replace(fact, family=f"{event.id or number}"), now)
        else:
            self._close(fact.key, now)

    def taken(self, receiver: str, message: words.Message, now: float) -> None:
        """Note that a receiver took a message: only from then on does it know what it is to be reminded of."""
        known = self.incidents.get(message.incident)
        if known is not None and receiver in known.told and message.what != "refresh":  # which is no word to people
            known.told[receiver].taken = now
            self._changed(known)

    def review(self, now: float, *, whole: bool = False) -> None:
        """Hold what is thought to be wrong against what is seen: an event may have been missed, or never came.

        `whole`: look also for what is wrong and was never heard of (after a start, after a reload).
        """
        present = self._sight.present() if whole else ()
        for one in list(self._all()):
            if not one.once and not self._sight.still(one):
                self._close(one.key, now)
        known = {one.key for one in self._all()}
        for fact in present:
            if fact.key not in known:
                self._open(fact, now)

    def _all(self) -> Iterable[facts.Fact]:
        return (fact for incident in self.incidents.values() for fact in incident.facts.values())

    def _home(self, key: str) -> words.Incident | None:
        return next((one for one in self.incidents.values() if key in one.facts), None)

    def _open(self, fact: facts.Fact, now: float) -> None:
        home = self._home(fact.key)
        if home is None:
            if sum(len(one.facts) for one in self.incidents.values()) >= MOST_FACTS:
                return
            home, seen = self._place(fact.key, now)
            home.facts[fact.key] = replace(fact, seen=seen)
        else:
            before = home.facts[fact.key]
            worse = facts.SEVERITIES.index(fact.severity) > facts.SEVERITIES.index(before.severity)
            home.facts[fact.key] = replace(fact, since=before.since, seen=now if worse else before.seen)
        self._changed(home)
        self._dirty = True

    def _place(self, key: str, now: float) -> tuple[words.Incident, float]:
        """Return the incident of a fact that is new, and since when it is known.

        What comes and goes while its incident goes on is nothing new there; where anything else belongs is seen when
        it is told, together with what else has fallen until then.
        """
        for one in self.incidents.values():
            if key in one.past and one.open_for:
                seen, ended = one.past.pop(key)
                return one, seen if now < ended + CALM_WINDOW_S else now
        return next((one for one in self.incidents.values() if not one.group), None) or self._new(""), now

    def _close(self, key: str, now: float) -> None:
        home = self._home(key)
        if home is not None:
            self._uncover(key, now)
            gone = home.facts.pop(key)
            if home.open_for:
                home.past[key] = gone.seen, now
                while len(home.past) > MOST_FACTS:
                    del home.past[next(iter(home.past))]
            self._changed(home)
            self._dirty = True

    def _uncover(self, key: str, now: float) -> None:
        """Let what still fails though its endpoint is up again be news, once it has been looked at again."""
        for incident in self.incidents.values():
            for one in [one for one in incident.facts.values() if one.covered_by == key]:
                again_s = self._round_s.get(one.subject.partition("/")[0], 0.0)
                incident.facts[one.key] = replace(one, seen=now + again_s)
                self._changed(incident)

    # --- the clock ------------------------------------------------------------------------------------------------

    def wake(self, now: float) -> list[Out]:
        """Return what is to be said now."""
        for key in [key for key, one in self.silences.items() if one.until <= now]:
            del self.silences[key]
            self._ended.append(key)
        if self._dirty:
            self._regroup()
            self._dirty = False
        out: list[Out] = []
        for incident in list(self.incidents.values()):
            for receiver in self._receivers:
                out += self._tell(incident, receiver, now)
            self._tidy(incident, now)
        return out

    def wake_at(self, now: float) -> float:
        """Return when to wake next, at the latest: soon while something is going on, else when a silence ends."""
        times = [one.until for one in self.silences.values()]
        if self.incidents:
            times.append(now + TICK_S)
        return min(times, default=now + 60.0)

    def _regroup(self) -> None:
        """Put together what fell for one cause, as far as nobody has been told otherwise."""
        settled = {key: one.group for one in self.incidents.values() if one.open_for for key in one.facts}
        known = {fact.key: fact for fact in self._all()}
        loose = [fact for key, fact in known.items() if key not in settled]
        found = topology.groups(loose, settled, known, self.world)
        homes = {one.group: one for one in self.incidents.values() if one.group and (one.told or one.facts)}
        for incident in list(self.incidents.values()):
            if incident.open_for:
                continue
            for key in list(incident.facts):
                group = found[key]
                if group not in homes:
                    homes[group] = self._new(group) if incident.group else incident
                    homes[group].group = group
                home = homes[group]
                if home is not incident:
                    home.facts[key] = incident.facts.pop(key)
                    self._changed(home)
                    self._changed(incident)

    def _new(self, group: str) -> words.Incident:
        made = words.Incident(self._fresh_id(), group)
        self.incidents[made.id] = made
        return made

    def _tidy(self, incident: words.Incident, now: float) -> None:
        """Forget who was told long ago that it is over, and then the incident."""
        if incident.group.startswith("news:"):
            first = min((one.seen for one in incident.facts.values()), default=now)
            gone = now >= first + NEWS_S
        else:
            for name, told in list(incident.told.items()):
                if told.over and now >= told.over + CALM_WINDOW_S:
                    del incident.told[name]
                    self._changed(incident)
            gone = not incident.facts and not incident.told
            if incident.past and not incident.open_for:
                incident.past = {}
                self._changed(incident)
        if gone:
            del self.incidents[incident.id]
            self._changed(incident)
            self._refreshed = {key: at for key, at in self._refreshed.items() if key[0] != incident.id}

    def _changed(self, incident: words.Incident) -> None:
        self._changes.add(incident.id)  # however often it changes, it is written once

    def written(self) -> dict[tuple[str, str], str | None]:
        """Return what has changed since the last call, as the store wants it."""
        changed, self._changes = self._changes, set()
        return {(KIND, key): words.dump(live) if (live := self.incidents.get(key)) else None for key in changed}

    def ended(self) -> list[str]:
        """Return the silences that have ended since the last call."""
        found, self._ended = self._ended, []
        return found

    # --- one incident, one receiver -------------------------------------------------------------------------------

    def wants(self, receiver: model.Receiver, fact: facts.Fact, group: str) -> bool:
        """Say whether a receiver asked for this."""
        loud = facts.SEVERITIES.index(fact.severity) >= facts.SEVERITIES.index(receiver.severity)
        return (
            loud
            and fact.kind in receiver.on
            and (not receiver.match or any(self.world.names(one, fact, group) for one in receiver.match))
        )

    def hushed(self, fact: facts.Fact, group: str) -> bool:
        """Say whether nobody is to hear of it now: it is silenced, or is being worked on."""
        if any(self.world.names(one.target, fact, group) for one in self.silences.values()):
            return True
        if fact.kind == "pool":
            return self._all_ordered(fact.subject)
        if fact.kind == "name":
            tried = [f"pool/{one}/" for one in self.world.tried(fact.subject)]
            failed = [home.facts[key] for key in tried if (home := self._home(key)) is not None]
            # Who silences a pool expects that names leave it, and not that one of them has nothing left.
            hushed = self.hushed if fact.state == "fallback" else lambda one, _: self._all_ordered(one.subject)
            return bool(failed) and all(hushed(one, group) for one in failed)
        return bool(fact.endpoint) and self._sight.ordered(fact.endpoint)

    def _covered(self, fact: facts.Fact, receiver: model.Receiver) -> bool:
        """Say whether a receiver hears of this anyway: of a dead endpoint it is no news that its checks fail."""
        home = self._home(fact.covered_by) if fact.covered_by else None
        return home is not None and self.wants(receiver, home.facts[fact.covered_by], home.group)

    def _all_ordered(self, pool: str) -> bool:
        members = self.world.members(pool)
        return bool(members) and all(map(self._sight.ordered, members))

    def _tell(self, incident: words.Incident, receiver: model.Receiver, now: float) -> list[Out]:
        """Return at most one message, and note that it was said."""
        wanted = [one for one in incident.facts.values() if self.wants(receiver, one, incident.group)]
        told = incident.told.get(receiver.name)
        if not wanted and (told is None or told.over):
            return []
        loud = [one for one in wanted if not self.hushed(one, incident.group) and not self._covered(one, receiver)]
        if told is None or told.over:
            what = self._first(incident, receiver, loud, now)
        elif not wanted:
            what = self._end(incident, receiver, told, now)
        else:
            if told.calm:  # it came back before anybody was told that it was over
                told.calm, told.returns = 0.0, told.returns + 1
                self._changed(incident)
            what = self._again(incident, receiver, told, loud, now)
        return [] if what is None else [(receiver.name, self._say(incident, receiver, what, wanted, now))]

    def _wait_s(self, receiver: model.Receiver, found: Iterable[facts.Fact]) -> float:
        gather_s = self._gather_s if any(one.kind in _GATHERED for one in found) else 0.0
        return max(receiver.hold_s, gather_s)

    def _first(
        self, incident: words.Incident, receiver: model.Receiver, loud: list[facts.Fact], now: float
    ) -> words.What | None:
        news = incident.group.startswith("news:")
        wait_s = NEWS_S if news else self._wait_s(receiver, loud)
        if not loud or now < min(one.seen for one in loud) + wait_s:
            return None
        return "news" if news else "firing"

    def _again(
        self,
        incident: words.Incident,
        receiver: model.Receiver,
        told: words.Told,
        loud: list[facts.Fact],
        now: float,
    ) -> words.What | None:
        new = [one for one in loud if one.seen > told.at]
        if new and now >= min(one.seen for one in new) + self._wait_s(receiver, new):
            known, fresh = facts.SEVERITIES.index(told.severity), facts.worst([one.severity for one in new])
            if facts.SEVERITIES.index(fresh) > known or now >= told.at + GROWS_S:
                return "update"
        due = receiver.remind_s and now >= max(told.at, told.taken) + receiver.remind_s
        if due and loud and not self._waits(receiver.name, incident.id):  # what waits will say it
            return "reminder"
        every_s = self._refresh_s.get(receiver.name, 0.0)
        if every_s and now >= self._refreshed.get((incident.id, receiver.name), 0.0) + every_s:
            return "refresh"
        return None

    def _end(
        self, incident: words.Incident, receiver: model.Receiver, told: words.Told, now: float
    ) -> words.What | None:
        if not told.calm:
            told.calm = now
            self._changed(incident)
        calm_s = max(receiver.hold_s, self._gather_s) * 2.0 ** min(told.returns, 16)
        return "resolved" if now >= told.calm + min(LONGEST_CALM_S, calm_s) else None

    def _say(
        self,
        incident: words.Incident,
        receiver: model.Receiver,
        what: words.What,
        wanted: list[facts.Fact],
        now: float,
    ) -> words.Message:
        before = incident.told.get(receiver.name)
        known = before if before is not None and not before.over else None
        message = text.compose(self._fresh_id(), incident, what, known, self.world, self._sight, now)
        if what == "resolved" and before is not None:
            before.over = now
        elif what == "refresh":
            self._refreshed[incident.id, receiver.name] = now
            return message
        else:
            returns = before.returns + 1 if before is not None and before.over else before.returns if before else 0
            title = text.headline(incident.group, list(incident.facts.values()), self.world)
            since = min(message.since, known.since) if known else message.since
            incident.told[receiver.name] = words.Told(now, message.severity, title, since, returns=returns)
            self._refreshed[incident.id, receiver.name] = now
        self._changed(incident)
        return message
