"""A configuration in, what it takes to put it in force out: prepared beside the loop, then in force whole or never."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from gtm import brain, model, seen
from gtm.app import collector, geography

LOOK_S = 0.01
# While a big configuration is decided, probes that wait have this much of the loop before the next slice: a few leave
# in each turn, and so short a row has left by then.
PROBES_FIRST_S = 0.01

log = logging.getLogger("gtm")


async def prepare(mind: brain.Brain, snapshot: model.Snapshot) -> tuple[geography.Atlas, seen.Networks]:
    """Do what can be done beside the loop, which probes; whatever fails here has changed nothing."""
    atlas = geography.Atlas.open(snapshot)
    networks = await asyncio.to_thread(atlas.networks, snapshot)
    with collector.resting():
        await asyncio.to_thread(mind.prepare, snapshot, networks)
    return atlas, networks


async def decided(mind: brain.Brain) -> None:
    """Wait until all of the configuration that is in force is decided: a second, of a very big one.

    Who asks the brain for decisions before has them all made in one go, in which no probe leaves.
    """
    while mind.growing:  # noqa: ASYNC110 - nobody announces it
        await asyncio.sleep(LOOK_S)


def whole_or_end(put_in_force: Callable[[], None]) -> None:
    """Do a part of putting a configuration in force; end this process when that fails.

    Half a configuration is worse than none (semantics G3): the workers answer on, and the supervisor starts a process
    that has a whole one.
    """
    try:
        with collector.resting():
            put_in_force()
    except Exception:
        log.critical("the configuration could not be put in force; this process ends", exc_info=True)
        os._exit(os.EX_SOFTWARE)


def on(mind: brain.Brain, go: Callable[[], None]) -> None:
    """Go on; while all rings are made anew, because health is judged now, as with a configuration: they stay."""
    with collector.resting(mind.judging):
        go()
