"""A multivariant playlist in, the state of its renditions out: one is watched, the others take turns."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gtm import units
from gtm.probes import fetch, live, multivariant, pages, playlist, prober, renditions, segment

TRIED = 3  # renditions that one look tries until it finds a good one to watch
TURN_SHARE = 0.7  # of the time left: a rendition that hangs is bad, and the rest must still be said


@dataclass(slots=True)
class Memory:
    """What is remembered of a stream's renditions."""

    known: dict[str, pages.Known[playlist.Playlist]] = field(default_factory=dict)
    turns: renditions.Rotation = field(default_factory=renditions.Rotation)
    watched: segment.Last = field(default_factory=segment.Last)
    turning: segment.Last = field(default_factory=segment.Last)


class Ladder:
    """One look at a stream's renditions."""

    def __init__(
        self,
        trial: prober.Trial,
        visit: fetch.Visit,
        memory: Memory,
        base: str,
        whole: multivariant.Multivariant,
    ) -> None:
        self._trial = trial
        self._visit = visit
        self._memory = memory
        self._policy = trial.text("renditions")
        self._ladder = _here(trial, base, whole)
        memory.known = {path: known for path, known in memory.known.items() if path in self._ladder}
        memory.turns.keep(self._ladder)

    async def look(self) -> None:
        """Watch one rendition, look at the next in turn, and measure. Raises `Failed` when too few are good."""
        paths, turns = list(self._ladder), self._memory.turns
        watched = await self._watch(paths[: 1 if self._policy in {"lowest", "all"} else TRIED])
        live.measure(self._trial, watched)
        rest = [path for path in paths if path != watched.sight.path]
        if rest and self._policy != "lowest":
            await self._turn(turns.next(rest), watched)
        self._trial.measures["renditions"] = len(paths)
        self._trial.measures["renditions.bad"] = len(turns.bad)
        if why := turns.verdict(self._policy, len(paths)):
            raise prober.Failed(why)

    async def _watch(self, paths: list[str]) -> live.Live:
        """Return the first good rendition, else the first that could be seen. Raises `Failed` when none could."""
        found: live.Live | None = None
        failure: prober.Failed | None = None
        for path in paths:
            try:
                seen = await self._one(path, block=True)
                await live.fetch_newest(self._trial, self._visit, seen, self._memory.watched)
            except prober.Failed as error:
                self._memory.turns.saw(path, str(error))
                failure = failure or error
                continue
            self._memory.turns.saw(path, seen.why)
            if not seen.why:
                return seen
            found = found or seen
        if found is None:
            raise failure or prober.Failed("no rendition could be looked at")
        return found

    async def _turn(self, path: str, watched: live.Live) -> None:
        """Look at one more rendition, and at its newest segment now and then; the measures stay the watched one's."""
        trial, memory = self._trial, self._memory
        measures, trial.measures = trial.measures, {}
        within_s = trial.left_s() * TURN_SHARE
        try:
            async with asyncio.timeout(within_s):
                seen = await self._one(path, block=False)
                rested_s = trial.monotonic() - memory.turning.at_s
                if rested_s >= 2 * watched.found.target_s or path in memory.turns.bad:
                    await live.fetch_newest(trial, self._visit, seen, memory.turning)
        except TimeoutError:
            memory.turns.saw(path, f"no {trial.awaiting} within {units.show_seconds(round(within_s, 1))}")
        except (prober.Failed, OSError) as error:
            verdict = prober.blame(error) if isinstance(error, OSError) else error
            if isinstance(verdict, prober.NotRun):
                raise
            memory.turns.saw(path, str(verdict))
        else:
            memory.turns.saw(path, seen.why)
            apart_s = _apart_s(watched.found, seen.found)
            if apart_s is not None:
                measures["renditions.spread"] = apart_s
        finally:
            trial.measures = measures

    async def _one(self, path: str, *, block: bool) -> live.Live:
        known = self._memory.known.setdefault(path, pages.Known())
        sight = await pages.see(self._trial, self._visit, path, known, playlist.scan)
        if isinstance(sight.found, multivariant.Multivariant):
            raise prober.Failed("a variant is itself a multivariant playlist")
        seen = await live.follow(
            self._trial, self._visit, sight, sight.found, bandwidth=self._ladder[path], block=block
        )
        live.demand(self._trial, seen)
        return seen


def _here(trial: prober.Trial, base: str, whole: multivariant.Multivariant) -> dict[str, int]:
    """Return the bandwidths of the renditions on this host by path, lowest first, separate sound and picture last.

    Those elsewhere belong to other pathways. Raises `Failed` when there is none.
    """
    found: dict[str, int] = {}
    refused: prober.Failed | None = None
    for one in (*whole.variants, *whole.others):
        try:
            path = segment.on_this_host(trial, base, one.uri, "the variant")
        except prober.Failed as error:
            refused = refused or error
        else:
            found.setdefault(path, one.bandwidth)
    if base in found:
        raise prober.Failed("a variant is itself a multivariant playlist")
    if not found:
        raise refused or prober.Failed("the playlist has no variants")
    return found


def _apart_s(one: playlist.Media, other: playlist.Media) -> float | None:
    """Return how far apart two renditions are: by their dates, else by their numbers where one packager counts them."""
    if one.ends_at is not None and other.ends_at is not None:
        return abs(one.ends_at - other.ends_at)
    apart = abs(one.edge[0] - other.edge[0])
    return apart * one.target_s if apart <= one.segments else None
