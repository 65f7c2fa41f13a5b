"""The exec kind, with real processes."""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
import textwrap
from pathlib import Path

import pytest

from gtm.probes import exec as exec_kind
from tests.probes.probe_servers import make, run


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-E", "-c", textwrap.dedent(code))


@pytest.mark.parametrize(
    ("code", "ok", "reason"),
    [
        (0, True, ""),
        (1, True, "says this"),
        (2, False, "says this"),
        (3, None, "exit code 3: says this"),
        (127, None, "exit code 127: says this"),
    ],
)
async def test_exit_codes_mean_what_nagios_means(code: int, ok: bool | None, reason: str) -> None:
    result = await run(make("exec", command=("/bin/sh", "-c", f"echo; echo ' says this | x=1'; exit {code}")))
    assert (result.ok, result.reason) == (ok, reason)
    assert (result.measures["exit"], result.measures["output"]) == (code, "says this")


async def test_a_warning_can_count_as_bad() -> None:
    result = await run(make("exec", command="/bin/sh -c 'echo nearly full; exit 1'", warning="bad"))
    assert (result.ok, result.reason) == (False, "nearly full")


async def test_a_warning_can_say_that_there_is_too_much_to_do() -> None:
    result = await run(make("exec", command="/bin/sh -c 'echo load 97%; exit 1'", warning="overloaded"))
    assert (result.ok, result.overloaded) == (True, "load 97%")


async def test_a_silent_critical_still_has_a_reason() -> None:
    assert (await run(make("exec", command="/bin/sh -c 'exit 2'"))).reason == "exit code 2"


async def test_A7_a_command_that_dies_by_a_signal_could_not_tell() -> None:
    result = await run(make("exec", command=("/bin/sh", "-c", "kill -9 $$")))
    assert (result.ok, result.reason) == (None, "killed by signal 9")


@pytest.mark.parametrize(
    ("command", "says"), [("nowhere/check", "no such file"), ("/", "permission denied"), ("", "no command")]
)
async def test_A7_a_command_that_cannot_be_started_is_no_failure_of_the_endpoint(command: str, says: str) -> None:
    result = await run(make("exec", command=command))
    assert result.ok is None
    assert says in result.reason


async def test_no_shell_reads_the_command() -> None:
    result = await run(make("exec", command="/bin/echo '$HOME; exit 2' > x"))
    assert result.measures["output"] == "$HOME; exit 2 > x"


async def test_the_environment_is_what_must_be_known_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GTM_OPS_TOKEN", "secret")
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    result = await run(make("exec", 8080, command=python(code), name="news.live.example.", timeout_s=5.0))
    found = json.loads(str(result.measures["output"]))
    assert {name: value for name, value in found.items() if name.startswith("GTM_")} == {
        "GTM_ADDRESS": "127.0.0.1",
        "GTM_ENDPOINT": "fra-1",
        "GTM_NAME": "news.live.example",
        "GTM_HOST": "play.live.example.com",
        "GTM_PORT": "8080",
        "GTM_FAMILY": "ipv4",
        "GTM_PROFILE": "p",
        "GTM_TIMEOUT": "5",
    }
    assert set(found) - {name for name in found if name.startswith("GTM_")} <= {"PATH", "LANG", "LC_CTYPE"}


async def test_at_the_deadline_the_whole_process_group_is_killed(tmp_path: Path) -> None:
    held = tmp_path / "held"  # a pipe that the command and its child hold open: it hangs up when both are dead
    os.mkfifo(held)
    end = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    try:
        command = ("/bin/sh", "-c", f"exec 9>{held}; echo here >&9; sleep 60 & sleep 60")
        result = await run(make("exec", command=command, timeout_s=0.3))
        assert (result.ok, result.reason) == (False, "no end of the command within 300ms")
        assert os.read(end, 100) == b"here\n"
        poll = select.poll()
        poll.register(end, 0)
        assert poll.poll(5000) == [(end, select.POLLHUP)]
    finally:
        os.close(end)


async def test_what_a_command_leaves_running_is_ended_with_it(tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    end = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    try:
        # The one that is left holds the command's output open, too: nobody waits for it.
        command = ("/bin/sh", "-c", f"exec 9>{held}; (sleep 60; echo never) & echo fine; exit 0")
        result = await run(make("exec", command=command))
        assert (result.ok, result.measures["output"]) == (True, "fine")
        assert result.took_ms < 5000
        poll = select.poll()
        poll.register(end, 0)
        assert poll.poll(5000) == [(end, select.POLLHUP)]
    finally:
        os.close(end)


async def test_G6_commands_at_once_are_bounded_and_having_no_place_is_nobodys_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exec_kind, "AT_ONCE", 2)
    slow, quick = make("exec", command="/bin/sleep 0.4"), make("exec", command="/bin/true", timeout_s=0.2)
    results = await asyncio.gather(run(slow), run(slow), run(quick))
    assert [one.ok for one in results] == [True, True, None]
    assert results[2].reason == "2 commands are running already"
    assert (await run(quick)).ok is True, "places come back"


async def test_G6_output_without_end_is_bounded_and_ends_at_the_deadline() -> None:
    result = await run(make("exec", command=("/bin/sh", "-c", "yes"), timeout_s=0.2))
    assert result.ok is False


async def test_G6_much_output_is_cut_and_the_command_can_still_end() -> None:
    code = "import sys; sys.stdout.write('x' * 3_000_000)"
    result = await run(make("exec", command=python(code), timeout_s=5.0))
    assert result.ok is True
    assert len(str(result.measures["output"])) == 500


async def test_performance_data_becomes_measures() -> None:
    command = ("/bin/echo", "OK | load1=0.5;1;2;0; 'free space'=2KB;;;; rta=12.5ms;100;500 pct=99% bad=U;;")
    result = await run(make("exec", command=command))
    assert {name: value for name, value in result.measures.items() if name.startswith("perf.")} == {
        "perf.load1": 0.5,
        "perf.free space": 2048.0,
        "perf.rta": 0.0125,
        "perf.pct": 99.0,
    }


@pytest.mark.parametrize("text", ["", "=", "a=", "=1", "'=1", "a=b=c", "a=1x", "a=--1"])
def test_performance_data_that_cannot_be_read_is_left_out(text: str) -> None:
    assert exec_kind.performance(text) == {}
