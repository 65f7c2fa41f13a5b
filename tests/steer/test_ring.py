"""One turn of a ring: exact shares, sticky slots, and who stands second (semantics B1, B7, B8; house section 5)."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import seen
from gtm.steer import ring

KEY = b"the same on every nameserver"
weights = st.lists(st.integers(1, 20), min_size=1, max_size=7)


def seat(name: str, weight: float = 1, site: str = "", value: str = "", family: str = "ipv4") -> ring.Seat:
    return ring.Seat(seen.Answer(name, family, value or f"192.0.2.{name}"), weight, site)  # type: ignore[arg-type]


def seats(of: list[int], site: str = "") -> tuple[ring.Seat, ...]:
    return tuple(seat(str(index), weight, site) for index, weight in enumerate(of))


def drawn(turn: ring.Turn) -> list[tuple[str, ...]]:
    return [tuple(answer.endpoint for answer in turn.replies[slot]) for slot in turn.slots]


def shares(turn: ring.Turn) -> dict[str, Fraction]:
    counts = Counter(reply[0] for reply in drawn(turn))
    return {name: Fraction(count, len(turn.slots)) for name, count in counts.items()}


@given(weights, st.integers(1, 8))
def test_B8_shares_of_first_places_are_exact_over_one_turn(of: list[int], answers: int) -> None:
    found = shares(ring.exact((seats(of),), answers))
    assert found == {str(index): Fraction(weight, sum(of)) for index, weight in enumerate(of)}


@given(weights, st.integers(1, 3), st.integers(0, 300), st.integers(1, 60))
def test_B8_any_run_of_draws_is_near_the_shares(of: list[int], answers: int, start: int, length: int) -> None:
    turn = drawn(ring.exact((seats(of),), answers))
    run = Counter(turn[(start + i) % len(turn)][0] for i in range(length))
    for index, weight in enumerate(of):
        assert abs(run[str(index)] - length * weight / sum(of)) <= len(of)


@given(st.lists(st.integers(1, 1_000_000), min_size=2, max_size=40))
def test_B8_weights_that_fit_no_turn_are_off_by_less_than_two_slots_and_nobody_is_left_out(of: list[int]) -> None:
    found = ring.whole(of)
    assert min(found) >= 1
    assert sum(found) <= ring.MAX_TURN + len(of)
    for weight, slots in zip(of, found, strict=True):
        exact = Fraction(weight, sum(of))
        assert slots == 1 or abs(Fraction(slots, sum(found)) - exact) < Fraction(2 + len(of), ring.MAX_TURN)


def test_B10_multiplied_weights_are_taken_in_thousandths() -> None:
    assert ring.whole([3.0, 0.375]) == [8, 1]
    assert ring.whole([1.0, 0.00001]) == [1000, 1]
    assert ring.whole([7, 7, 7]) == [1, 1, 1]


def second_places(turn: ring.Turn, first: int) -> dict[str, Fraction]:
    behind = Counter(reply[1] for reply in drawn(turn) if reply[0] == str(first))
    return {name: Fraction(count, behind.total()) for name, count in behind.items()}


def proportions(of: list[int], without: int) -> dict[str, Fraction]:
    rest = {str(index): weight for index, weight in enumerate(of) if index != without}
    return {name: Fraction(weight, sum(rest.values())) for name, weight in rest.items()}


@pytest.mark.parametrize("of", [[1, 1], [2, 1, 1], [3, 2, 1], [1] * 7, [5, 5, 2]])
def test_B1_the_clients_of_a_member_that_fails_spread_over_the_rest_exactly_by_weight(of: list[int]) -> None:
    turn = ring.exact((seats(of),), 2)
    for first in range(len(of)):
        assert second_places(turn, first) == proportions(of, first)


@given(st.lists(st.integers(1, 12), min_size=3, max_size=6))
def test_B1_second_places_are_near_the_weights_where_exact_ones_would_need_too_long_a_turn(of: list[int]) -> None:
    turn = ring.exact((seats(of),), 2)
    for first in range(len(of)):
        found, wanted = second_places(turn, first), proportions(of, first)
        times = shares(turn)[str(first)] * len(turn.slots)
        assert all(abs(found.get(name, 0) - share) * times <= len(of) - 1 for name, share in wanted.items())


def test_the_turn_stays_bounded_where_exact_second_places_would_need_a_longer_one() -> None:
    turn = ring.exact((seats([101, 97, 89, 83]),), 2)
    assert len(turn.slots) == 740  # two turns of 370: more would not fit 1024
    assert shares(turn)["0"] == Fraction(101, 370)


def test_B7_different_sites_come_first() -> None:
    band = (seat("a", 1, "fra"), seat("b", 9, "fra"), seat("c", 1, "ams"), seat("d", 1, "ams"), seat("e", 1, "nyc"))
    sites = {"a": "fra", "b": "fra", "c": "ams", "d": "ams", "e": "nyc"}
    for turn in (ring.exact((band,), 4), ring.sticky(band, 4, KEY)):
        for reply in drawn(turn):
            assert len({sites[name] for name in reply[:3]}) == 3
            assert len(set(reply)) == 4


def test_B7_members_of_one_site_still_fill_an_answer() -> None:
    assert {len(reply) for reply in drawn(ring.exact((seats([1, 1, 1], "fra"),), 3))} == {3}


def test_B7_no_address_stands_twice_in_a_reply() -> None:
    band = (seat("a", value="192.0.2.1"), seat("b", value="192.0.2.1"), seat("c", value="192.0.2.2"))
    for turn in (ring.exact((band,), 3), ring.sticky(band, 3, KEY)):
        assert all(len({answer.value for answer in reply}) == len(reply) == 2 for reply in turn.replies)


@given(weights, st.integers(1, 8))
def test_B7_a_reply_holds_as_many_answers_as_wanted_or_as_there_are(of: list[int], answers: int) -> None:
    for turn in (ring.exact((seats(of),), answers), ring.sticky(seats(of), answers, KEY)):
        assert {len(reply) for reply in turn.replies} == {min(answers, len(of))}
        assert len(turn.replies) <= max(1, len(of) * (len(of) - 1)) or answers == 1
        assert len(set(turn.replies)) == len(turn.replies)


def test_E7_a_cname_stands_alone_and_never_second() -> None:
    band = (seat("a"), seat("b"), seat("cdn", 2, family="cname", value="cdn.example."))
    for turn in (ring.exact((band,), 3), ring.sticky(band, 3, KEY)):
        assert set(drawn(turn)) == {("a", "b"), ("b", "a"), ("cdn",)}


def test_nearest_bands_fill_up_from_the_same_band_then_from_the_next() -> None:
    bands = ((seat("a", 1, "fra"), seat("b", 1, "fra")), (seat("c", 1, "ams"),), (seat("d", 1, "nyc"),))
    assert set(drawn(ring.exact(bands, 3))) == {("a", "b", "c"), ("b", "a", "c")}
    assert set(drawn(ring.exact(bands[1:], 3))) == {("c", "d")}


def test_one_reply_needs_one_slot() -> None:
    assert ring.exact((seats([7]),), 8).slots == (0,)
    assert ring.sticky(seats([7]), 8, KEY).slots == (0,)


def test_B8_sticky_shares_follow_the_weights() -> None:
    found = shares(ring.sticky(seats([6, 3, 1]), 1, KEY))
    for name, wanted in (("0", 0.6), ("1", 0.3), ("2", 0.1)):
        assert abs(float(found[name]) - wanted) < 0.02


@given(st.lists(st.integers(1, 9), min_size=3, max_size=6), st.data())
def test_B8_when_a_sticky_member_leaves_only_its_slots_move_and_return_with_it(
    of: list[int], data: st.DataObject
) -> None:
    everyone = seats(of)
    gone = data.draw(st.integers(0, len(of) - 1))
    before = [reply[0] for reply in drawn(ring.sticky(everyone, 2, KEY))]
    after = [reply[0] for reply in drawn(ring.sticky(everyone[:gone] + everyone[gone + 1 :], 2, KEY))]
    assert len(before) == len(after) == ring.STICKY_SLOTS
    for one, other in zip(before, after, strict=True):
        assert one == other or one == str(gone)
        assert other != str(gone)


def test_B8_the_next_in_line_of_a_sticky_slot_was_its_second_answer() -> None:
    everyone = seats([3, 2, 2])
    before = drawn(ring.sticky(everyone, 2, KEY))
    after = drawn(ring.sticky(everyone[1:], 2, KEY))
    for one, other in zip(before, after, strict=True):
        assert other[0] == (one[1] if one[0] == "0" else one[0])


def test_B10_a_changed_weight_moves_sticky_slots_only_to_or_from_that_member() -> None:
    before = drawn(ring.sticky(seats([4, 4, 4]), 1, KEY))
    after = drawn(ring.sticky((seat("0", 2), *seats([4, 4, 4])[1:]), 1, KEY))
    moved = [(one[0], other[0]) for one, other in zip(before, after, strict=True) if one != other]
    assert moved
    assert {one for one, _ in moved} == {"0"}


def test_B8_every_nameserver_with_the_same_key_gives_the_same_ring_whatever_the_order_of_members() -> None:
    here, there = ring.sticky(seats([1, 2, 3]), 2, KEY), ring.sticky(tuple(reversed(seats([1, 2, 3]))), 2, KEY)
    assert drawn(here) == drawn(there)
    assert drawn(ring.sticky(seats([1, 2, 3]), 2, b"another")) != drawn(here)


def test_B8_the_sticky_ring_is_the_same_in_every_release() -> None:
    turn = drawn(ring.sticky(seats([1, 1, 1, 1]), 1, KEY))
    assert "".join(reply[0] for reply in turn[:32]) == "31101332203102033232131312100331"


@pytest.mark.parametrize("sites", [0, 2, 7])
@pytest.mark.parametrize("count", [ring.MANY + 1, 100, 1000])
def test_B8_B7_many_seats_share_exactly_and_another_site_stands_second(count: int, sites: int) -> None:
    of = [1 + one % 3 for one in range(count)] if count < 500 else [1] * count
    band = tuple(
        seat(str(at), weight, f"s{at % sites}" if sites else "", value=f"10.0.{at // 256}.{at % 256}")
        for at, weight in enumerate(of)
    )
    turn = ring.exact((band,), 4)
    assert shares(turn) == {str(at): Fraction(weight, sum(of)) for at, weight in enumerate(of)}
    for reply in turn.replies:
        assert len({answer.value for answer in reply}) == 4
        if sites:
            assert int(reply[0].endpoint) % sites != int(reply[1].endpoint) % sites
    seconds = Counter(turn.replies[slot][1].endpoint for slot in turn.slots)
    assert len(seconds) == count
    for at, weight in enumerate(of):
        assert seconds[str(at)] <= 4 * weight * len(turn.slots) / sum(of)
    run = Counter(reply[0] for reply in drawn(turn)[: count // 2])
    assert max(run.values()) <= 3


def test_a_pool_of_thousands_costs_steps_and_not_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    fits = ring._fits

    def counted(one: ring.Seat, chosen: Sequence[ring.Seat]) -> bool:
        nonlocal compared
        compared += 1
        return fits(one, chosen)

    monkeypatch.setattr(ring, "_fits", counted)
    band = tuple(seat(str(at), value=f"10.1.{at // 256}.{at % 256}") for at in range(3000))
    assert len(ring.exact((band,), 4).replies) == 3000
    assert compared < 5 * 3000


def test_smooth_spreads_what_it_repeats() -> None:
    assert ring.smooth((5, 1, 1)) == (0, 0, 1, 0, 2, 0, 0)  # as nginx's documentation has it
    assert all(len(list(run)) <= 2 for _, run in itertools.groupby(ring.smooth((4, 3, 2))))
