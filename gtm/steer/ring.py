"""Eligible members with their weights in, one turn of a ring out: the different replies, and slots that index them.

A *seat* is a member that may be answered. `bands` are groups of seats, best first: the seats of the first band share
the first places of the replies, the others only fill up (there is one band unless the pool's balance is `nearest`).

Positions in a reply are filled like this, because clients mostly take the first record and fall to the second when it
does not answer:

* the *first* is drawn in proportion to weight: exactly within one turn (`exact`), or by hash (`sticky`);
* the *second* is drawn in proportion to weight among the seats that may stand behind that first one, so that the
  clients of a member that fails before its fall is noticed spread over the rest as B1 asks;
* the *others* follow in a fixed order. Thus a ring of n seats has at most n·(n-1) different replies.

Different sites come before the same site everywhere (B7), and no address stands twice in a reply.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from gtm import seen

MAX_ANSWERS = 8  # semantics B7: more would not fit every resolver's 512 bytes with IPv6 and EDNS
# The longest turn of an exact ring. Weights that do not fit are rounded to whole slots, so each share is off by less
# than one slot in 1024 (0.1 % of answers); a member of positive weight always keeps a slot.
MAX_TURN = 1024
# From more seats than these not even the pairs of equal ones fit into the longest turn (32·31 < 1024), and who stands
# second is found in a way that costs a step a slot instead of one for each two seats: a pool may have thousands.
MANY = 32
# Weights that were multiplied (orders, slow start) are taken in steps of a thousandth.
WEIGHT_STEPS = 1000
# Slots of a sticky ring. Shares differ from the weights by about sqrt(p·(1-p)/4096), at most 0.8 % of all clients.
STICKY_SLOTS = 4096

Reply = tuple[seen.Answer, ...]


@dataclass(frozen=True, slots=True)
class Seat:
    """A member that may be answered. `weight` is the effective one and positive; an empty `site` is its own site."""

    answer: seen.Answer
    weight: float
    site: str = ""

    @property
    def place(self) -> str:
        """The failure domain: the site, or the endpoint itself where none is named."""
        return f"site {self.site}" if self.site else f"alone {self.answer.endpoint} {self.answer.value}"


Bands = tuple[tuple[Seat, ...], ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a ring: `replies[slots[i]]`."""

    replies: tuple[Reply, ...] = ()
    slots: tuple[int, ...] = ()


def exact(bands: Bands, answers: int) -> Turn:
    """Return a turn in which every seat of the first band stands first exactly in proportion to its weight (B8).

    Any run of draws inside the turn is near the shares too (smooth weighted round robin). The turn is repeated, up to
    `MAX_TURN` slots, until second places are exact as well; those of many seats are spread as far as the turn goes.
    """
    return _of_few(bands, answers) if len(bands[0]) <= MANY else _of_many(bands, answers)


@functools.lru_cache(maxsize=4096)  # many policies, audiences and names share what is served
def _of_few(bands: Bands, answers: int) -> Turn:
    seats = bands[0]
    behind = [_behind(seat, bands) if answers > 1 else () for seat in seats]
    weights = whole([seat.weight for seat in seats])
    firsts = smooth(tuple(weights))
    seconds = [smooth(tuple(whole([seat.weight for seat in row]))) if row else () for row in behind]
    again = math.lcm(*(len(of) // math.gcd(len(of), weight) for of, weight in zip(seconds, weights, strict=True) if of))
    taken = [0] * len(seats)
    pairs: list[tuple[Seat, Seat | None]] = []
    for first in firsts * max(1, min(again, MAX_TURN // len(firsts))):
        order = seconds[first]
        second = behind[first][order[taken[first] % len(order)]] if order else None
        taken[first] += 1
        pairs.append((seats[first], second))
    return _turn(pairs, bands, answers)


@functools.lru_cache(maxsize=64)  # fewer: one holds a reply for each of thousands of seats
def _of_many(bands: Bands, answers: int) -> Turn:
    """Return a turn in which who stands second follows the first in the order of the turn, elsewhere if it can be.

    So second places are shared by weight too, and with each repetition of the turn others follow a seat.
    """
    row = _mixed(bands[0])
    count, places = len(row), [seat.place for seat in row]
    other = [0] * (2 * count)  # where, from each slot on, the next slot of another place is: two turns on at most
    for at in reversed(range(2 * count - 1)):
        other[at] = other[at + 1] if places[at % count] == places[(at + 1) % count] else at + 1
    pairs: list[tuple[Seat, Seat | None]] = []
    for again in range(max(1, MAX_TURN // count)):
        for at, first in enumerate(row):
            next_ = (at + 1 + again) % count
            if places[next_] == places[at] and other[next_]:
                next_ = other[next_] % count
            second: Seat | None = row[next_]
            if answers < 2:
                second = None
            elif not _fits(row[next_], (first,)) or places[next_] == places[at]:
                second = next(iter(_behind(first, bands)), None)
            pairs.append((first, second))
    return _turn(pairs, bands, answers)


def _mixed(seats: Sequence[Seat]) -> list[Seat]:
    """Return one turn of the seats by weight in which each place is spread over the whole of it."""
    by_place: dict[str, list[Seat]] = {}
    turn = smooth(tuple(whole([seat.weight for seat in seats])))
    for one in turn:
        by_place.setdefault(seats[one].place, []).append(seats[one])
    spread = ((_evenly(at, len(row)), seat) for row in by_place.values() for at, seat in enumerate(row))
    return [seat for _, seat in sorted(spread, key=lambda one: one[0])]


def _evenly(at: int, count: int) -> float:
    """Return where the one of so many stands that is number `at`, when they are spread from 0 to 1."""
    return (at + 0.5) / count


@functools.lru_cache(maxsize=256)  # fewer: each has all slots; a change touches few pools
def sticky(seats: tuple[Seat, ...], answers: int, key: bytes) -> Turn:
    """Return `STICKY_SLOTS` slots, each with the seats that win its weighted rendezvous.

    Each slot scores every seat from (key, endpoint, slot) and its weight alone, so a seat that leaves moves only its
    own slots, and one whose weight changes only slots to or from itself; every nameserver with the same key agrees.
    """
    if len(seats) == 1:
        return _turn([(seats[0], None)], (seats,), answers)
    scores = [[seat.weight * draw for draw in _draws(key, seat.answer.endpoint)] for seat in seats]
    behind = [sorted(map(seats.index, _behind(seat, (seats,)))) if answers > 1 else [] for seat in seats]
    pairs: list[tuple[Seat, Seat | None]] = []
    everyone = range(len(seats))
    for row in zip(*scores, strict=True):
        first = max(everyone, key=row.__getitem__)
        may = behind[first]
        pairs.append((seats[first], seats[max(may, key=row.__getitem__)] if may else None))
    return _turn(pairs, (seats,), answers)


@functools.lru_cache(maxsize=512)  # endpoints in sticky pools, some 130 kB each: what left comes back with what it drew
def _draws(key: bytes, endpoint: str) -> tuple[float, ...]:
    """Return what an endpoint of weight 1 scores in each slot: -1/ln(u), so that weight times it wins by weight.

    Weighted rendezvous hashing: Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005.
    """
    draws: list[float] = []
    for block in range(STICKY_SLOTS // 8):
        digest = hashlib.blake2b(struct.pack("!I", block) + endpoint.encode(), key=key[:64]).digest()
        draws.extend(-1 / math.log((number + 0.5) / 2**64) for number in struct.unpack("!8Q", digest))
    return tuple(draws)


def whole(weights: Sequence[float]) -> list[int]:
    """Return positive weights as the smallest whole numbers in proportion; their sum is at most about MAX_TURN."""
    numbers = [max(1, round(weight * WEIGHT_STEPS)) for weight in weights]
    common = math.gcd(*numbers)
    numbers = [number // common for number in numbers]
    total = sum(numbers)
    if total <= MAX_TURN:
        return numbers
    shares = [number * MAX_TURN / total for number in numbers]
    rounded = [max(1, math.floor(share)) for share in shares]
    by_rest = sorted(range(len(shares)), key=lambda one: rounded[one] - shares[one])
    for one in by_rest[: max(0, MAX_TURN - sum(rounded))]:
        rounded[one] += 1
    return rounded


@functools.lru_cache(maxsize=4096)  # sets of weights, of which slow starts and orders make ever new ones
def smooth(weights: tuple[int, ...]) -> tuple[int, ...]:
    """Return one turn of smooth weighted round robin: index i stands in it `weights[i]` times, well spread."""
    if len(weights) > MANY:  # the same spread, to one draw, without a look at everybody for each slot
        spread = ((_evenly(at, weight), one) for one, weight in enumerate(weights) for at in range(weight))
        return tuple(one for _, one in sorted(spread))
    total = sum(weights)
    credit = [0] * len(weights)
    everyone = range(len(weights))
    turn = []
    for _ in range(total):
        for one in everyone:
            credit[one] += weights[one]
        best = max(everyone, key=credit.__getitem__)
        credit[best] -= total
        turn.append(best)
    return tuple(turn)


def _fits(seat: Seat, chosen: Sequence[Seat]) -> bool:
    """Say whether `seat` may join a reply: no address twice (B7), and a CNAME stands alone (E7)."""
    return seat.answer.family != "cname" and all(seat.answer.value != other.answer.value for other in chosen)


def _behind(first: Seat, bands: Bands) -> tuple[Seat, ...]:
    """Return the seats that may stand second behind `first`: of the best band that has any, other sites first."""
    if first.answer.family == "cname":
        return ()
    for band in bands:
        fitting = tuple(seat for seat in band if _fits(seat, (first,)))
        elsewhere = tuple(seat for seat in fitting if seat.place != first.place)
        if fitting:
            return elsewhere or fitting
    return ()


def _turn(pairs: Sequence[tuple[Seat, Seat | None]], bands: Bands, answers: int) -> Turn:
    """Complete each (first, second) to a whole reply, and index equal replies once."""
    at: dict[tuple[int, int], int] = {}  # by identity: to hash a seat is to hash all that it holds
    replies: dict[Reply, int] = {}
    slots = []
    rests = [_Rest.of(band) for band in bands] if answers > 2 else []
    for pair in pairs:
        slot = at.get(same := (id(pair[0]), id(pair[1])))
        if slot is None:
            slot = at[same] = replies.setdefault(_complete(pair, rests, answers), len(replies))
        slots.append(slot)
    if len(replies) == 1:
        slots = [0]
    return Turn(tuple(replies), tuple(slots))


@dataclass(frozen=True, slots=True)
class _Rest:
    """A band from which replies are filled up: who stands where in it, and its places."""

    band: tuple[Seat, ...]
    at: dict[Seat, int]
    places: frozenset[str]

    @classmethod
    def of(cls, band: tuple[Seat, ...]) -> _Rest:
        at = {seat: at for at, seat in reversed(tuple(enumerate(band)))}
        return cls(band, at, frozenset(seat.place for seat in band))


def _complete(pair: tuple[Seat, Seat | None], rests: Sequence[_Rest], answers: int) -> Reply:
    """Return the reply that begins with `pair`: band by band, sites not yet in it first, in a fixed order."""
    first, second = pair
    if second is None:
        return (first.answer,)
    chosen, places = [first, second], {first.place, second.place}
    for rest in rests:
        after = rest.at.get(second, -1) + 1
        for again in (False, True):
            for at in itertools.chain(range(after, len(rest.band)), range(after)):
                if len(chosen) >= answers or (not again and rest.places <= places):
                    break
                seat = rest.band[at]
                if (again or seat.place not in places) and _fits(seat, chosen):
                    chosen.append(seat)
                    places.add(seat.place)
    return tuple(seat.answer for seat in chosen[:answers])
