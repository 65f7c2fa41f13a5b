"""Floors: who counts as in service, which orders break them, and how that is said."""

from __future__ import annotations

import pytest

from gtm import seen
from gtm.health import safety


def group(before: str, after: str, floor: int = 1, before6: str = "", after6: str = "") -> safety.Group:
    service = [safety.Service(frozenset(v4), frozenset(v6)) for v4, v6 in ((before, before6), (after, after6))]
    return safety.Group("pool", "eu", floor, *service)


@pytest.mark.parametrize(
    ("one", "left"),
    [
        (group("ab", "b"), None),
        (group("ab", "b", floor=2), 1),
        (group("a", ""), 0),
        (group("a", "", floor=0), None),
        (group("", "", floor=1), None),  # it is below already, and no lower
        (group("a", "a", floor=3), None),
        (group("ab", "a", floor=3), 1),  # it is below already, and may go no lower
        (group("a", "b"), None),  # somebody leaves, somebody comes
        (group("", "", before6="a", after6=""), 0),  # there is only IPv6
    ],
)
def test_a_group_is_not_lowered_below_its_floor(one: safety.Group, left: int | None) -> None:
    assert [breach.left for breach in safety.breaches([one])] == ([] if left is None else [left])


def test_B6_ipv6_may_run_out_while_ipv4_keeps_its_floor() -> None:
    assert not list(safety.breaches([group("ab", "b", before6="a")]))
    (breach,) = safety.breaches([group("", "", before6="a")])  # no IPv4 is left to go to
    assert breach.text == "pool eu would keep 0 members in service for IPv6 (floor 1)"


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({}, True), ({"eligible": False}, False), ({"eligible": False, "held": True}, False),
        ({"eligible": False, "barred": True}, False), ({"weight_factor": 0.0}, False), ({"weight_factor": 0.1}, True),
    ],
)  # fmt: skip
def test_in_service_is_who_is_answered_in_the_ordinary_way(changed: dict[str, object], counts: bool) -> None:
    verdict = seen.Verdict(**{"endpoint": "a", "family": "ipv4", "eligible": True, "state": "up"} | changed)  # type: ignore[arg-type]
    assert safety.in_service(verdict) is counts


def test_a_refusal_names_a_few_and_counts_the_rest() -> None:
    found = [safety.Breach("name", f"n{number}", 2, 1, "ipv4") for number in range(5)]
    assert safety.said(found).startswith("name n0 would keep 1 member in service (floor 2); name n1 ")
    assert safety.said(found).endswith("; and 2 more")
