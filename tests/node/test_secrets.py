"""Secrets and certificates: read from files and the environment, never shown, done without when they cannot be had."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import trustme

from gtm import answering, model
from gtm.app import secrets
from gtm.serve import keys, shared

ONE, OTHER = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"


class Given:
    """A vault, what it gave out, and what it complained about."""

    def __init__(self) -> None:
        self.keys: list[keys.Keys] = []
        self.troubles: list[str] = []
        self.vault = secrets.Vault(self.keys.append, self.troubles.append)


def test_secrets_come_from_a_file_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(f"{ONE}\n")
    monkeypatch.setenv("GTM_BEFORE", OTHER)
    one = Given()
    one.vault.take(
        secrets.Wanted((answering.Secret(file=str(tmp_path / "secret")), answering.Secret(env="GTM_BEFORE")))
    )
    (found,) = one.keys
    assert (found.cookies, one.troubles) == ((bytes.fromhex(ONE), bytes.fromhex(OTHER)), [])
    assert ONE not in repr(found)
    assert keys.read(keys.write(found)) == found


@pytest.mark.parametrize("text", ["", "canary", ONE[:-2], ONE + "00"])
def test_a_secret_that_is_none_is_told_without_being_shown_and_done_without(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text(text)
    one = Given()
    for name in ("secret", "gone"):
        one.vault.take(secrets.Wanted((answering.Secret(file=str(tmp_path / name)),) * 2))
    assert [found.cookies for found in one.keys] == [(), ()]
    assert len(one.troubles) == 2
    assert not any("canary" in said or ONE[:-2] in said for said in one.troubles)


def test_without_a_secret_the_workers_of_a_node_share_one_of_its_own() -> None:
    pages = [shared.Page.new(2) for _ in range(2)]
    one, other = (keys.secrets(keys.Keys(), page) for page in pages)
    assert one == keys.secrets(keys.Keys(), shared.Page(pages[0].fd, 2)) != other
    assert keys.secrets(keys.Keys((b"s" * 16,)), pages[0]) == (b"s" * 16,)
    for page in pages:
        page.close()


# --- certificates --------------------------------------------------------------------------------------------------


def issued(folder: Path, name: str) -> model.Certificate:
    """Write a new certificate for `name` and its key, always into the same files."""
    made = trustme.CA().issue_cert(name)
    (folder / "chain").write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    (folder / "key").write_bytes(made.private_key_pem.bytes())
    return model.Certificate(str(folder / "chain"), str(folder / "key"))


def test_a_certificate_is_taken_when_its_files_change_and_kept_while_they_do_not_fit(tmp_path: Path) -> None:
    one, first = Given(), issued(tmp_path, "a.example")
    one.vault.take(secrets.Wanted(dns=first, web=first))
    assert one.vault.web is not None
    one.vault.look()
    assert len(one.keys) == 1  # nothing changed
    before = (tmp_path / "key").read_text()
    issued(tmp_path, "b.example")
    (tmp_path / "key").write_text(before)  # half of the new pair is there
    one.vault.look()
    assert one.keys[1] == one.keys[0]
    assert len(one.troubles) == 2  # one for each that uses it
    assert "KEY_VALUES_MISMATCH" in one.troubles[0]
    issued(tmp_path, "b.example")
    one.vault.look()
    assert one.keys[2].certificate == (tmp_path / "chain").read_text() != one.keys[0].certificate
    (tmp_path / "key").unlink()
    one.vault.look()
    assert one.keys[3] == one.keys[2]
    assert len(one.troubles) == 4
    assert "BEGIN" not in repr(one.keys) + "".join(one.troubles)


def test_what_is_wanted_is_remembered_for_a_node_without_its_configuration() -> None:
    wanted = secrets.Wanted((answering.Secret(file="f"),), model.Certificate("c", "k"), None)
    assert secrets.Wanted.told(json.loads(json.dumps(asdict(wanted)))) == wanted
    assert secrets.Wanted.told({}) == secrets.Wanted()
