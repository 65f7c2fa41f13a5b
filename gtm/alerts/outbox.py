"""Messages in, which of them to try now out: the queue of what is not sent yet, by receiver and in order.

What has changed is handed out as the store wants it, so that what is to be sent is written down before it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from gtm.alerts import words

KIND = "letter"  # of the store's papers
FIRST_WAIT_S = 1.0  # a receiver that restarts is back in a moment
LONGEST_WAIT_S = 300.0  # and one that has been away for long hears within five minutes of its return
GIVE_UP_S = 86400.0  # what is a day old is on the page, and helps nobody any more
MOST_LETTERS = 1000  # some megabytes; a receiver that is away for long loses the oldest
_REPLACED = frozenset({"update", "reminder", "refresh"})


class Outbox:
    """All letters that wait. `now` is alerting's clock."""

    def __init__(self) -> None:
        self._letters: dict[str, words.Letter] = {}
        self._under_way: set[str] = set()
        self._fresh: set[str] = set()  # not written yet, and so not to be sent yet
        self._changes: dict[tuple[str, str], str | None] = {}

    def __iter__(self) -> Iterator[words.Letter]:
        return iter(self._letters.values())

    def __len__(self) -> int:
        return len(self._letters)

    def recall(self, waiting: Iterable[words.Letter]) -> None:
        """Take what waited before; it goes first."""
        older = {one.id: one for one in sorted(waiting, key=lambda one: one.made)}
        self._letters = {**older, **self._letters}

    def of(self, receiver: str) -> list[words.Letter]:
        """Return what waits for one receiver, oldest first."""
        return [one for one in self._letters.values() if one.receiver == receiver]

    def waits(self, receiver: str, incident: str) -> bool:
        """Say whether something about an incident is still to be taken by a receiver."""
        return any(one.message.incident == incident for one in self.of(receiver))

    @property
    def unwritten(self) -> int:
        """How many changes `written` would hand out."""
        return len(self._changes)

    def ready(self) -> None:
        """Let what was put be sent: it is written, or cannot be."""
        self._fresh.clear()

    def written(self) -> dict[tuple[str, str], str | None]:
        """Return what has changed since the last call."""
        found, self._changes = self._changes, {}
        return found

    def put(self, receiver: str, message: words.Message, now: float) -> words.Letter | None:
        """Let a message wait. It takes the place of an older update or reminder of the same incident.

        Return the letter that had to go to make room, if there was one.
        """
        dropped = None
        mine = [one for one in self.of(receiver) if one.message.incident == message.incident]
        if message.what == "refresh" and mine:
            return None  # what waits says as much
        for one in mine:
            if one.message.what in _REPLACED and one.id not in self._under_way:
                self._drop(one.id)
        if len(self._letters) >= MOST_LETTERS:
            dropped = next((one for one in self._letters.values() if one.id not in self._under_way), None)
            if dropped is not None:
                self._drop(dropped.id)
        self._keep(words.Letter(receiver, message, now, now))
        self._fresh.add(message.id)
        return dropped

    def take(self, receiver: str, now: float) -> words.Letter | None:
        """Return the oldest letter for a receiver if it is time to try it; it is under way until `sent` or `failed`."""
        mine = self.of(receiver)
        if not mine or mine[0].due > now or mine[0].id in self._under_way | self._fresh:
            return None
        self._under_way.add(mine[0].id)
        return mine[0]

    def due(self, receiver: str) -> float | None:
        """Return when to try the next letter for a receiver; None when there is none."""
        mine = self.of(receiver)
        return mine[0].due if mine and mine[0].id not in self._fresh else None

    def sent(self, letter: words.Letter) -> None:
        """Forget a letter that has arrived."""
        self._under_way.discard(letter.id)
        self._drop(letter.id)

    def failed(self, letter: words.Letter, why: str, final: bool, now: float, dice: Callable[[], float]) -> bool:
        """Try again later, or give up when it is `final` or too old; say whether it was given up."""
        self._under_way.discard(letter.id)
        if final or now - letter.made >= GIVE_UP_S:
            self._drop(letter.id)
            return True
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(letter.tries, 16))
        due = now + wait_s * (0.5 + dice() / 2)  # spread, so that a fleet does not knock all at once
        self._keep(replace(letter, tries=letter.tries + 1, trouble=why, due=due))
        return False

    def release(self, receiver: str) -> None:
        """Let what was under way to a receiver be tried again: nobody knows what became of it."""
        self._under_way -= {one.id for one in self.of(receiver)}

    def hurry(self, receiver: str) -> None:
        """Let what waits for a receiver be tried now: somebody has mended it, or has begun anew."""
        self._letters.update({one.id: replace(one, due=one.made) for one in self.of(receiver)})

    def forget(self, receivers: set[str]) -> None:
        """Drop what waits for anybody who is not among these any more."""
        for one in list(self._letters.values()):
            if one.receiver not in receivers and one.id not in self._under_way:
                self._drop(one.id)

    def _keep(self, letter: words.Letter) -> None:
        self._letters[letter.id] = letter
        if letter.message.what != "refresh":  # the next one comes by itself: it is not worth a write
            self._changes[KIND, letter.id] = words.dump(letter)

    def _drop(self, letter_id: str) -> None:
        gone = self._letters.pop(letter_id, None)
        if gone is not None and gone.message.what != "refresh":
            self._changes[KIND, letter_id] = None
