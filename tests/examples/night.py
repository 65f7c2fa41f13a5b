"""A script of faults and orders in, what was said to whom and what happened out: a night in a few seconds.

`python -m tests.examples.night` writes `log.txt` of the example anew. The script is `night.yaml` beside it: steps with
a time, what is done (`do`, one method of `Night` a word), what must be said until the next step (`said`) and which
endpoints must be answered then (`answers`, by name).
"""

from __future__ import annotations

import datetime
import fnmatch
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gtm import events, model, names, seen, units
from gtm.alerts import words
from gtm.config import show
from tests.stories import world
from tests.stories.watched import Watched

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "night-shift"
BEFORE_S = 900  # the node is long judged when the night begins


@dataclass(frozen=True, slots=True)
class Step:
    """What is done `at` (wall clock), what it is about, and what is expected until the next one."""

    at: float
    what: str
    do: Mapping[str, Any]
    said: tuple[str, ...]
    answers: Mapping[str, str]


def script(text: str) -> tuple[float, float, dict[str, dict[str, model.Value]], list[Step]]:
    """Read a script: when it begins and ends, what probes see while all is well, the steps."""
    told = yaml.safe_load(text)
    begins, ends = (told[one].replace(tzinfo=datetime.UTC).timestamp() for one in ("begins", "ends"))
    steps = []
    for one in told["steps"]:
        hours, minutes = map(int, one["at"].split(":"))
        at = begins - begins % 86400 + 60 * (60 * hours + minutes)
        steps.append(
            Step(at + 86400 * (at < begins), one["what"], one["do"], tuple(one["said"]), one.get("answers", {}))
        )
    return begins, ends, told["measured"], steps


class Night:
    """One night on one node."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.text = (folder / "gtm.yaml").read_text()
        self.begins, self.ends, measured, self.steps = script((folder / "night.yaml").read_text())
        self.it = Watched(self.text, at=self.begins - BEFORE_S)
        self.it.world.measured.update(measured)
        self._later: list[tuple[float, str, Any]] = []
        self._until(self.begins)
        assert self.it.world.brain.judged()
        self.quiet = (len(self.it.world.log), len(self.it.said))

    def replay(self) -> Iterator[tuple[Step, list[str], dict[str, set[str]]]]:
        """Yield each step with what was said until the next one, and who was answered just before that."""
        ends = [*(one.at for one in self.steps[1:]), self.ends]
        for step, end in zip(self.steps, ends, strict=True):
            self._until(step.at)
            before = len(self.it.said)
            for word, how in step.do.items():
                self.do(word, how)
            self._until(end)
            said = [f"{clock(at)[:5]} {who}: {_title(message)}" for at, who, message in self.it.said[before:]]
            yield step, said, {name: self._answered(name) for name in step.answers}

    def _until(self, at: float) -> None:
        while self._later and self._later[0][0] < at:
            due, word, how = self._later.pop(0)
            self.it.run(round(due - self.it.now))
            self.do(word, how)
        self.it.run(round(at - self.it.now))

    def endpoints(self, pattern: str) -> list[str]:
        """Return the endpoints that a row of globs names."""
        every = self.it.world.brain.snapshot.endpoints
        return [one for one in every if any(fnmatch.fnmatchcase(one, glob) for glob in pattern.split())]

    def _answered(self, name: str) -> set[str]:
        of = {one.ipv4: one.name for one in self.it.world.brain.snapshot.endpoints.values()}
        return {of[address] for address in self.it.world.ever(f"{name}.tv.example.com")}

    # --- what a script may say ------------------------------------------------------------------------------------

    def do(self, word: str, how: Any) -> None:
        """Do one thing of a step."""
        getattr(self, f"do_{word}")(how)

    def do_dies(self, how: dict[str, str]) -> None:
        for pattern, why in how.items():
            self.it.world.sick |= dict.fromkeys(self.endpoints(pattern), why)

    def do_returns(self, pattern: str) -> None:
        for one in self.endpoints(pattern):
            self.it.world.sick.pop(one, None)

    def do_freezes(self, how: dict[str, str]) -> None:
        name = f"{how['name']}.tv.example.com."
        self.it.world.dead |= {(one, name): how["why"] for one in self.endpoints(how["where"])}

    def do_moves(self, name: str) -> None:
        for key in [key for key in self.it.world.dead if key[1] == f"{name}.tv.example.com."]:
            del self.it.world.dead[key]

    def do_comes_and_goes(self, how: dict[str, Any]) -> None:
        down_s, up_s = units.seconds(how["down"]), units.seconds(how["up"])
        for number in range(how["times"]):
            fall = self.it.now + number * (down_s + up_s)
            self._later += [(fall, "dies", {how["who"]: how["why"]}), (fall + down_s, "returns", how["who"])]

    def do_overloaded(self, how: dict[str, str]) -> None:
        self.it.world.busy |= {tuple(who.split()): why for who, why in how.items()}

    def do_quiet(self, one: str) -> None:
        del self.it.world.busy[tuple(one.split())]

    def do_measures(self, how: dict[str, dict[str, model.Value]]) -> None:
        for who, measured in how.items():
            endpoint, profile = who.split()
            self.it.world.measured[endpoint, profile] = measured

    def do_order(self, how: dict[str, Any]) -> None:
        now = self.it.now
        number = str(len(self.it.world.log))
        made = seen.Override(
            number, how["target"], how["order"], by=how["by"], why=how["why"], at=now,
            until=now + units.seconds(how["for"]),
        )  # fmt: skip
        self.it.world.order(*self.it.node.in_force(), made)

    def do_release(self, target: str) -> None:
        self.it.world.order(*(one for one in self.it.node.in_force() if one.target != target))

    def do_silence(self, how: dict[str, str]) -> None:
        now = self.it.now
        made = words.Silence("night", how["target"], how["by"], how["why"], now, now + units.seconds(how["for"]))
        self.it.rules.silences[made.id] = made
        self.it.happened("alert", made.target, "", "silenced", f"by {made.by} until {clock(made.until)}: {made.why}")

    def do_reload(self, edit: tuple[str, str] | None) -> None:
        """Read the configuration again, with an edit in it; as a node does, say whether it was taken."""
        text, by = self.text.replace(*edit, 1) if edit else self.text, "loopback"
        loaded = world.read(text)
        before, trouble = self.it.world.brain.snapshot.digest, show.tally(loaded.problems)
        self.it.node.config_accepted = loaded.snapshot is not None
        self.it.node.config_trouble = "" if loaded.snapshot else f"{trouble}; the old one stays"
        if loaded.snapshot is None:
            why = f"{self.it.node.config_trouble} (reload by {by})"
            self.it.happened("config", self.it.node.path, "", "refused", why)
        else:
            self.it.world.reload(text)
            after = self.it.world.brain.snapshot.digest
            self.it.happened("config", self.it.node.path, before[:12], after[:12], f"reloaded by {by}")


def clock(at: float) -> str:
    """Return the time of day, UTC."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%H:%M:%S")


def _title(message: words.Message) -> str:
    return message.title.removeprefix(f"[{message.node}] ")


def _event(event: events.Event) -> str:
    if event.kind == "config" and event.before:  # a digest changes with the least new setting
        return f"{clock(event.at)}  {event.kind} {names.shown(event.subject)}: DIGEST -> DIGEST ({event.cause})"
    change = f"{event.before} -> {event.after}" if event.before and event.after else event.after or "over"
    return f"{clock(event.at)}  {event.kind} {names.shown(event.subject)}: {change} ({event.cause})"


def _message(at: float, who: str, message: words.Message) -> str:
    lines = [message.title, *message.text.splitlines()]
    return "\n".join([f"\n{clock(at)}  >>> {who}", *(f"    {line}".rstrip() for line in lines), ""])


def log(night: Night) -> str:
    """Return all that happened and was said in a night that was replayed, in order of time."""
    happened = [(one.at, 0, _event(one)) for one in night.it.world.log[night.quiet[0] :]]
    said = [(one[0], 2, _message(*one)) for one in night.it.said[night.quiet[1] :]]
    steps = [(one.at, -1, f"\n--- {clock(one.at)[:5]} {one.what}\n") for one in night.steps]
    rows = sorted([*happened, *said, *steps], key=lambda row: (int(row[0]), row[1]))
    return "\n".join(row[2] for row in rows).replace("\n\n\n", "\n\n").lstrip("\n") + "\n"


if __name__ == "__main__":
    it = Night()
    for step_, said_, answered_ in it.replay():
        sys.stdout.write("\n  ".join([f"{clock(step_.at)} {step_.what}", *said_, str(answered_)]) + "\n")
    (FOLDER / "log.txt").write_text(log(it))
