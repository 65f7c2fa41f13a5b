"""The TTL of a steered answer (semantics D1)."""

from __future__ import annotations

import pytest

from gtm import seen
from gtm.steer import ttl


def verdict(steps_s: float, *, in_doubt: bool = False, barred: bool = False) -> seen.Verdict:
    return seen.Verdict("a", "ipv4", eligible=True, state="up", steps_s=steps_s, in_doubt=in_doubt, barred=barred)


@pytest.mark.parametrize(("steps_s", "ttl_s"), [(5.5, 5), (12.99, 12), (1.0, 5), (0.0, 5), (31.0, 30), (3600.0, 30)])
def test_D1_the_ttl_is_the_soonest_change_in_whole_seconds_inside_the_bounds(steps_s: float, ttl_s: int) -> None:
    assert ttl.seconds([verdict(steps_s), verdict(3600.0)], low_s=5, high_s=30) == ttl_s


def test_D1_a_member_in_doubt_gives_the_lower_bound() -> None:
    assert ttl.seconds([verdict(20.0), verdict(20.0, in_doubt=True)], low_s=5, high_s=30) == 5


def test_D1_a_barred_member_does_not_count_because_no_probe_brings_it_back() -> None:
    assert ttl.seconds([verdict(20.0), verdict(6.0, in_doubt=True, barred=True)], low_s=5, high_s=30) == 20


def test_D1_nothing_that_can_change_gives_the_upper_bound() -> None:
    assert ttl.seconds([], low_s=5, high_s=30) == 30


def test_D1_the_lower_bound_before_the_first_round_is_judged() -> None:
    assert ttl.seconds([verdict(20.0)], low_s=5, high_s=30, judged=False) == 5


def test_D1_a_single_value_is_always_that_value() -> None:
    for found in (verdict(1.0), verdict(99.0), verdict(9.0, in_doubt=True)):
        assert ttl.seconds([found], low_s=15, high_s=15) == 15
