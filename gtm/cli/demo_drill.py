"""A running stage in, a report out: edges broken and mended one after the other, and how soon the answers followed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gtm.cli import demo_ask, demo_stage, demo_world

LIMIT_S = 30.0  # a step that takes longer has failed; five is usual
ASK_EVERY_S = 0.02
SURE = 6  # this many answers in a row must agree: several workers answer, and each is given its news apart
FRA, AMS, NYC, CHI, SIN = demo_world.EDGES
NEWS, SPORT = demo_world.CHANNELS


@dataclass(frozen=True, slots=True)
class Step:
    """Something done to an edge, and the edges that a viewer must get for a channel from then on."""

    what: str
    act: Callable[[demo_stage.Stage], None]
    channel: str
    viewer: demo_world.Viewer
    then: tuple[demo_world.Edge, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a step: names of edges before and after, the seconds between, and the nameserver's own reason."""

    step: Step
    before: tuple[str, ...]
    after: tuple[str, ...]
    took_s: float
    why: str

    @property
    def ok(self) -> bool:
        """Whether the answers became what they should."""
        return self.after == tuple(sorted(edge.name for edge in self.step.then))


def _nothing(stage: demo_stage.Stage) -> None:
    """A step that only looks."""


STEPS = (
    Step("fra-1: freeze news", lambda s: s.freeze(FRA, NEWS), NEWS, demo_world.EUROPE, (AMS,)),
    Step("fra-1: sport stays", _nothing, SPORT, demo_world.EUROPE, (FRA, AMS)),
    Step("nyc-1: kill", lambda s: s.kill(NYC), NEWS, demo_world.AMERICA, (CHI,)),
    Step("sin-1: kill", lambda s: s.kill(SIN), SPORT, demo_world.ASIA, (CHI,)),
    Step("sin-1: start", lambda s: s.revive(SIN), SPORT, demo_world.ASIA, (SIN,)),
    Step("nyc-1: start", lambda s: s.revive(NYC), NEWS, demo_world.AMERICA, (NYC, CHI)),
    Step("fra-1: thaw news", lambda s: s.thaw(FRA, NEWS), NEWS, demo_world.EUROPE, (FRA, AMS)),
)


def run(stage: demo_stage.Stage) -> Iterator[Outcome]:
    """Do the steps in order and yield what became of each; stop after the first that failed."""
    for step in STEPS:
        outcome = _one(stage, step)
        yield outcome
        if not outcome.ok:
            return


def _one(stage: demo_stage.Stage, step: Step) -> Outcome:
    wanted = tuple(sorted(edge.name for edge in step.then))
    before = named(stage.ask(step.channel, step.viewer))
    started = time.monotonic()
    step.act(stage)
    agreed, first = 0, started
    while True:
        asked = time.monotonic()
        answer = stage.ask(step.channel, step.viewer)
        after = named(answer)
        if after != wanted:
            agreed = 0
        else:
            first = first if agreed else asked
            agreed += 1
        if agreed == SURE or asked - started > LIMIT_S:
            return Outcome(step, before, after, (first if agreed else asked) - started, answer.why)
        time.sleep(ASK_EVERY_S)


def named(answer: demo_ask.Answer) -> tuple[str, ...]:
    """Return the names of the edges whose addresses an answer holds; a strange address stands for itself."""
    known = {edge.address: edge.name for edge in demo_world.EDGES}
    return tuple(sorted(known.get(address, address) for address in answer.addresses))
