"""Names with weights in, the heaviest of them out, in bounded memory: the space-saving sketch.

Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams" (2005): whoever has
more than 1/capacity of the weight is in it for certain, and is counted too high by `error` at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Heavy(NamedTuple):
    """One name: its weight, how much of that may be others', and the weight of what was marked."""

    name: str
    weight: float
    error: float
    marked: float


class Sketch:
    """The `capacity` heaviest names."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._cells: dict[str, list[float]] = {}  # weight, error, marked

    def add(self, name: str, weight: float, *, marked: bool = False) -> None:
        """Add to the weight of a name; one that is new takes the place of the lightest when there is no room."""
        cell = self._cells.get(name)
        if cell is None:
            error = 0.0
            if len(self._cells) >= self._capacity:
                lightest = min(self._cells, key=lambda one: self._cells[one][0])
                error = self._cells.pop(lightest)[0]
            cell = self._cells[name] = [error, error, 0.0]
        cell[0] += weight
        cell[2] += weight if marked else 0.0

    def all(self) -> list[Heavy]:
        """Return what is in it, in no order."""
        return [Heavy(name, *cell) for name, cell in self._cells.items()]


def heaviest(sketches: Iterable[Sketch], most: int) -> list[Heavy]:
    """Return the heaviest names of all sketches together, heaviest first."""
    sums: dict[str, Heavy] = {}
    for one in (heavy for sketch in sketches for heavy in sketch.all()):
        before = sums.get(one.name, Heavy(one.name, 0.0, 0.0, 0.0))
        sums[one.name] = Heavy(
            one.name, before.weight + one.weight, before.error + one.error, before.marked + one.marked
        )
    return sorted(sums.values(), key=lambda one: (-(one.weight - one.error), one.name))[:most]
