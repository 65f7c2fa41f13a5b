"""What is remembered of zones' serials."""

from __future__ import annotations

import json
import types
from typing import Any, cast

import pytest

from gtm import model
from gtm.app import transfers
from gtm.store import memory
from tests.wire import world


async def test_G6_serials_of_zones_that_are_gone_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "MOST_KEPT", 3)
    kept = memory.MemoryStore()
    papers = {(transfers.PAPER, f"z{at}.example."): json.dumps({"serial": at, "digest": ""}) for at in range(10)}
    await kept.keep_papers(papers)

    async def settled(timeout_s: float) -> bool:
        return True

    node = types.SimpleNamespace(store=kept, settled=settled, snapshot=world.snapshot(model.Zone("z.example.")))
    one = transfers.Transfers(cast(Any, node), dict)
    assert len(await one.recall()) == 10
    one.zones["z0.example."] = cast(Any, None)
    await one._spread(())
    wanted = {"z0.example.", "z7.example.", "z8.example.", "z9.example."}
    assert {name for _, name in await kept.papers()} == wanted
