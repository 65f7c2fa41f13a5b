"""What was seen of each rendition of a stream in, whose turn it is and whether enough of them are good out.

All of a stream's renditions cannot be looked at all the time: k streams, n nodes and r renditions are as many requests.
So one is watched, and the others take turns, one a look.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gtm import model

POLICIES = ("lowest", "any", "quorum", "all")
OPTION = model.Option(
    "renditions",
    "choice",
    "of a multivariant playlist, how many renditions must be good: one (`any`), more than half (`quorum`), or `all`; "
    "`lowest` looks at that variant alone",
    "quorum",
    choices=POLICIES,
)
MEASURES = (
    model.Measure("renditions", "", "how many renditions a multivariant playlist has on this host"),
    model.Measure(
        "renditions.bad", "", "how many of them were missing, broken or frozen when they were last looked at"
    ),
    model.Measure("renditions.spread", "s", "how far the one whose turn it is stands from the watched one"),
)
_SHOWN = 2


@dataclass(slots=True)
class Rotation:
    """The state of the renditions, by path. `bad` holds the reasons, `doubted` those that are looked at again next."""

    bad: dict[str, str] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    _turn: int = 0

    def saw(self, path: str, why: str) -> None:
        """Note what a look at one rendition has shown: a reason, or nothing where it is good."""
        if not why:
            self.bad.pop(path, None)
            self.doubted.discard(path)
            return
        if path not in self.bad:
            self.doubted.add(path)
        else:
            self.doubted.discard(path)
        self.bad[path] = why

    def keep(self, paths: Iterable[str]) -> None:
        """Forget all renditions but these."""
        wanted = set(paths)
        self.bad = {path: why for path, why in self.bad.items() if path in wanted}
        self.doubted &= wanted

    def next(self, paths: list[str]) -> str:
        """Return whose turn it is: one that turned bad just now, to make sure, else the next in order."""
        for path in paths:
            if path in self.doubted:
                return path
        self._turn = (self._turn + 1) % len(paths)
        return paths[self._turn]

    def verdict(self, policy: str, count: int) -> str:
        """Return why too few of `count` renditions are good, or nothing."""
        bad = len(self.bad)
        enough = {"any": bad < count, "quorum": bad * 2 < count, "all": bad == 0}.get(policy, True)
        if enough:
            return ""
        reasons = "; ".join(f"{path.partition('?')[0][:80]}: {why}" for path, why in list(self.bad.items())[:_SHOWN])
        more = f"; and {bad - _SHOWN} more" if bad > _SHOWN else ""
        return f"{bad} of {count} renditions are bad: {reasons}{more}"
