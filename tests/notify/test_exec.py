"""A command gets the alert, and is bounded in time, output and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from gtm import model
from gtm.app import courier
from gtm.notify import sender
from tests.notify.receiving import message, receiver, send


def command(program: str, more: str = "") -> model.Receiver:
    return receiver(f"{{kind: exec, command: {json.dumps([sys.executable, '-c', program])}{more}}}")


def lives(pid: str) -> bool:
    """Say whether a process runs; one that only waits for its parent to look does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_it_gets_the_alert_on_its_input_and_the_gist_in_its_environment(tmp_path: Path) -> None:
    file = tmp_path / "got"
    program = f"import json, os, sys; json.dump([json.load(sys.stdin), dict(os.environ)], open({str(file)!r}, 'w'))"
    os.environ["GTM_SECRET_OF_THE_TEST"] = "x"
    try:
        assert await send(command(program), message(text="line\0 two")) == "exit code 0"
    finally:
        del os.environ["GTM_SECRET_OF_THE_TEST"]
    told, environment = json.loads(file.read_text())
    assert (told["id"], told["what"], told["facts"][0]["subject"]) == ("m1", "firing", "eu")
    assert (environment["GTM_WHAT"], environment["GTM_SEVERITY"]) == ("firing", "error")
    assert environment["GTM_TEXT"] == "line two"
    assert "GTM_SECRET_OF_THE_TEST" not in environment


async def test_its_exit_code_and_its_words_say_how_it_went() -> None:
    assert await send(command("print('queued as 7')")) == "queued as 7"
    with pytest.raises(sender.NotSent, match="exit code 3: no route") as wrong:
        await send(command("import sys; print('no\\nroute'); sys.exit(3)"))
    assert not wrong.value.final
    with pytest.raises(sender.NotSent, match="killed by signal 15"):
        await send(command("import os; os.kill(os.getpid(), 15)"))
    with pytest.raises(sender.NotSent, match="/no/such: no such file"):
        await send(receiver("{kind: exec, command: /no/such}"))


async def test_one_that_reads_nothing_and_talks_without_end_is_bounded() -> None:
    told = message(text="x" * 1_000_000)
    assert len(await send(command("print('y' * 3_000_000)"), told)) <= sender.MOST_WORDS


async def test_one_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    inner = f"sleep 600 & echo $! $$ > {shlex.quote(str(file))}; wait"
    one = receiver(f"{{kind: exec, timeout: 1s, command: {json.dumps(['/bin/sh', '-c', inner])}}}")
    outcome = await courier.attempt(one, message())
    assert (outcome.ok, outcome.said, outcome.final) == (False, "no answer within 1s", False)
    async with asyncio.timeout(5):
        while any(map(lives, file.read_text().split())):  # noqa: ASYNC110  # nobody announces it
            await asyncio.sleep(0.01)  # the grandchild's end is init's to see
