"""docs/faults.md: it has the rows of the table of faults, and says what the table demands."""

from __future__ import annotations

import re

from tests.probes import test_profiles
from tests.slow import fault_config, fault_rows


def test_the_page_has_the_rows_of_the_table() -> None:
    listed = fault_rows.listed(fault_rows.PAGE.read_text())
    assert [row[:3] for row in listed] == [(row.fault, row.check, row.reached) for row in fault_rows.ROWS]
    for row, (_, _, _, said) in zip(fault_rows.ROWS, listed, strict=True):
        assert re.search(row.reason, said.replace("\\|", "|")), said


def test_every_fault_is_found_by_a_profile_that_there_is() -> None:
    assert {row.check for row in fault_rows.ROWS} <= set(test_profiles.NAMES) | set(fault_config.CHECKS)
    assert len({row.key for row in fault_rows.ROWS}) == len(fault_rows.ROWS)
