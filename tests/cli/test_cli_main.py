"""The commands as a whole: they are all there, they start fast, and they are honest about what went wrong."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import click
import pytest
from click import testing

from gtm import errors
from gtm.cli import client, main, reload
from tests.cli.conftest import Run
from tests.web import fake_node

CLIENT_COMMANDS = [
    "status",
    "events",
    "orders",
    "reload",
    "drain x",
    "force up x",
    "weight x 5%",
    "release x",
    "explain x",
]
CONTRACT = (
    "serve check init demo explain probe status drain force weight release orders events reload schema version "
    "completion"
)


def test_the_commands_of_the_contract_are_there() -> None:
    assert set(CONTRACT.split()) <= set(main.COMMANDS)


@pytest.mark.parametrize("name", main.COMMANDS)
def test_each_command_can_be_imported_and_explains_itself(name: str) -> None:
    result = testing.CliRunner().invoke(main.cli, [name, "--help"], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: cli {name}")


@pytest.mark.parametrize("name", sorted({*main.COMMANDS} - {"serve", "completion"}))  # a daemon, and a script
def test_whatever_tells_something_tells_it_in_json_too(name: str) -> None:
    command = main.LazyGroup().get_command(click.Context(main.cli), name)
    told = command.commands.values() if isinstance(command, click.Group) else [command]
    assert all("--json" in option.opts for one in told if one for option in one.params if option.name == "as_json")
    assert all(any(option.name == "as_json" for option in one.params) for one in told if one)


@pytest.mark.parametrize("name", ["status", "events", "orders", "drain", "reload", "version", "completion", "explain"])
def test_a_command_that_asks_a_node_starts_without_the_heavy_modules(name: str) -> None:
    code = (
        "import sys; from gtm.cli import main; main.LazyGroup().get_command(None, sys.argv[1]); "
        "heavy = {'aiohttp', 'pydantic', 'asyncio', 'rich', 'dns', 'dnslib', 'yaml', 'gtm.app', 'prometheus_client'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"


def test_a_node_that_takes_too_long_is_not_said_to_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "WAIT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        result = testing.CliRunner().invoke(main.cli, ["reload", "--url", url])
    assert (result.exit_code, result.stderr) == (
        1, f"Error: {url} has not answered in time; what was asked may yet be done\n"
    )  # fmt: skip


@pytest.mark.parametrize("words", CLIENT_COMMANDS)
def test_a_node_that_cannot_be_reached_is_one_clear_line_and_exit_status_1(words: str) -> None:
    with socket.socket() as taken:  # bound, not listening: nothing answers here, and nobody else can take it
        taken.bind(("127.0.0.1", 0))
        where = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = testing.CliRunner().invoke(main.cli, [*words.split(), "--url", where], catch_exceptions=False)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"Error: no node answers at {where}: Connection refused")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["no-such-command"], ["status", "--no-such-option"], ["drain"], ["drain", "x", "--for", "soon"],
        ["drain", "x", "--for", "0s"], ["force", "sideways", "x"], ["weight", "x", "50"], ["weight", "x", "150%"],
        ["explain", "x", "--assume", "fra-1"], ["explain", "x", "--assume", "=down"], ["events", "--since", "soon"],
        ["completion", "tcsh"], ["status", "--url", "ftp://x"], ["status", "--url", "http://x:port"],
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_status_2(fake: fake_node.FakeNode, gtm: Run, words: list[str]) -> None:
    assert gtm(*words).exit_code == 2
    assert fake.asked == []


def test_a_token_with_a_line_break_is_wrong_usage_not_another_header(gtm: Run) -> None:
    assert gtm("status", GTM_TOKEN="secret\r\nX-Evil: 1").exit_code == 2


def test_the_token_is_sent_and_a_missing_one_is_said(fake: fake_node.FakeNode, gtm: Run) -> None:
    fake.tokens = (fake_node.OPERATOR,)
    refused = gtm("drain", "fra-1")
    assert refused.exit_code == 1
    assert "may look but not touch" in refused.stderr
    assert gtm("drain", "fra-1", GTM_TOKEN=fake_node.OPERATOR.secret).exit_code == 0


def test_what_answers_but_is_no_node_is_said(fake: fake_node.FakeNode, gtm: Run) -> None:
    fake.body = {}
    result = gtm("status")
    assert result.exit_code == 1
    assert "is no gtm node" in result.stderr
    fake.body = {"something": "else"}
    assert "not the status of a gtm node" in gtm("status").stderr


def test_version_and_completion_need_no_node() -> None:
    runner = testing.CliRunner()
    assert runner.invoke(main.cli, ["version"]).stdout.startswith("gtm ")
    assert set(json.loads(runner.invoke(main.cli, ["version", "--json"]).stdout)) == {"gtm", "python", "system"}
    for shell in ("bash", "zsh", "fish"):
        assert "_GTM_COMPLETE" in runner.invoke(main.cli, ["completion", shell]).stdout


def test_a_refused_configuration_shows_all_of_its_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = (
        errors.Problem("error", "unknown-key", "unknown key 'tll'", errors.Mark("gtm.yaml", 3, 5, 8), hint="ttl?"),
        errors.Problem("warning", "no-checks", "pool a has no check"),
    )

    @click.command()
    def command() -> None:
        raise errors.ConfigError(problems)

    monkeypatch.setattr(main.LazyGroup, "get_command", lambda *_: command)
    result = testing.CliRunner().invoke(main.cli, ["anything"])
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "gtm.yaml:3:5: error: unknown key 'tll' (ttl?)",
        "warning: pool a has no check",
        "Error: 1 error in the configuration",
    ]


def test_a_url_without_a_scheme_is_http() -> None:
    assert client.Client("127.0.0.1:8053")._port == 8053
    with pytest.raises(click.UsageError):
        client.Client("http://")
