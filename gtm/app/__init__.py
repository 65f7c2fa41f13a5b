"""One node, wired: what the command line and the control process both need from the rooms below."""

from __future__ import annotations

import contextlib
import gc
import random
import time
from collections.abc import Sequence
from typing import Any

from gtm import brain, errors, events, files, model, notify, ports, probes, seen, view
from gtm.app import collector, geography
from gtm.config import load, show
from gtm.wire import records as wire_records


def kinds() -> dict[str, model.Kind]:
    """Return every probe kind by name."""
    return {name: prober.kind for name, prober in probes.KINDS.items()}


def senders() -> dict[str, model.Kind]:
    """Return every kind of receiver of alerts by name."""
    return {name: sender.kind for name, sender in notify.SENDERS.items()}


def records() -> ports.RecordReader:
    """Return the reader of static records."""
    return wire_records.Reader()


def load_configuration(path: str) -> load.Loaded:
    """Read a configuration with all that it includes. Never raises for what is in it, `GtmError` without memory."""
    with contextlib.suppress(MemoryError), collector.resting():
        return files.load(path, kinds=kinds(), records=records(), senders=senders())
    gc.collect()  # what was half done went with the traceback; now what referred to itself goes too
    raise errors.GtmError("this machine has no memory left")


def explain_offline(path: str, name: str, qtype: str, client: str, assume: Sequence[str]) -> dict[str, Any]:
    """Explain an answer from a configuration alone: nothing is probed, members count as up unless assumed down.

    Raises `ConfigError` for a refused configuration and `GtmError` for a question that cannot be answered.
    """
    loaded = load_configuration(path)
    if loaded.snapshot is None:
        raise errors.ConfigError(loaded.problems)
    atlas = geography.Atlas.open(loaded.snapshot)
    mind = brain.Brain(loaded.snapshot.node, dice=random.random)
    now = time.monotonic()
    mind.feed(events.ConfigCame(loaded.snapshot, atlas.networks(loaded.snapshot)), now)
    return view.explain_name(mind, now, name=name, qtype=qtype, client=client, assume=assume, place=atlas.place(client))


def refused_text(loaded: load.Loaded, color: bool = False) -> str:
    """Return a loaded configuration's problems for people."""
    return show.problems(loaded.problems, loaded.texts, color=color)


__all__ = ["explain_offline", "kinds", "load_configuration", "records", "refused_text", "seen", "senders"]
