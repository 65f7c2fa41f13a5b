"""How a playlist moves, as arithmetic: its age, its rate, its breaks, its dates."""

from __future__ import annotations

import pytest

from gtm.probes import progress


def followed(every_s: float, lasts_s: float, segment_s: float, speed: float = 1.0) -> progress.Progress:
    """Look every so often at a stream whose segments come at a speed, 1 being real time."""
    moves = progress.Progress()
    for look in range(int(lasts_s / every_s) + 1):
        now_s = look * every_s
        number = int(now_s * speed / segment_s)
        since = moves.edge[0] if moves.edge else number
        moves.see((number, 0), now_s, grown_s=(number - since) * segment_s)
    return moves


def test_an_edge_that_stands_still_grows_old() -> None:
    moves = progress.Progress()
    assert not moves.see((7, 0), 100.0, first_age_s=3.0)
    assert moves.age_s(100.0) == 3
    assert moves.see((8, 0), 102.0)
    assert not moves.see((8, 0), 104.0)
    assert moves.age_s(104.5) == 2.5


def test_a_fall_is_an_epoch_and_an_advance() -> None:
    moves = progress.Progress()
    for now_s, number in enumerate((100, 101, 3, 4)):
        moves.see((number, 0), float(now_s))
    assert (moves.epochs, moves.age_s(3.0)) == (1, 0)


def test_a_new_beginning_is_told_from_a_repetition_by_the_streams_own_dates() -> None:
    begun, repeated = progress.Progress(), progress.Progress()
    for now_s, number in enumerate((3, 4, 5, 1, 2, 3, 4)):
        begun.see((number, 0), float(now_s), end=1000.0 + now_s)
    assert (begun.epochs, begun.age_s(6.0)) == (1, 0), "it moves through numbers that were seen before"
    for now_s, number in enumerate((4, 5, 4, 5, 4, 5)):
        repeated.see((number, 0), float(now_s), end=1000.0 + number)
    assert (repeated.epochs, repeated.age_s(5.0)) == (0, 4), "two frozen servers behind one address"


@pytest.mark.parametrize("every_s", [0.5, 2.0, 5.0])
@pytest.mark.parametrize("segment_s", [1.0, 2.0, 6.0])
def test_a_stream_in_real_time_never_looks_slow(every_s: float, segment_s: float) -> None:
    rate = followed(every_s, 300, segment_s).rate()
    assert rate is not None
    assert 1.0 <= rate < 1.15


@pytest.mark.parametrize("speed", [0.5, 0.9])
def test_a_stream_that_falls_behind_is_seen_to(speed: float) -> None:
    rate = followed(1.0, 300, 2.0, speed).rate()
    assert rate == pytest.approx(speed, rel=0.03)


def test_a_minute_must_pass_before_a_rate_is_told() -> None:
    assert followed(1.0, 50, 2.0).rate() is None
    assert followed(1.0, 80, 2.0).rate() is not None


def test_a_new_epoch_begins_a_new_rate() -> None:
    moves = followed(1.0, 100, 2.0)
    moves.see((0, 0), 101.0)
    assert moves.rate() is None


def test_breaks_are_those_of_the_last_minute() -> None:
    moves = progress.Progress()
    for now_s in range(0, 100, 10):
        moves.see((now_s, 0), float(now_s), breaks=1)
    assert moves.breaks(90.0) == 7
    assert moves.breaks(145.0) == 1


def test_a_loop_goes_back_in_time() -> None:
    moves = progress.Progress()
    for end in (100.0, 102.0, None, 90.0):
        moves.date(end)
    assert moves.back_s == 12
    moves.date(103.0)
    assert moves.back_s == 0


def test_what_is_remembered_is_bounded() -> None:
    moves = progress.Progress()
    for number in range(5000):
        moves.see((number, 0), number / 100, grown_s=0.01, breaks=1000)
    assert len(moves.edges) == progress.EDGES
    assert moves.breaks(50.0) <= progress.POINTS
