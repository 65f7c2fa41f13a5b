"""Secrets of cookies: read from files and the environment, never shown, and done without when they cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from gtm import model
from gtm.app import secrets
from gtm.serve import keys, shared

ONE, OTHER = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"


def settings(*found: model.Secret) -> model.DnsSettings:
    return model.DnsSettings(cookies=model.Cookies(secrets=found))


def test_secrets_come_from_a_file_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(f"{ONE}\n")
    monkeypatch.setenv("GTM_BEFORE", OTHER)
    troubles: list[str] = []
    dns = settings(model.Secret(file=str(tmp_path / "secret")), model.Secret(env="GTM_BEFORE"))
    found = secrets.keys_of(dns, troubles.append)
    assert (found.cookies, troubles) == ((bytes.fromhex(ONE), bytes.fromhex(OTHER)), [])
    assert ONE not in repr(found)
    assert keys.read(keys.write(found)) == found


@pytest.mark.parametrize("text", ["", "canary", ONE[:-2], ONE + "00"])
def test_a_secret_that_is_none_is_told_without_being_shown_and_done_without(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text(text)
    troubles: list[str] = []
    for name in ("secret", "gone"):
        dns = settings(model.Secret(file=str(tmp_path / name)), model.Secret(file=str(tmp_path / name)))
        assert secrets.keys_of(dns, troubles.append).cookies == ()
    assert len(troubles) == 2
    assert not any("canary" in one or ONE[:-2] in one for one in troubles)


def test_without_a_secret_the_workers_of_a_node_share_one_of_its_own() -> None:
    pages = [shared.Page.new(2) for _ in range(2)]
    one, other = (keys.secrets(keys.Keys(), page) for page in pages)
    assert one == keys.secrets(keys.Keys(), shared.Page(pages[0].fd, 2)) != other
    assert keys.secrets(keys.Keys((b"s" * 16,)), pages[0]) == (b"s" * 16,)
    for page in pages:
        page.close()
