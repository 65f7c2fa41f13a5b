"""Natural faults of real servers before a real node: its verdict, words and time for each, and no false alarm."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gtm import model, probes
from gtm.config import load
from gtm.wire import records
from tests.slow import fault_config, fault_rows, fault_run, fault_world, hosts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(720)]

WARM_S = 240.0
BUSY_S = 1.0  # two cores for forty servers: what is due now is done a little later
REPORT = "GTM_FAULTS"  # names the file to which what was measured is written, for docs/faults.md


def profiles() -> dict[str, model.Profile]:
    """Return the profiles that the node was given."""
    texts = {
        f"healthchecks/{path.name}": path.read_text() for path in (fault_world.ROOT / "healthchecks").glob("*.yaml")
    }
    kinds = {name: one.kind for name, one in probes.KINDS.items()}
    found = load.load("gtm.yaml", {"gtm.yaml": fault_config.text()} | texts, kinds=kinds, records=records.Reader(),
                      node="ns1", store="memory:")  # fmt: skip
    assert found.snapshot, [problem.message for problem in found.problems]
    return dict(found.snapshot.profiles)


@pytest.fixture(scope="module")
def world() -> Iterator[fault_world.World]:
    # In memory: live media is written all the time, and a disk that others use holds up whoever serves it.
    with (
        tempfile.TemporaryDirectory(prefix="gtm-faults-", dir="/dev/shm") as place,
        hosts.namespace(f"gtm-faults-{os.getpid()}", Path(place), fault_world.World) as made,
    ):
        made.build()
        made.serve(fault_config.text())
        made.until(lambda: fault_run.unwell(made), "", WARM_S)
        yield made


@pytest.fixture(scope="module")
def outcome(world: fault_world.World) -> fault_run.Outcome:
    found = fault_run.run(world, profiles())
    for one in found.found.values():
        print(f"\n{one.key:15} {one.reached:8} {one.took_s:6.1f}s of {one.within_s:5.1f}s  {one.reason}", end="")
    print(f"\n{found.undisturbed}")
    if os.environ.get(REPORT):
        told = {"found": list(found.found.values()), "undisturbed": found.undisturbed}
        Path(os.environ[REPORT]).write_text(json.dumps(told))
    return found


@pytest.mark.parametrize("row", fault_rows.ROWS, ids=lambda row: row.key)
def test_a_fault_gets_its_verdict_its_words_and_its_time(row: fault_rows.Row, outcome: fault_run.Outcome) -> None:
    found = outcome.found[row.key]
    assert found.reached == row.reached, found.reason
    assert re.search(row.reason, found.reason), found.reason
    assert found.took_s <= found.within_s + BUSY_S


def test_nobody_is_accused_who_did_nothing(outcome: fault_run.Outcome) -> None:
    assert outcome.strange == []
    assert outcome.lasted_s >= fault_run.CALM_S * fault_config.PACE
    assert len(outcome.segments) == 3 * len(fault_world.CALM) + 2
    assert min(outcome.segments.values()) >= fault_run.CALM_S / fault_rows.TARGET_S


def test_A12_a_dead_source_keeps_its_answers_or_gets_its_slate(
    world: fault_world.World, outcome: fault_run.Outcome
) -> None:
    assert outcome.found["dark"].reached == "source"
    three = {fault_world.FARM[f"farm-{one}"] for one in (1, 2, 3)}
    assert set().union(*(world.dig("dark") for _ in range(6))) == three
    assert world.dig("slate") == {fault_world.SLATE}
    assert set().union(*(world.dig("frozen") for _ in range(6))) == three - {fault_world.FARM["farm-1"]}
