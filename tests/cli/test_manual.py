"""The man page is what the commands say of themselves, and every command completes in every shell."""

from __future__ import annotations

import shlex

import click
import pytest
from click import shell_completion

from gtm.cli import completion, main
from tests.cli import manual


def test_the_man_page_is_what_the_commands_say() -> None:
    assert manual.PATH.read_text() == manual.current(), "python -m tests.cli.manual"


def test_every_command_and_option_is_on_the_man_page() -> None:
    page = manual.PATH.read_text().replace(r"\-", "-")
    for names, command in manual.commands(main.cli, ("gtm",)):
        assert len(names) == 1 or f'.SS "{" ".join(names)} ' in page
        context = click.Context(command, help_option_names=["-h", "--help"])
        options = [one for one in command.get_params(context) if isinstance(one, click.Option) and not one.hidden]
        assert all(option.opts[-1] in page for option in options)


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_every_command_and_its_options_complete(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = shell_completion.get_completion_class(shell)
    assert made is not None
    completing = made(main.cli, {}, "gtm", "_GTM_COMPLETE")
    for names, command in manual.commands(main.cli, ("gtm",)):
        for unfinished in ("", "--"):
            words = [*names, unfinished]
            monkeypatch.setenv("COMP_WORDS", shlex.join(words[:-1]) + f" {unfinished}")
            monkeypatch.setenv("COMP_CWORD", unfinished if shell == "fish" else str(len(words) - 1))
            told = completing.complete()
            below = command.list_commands(click.Context(command)) if isinstance(command, click.Group) else []
            wanted = below if not unfinished else ["--help"]
            assert all(word in told for word in wanted), (words, told)
